"""Nights that are killed at random moments, one after the other, while calls are written and the store restarts.

LIFECYCLE_TEST_NIGHTS: how many; LIFECYCLE_TEST_SECONDS: begun within; LIFECYCLE_TEST_SEED: which. Each is
`lifecycle run`, in a process that has imported it already.
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import redirect_stdout
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import LifecycleError
from tests.assets.call_writer import journal_of, rows_of
from tests.builders import World, committed
from tests.night.driver import processes

NIGHTS = int(os.environ.get("LIFECYCLE_TEST_NIGHTS", "10"))
SECONDS = float(os.environ.get("LIFECYCLE_TEST_SECONDS", "inf"))
SEED = int(os.environ.get("LIFECYCLE_TEST_SEED", "1"))
FIRST = date(2026, 4, 1)
SHOP = """industry: shop
matches: [Retail]
owner: records@example.com
timezone: UTC
max_share: 100%
rules:
  - {id: SHOP-CALL, title: t, purge_after: P1Y, destroy_after: never, trigger: ended_at}
"""


def one_night(settings: dict[str, str], night: date, said: Path) -> None:
    """`lifecycle run --as-of … --json` in this process."""
    os.environ.update(settings)
    from lifecycle.cli import run_demo

    with said.open("w") as file, redirect_stdout(file):
        try:
            code = run_demo.run(night, None, [], True)
        except LifecycleError as error:  # as the command line does
            file.write(str(error))
            code = error.exit_code
    raise SystemExit(code)


class Nights:
    """A CRM that somebody works in, and its nights."""

    def __init__(self, world: World, s3: Any, folder: Path) -> None:
        self.world, self.s3, self.folder, self.random = world, s3, folder, random.Random(SEED)
        for file in world.policies.glob("*.yaml"):
            file.unlink()
        world.schedule(SHOP)
        self.account, self.held = world.account("Retail"), world.account("Retail")
        world.hold(f"{{account_ids: [{self.held}]}}")
        world.flush()
        self.journal, self.live_before, self.lengths = folder / "journal", set[str](), [6.0]
        given = world.given()
        self.settings = {f"LIFECYCLE_{name.upper()}": str(value) for name, value in given.items() if value}
        self.settings |= {**s3.environment(), "LIFECYCLE_SOURCE": "demo", "DAGSTER_HOME": str(folder / "home")}
        self.settings["LIFECYCLE_FIRST_NIGHT"] = FIRST.isoformat()
        self.told = Counter[str]()
        command = [sys.executable, "-m", "tests.assets.call_writer", world.url, str(self.journal), str(SEED)]
        accounts = [str(self.account)] * 9 + [str(self.held)]
        self.writer = subprocess.Popen([*command, *accounts], stdin=subprocess.PIPE, text=True)

    def write_for(self, night: date, seconds: float) -> None:
        """Let the writer know how late it is, and work alone for a while."""
        assert self.writer.stdin is not None
        assert self.writer.poll() is None, "the writer died"
        self.writer.stdin.write(f"{(night - FIRST).days}\n")
        self.writer.stdin.flush()
        time.sleep(seconds)

    def run(self, night: date, kill: bool) -> int:
        """One night; the exit code, -9 where it was killed."""
        said, began = self.folder / f"said-{night}", time.monotonic()
        process = processes.Process(target=one_night, args=(self.settings, night, said))
        process.start()
        process.join(self.random.uniform(0, statistics.median(self.lengths[-9:])) if kill else 300)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            assert kill, f"the night of {night} did not end in 300 s"
        elif process.exitcode in (0, 1):
            self.lengths.append(time.monotonic() - began)
        self.told[str(process.exitcode)] += 1
        self.require_none_early(night)
        return process.exitcode or 0

    def restart_store(self) -> None:
        """Stop the store at some moment, and start it again at another."""
        time.sleep(self.random.uniform(0, statistics.median(self.lengths[-9:])))
        self.s3.stop()
        time.sleep(self.random.uniform(0, 3))
        self.s3.start()

    def all_calls(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Every call that ever was, as it was last written."""
        return dict(journal_of(self.journal))

    def require_none_early(self, night: date) -> None:
        """What is gone was due by now, and is under no hold."""
        known, live = self.all_calls(), self.world.live()
        for key in known.keys() - live:
            (call,) = known[key]["calls"]
            assert call["account_id"] != self.held, f"{key} was held"
            assert _is_due(call, night), f"{key} went early"

    def account_for(self, night: date) -> set[str]:
        """Each call is live and whole, or gone, on one record, with a copy that equals what was last written."""
        known, live = self.all_calls(), self.world.live()
        gone = known.keys() - live
        with self.world.engine.connect() as connection:
            for key in known.keys() & live:
                assert rows_of(connection, key) == known[key]
            left = connection.exec_driver_sql(
                "SELECT count(*) FROM notes n WHERE NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = n.parent_id)"
            ).scalar()
        assert left == 0
        found = self.world.records()
        records = {record["call_id"]: record for record in found}
        assert Counter(record["call_id"] for record in found) == Counter(gone)
        copies = {m.batch: tables for m, tables in committed(self.world.lifecycle().store)}
        for key, record in records.items():
            assert self._copy(copies[record["batch"]], key) == known[key], f"{key}: the copy is another"
        return gone

    def _copy(self, tables: dict[str, Any], key: str) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for table in ("calls", "notes"):
            rows = [row for row in tables[table].to_pylist() if row["_call_id"] == key] if table in tables else []
            found[table] = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
            found[table].sort(key=lambda row: row["id"])
        return found

    def lifecycle(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lifecycle", *arguments],
            env={**os.environ, **self.settings}, text=True, capture_output=True, check=False, timeout=300,
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_nights_killed_at_random_moments_lose_nothing_and_the_next_go_on(new_world, s3_server, database, tmp_path):
    processes.set_forkserver_preload(["tests.night.driver", "lifecycle.cli.run_demo"])
    nights = Nights(new_world(database, "s3"), s3_server, tmp_path)
    try:
        nights.write_for(FIRST, 5)
        assert nights.run(FIRST, kill=False) in (0, 1), (tmp_path / f"said-{FIRST}").read_text()
        night, began = FIRST, time.monotonic()
        for number in range(1, NIGHTS):
            if time.monotonic() - began > SECONDS:
                break
            night += timedelta(days=nights.random.random() < 0.7)
            nights.write_for(night, 0.3)
            away = threading.Thread(target=nights.restart_store)
            if number % 4 == 0:
                away.start()
            nights.run(night, kill=nights.random.random() < 0.9)
            if number % 4 == 0:
                away.join()
        nights.writer.stdin.close()
        nights.writer.wait(30)
        night += timedelta(days=1)
        for _ in range(2):  # the second for what was being written while the first began
            assert nights.run(night, kill=False) in (0, 1), (tmp_path / f"said-{night}").read_text()
        said = json.loads((tmp_path / f"said-{night}").read_text())
        assert (said["failures"], said["waiting"]) == ([], 0)
        gone = nights.account_for(night)
        verified = nights.lifecycle("verify")
        assert verified.returncode == 0, verified.stdout
        known = nights.all_calls()
        print(f"\n{database}, seed {SEED}: {dict(nights.told)} nights; {len(known)} calls, {len(gone)} gone")
        assert nights.told["-9"] > sum(nights.told.values()) // 3
        due = {
            key
            for key, rows in known.items()
            if _is_due(call := rows["calls"][0], night) and call["account_id"] != nights.held
        }
        assert gone == due
    finally:
        if nights.writer.poll() is None:
            nights.writer.kill()


def _is_due(call: dict[str, Any], night: date) -> bool:
    ended = date.fromisoformat(str(call["ended_at"])[:10])  # SQLite has it as text
    return ended < date(night.year - 1, night.month, night.day)  # it goes on the day after the year is over
