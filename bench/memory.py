"""The highest memory of a night, step by step, for growing numbers of due calls; each night in a process of its own.

Usage: memory.py [postgresql|mariadb|sqlite] [--due N …] [--memory MIB]. Every call of the CRM is due but a tenth.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.night import ours
from bench.support.crms import Template

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(url: str, folder: Path) -> None:
    """One night in this process; prints seconds and the highest MiB of each step as JSON."""
    peaks: dict[str, int] = {}

    def after(step: str) -> None:
        high, now = (int(found) // 1024 for found in re.findall(r"Vm(?:HWM|RSS):\s+(\d+) kB", _STATUS.read_text()))
        peaks[step] = max(peaks.get(step, 0), high)
        peaks.setdefault(f"{step}, kept", now)
        _RESET.write_text("5")  # https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html

    taken = ours(url, folder, after)
    print(json.dumps({"seconds": taken, "peaks": peaks}))


def compare(database: str, dues: list[int]) -> None:
    """A night for each size, and what a call costs."""
    for due in dues:
        calls = due * 10 // 9
        with tempfile.TemporaryDirectory() as place:
            template = Template(database, Path(place), calls, due)
            try:
                folder = Path(place) / "night"
                folder.mkdir()
                command = [sys.executable, "-m", "bench.memory", "--night", template.copy(), str(folder)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            finally:
                template.close()
        found = json.loads(done.stdout.splitlines()[-1])
        _show(database, found)


def _show(database: str, found: dict[str, dict[str, float]]) -> None:
    seconds, peaks = found["seconds"], found["peaks"]
    due = int(seconds["calls"])
    print(f"{database}, {due:,} due, {os.environ.get('LIFECYCLE_MEMORY', '256')} MiB; load {os.getloadavg()[0]:.1f}")
    for step in ("open", "plan", "archive", "purge", "seal"):
        each = seconds[step] / due * 1e6
        print(f"  {step:8} {seconds[step]:7.2f} s {each:6.0f} µs a call, highest {peaks[step]:4.0f} MiB", flush=True)
    print(f"  {'all':8} {seconds['all']:7.2f} s {seconds['all'] / due * 1e6:6.0f} µs a call")


def main() -> None:
    """Measure on the database asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database", nargs="?", default="postgresql")
    parser.add_argument("--due", type=int, nargs="+", default=[100_000, 400_000])
    parser.add_argument("--memory", type=int)
    parser.add_argument("--night", nargs=2, metavar=("URL", "FOLDER"), help="one night in this process, for itself")
    asked = parser.parse_args()
    if asked.memory:
        os.environ["LIFECYCLE_MEMORY"] = str(asked.memory)
    if asked.night:
        measure(asked.night[0], Path(asked.night[1]))
    else:
        compare(asked.database, asked.due)


if __name__ == "__main__":
    main()
