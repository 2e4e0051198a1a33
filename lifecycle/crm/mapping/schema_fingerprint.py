"""The fingerprint of a mapping's schema: one digest of everything about its tables that a purge relies on.

Columns, keys, triggers, row security, inheritance, versioning, and the keys of others that name their rows. It is read
when the schema is, and again in a transaction that holds its locks: another digest means that all is read anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.mapping.foreign_keys import NO_PROCESS, TREE, home_schema, innodb_keys, place_of, tree_values
from lifecycle.crm.mapping.name_spelling import table_folding
from lifecycle.crm.mapping.source import Source


class SchemaChanged(Exception):
    """The mapped tables are no longer as they were read. Nothing was done under the old reading."""


def lock_schema(connection: sa.Connection, dialect: str, source: Source) -> None:
    """Keep ALTER TABLE and new foreign keys away from the mapped tables until the transaction ends.

    PostgreSQL needs to be told; elsewhere the locks of the rows do it.
    """
    if dialect == "postgresql":
        tables = dict.fromkeys(part.table for part in source.parts())
        connection.execute(sa.text(f"LOCK TABLE {', '.join(map(_quoted, tables))} IN ROW EXCLUSIVE MODE"))


def require_fingerprint(connection: sa.Connection, dialect: str, source: Source, read: str) -> None:
    """Raise SchemaChanged where the schema is not the one that was read."""
    if schema_fingerprint(connection, dialect, source) != read:
        raise SchemaChanged("the schema of the mapped tables changed")


def schema_fingerprint(connection: sa.Connection, dialect: str, source: Source) -> str:
    """The digest of the schema as it is in this transaction, SHA-256 in hex."""
    digest = hashlib.sha256()
    for row in _ROWS[dialect](connection, source):
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


_POSTGRESQL = f"""{TREE}
SELECT 'table' AS what, c.oid::text, c.relname::text,
  pg_catalog.concat_ws(' ', c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.relowner)
  FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
UNION SELECT 'column', a.attrelid::text || '.' || a.attnum::text, a.attname::text,
  pg_catalog.concat_ws(' ', a.atttypid, a.atttypmod, a.attnotnull, a.attisdropped, a.attgenerated)
  FROM tree t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
UNION SELECT 'constraint', k.oid::text, k.conname::text, pg_catalog.pg_get_constraintdef(k.oid)
  FROM tree t JOIN pg_catalog.pg_constraint k ON t.oid IN (k.conrelid, k.confrelid)
UNION SELECT 'index', i.indexrelid::text, i.indkey::text, i.indisunique::text FROM tree t
  JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
UNION SELECT 'trigger', g.oid::text, g.tgname::text, pg_catalog.concat_ws(' ', g.tgtype, g.tgenabled, f.oid, f.xmin)
  FROM tree t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
UNION SELECT 'rule', r.oid::text, r.rulename::text, r.xmin::text FROM tree t
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid
UNION SELECT 'policy', p.oid::text, p.polname::text, p.xmin::text FROM tree t
  JOIN pg_catalog.pg_policy p ON p.polrelid = t.oid
ORDER BY 1, 2, 3, 4"""
_NAMES = ("schema", "table")
_SQLITE = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name NOT GLOB :ours ORDER BY 1, 2"
_MYSQL_TABLE = """SELECT {place} AS place, ENGINE, TABLE_TYPE, CREATE_OPTIONS, TABLE_COLLATION
FROM information_schema.TABLES WHERE TABLE_SCHEMA = :schema{place} AND TABLE_NAME = :table{place}"""
_MYSQL_COLUMNS = """SELECT {place} AS place, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, EXTRA,
COLUMN_DEFAULT, CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_KEY
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = :schema{place} AND TABLE_NAME = :table{place}"""
_MYSQL_TRIGGERS = """SELECT {place} AS place, TRIGGER_NAME, EVENT_MANIPULATION, ACTION_TIMING, ACTION_STATEMENT
FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = :schema{place} AND EVENT_OBJECT_TABLE = :table{place}"""


def _rows_of_postgresql(connection: sa.Connection, source: Source) -> Sequence[Any]:
    home = home_schema(connection, "postgresql")
    places = dict.fromkeys(place_of(part.table, home, str) for part in source.parts())
    return connection.execute(sa.text(_POSTGRESQL), tree_values(list(places))).fetchall()


def _rows_of_sqlite(connection: sa.Connection, source: Source) -> Sequence[Any]:
    return connection.execute(sa.text(_SQLITE), {"ours": f"{source.control}_*"}).fetchall()


def _rows_of_mysql(connection: sa.Connection, source: Source) -> Sequence[Any]:
    home, fold = home_schema(connection, "mysql"), table_folding(connection, "mysql")
    places = dict.fromkeys(place_of(part.table, home, fold) for part in source.parts())
    named = {f"{what}{n}": name for n, each in enumerate(places) for what, name in zip(_NAMES, each, strict=True)}
    found: list[Any] = []
    for statement in (_MYSQL_TABLE, _MYSQL_COLUMNS, _MYSQL_TRIGGERS):
        # A table each: for a list of names the server opens every table it has.
        every = " UNION ALL ".join(statement.format(place=n) for n in range(len(places)))
        found += connection.execute(sa.text(f"{every} ORDER BY 1, 2"), named).fetchall()
    return [*found, *sorted(map(repr, _innodb_rows(connection, places)))]


def _innodb_rows(connection: sa.Connection, places: Mapping[Any, Any]) -> list[Any]:
    """The keys that name the mapped tables. A role without PROCESS cannot purge, and reads without them."""
    try:
        rows = connection.execute(sa.text(innodb_keys(connection))).fetchall()
    except DBAPIError as error:
        if error.orig is None or error.orig.args[:1] != (NO_PROCESS,):
            raise
        return []
    fold = table_folding(connection, "mysql")
    return [tuple(row) for row in rows if (fold(row[0]), fold(row[1])) in places]


def _quoted(table: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in table.split("."))


_ROWS = {"postgresql": _rows_of_postgresql, "mysql": _rows_of_mysql, "sqlite": _rows_of_sqlite}
