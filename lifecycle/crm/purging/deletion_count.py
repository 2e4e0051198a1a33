"""The second look: what a transaction deleted by the database's own count, beside what was compared and meant to go.

Cascades and triggers are in that count, whoever may read their tables. PostgreSQL counts by table, SQLite all rows
written, MariaDB and MySQL the rows a session deletes, triggers included but not cascades (there every key must be
known: `mapping.foreign_keys`). What was counted must be what was meant, or the transaction may not commit.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import translated_errors


class UncomparedDeletion(Exception):
    """The database deleted other rows than those that were compared. Nothing may be committed. Carries which."""


class MeantDeletions:
    """What a transaction means to do, by table as the mapping names it: rows to delete, rows to clear columns of."""

    def __init__(self) -> None:
        self.deleted, self.cleared = Counter[str](), Counter[str]()

    def delete(self, table: str, rows: int) -> None:
        """Say that so many compared rows were deleted."""
        self.deleted[table] += rows

    def clear(self, table: str, rows: int) -> None:
        """Say that of so many rows some columns were set to NULL."""
        self.cleared[table] += rows


@contextmanager
def deletions_counted(connection: sa.Connection, dialect: str) -> Iterator[MeantDeletions]:
    """Hold what happens inside against what is said to be meant. Raises UncomparedDeletion at the end.

    Read at the start too: PostgreSQL's counters may hold an earlier transaction's for a second. What a savepoint takes
    back stays counted, so the way back to one must lead out of this block.
    """
    meant, before = MeantDeletions(), counted_deletions(connection, dialect)
    yield meant
    if dialect == "postgresql":  # or a deferred trigger would delete after the look
        connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    found = counted_deletions(connection, dialect)
    found.subtract(before)
    extra = Counter({place: count for place, count in found.items() if count})
    extra.subtract(_meant(connection, dialect, meant))
    wrong = {place: count for place, count in extra.items() if count}
    if wrong:
        raise UncomparedDeletion(_said(connection, dialect, wrong))


def counted_deletions(connection: sa.Connection, dialect: str) -> Counter[str]:
    """What the database counts by now, under its own names: tables of PostgreSQL by number; elsewhere one count."""
    if dialect == "postgresql":
        rows = connection.execute(sa.text(_POSTGRESQL))
        return Counter({str(place): int(count) for place, count in rows})
    if dialect == "mysql":
        return Counter({_ALL: int(connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_delete'")).one()[1])})
    driver: Any = connection.connection.dbapi_connection
    return Counter({_ALL: int(driver.total_changes)})


_ALL = "rows"
_POSTGRESQL = """
SELECT COALESCE(pg_catalog.pg_partition_root(s.relid), s.relid)::text, pg_catalog.sum(s.n_tup_del)
FROM pg_catalog.pg_stat_xact_all_tables s
WHERE s.n_tup_del > 0 AND s.schemaname <> 'pg_toast' AND s.schemaname NOT LIKE 'pg\\_temp%'
  AND (s.schemaname <> 'pg_catalog' OR s.relname LIKE 'pg\\_largeobject%')
GROUP BY 1
UNION ALL
SELECT 'truncated', pg_catalog.count(*) FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
  AND c.relpersistence IS DISTINCT FROM 't'
"""
"""Deletions by table, a partition's by its root; and the tables locked as only TRUNCATE, DROP and ALTER lock them."""

_ROOTS = """SELECT COALESCE(pg_catalog.pg_partition_root(t.name::regclass), t.name::regclass)::text, t.name
FROM pg_catalog.unnest(CAST(:tables AS text[])) AS t (name)"""


def _meant(connection: sa.Connection, dialect: str, meant: MeantDeletions) -> Mapping[str, int]:
    if dialect == "sqlite":
        return {_ALL: meant.deleted.total() + meant.cleared.total()}
    if dialect == "mysql":
        weights = {table: _weight(connection, table) for table, rows in meant.deleted.items() if rows}
        return {_ALL: sum(rows * weights.get(table, 1) for table, rows in meant.deleted.items())}
    tables = {_quoted(table): rows for table, rows in meant.deleted.items()}
    found = Counter[str]()
    for root, table in connection.execute(sa.text(_ROOTS), {"tables": list(tables)}):
        found[root] += tables[table]
    return found


def _weight(connection: sa.Connection, table: str) -> int:
    """MariaDB counts a row of a partitioned table twice: for the table, and for the partition."""
    schema, _, name = table.rpartition(".")
    asked = sa.text(
        "SELECT create_options FROM information_schema.tables "
        "WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :name"
    )
    options = str(connection.scalar(asked, {"schema": schema or None, "name": name}) or "")
    return 2 if "partitioned" in options and getattr(connection.dialect, "is_mariadb", False) else 1


def _said(connection: sa.Connection, dialect: str, wrong: Mapping[str, int]) -> str:
    names = {place: place for place in wrong}
    if dialect == "postgresql":
        with translated_errors():
            asked = sa.text("SELECT CAST(CAST(:oid AS oid) AS regclass)::text")
            names |= {oid: str(connection.scalar(asked, {"oid": int(oid)})) for oid in wrong if oid.isdecimal()}
    counts = ", ".join(f"{names[place]} {count:+d}" for place, count in sorted(wrong.items()))
    return f"the database deleted other rows than those compared, perhaps by a trigger: {counts}"


def _quoted(table: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in table.split("."))
