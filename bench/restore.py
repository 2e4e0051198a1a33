"""`lifecycle restore` against the database's own bulk loader: the same rows into the same tables, keys and indexes on.

The rows are those of `bench/night.py`: each call has two contacts, every other a note, some notes a file. They are
purged in one night. Interleaved: the rows by COPY FROM (PostgreSQL), LOAD DATA (MariaDB) or executemany (SQLite), in
one transaction, then deleted; the whole of `restore_calls` (history, proof of the copies, what stands against it,
insert, read back, compare, record); and of it the transactions alone. After each restore every column of every row is
what plain SQL read before the purge.

Usage: restore.py [postgresql|mariadb|sqlite …] [--calls N] [--runs N] [--profile]
"""

import argparse
import cProfile
import io
import pstats
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pymysql
import sqlalchemy as sa

from bench.support.crms import DurableMariaDb, DurablePostgres, sample
from lifecycle.crm.restoring.restore_transaction import RestoreTransaction
from lifecycle.crm.sample import demo_schema
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from tests.builders import World, run_night

TABLES = ("calls", "call_contacts", "notes", "note_files")
SERVERS = {"postgresql": DurablePostgres, "mariadb": DurableMariaDb}
Saved = dict[str, Any]


@contextmanager
def filled(database: str, folder: Path, calls: int) -> Iterator[World]:
    """A CRM of these calls, all of them due."""
    server = SERVERS[database]() if database in SERVERS else None
    try:
        if server:
            server.start()
        url = server.new_database() if server else f"sqlite:///{folder / 'crm.db'}"
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        demo_schema.create_schema(engine)
        world = World(url, (folder / "store").as_uri(), folder / "policies").initialised()
        with engine.begin() as connection:
            for rows in sample(calls, calls, 1):
                demo_schema.insert_rows(connection, rows)
        yield world
    finally:
        if server:
            server.remove()


def saved(world: World) -> Saved:
    """Every row of the tables, in order, as the bulk loader takes them: read by the driver, without our code."""
    found: Saved = {}
    with world.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for table in TABLES:
            select = f"SELECT * FROM {table} ORDER BY id"
            if world.dialect == "postgresql":
                out = io.BytesIO()
                with driver.cursor().copy(f"COPY ({select}) TO STDOUT") as copy:
                    for some in copy:
                        out.write(some)
                found[table] = out.getvalue()
            else:
                found[table] = [tuple(row) for row in connection.exec_driver_sql(select)]
    return found


def load(world: World, rows: Saved, folder: Path) -> float:
    """Seconds that the bulk loader takes, until it has committed."""
    if world.dialect == "mysql":
        return _load_files(world, rows, folder)
    with world.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        start = time.perf_counter()
        for table in TABLES:
            if world.dialect == "postgresql":
                with driver.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(rows[table])
            else:
                marks = ", ".join("?" * len(rows[table][0]))
                driver.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])
        driver.commit()
        return time.perf_counter() - start


def _load_files(world: World, rows: Saved, folder: Path) -> float:
    """LOAD DATA: the files are written before the clock starts; bytes are hex in them."""
    for table in TABLES:
        lines = ("\t".join(_field(value) for value in row) + "\n" for row in rows[table])
        (folder / table).write_text("".join(lines))
    url = world.engine.url
    place = {"host": url.host, "port": url.port, "user": url.username, "database": url.database}
    driver = pymysql.connect(**place, local_infile=True)
    with driver.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile = 1")
        start = time.perf_counter()
        for table in TABLES:
            columns = [column.name for column in demo_schema.metadata.tables[table].columns]
            named = ", ".join("@hex" if name == "content" else name for name in columns)
            content = " SET content = UNHEX(@hex)" if "content" in columns else ""
            cursor.execute(f"LOAD DATA LOCAL INFILE '{folder / table}' INTO TABLE {table} ({named}){content}")
        driver.commit()
        taken = time.perf_counter() - start
    driver.close()
    return taken


def _field(value: Any) -> str:
    return "\\N" if value is None else value.hex() if isinstance(value, bytes) else str(value)


def empty(world: World) -> None:
    """The CRM as the night left it."""
    for table in reversed(TABLES):
        world.execute(f"DELETE FROM {table}")
    control = "lifecycle." if world.dialect == "postgresql" else "lifecycle_"
    world.execute(f"DELETE FROM {control}restored")
    world.execute(f"DELETE FROM {control}leaves WHERE id LIKE 'restored:%'")
    if world.dialect == "postgresql":
        with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")


@contextmanager
def timed_transactions(taken: list[tuple[float, float]]) -> Iterator[None]:
    """Notes when each call of the restore transaction begins and ends."""
    plain = RestoreTransaction.restore

    def restore(self: Any, *given: Any) -> Any:
        start = time.perf_counter()
        done = plain(self, *given)
        taken.append((start, time.perf_counter()))
        return done

    RestoreTransaction.restore = restore  # type: ignore[method-assign]
    try:
        yield
    finally:
        RestoreTransaction.restore = plain  # type: ignore[method-assign]


def any_at_work(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of some spans runs."""
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total, reached = total + max(0.0, end - max(start, reached)), max(reached, end)
    return total


def measure(database: str, folder: Path, calls: int, runs: int, profiled: bool) -> None:
    profile, loads, wholes, writes = cProfile.Profile(), list[float](), list[float](), list[float]()
    with filled(database, folder, calls) as world:
        rows = saved(world)
        keys = sorted(world.live())
        run_night(world.lifecycle())
        assert not world.live()
        for _ in range(runs):
            loads.append(load(world, rows, folder))
            assert saved(world) == rows
            empty(world)
            lifecycle = world.lifecycle(restore_url=world.url)
            target, taken = crm_target(lifecycle), list[tuple[float, float]]()
            with timed_transactions(taken):
                start = time.perf_counter()
                if profiled:
                    profile.enable()
                result = restore_calls(lifecycle, keys, target, RestoreOrder("bench", "bench"))
                profile.disable()
                wholes.append(time.perf_counter() - start)
            writes.append(any_at_work(taken))
            assert len(result.restored) == calls, result.refused
            assert saved(world) == rows, "not what SQL read before the purge"
            empty(world)
    limit, whole, written = median(loads), median(wholes), median(writes)
    count = sum(len(each.splitlines() if isinstance(each, bytes) else each) for each in rows.values())
    print(f"{database}, {calls} calls, {count} rows, all equal by SQL: bulk load {limit:.2f} s, restore {whole:.2f} s")
    print(f"  {limit / whole:.2f} of it; its transactions alone {written:.2f} s, {limit / written:.2f}")
    print(f"  every run: loads {_seconds(loads)}; restores {_seconds(wholes)}", flush=True)
    if profiled:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


def _seconds(taken: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("databases", nargs="*", default=["postgresql", "mariadb", "sqlite"])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    for database in given.databases:
        with tempfile.TemporaryDirectory() as folder:
            measure(database, Path(folder), given.calls, given.runs, given.profile)


if __name__ == "__main__":
    main()
