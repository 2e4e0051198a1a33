"""A night's purge against the limit: copy the rows out and one DELETE a table. Each figure a ratio of medians.

Usage: night.py [postgresql|mariadb|sqlite …] [--calls N] [--due N] [--days N] [--runs N] [--peers] [--statements]
"""

import argparse
import cProfile
import os
import pstats
import resource
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from bench.support.crms import TABLES, Template
from bench.support.peers import orm_script, pt_archiver, why_not
from bench.support.statements import Statements
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import Settings

NIGHT, CLOCK, RUN = date(2026, 11, 20), datetime(2026, 11, 21, 2, 0, tzinfo=UTC), Run("run-1", "bench")
BANK = """industry: bank
matches: [Banking]
owner: records@example.com
timezone: Europe/Berlin
max_share: 100%
rules:
  - {id: BANK, title: t, purge_after: P5Y, destroy_after: P7Y, trigger: ended_at, keep_while: [open_deal, open_task]}
"""
OF_DUE = "SELECT id FROM calls WHERE ended_at < '2022-01-01'"
ROWS_OF = {
    "calls": "id IN (SELECT id FROM due)",
    "call_contacts": "call_id IN (SELECT id FROM due)",
    "notes": "parent_type = 'Calls' AND parent_id IN (SELECT id FROM due)",
    "note_files": "note_id IN (SELECT id FROM notes WHERE parent_type = 'Calls' AND parent_id IN (SELECT id FROM due))",
}
Seconds = dict[str, float]


def ours(url: str, store: Path, after: Callable[[str], None] = lambda step: None) -> Seconds:
    """A night of the product, step by step, in this process. `after`: told of each step when it is done."""
    policies = store / "policies"
    for name in ("holds", "extensions"):
        (policies / name).mkdir(parents=True)
    (policies / "bank.yaml").write_text(BANK)
    key = store / "lifecycle.key"
    given = {"crm_url": url, "store": (store / "store").as_uri(), "policies": policies, "signing_key": key}
    lifecycle = Lifecycle(Settings(**given), lambda: CLOCK)  # type: ignore[arg-type]
    lifecycle.crm.control.create()
    write_secret(key, new_signing_key(), "")
    FileKeys(key).make_epoch(CLOCK.year)
    taken: Seconds = defaultdict(float)

    def timed(step: str, work):  # type: ignore[no-untyped-def]
        started = time.perf_counter()
        found = work()
        taken[step] += time.perf_counter() - started
        after(step)
        return found

    lifecycle = Lifecycle(Settings(**given), lambda: CLOCK)  # type: ignore[arg-type]
    timed("open", lambda: lifecycle.crm)
    _, plans = timed("plan", lambda: plan_night(lifecycle, NIGHT, RUN))
    due = [industry for industry, plan in plans.items() if plan.calls is not None]
    for industry in due:
        timed("archive", lambda: archive_night(lifecycle, open_industry_night(lifecycle, industry, NIGHT), RUN))  # noqa: B023
    for industry in due:
        done = timed("purge", lambda: purge_night(lifecycle, open_industry_night(lifecycle, industry, NIGHT), RUN))  # noqa: B023
        taken["calls"] += done.calls
        assert not done.set_aside, dict(list(done.set_aside.items())[:3])
    timed("seal", lambda: seal_ledger(lifecycle))
    taken["all"] = sum(taken[step] for step in ("open", "plan", "archive", "purge", "seal"))
    lifecycle.crm.database.engine.dispose()
    return dict(taken)


def limit(url: str, folder: Path) -> Seconds:
    """Copy the due rows out to synced files, and one DELETE a table, in one transaction."""
    started = time.perf_counter()
    dialect = sa.make_url(url).get_backend_name()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        if dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("CREATE TEMPORARY TABLE due (id varchar(36) PRIMARY KEY)")
        connection.exec_driver_sql(f"INSERT INTO due {OF_DUE}")
        if dialect == "postgresql":
            connection.exec_driver_sql("ANALYZE due")
        for table in TABLES:
            _copy_out(connection, dialect, table, folder / table)
        for table in reversed(TABLES):
            connection.exec_driver_sql(_delete(dialect, table))
    engine.dispose()
    return {"all": time.perf_counter() - started}


