"""SIGTERM and Ctrl-C wherever a night is: at every n-th statement or write of it, and in one that hangs.

Steps are not named here: what is counted is what the drivers send (tests/night/statements), from the opening to the
export of the runs, Dagster's own SQLite with it, so no step is left out: some 5,000 for eleven calls.
LIFECYCLE_TEST_EVERY: every how many of them a night is stopped.
"""

import json
import os
import signal
import time
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from tests.builders import DUE, NIGHT, World
from tests.night.driver import processes
from tests.night.statements import Counted

EVERY = int(os.environ.get("LIFECYCLE_TEST_EVERY", "700"))
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}
SOON = 10


def told(number: int, at: Path, hang: float) -> None:
    """The signal, and a call that lasts."""
    at.write_text(str(time.time()))
    os.kill(os.getpid(), number)
    time.sleep(hang)


def night_counted(folder: Path, at: int, number: int, hang: float, settings: dict[str, str]) -> None:
    """`lifecycle run --json` that is told to end at its n-th statement or write."""
    os.environ.update(settings, DAGSTER_HOME=str(folder / "home"))
    counted = Counted(at, "before", partial(told, number, folder / "told", hang)).install()
    from lifecycle.cli import run_demo

    counted.begin()
    out, err = (folder / "out").open("w"), (folder / "err").open("w")
    with out, err, redirect_stdout(out), redirect_stderr(err):
        code = run_demo.run(NIGHT, None, [], True)
    (folder / "said").write_text(json.dumps(counted.said))
    raise SystemExit(code)


def run(folder: Path, at: int = 0, number: int = signal.SIGTERM, hang: float = 0.0) -> int:
    (folder / "told").unlink(missing_ok=True)
    settings = {name: value for name, value in os.environ.items() if name.startswith("LIFECYCLE_")}
    process = processes.Process(target=night_counted, args=(folder, at, number, hang, settings))
    process.start()
    process.join(300)
    ended = time.time()
    if (folder / "told").exists():
        assert ended - float((folder / "told").read_text()) < SOON
    return int(process.exitcode or 0)


@pytest.mark.slow
@pytest.mark.parametrize("hang", [0, 60], ids=["at once", "in the middle of something that hangs"])
def test_a_night_that_is_told_to_end_anywhere_ends_soon_and_a_rerun_goes_on(world: World, tmp_path: Path, hang) -> None:
    start, database = world.live(), Path(world.url.removeprefix("sqlite:///"))
    made, places = database.read_bytes(), set()
    at, length = 1 + EVERY // 2, 10**9
    while at <= length:
        number = (signal.SIGTERM, signal.SIGINT)[at % 2]
        assert run(tmp_path, at, number, hang) == SIGNALS[number], (tmp_path / "err").read_text()
        said = (tmp_path / "err").read_text()
        assert "ending after the current transaction" in said
        assert ("running again goes on" in said) or not hang
        gone = start - world.live()
        places.add(len(gone))
        assert sorted(record["call_id"] for record in world.purge_rows()) == sorted(gone)
        assert run(tmp_path) in (0, 1), (tmp_path / "err").read_text()
        assert start - world.live() == DUE, at
        assert sorted(record["call_id"] for record in world.records()) == sorted(DUE), at
        assert audit_archive_and_ledger(world.lifecycle()).sound
        length = len(json.loads((tmp_path / "said").read_text())) if length == 10**9 else length
        at += EVERY
        database.write_bytes(made)
        for left in sorted((tmp_path / "store").rglob("*"), reverse=True):
            left.rmdir() if left.is_dir() else left.unlink()
    assert places >= {0, len(DUE)}
