"""The replicas of a CRM's database: for how many seconds at least something that was written is not there yet.

Asked by positions in the log of changes, not by clocks: what the primary had written at some moment of this process,
and a replica has not replayed, is late by the time since that moment. That needs no right beside connecting.
PostgreSQL's own list of replicas tells the same where the role may see it (pg_monitor).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from lifecycle.crm.database import Database, open_database
from lifecycle.errors import DatabaseError, SettingsError

Position = Mapping[int, int]
"""How far a log of changes is: of each of its streams (MariaDB's replication domains; PostgreSQL has one), a number."""

_PG_HERE = sa.text("SELECT pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn")
_PG_THERE = sa.text("SELECT pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn")
_PG_SEEN = sa.text(
    "SELECT COALESCE(application_name, '') AS name, replay_lsn - '0/0'::pg_catalog.pg_lsn AS position "
    "FROM pg_catalog.pg_stat_replication WHERE replay_lsn IS NOT NULL AND state = 'streaming'"
)
_PG_COUNTED = sa.text("SELECT count(*), count(replay_lsn) FROM pg_catalog.pg_stat_replication")
_MARIADB_HERE = sa.text("SELECT @@GLOBAL.gtid_binlog_pos")
_MARIADB_THERE = sa.text("SELECT @@GLOBAL.gtid_slave_pos")


@dataclass(frozen=True, slots=True)
class ReplicaLag:
    """The replica that is furthest behind, by how many seconds at least; `problem`: why nobody can ask it."""

    replica: str
    seconds: float
    problem: str = ""


@dataclass
class Replicas:
    """The replicas of one database: those that are named, and those that PostgreSQL lets the role see."""

    primary: Database
    named: Sequence[Database]
    stopwatch: Callable[[], float] = time.monotonic
    _written: deque[tuple[float, Position]] = field(default_factory=deque)
    _known: dict[str, Position] = field(default_factory=dict)

    def furthest_behind(self) -> ReplicaLag | None:
        """The replica that lacks what was written the longest ago; None: none lacks anything, as far as anybody sees.

        Raises SettingsError for a named one that is none.
        """
        if self.primary.dialect == "sqlite":
            return None
        problems, seen = dict[str, str](), set[str]()
        with self.primary.reading() as connection:
            self._written.append((self.stopwatch(), _here(connection, self.primary.dialect)))
            for name, position in _seen(connection, self.primary.dialect):
                self._known[name] = position
                seen.add(name)
        for number, database in enumerate(self.named, 1):
            name = f"{number} ({database.host})"
            seen.add(name)
            try:
                with database.reading() as connection:
                    self._known[name] = _there(connection, database)
            except DatabaseError as error:
                problems[name] = str(error)
        lags = [ReplicaLag(name, self._lag(self._known.get(name, {})), problems.get(name, "")) for name in sorted(seen)]
        self._forget([self._known.get(name, {}) for name in seen])
        return max((lag for lag in lags if lag.seconds > 0), key=lambda lag: lag.seconds, default=None)

    def _lag(self, there: Position) -> float:
        missing = next((at for at, position in self._written if not _covers(there, position)), None)
        return 0.0 if missing is None else max(self._written[-1][0] - missing, 1e-6)

    def _forget(self, there: Sequence[Position]) -> None:
        """What every replica has is of no interest any more."""
        while self._written and all(_covers(each, self._written[0][1]) for each in there):
            self._written.popleft()


def open_replicas(primary: Database, urls: Sequence[str]) -> Replicas:
    """The replicas of a database, those at some URLs among them. Raises SettingsError; nothing is connected yet."""
    named = [open_database(url, "LIFECYCLE_REPLICAS") for url in urls]
    for database in named:
        if database.dialect != primary.dialect or primary.dialect == "sqlite":
            raise SettingsError(f"LIFECYCLE_REPLICAS: expected {primary.dialect} replicas, found {database.dialect}")
    return Replicas(primary, named)


def unseen_replicas(primary: Database) -> int:
    """How many replicas PostgreSQL has whose position the role may not see."""
    if primary.dialect != "postgresql":
        return 0
    with primary.reading() as connection:
        there, visible = connection.execute(_PG_COUNTED).one()
    return int(there) - int(visible)


def _here(connection: sa.Connection, dialect: str) -> Position:
    if dialect == "postgresql":
        return {0: int(connection.scalar(_PG_HERE))}
    return _domains(_gtids(connection, _MARIADB_HERE))


def _seen(connection: sa.Connection, dialect: str) -> Iterator[tuple[str, Position]]:
    if dialect == "postgresql":
        for row in connection.execute(_PG_SEEN):
            yield row.name, {0: int(row.position)}


def _there(connection: sa.Connection, database: Database) -> Position:
    if database.dialect == "mysql":
        return _domains(_gtids(connection, _MARIADB_THERE))
    position = connection.scalar(_PG_THERE)
    if position is None:
        found = "found a server that replays nothing"
        raise SettingsError(f"LIFECYCLE_REPLICAS: {database.host}: expected a replica, {found}")
    return {0: int(position)}


def _gtids(connection: sa.Connection, statement: sa.TextClause) -> str:
    """What MariaDB says of its transactions. MySQL numbers them in another way, which is not looked into."""
    try:
        return str(connection.scalar(statement) or "")
    except sa.exc.OperationalError as error:
        if error.orig is not None and error.orig.args[:1] == (_UNKNOWN_VARIABLE,):
            problem = "replicas of MySQL cannot be asked yet, those of MariaDB can"
            raise SettingsError(f"LIFECYCLE_REPLICAS: {problem}") from None
        raise


_UNKNOWN_VARIABLE = 1193


def _domains(text: str) -> dict[int, int]:
    """`0-1-42,5-2-7` as the number by domain."""
    found: dict[int, int] = {}
    for part in filter(None, text.split(",")):
        domain, _, number = map(int, part.split("-"))
        found[domain] = max(number, found.get(domain, 0))
    return found


def _covers(there: Position, here: Position) -> bool:
    return all(there.get(stream, -1) >= number for stream, number in here.items())
