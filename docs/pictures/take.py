"""Takes the pictures of README and docs/dagster.md anew, from the demo's history, with Debian's chromium.

    make demo && .venv/bin/python docs/pictures/take.py        # the folder ./demo and ./.dagster are looked at

A webserver that can change nothing is started on a free port of this machine, and ended again. The last picture is of a
run that fails: for it a night is asked for under a copy of the policies with a slip in a legal hold.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from websockets.sync.client import ClientConnection, connect

HERE, TOP = Path(__file__).resolve().parent, Path(__file__).resolve().parents[2]
PORT, WIDTH, PATIENCE = 3939, 1600, 90
HOLD = 'id: smith-v-us\nmatter: Smith v us\nplaced_at: 2026-11-01\nplaced_by: legal\nscope: {acount_ids: ["17"]}\n'


class Browser:
    """A page of chromium, spoken to through its DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    def ask(self, method: str, **parameters: Any) -> Any:
        """One command; gives its answer."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(PATIENCE))
            if answer.get("id") == self._number:
                return answer.get("result")

    def is_true(self, script: str) -> bool:
        """What a script of the page comes to."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return bool(found["result"].get("value"))

    def wait_for(self, script: str) -> None:
        """Wait until it is true, and for what moves to come to rest."""
        end = time.monotonic() + PATIENCE
        while not self.is_true(script):
            if time.monotonic() > end:
                raise TimeoutError(f"the page never got there: {script}")
            time.sleep(0.3)
        time.sleep(2)

    def picture(self, name: str, path: str, height: int, shows: str, *clicks: str) -> None:
        """Go to a page, wait for a text, click on some texts, wait again, and take it."""
        self.ask("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=f"http://127.0.0.1:{PORT}{path}")
        self.wait_for(f"document.body && document.body.innerText.includes({json.dumps(shows)})")
        for text in clicks:
            self.is_true(_CLICK.replace("TEXT", json.dumps(text)))
            time.sleep(3)
        file = HERE / f"{name}.png"
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))
        if shutil.which("pngquant"):
            subprocess.run(
                ["pngquant", "--force", "--ext", ".png", "--speed", "1", "128", str(file)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        print(f"{file.relative_to(TOP)}: {file.stat().st_size // 1000} kB")


_CLICK = """(() => {
  const all = [...document.querySelectorAll('button, a, div, span')];
  const found = all.filter(each => each.innerText && each.innerText.trim() === TEXT).pop();
  if (found) found.click();
  return Boolean(found);
})()"""


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Chromium without a window."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
    command = ["chromium", *options, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _awaited(lambda: (profile / "DevToolsActivePort").read_text().split()[0])
        pages = _awaited(lambda: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=9)))
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        with connect(url, max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def webserver(log: Path) -> Iterator[None]:
    """Dagster's UI, read-only."""
    command = [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(PORT)]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--read-only"], cwd=TOP, stdout=out, stderr=out)
    try:
        _awaited(lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORT}/server_info", timeout=5).read())
        yield
    finally:
        process.terminate()
        process.wait(30)


def _awaited(ask: Any) -> Any:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (OSError, ValueError, IndexError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def brake() -> float:
    """When the plan that waited was made, in milliseconds, as the UI names an event."""
    with dg.DagsterInstance.get() as instance:
        for record in instance.fetch_materializations(dg.AssetKey("disposition_plan"), limit=100).records:
            said = record.asset_materialization.metadata if record.asset_materialization else {}
            if said["industries_waiting"].value:
                return record.timestamp * 1000
    raise LookupError("the demo has no night whose plan waited")


def failed_run(folder: Path) -> str:
    """A night under policies with a slip in a hold: nothing is planned. Gives the run."""
    shutil.copytree(TOP / "policies", folder / "policies")
    (folder / "policies" / "holds" / "smith-v-us.yaml").write_text(HOLD)
    environment = {**os.environ, "LIFECYCLE_POLICIES": str(folder / "policies")}
    subprocess.run([sys.executable, "-m", "lifecycle", "run"], cwd=TOP, env=environment, stdout=subprocess.DEVNULL)
    with dg.DagsterInstance.get() as instance:
        return instance.get_runs(dg.RunsFilter(job_name="nightly", statuses=[dg.DagsterRunStatus.FAILURE]), limit=1)[
            0
        ].run_id


def newest_night() -> str:
    """The demo's last night."""
    with dg.DagsterInstance.get() as instance:
        return max(key.rpartition("|")[2] for key in instance.get_materialized_partitions(dg.AssetKey("purged_calls")))


def main() -> None:
    """Take them all."""
    os.environ.setdefault("DAGSTER_HOME", str(TOP / ".dagster"))
    os.environ["PYTHONWARNINGS"] = "ignore"
    night = newest_night()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with webserver(folder / "webserver.log"), browser(folder / "chromium") as page:
            page.picture("overview", "/overview/activity/timeline", 420, "industry_night", "6hr")
            page.picture("plan", "/assets/disposition_plan?view=overview", 1250, "waits_for_a_person")
            page.picture("totals", "/assets/nightly_totals?view=overview", 1500, "calls_archived")
            page.picture("plots", "/assets/nightly_totals?view=overview", 1700, "calls_archived", "Plots")
            key = f"finance|{night}"
            page.picture("partitions", f"/assets/purged_calls?view=partitions&partition={key}", 900, "calls_a_second")
            page.picture("brake", f"/assets/disposition_plan?view=events&time={brake():.0f}", 900, "waits_for_a_person")
            page.picture("policy", "/assets/retention_schedules/finance", 1200, "in_words")
            page.picture("map", "/asset-groups", 760, "custody")
            page.picture("failed", f"/runs/{failed_run(folder)}", 900, "RUN_FAILURE")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"taken in {timedelta(seconds=round(time.monotonic() - started))}")
