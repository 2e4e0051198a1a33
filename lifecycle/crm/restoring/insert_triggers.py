"""Triggers that act when rows of mapped tables are inserted, as far as the role may see them."""

import re
from collections.abc import Iterator

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.foreign_keys import home_schema, place_of
from lifecycle.crm.mapping.name_spelling import table_folding
from lifecycle.crm.mapping.source import Source

_POSTGRESQL = """SELECT g.tgname::text FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class r ON r.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE NOT g.tgisinternal AND (g.tgtype & 4) <> 0 AND g.tgenabled <> 'D' AND n.nspname = :schema AND r.relname = :table
ORDER BY 1"""
_MYSQL = """SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = :schema
AND event_object_table = :table AND event_manipulation = 'INSERT' ORDER BY 1"""
_SQLITE = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:table) ORDER BY 1"
_ON_INSERT = re.compile(r"\bINSERT\s+ON\b", re.IGNORECASE)


def insert_triggers(database: Database, source: Source) -> list[str]:
    """A sentence for each: a call whose rows it rewrites is not put back, and what else it writes nobody compares."""
    with translated_errors(), database.reading() as connection:
        found = list(dict.fromkeys(_named(connection, database.dialect, source)))
    return [
        f"{table}: its trigger {trigger} acts when a row is inserted: a call whose rows it changes is not put back, "
        "and what it writes elsewhere is not looked at"
        for table, trigger in found
    ]


def _named(connection: sa.Connection, dialect: str, source: Source) -> Iterator[tuple[str, str]]:
    home = home_schema(connection, dialect)
    fold = table_folding(connection, dialect) if dialect == "mysql" else str
    for part in (part for part in source.parts() if not part.detach):
        schema, table = place_of(part.table, home, fold)
        if dialect == "sqlite":
            rows = connection.execute(sa.text(_SQLITE), {"table": table})
            yield from ((part.table, name) for name, sql in rows if _ON_INSERT.search(sql))
        else:
            asked = sa.text(_POSTGRESQL if dialect == "postgresql" else _MYSQL)
            for trigger in connection.scalars(asked, {"schema": schema, "table": table}):
                yield part.table, str(trigger)
