"""Mapped tables from which a purge could not delete whole rows, every row, and for good: reasons to refuse.

Engines without transactions, system versioning; row-level security, inheritance, large objects, rules, partitions
on other servers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.foreign_keys import TREE, home_schema, place_of, tree_values
from lifecycle.crm.mapping.name_spelling import table_folding
from lifecycle.crm.mapping.source import Source


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing about a table. `fatal`: the database is not fit for a purge as long as it is so."""

    table: str
    problem: str
    fatal: bool = False


def unfit_tables(database: Database, source: Source) -> list[Doubt]:
    """What makes mapped tables unfit for a purge, each with what to do about it."""
    with translated_errors(), database.reading() as connection:
        if database.dialect == "mysql":
            return list(_unfit_in_mysql(connection, source))
        if database.dialect == "postgresql":
            return list(_unfit_in_postgresql(connection, source))
    return []


_MYSQL = sa.text(
    "SELECT t.engine, t.table_type, COALESCE(e.transactions, 'NO') FROM information_schema.tables t "
    "LEFT JOIN information_schema.engines e ON e.engine = t.engine "
    "WHERE t.table_schema = :schema AND t.table_name = :table"
)


def _unfit_in_mysql(connection: sa.Connection, source: Source) -> Iterator[Doubt]:
    home, fold = home_schema(connection, "mysql"), table_folding(connection, "mysql")
    for name in dict.fromkeys(part.table for part in source.parts()):
        schema, table = place_of(name, home, fold)
        for engine, kind, transactions in connection.execute(_MYSQL, {"schema": schema, "table": table}):
            if transactions != "YES":
                yield Doubt(name, f"its engine {engine} has no transactions: a purge could not be undone", fatal=True)
            if kind == "SYSTEM VERSIONED":
                yield Doubt(name, f"{_VERSIONED}: ALTER TABLE {name} DROP SYSTEM VERSIONING", fatal=True)


_VERSIONED = "it is system-versioned and would keep every purged row for FOR SYSTEM_TIME ALL"
_POSTGRESQL = f"""{TREE}, named AS (
  SELECT t.root, c.oid, c.relname::text AS name, c.relkind, c.relispartition FROM below t
  JOIN pg_catalog.pg_class c ON c.oid = t.oid
), found AS (
  SELECT n.root, n.oid, 'row security' AS what, n.name AS which FROM named n
    WHERE n.root = n.oid AND pg_catalog.row_security_active(n.oid)
  UNION SELECT n.root, n.oid, 'inherits', n.name FROM named n WHERE n.root <> n.oid AND NOT n.relispartition
  UNION SELECT n.root, n.oid, 'foreign', n.name FROM named n WHERE n.relkind = 'f'
  UNION SELECT n.root, n.oid, 'large object', a.attname::text FROM named n
    JOIN pg_catalog.pg_attribute a ON a.attrelid = n.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    WHERE n.root = n.oid AND 'oid' IN (y.typname::text, pg_catalog.format_type(y.typbasetype, NULL))
  UNION SELECT n.root, n.oid, 'rule', r.rulename::text FROM named n
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = n.oid AND r.ev_type IN ('2', '4')
)
SELECT s.nspname::text, r.relname::text, f.what, f.which FROM found f JOIN pg_catalog.pg_class r ON r.oid = f.root
JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace ORDER BY 1, 2, 3, 4"""
_SAID = {
    "row security": "row-level security hides rows of it from this role, and those would go or stay unseen. "
    "Give the role BYPASSRLS, or a policy-free table",
    "inherits": "{which} inherits from it: rows there have columns and keys of their own, which would be lost. "
    "Make {which} a partition, or take it out of the inheritance and map it",
    "foreign": "its partition {which} lies on another server, where no lock and no count of ours reaches. Detach it",
    "large object": "its column {which} names large objects, whose content is neither archived nor deleted. "
    "Move the content to a bytea column",
    "rule": "its rule {which} does something else than UPDATE and DELETE say. Make it a trigger, or drop it",
}


def _unfit_in_postgresql(connection: sa.Connection, source: Source) -> Iterator[Doubt]:
    home = home_schema(connection, "postgresql")
    names = {place_of(part.table, home, str): part.table for part in source.parts()}
    whole = {part.table for part in source.parts() if not part.detach}
    for schema, table, what, which in connection.execute(sa.text(_POSTGRESQL), tree_values(list(names))):
        name = names[schema, table]
        if what != "large object" or name in whole:
            yield Doubt(name, _SAID[what].format(which=which), fatal=True)


def reasons_of(doubts: Sequence[Doubt]) -> list[str]:
    """Doubts as lines."""
    return [f"{doubt.table}: {doubt.problem}" for doubt in doubts]
