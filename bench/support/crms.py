"""Demo CRMs of any size on each database, with fsync on: made once, copied for every run."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema
from tests.servers import MariaDb, Postgres, SqlServer

DUE_DAY, KEPT_DAY = datetime(2021, 3, 1, 10, 30, 15, 123456), datetime(2026, 3, 1, 9, 0, 0)  # noqa: DTZ001
TABLES = ("calls", "call_contacts", "notes", "note_files")
_AT_ONCE = 5_000


class DurablePostgres(Postgres):
    """PostgreSQL as a careful administrator runs it."""

    def _command(self) -> list[str]:
        changed = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB")
        options = [word for setting in (*changed, "max_wal_size=4GB") for word in ("-c", setting)]
        return [*super()._command(), *options]


class DurableMariaDb(MariaDb):
    """MariaDB as a careful administrator runs it."""

    def _command(self) -> list[str]:
        changed = ("buffer-pool-size=512M", "flush-log-at-trx-commit=1", "log-file-size=512M")
        return [*super()._command(), *(f"--innodb-{setting}" for setting in changed)]


class Template:
    """One CRM that is filled once, and copied for every run."""

    def __init__(self, database: str, folder: Path, calls: int, due: int, days: int = 1) -> None:
        self.database, self.folder, self._copies = database, folder, 0
        made: dict[str, Callable[[], SqlServer]] = {"postgresql": DurablePostgres, "mariadb": DurableMariaDb}
        self.server = made[database]() if database in made else None
        try:
            self._fill(database, calls, due, days)
        except BaseException:
            self.close()
            raise

    def _fill(self, database: str, calls: int, due: int, days: int) -> None:
        self.url = self.server.new_database() if self.server else f"sqlite:///{self.folder / 'template.db'}"
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        demo_schema.create_schema(engine)
        with engine.begin() as connection:
            for rows in sample(calls, due, days):
                demo_schema.insert_rows(connection, rows)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if database == "mariadb":
                connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(demo_schema.metadata.tables)}")
            else:
                connection.exec_driver_sql("VACUUM ANALYZE" if database == "postgresql" else "VACUUM")
        engine.dispose()

    def copy(self) -> str:
        """A CRM with the same rows; its URL."""
        self._copies += 1
        if self.server is None:
            path = self.folder / f"copy-{self._copies}.db"
            shutil.copy(self.folder / "template.db", path)
            return f"sqlite:///{path}"
        name = sa.make_url(self.url).database
        if self.database == "postgresql":
            self.server.execute(f"CREATE DATABASE copy_{self._copies} TEMPLATE {name} STRATEGY FILE_COPY")
            self.server.execute("CHECKPOINT")
            url = self.server.url(f"copy_{self._copies}")
            engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
            return url
        self.server.execute(f"CREATE DATABASE copy_{self._copies}")
        url = self.server.url(f"copy_{self._copies}")
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        demo_schema.create_schema(engine)
        with engine.begin() as connection:
            for table in demo_schema.metadata.sorted_tables:
                connection.exec_driver_sql(f"INSERT INTO {table.name} SELECT * FROM {name}.{table.name}")
            connection.exec_driver_sql(f"ANALYZE TABLE {', '.join(demo_schema.metadata.tables)}")
        return url

    def drop(self, url: str) -> None:
        """Throw a copy away."""
        if self.server is None:
            Path(url.removeprefix("sqlite:///")).unlink()
        else:
            force = " WITH (FORCE)" if self.database == "postgresql" else ""
            self.server.execute(f"DROP DATABASE {sa.make_url(url).database}{force}")

    def cpu(self) -> float:
        """Seconds of CPU that the server has used, ended sessions included. 0 for SQLite, which has no server."""
        return server_cpu(self.server._process.pid if self.server and self.server._process else None)

    def close(self) -> None:
        """Stop the server."""
        if self.server:
            self.server.remove()


def server_cpu(server: int | None) -> float:
    """Seconds of CPU that a server's process has used, with its children. 0 for none."""
    return sum(_cpu(int(place.name), server) for place in Path("/proc").glob("[0-9]*")) if server else 0.0


def _cpu(pid: int, server: int) -> float:
    """What a process of the server has used; what its ended children had is in the server's own account."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile
        return 0.0
    if pid != server and int(fields[1]) != server:
        return 0.0
    used = sum(map(int, fields[11:15] if pid == server else fields[11:13]))
    return used / os.sysconf("SC_CLK_TCK")


def sample(calls: int, due: int, days: int) -> Iterator[demo_schema.Rows]:
    """Rows of a CRM: `due` of the calls ended years ago, on so many days; each has contacts, every other a note."""
    yield {
        demo_schema.accounts: [{"id": n, "name": f"Account {n}", "status": "active"} for n in range(1, 201)],
        demo_schema.account_industries: [{"account_id": n, "industry": "Banking"} for n in range(1, 201)],
        demo_schema.contacts: [{"id": n, "account_id": n, "last_name": f"Name {n}"} for n in range(1, 201)],
    }
    every = calls // due
    for start in range(0, calls, _AT_ONCE):
        yield _rows(range(start + 1, min(start + _AT_ONCE, calls) + 1), every, days)


def _rows(numbers: range, every: int, days: int) -> demo_schema.Rows:
    keys = {n: f"{n:08x}-0000-4000-8000-{n * 7919 % 2**48:012x}" for n in numbers}
    return {
        demo_schema.calls: [_call(n, keys[n], every, days) for n in numbers],
        demo_schema.call_contacts: [
            {"id": 2 * n + extra, "call_id": keys[n], "contact_id": 1 + (n + extra) % 200}
            for n in numbers
            for extra in (0, 1)
        ],
        demo_schema.notes: [
            {"id": n, "parent_type": "Calls", "parent_id": keys[n], "body": f"Said {n} " * 8, "created_at": DUE_DAY}
            for n in numbers
            if n % 2 == 0
        ],
        demo_schema.note_files: [
            {"id": n, "note_id": n, "filename": f"{n}.txt", "content": b"\x00\xff" * 20} for n in numbers if n % 8 == 0
        ],
    }


def _call(n: int, key: str, every: int, days: int) -> dict[str, Any]:
    ended = DUE_DAY - timedelta(days=n // every % days) if n % every == 0 else KEPT_DAY
    return {
        "id": key,
        "account_id": 1 + n % 200,
        "agent_id": n % 50,
        "direction": ("in", "out")[n % 2],
        "phone": f"+49 30 {n:08d}",
        "record_class": ("order", "talk")[n % 2],
        "subject": f"Call number {n} about an order, a question or a complaint",
        "started_at": ended - timedelta(seconds=n % 900),
        "ended_at": ended,
        "duration_seconds": n % 900,
        "cost": f"{n % 97}.{n % 10_000:04d}",
        "deleted": 0,
        "updated_at": ended,
        "transcript": None,
    }
