"""A night with nothing due on a large CRM: what the database and this process spend, on the first night and the next.

Usage: nothing_due.py [postgresql|mariadb|sqlite …] [--calls N]
"""

import argparse
import os
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.night import BANK
from bench.support.crms import DurableMariaDb, DurablePostgres, server_cpu
from bench.support.statements import Statements
from lifecycle.crm.sample import demo_schema
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.night.ledger_events import take_census
from lifecycle.night.plan import plan_night
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import Settings

FIRST = date(2026, 11, 20)
RUN = Run("run-1", "bench")
_NUMBERS = {
    "postgresql": "SELECT g AS n FROM generate_series(1, {calls}) g",
    "mariadb": "SELECT seq AS n FROM seq_1_to_{calls}",
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {calls}) SELECT n FROM c",
}
_KEY = {
    "postgresql": "lpad(to_hex(n), 8, '0') || '-0000-4000-8000-000000000000'",
    "mariadb": "CONCAT(LPAD(LOWER(HEX(n)), 8, '0'), '-0000-4000-8000-000000000000')",
    "sqlite": "printf('%08x-0000-4000-8000-000000000000', n)",
}
_DAY = {
    "postgresql": "timestamp '2026-10-01 09:00:00' - n % 900 * interval '1 day' - n % 36000 * interval '1 second'",
    "mariadb": "TIMESTAMP '2026-10-01 09:00:00' - INTERVAL n % 900 DAY - INTERVAL n % 36000 SECOND",
    "sqlite": "datetime('2026-10-01 09:00:00', (-(n % 900)) || ' days', (-(n % 36000)) || ' seconds')",
}
_INSERT = """INSERT INTO calls (id, account_id, agent_id, direction, phone, record_class, subject, started_at, ended_at,
duration_seconds, cost, deleted, updated_at)
SELECT {key}, 1 + n % 200, n % 50, 'in', '+49 30 1234567', 'talk', 'A call about an order, a question or a complaint',
{day}, {day}, 1, 1.25, 0, {day} FROM ({numbers}) s"""


def fill(database: str, url: str, calls: int) -> None:
    """The demo's tables with so many calls, none of them due."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    demo_schema.create_schema(engine)
    numbers = _NUMBERS[database].format(calls=calls)
    with engine.begin() as connection:
        accounts = [{"id": n, "name": f"Account {n}", "status": "active"} for n in range(1, 201)]
        demo_schema.insert_rows(
            connection,
            {
                demo_schema.accounts: accounts,
                demo_schema.account_industries: [{"account_id": n, "industry": "Banking"} for n in range(1, 201)],
            },
        )
        insert = _INSERT.format(key=_KEY[database], day=_DAY[database], numbers=numbers)
        connection.exec_driver_sql(insert if database == "sqlite" else insert.replace("%", "%%"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        analyze = {"postgresql": "VACUUM ANALYZE", "mariadb": "ANALYZE TABLE calls", "sqlite": "ANALYZE"}
        connection.exec_driver_sql(analyze[database])
    engine.dispose()


def night(given: dict[str, Any], day: date, pid: int | None) -> str:
    """One night in a process that has just begun: planned, its census noted, sealed."""
    statements, cpu, server = Statements(), time.process_time(), server_cpu(pid)
    clock = datetime(day.year, day.month, day.day, 2, tzinfo=UTC) + timedelta(days=1)
    lifecycle = Lifecycle(Settings(**given), lambda: clock)
    _, plans = plan_night(lifecycle, day, RUN)
    take_census(lifecycle, day)
    seal_ledger(lifecycle)
    plan = plans["bank"]
    spent = time.process_time() - cpu, server_cpu(pid) - server
    lifecycle.crm.database.engine.dispose()
    when = f"counted {plan.counted_at:%m-%d}" if plan.counted_at else "counted now"
    slowest, taken = max(statements.seconds.items(), key=lambda one: one[1])
    seconds, number = sum(statements.seconds.values()), sum(statements.count.values())
    return (
        f"{day}: {plan.live:,} live ({when}), {plan.due} due; database {seconds:.2f} s in {number} "
        f"statements (server's CPU {spent[1]:.2f} s), our CPU {spent[0]:.2f} s; slowest {taken:.2f} s: {slowest[:100]}"
    )


def measure(database: str, calls: int) -> None:
    """Three nights on one CRM."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = {"postgresql": DurablePostgres, "mariadb": DurableMariaDb}
        server = made[database]() if database in made else None
        try:
            url = server.new_database() if server else f"sqlite:///{folder / 'crm.db'}"
            started = time.perf_counter()
            fill(database, url, calls)
            print(f"{database}: {calls:,} calls made in {time.perf_counter() - started:.0f} s", flush=True)
            policies, key = folder / "policies", folder / "lifecycle.key"
            for name in ("holds", "extensions"):
                (policies / name).mkdir(parents=True)
            (policies / "bank.yaml").write_text(BANK)
            given = {"crm_url": url, "store": (folder / "store").as_uri(), "policies": policies, "signing_key": key}
            Lifecycle(Settings(**given), lambda: datetime.now(UTC)).crm.control.create()
            write_secret(key, new_signing_key(), "")
            FileKeys(key).make_epoch(FIRST.year)
            pid = server._process.pid if server and server._process else None
            for day in range(3):
                print("  " + night(given, FIRST + timedelta(days=day), pid), flush=True)
            print(f"  load {os.getloadavg()[0]:.1f}", flush=True)
        finally:
            if server:
                server.remove()


def main() -> None:
    """Measure on each database asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("databases", nargs="*", default=["postgresql", "mariadb", "sqlite"])
    parser.add_argument("--calls", type=int, default=5_000_000)
    asked = parser.parse_args()
    for database in asked.databases:
        measure(database, asked.calls)


if __name__ == "__main__":
    main()