def _copy_out(connection: sa.Connection, dialect: str, table: str, path: Path) -> None:
    query = f"SELECT * FROM {table} WHERE {ROWS_OF[table]}"
    with path.open("wb") as file:
        if dialect == "postgresql":
            cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
            with cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
                for block in copy:
                    file.write(block)
        else:
            for row in connection.exec_driver_sql(query).cursor.fetchall():  # type: ignore[union-attr]
                file.write(repr(row).encode() + b"\n")
        os.fsync(file.fileno())


def _delete(dialect: str, table: str) -> str:
    if dialect == "postgresql" or dialect == "sqlite":
        return f"DELETE FROM {table} WHERE {ROWS_OF[table]}"
    joined = {
        "calls": "due d STRAIGHT_JOIN calls t ON t.id = d.id",
        "call_contacts": "due d STRAIGHT_JOIN call_contacts t ON t.call_id = d.id",
        "notes": "due d STRAIGHT_JOIN notes t ON t.parent_id = d.id AND t.parent_type = 'Calls'",
        "note_files": "due d STRAIGHT_JOIN notes n ON n.parent_id = d.id AND n.parent_type = 'Calls' "
        "STRAIGHT_JOIN note_files t ON t.note_id = n.id",
    }
    return f"DELETE t FROM {joined[table]}"


def compare(database: str, asked: argparse.Namespace) -> None:
    """Interleaved runs on copies of one CRM; prints medians and their ratios."""
    work: dict[str, Callable[[str, Path], Seconds]] = {"limit": limit, "ours": ours}
    for name, peer in (("pt_archiver", pt_archiver), ("orm_script", orm_script)) if asked.peers else ():
        reason = why_not(name, database)
        if reason:
            print(f"{database}: {name} is left out: {reason}")
        else:
            work[name] = peer
    found: dict[str, list[Seconds]] = {name: [] for name in work}
    with tempfile.TemporaryDirectory() as place:
        template = Template(database, Path(place), asked.calls, asked.due, asked.days)
        try:
            for run in range(asked.runs):
                for name in work:
                    found[name].append(_measured(template, name, work[name], Path(place) / f"{name}-{run}", asked))
        finally:
            template.close()
    _show(database, asked, found)


def _measured(
    template: Template, name: str, work: Callable[[str, Path], Seconds], here: Path, asked: argparse.Namespace
) -> Seconds:
    """One run on a copy of its own; nothing of the due calls may be left."""
    url = template.copy()
    here.mkdir()
    statements = Statements() if asked.statements and name == "ours" else None
    profiler = cProfile.Profile() if asked.profile and name == "ours" else None
    if profiler:
        profiler.enable()
    before = time.process_time(), template.cpu()
    taken = work(url, here)
    taken |= {"client cpu": time.process_time() - before[0], "server cpu": template.cpu() - before[1]}
    if profiler:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    if statements:
        statements.show()
    left = _left(url)
    assert left == (0, asked.calls - asked.due), f"{name}: {left}"
    template.drop(url)
    shutil.rmtree(here)
    return taken


def _left(url: str) -> tuple[int, int]:
    """How many due calls are left, and how many in all."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        due = connection.exec_driver_sql(f"SELECT count(*) FROM ({OF_DUE}) d").scalar_one()
        return due, connection.exec_driver_sql("SELECT count(*) FROM calls").scalar_one()


def _show(database: str, asked: argparse.Namespace, found: dict[str, list[Seconds]]) -> None:
    middle = {
        what: {step: statistics.median(run[step] for run in runs) for step in runs[0]} for what, runs in found.items()
    }
    mine = middle["ours"]
    print(f"{database}, {asked.due:,} due of {asked.calls:,} on {asked.days} days, {asked.runs} runs each")
    print("  ours: " + ", ".join(f"{step} {seconds:.2f}" for step, seconds in mine.items()))
    for name, taken in middle.items():
        if name != "ours":
            print(f"  {name} {taken['all']:.2f} s: {name} / ours {taken['all'] / mine['all']:.3f}")
    used = {name: taken["client cpu"] + taken["server cpu"] for name, taken in middle.items()}
    print(f"  CPU of client and server: limit {used['limit']:.2f} s, ours {used['ours']:.2f} s")
    print(f"  limit / purge alone {middle['limit']['all'] / mine['purge']:.3f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"  peak {peak} MiB; load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    """Compare on each database asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=["postgresql", "mariadb", "sqlite"])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--statements", action="store_true")
    asked = parser.parse_args()
    for database in asked.databases:
        compare(database, asked)


if __name__ == "__main__":
    main()
