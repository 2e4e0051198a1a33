"""A writer beside the purge: its p99 against the same writer alone, its deadlocks, with a duty and without.

The writer changes a call that stays, adds a call (its link column NULL, as in every other row) and a note to it, in one
transaction; it runs in a process of its own. Usage: neighbour.py [postgresql|mariadb …] [--due N] [--duty D …]
"""

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.night import BANK, CLOCK, NIGHT, RUN
from bench.support.crms import Template
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.settings import Settings

WRITES_A_SECOND = 200
_WRITES = (
    "UPDATE calls SET duration_seconds = duration_seconds + 1 WHERE id = :kept",
    "INSERT INTO calls (id, account_id, direction, record_class, started_at, ended_at, cost, deleted, updated_at) "
    "VALUES (:new, 1, 'in', 'talk', '2026-11-19 10:00:00', '2026-11-19 10:00:00', 1, 0, '2026-11-19 10:00:00')",
    "INSERT INTO notes (id, parent_type, parent_id, body, created_at) VALUES "
    "(:note, 'Calls', :new, 'Said', '2026-11-19 10:00:00')",
)
Written = list[tuple[float, float, str]]
"""When a write began, how many seconds it took, and what went wrong with it."""


def write(url: str, kept: list[str], end: Event, told: Any) -> None:
    """Write at an even rate until told to end; then tell how it went. A write that was late counts from its turn."""
    engine = sa.create_engine(url)
    chosen, found, turn = random.Random(7), Written(), time.monotonic()
    statements = [sa.text(text) for text in _WRITES]
    number = 0
    while not end.is_set():
        turn += 1 / WRITES_A_SECOND
        time.sleep(max(0.0, turn - time.monotonic()))
        began, number, problem = time.monotonic(), number + 1, ""
        values = {"kept": chosen.choice(kept), "new": f"new-{number}-{os.getpid()}", "note": 500_000_000 + number}
        try:
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(statement, values)
        except sa.exc.DBAPIError as error:
            problem = str(error.orig)[:80]
        found.append((began, time.monotonic() - began, problem))
    told.send(found)
    engine.dispose()


def beside(template: Template, folder: Path, duty: float, alone: float) -> dict[str, Any]:
    """The writer alone, then beside the purge, then alone again, on one copy."""
    url = template.copy()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        sql = "SELECT id FROM calls WHERE ended_at >= '2022-01-01' ORDER BY id LIMIT 20000"
        kept = list(connection.scalars(sa.text(sql)))
    policies, key = folder / "policies", folder / "lifecycle.key"
    for name in ("holds", "extensions"):
        (policies / name).mkdir(parents=True)
    (policies / "bank.yaml").write_text(BANK)
    given = {"crm_url": url, "store": (folder / "store").as_uri(), "policies": policies, "signing_key": key}
    lifecycle = Lifecycle(Settings(**given, duty=duty), lambda: CLOCK)  # type: ignore[arg-type]
    lifecycle.crm.control.create()
    write_secret(key, new_signing_key(), "")
    FileKeys(key).make_epoch(CLOCK.year)
    plan_night(lifecycle, NIGHT, RUN)
    archive_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    here, there = multiprocessing.Pipe(duplex=False)
    end = multiprocessing.Event()
    writer = multiprocessing.Process(target=write, args=(url, kept, end, there))
    writer.start()
    try:
        return _watched(engine, lifecycle, alone, end, here)
    finally:
        writer.terminate()
        writer.join()
        lifecycle.crm.database.engine.dispose()
        template.drop(url)


def _watched(engine: sa.Engine, lifecycle: Lifecycle, alone: float, end: Event, here: Any) -> dict[str, Any]:
    work = open_industry_night(lifecycle, "bank", NIGHT)
    time.sleep(1 + alone)
    waits, began = _row_lock_waits(engine), time.monotonic()
    done = purge_night(lifecycle, work, RUN)
    ended, waits = time.monotonic(), _row_lock_waits(engine) - waits
    time.sleep(alone)
    end.set()
    written: Written = here.recv()
    first = written[0][0]
    quiet = [took for at, took, _ in written if first + 1 <= at < began - 0.1 or at > ended + 0.1]
    busy = [took for at, took, _ in written if began <= at <= ended]
    problems = [problem for *_, problem in written if problem]
    return {
        "quiet": _p99(quiet),
        "busy": _p99(busy),
        "writes": len(busy),
        "problems": problems,
        "seconds": ended - began,
        "lock waits": waits,
        "purged": done.calls,
        "set_aside": len(done.set_aside),
    }


def _row_lock_waits(engine: sa.Engine) -> int:
    """How often anybody waited for a row on MariaDB, since its start. PostgreSQL does not count it."""
    if engine.dialect.name == "postgresql":
        return 0
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'").one()[1])


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) > 1 else 0.0


def _said(found: dict[str, Any]) -> str:
    quiet, busy, problems = 1000 * found["quiet"], 1000 * found["busy"], found["problems"]
    ratio = f"p99 alone {quiet:.1f} ms, beside the purge {busy:.1f} ms = {busy / quiet:.2f} times"
    work = f"{found['writes']} writes, {found['purged']} purged in {found['seconds']:.1f} s"
    aside = f"{found['set_aside']} set aside, {found['lock waits']} waits for a row"
    return f"{ratio} ({work}, {aside}); {len(problems)} failed {problems[:2]}"


def main() -> None:
    """Measure on each database asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=["postgresql", "mariadb"])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=20_000)
    parser.add_argument("--duty", type=float, nargs="*", default=[1.0, 0.3])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--alone", type=float, default=4.0)
    asked = parser.parse_args()
    for database in asked.databases:
        with tempfile.TemporaryDirectory() as place:
            template = Template(database, Path(place), asked.calls, asked.due)
            try:
                for run in range(asked.runs):
                    for duty in asked.duty:
                        folder = Path(place) / f"{duty}-{run}"
                        folder.mkdir()
                        found = beside(template, folder, duty, asked.alone)
                        print(f"{database}, duty {duty}: {_said(found)}; load {os.getloadavg()[0]:.1f}", flush=True)
            finally:
                template.close()


if __name__ == "__main__":
    main()
