"""Where a column of a SELECT comes from: the plain column of a base table, or something that is computed on the way.

Asked of the database, which runs nothing for it. What cannot be traced counts as computed.
"""

import re
from collections.abc import Mapping, Sequence
from struct import pack
from typing import Any

import sqlalchemy as sa

_PREPARE, _CLOSE = 0x16, 0x19  # https://mariadb.com/kb/en/2-binary-protocol-prepared-statements/
_PLAIN = """SELECT c.COLUMN_NAME FROM information_schema.COLUMNS c
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE c.TABLE_SCHEMA = :schema AND c.TABLE_NAME = :table AND c.COLUMN_NAME = :column
  AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND COALESCE(c.GENERATION_EXPRESSION, '') = ''"""
_MYSQL_VIEWS = "SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA NOT IN ('information_schema', 'sys')"
_POSTGRESQL = """SELECT c.oid, a.attnum FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'f') AND a.attgenerated = '' AND c.oid = ANY(CAST(:oids AS pg_catalog.oid[]))"""
_SQLITE_CLOCKS = re.compile(r"(datetime|date|time|strftime|julianday|unixepoch)\(")


def plain_in_mysql(connection: sa.Connection, text: str) -> list[bool]:
    """Whether each column of a SELECT is the plain column of a base table.

    The statement is prepared and not run, as it stands: inside another one the server names only the other's aliases.
    """
    fields = _prepared(connection.connection.dbapi_connection, text)
    views = list(connection.scalars(sa.text(_MYSQL_VIEWS)))
    return [_is_plain(connection, field, text, views) for field in fields]


def _prepared(driver: Any, text: str) -> list[Any]:
    from pymysql.protocol import FieldDescriptorPacket  # an extra: not everybody has it

    driver._execute_command(_PREPARE, text)
    answer = driver._read_packet()
    answer.advance(1)
    statement, columns, parameters = answer.read_struct("<IHH")
    for _ in range(parameters + bool(parameters)):
        driver._read_packet()
    fields = [driver._read_packet(FieldDescriptorPacket) for _ in range(columns)]
    if columns:
        driver._read_packet()
    driver._execute_command(_CLOSE, pack("<I", statement))
    return fields


def _is_plain(connection: sa.Connection, field: Any, text: str, views: Sequence[str]) -> bool:
    if not field.db or (field.table_name == field.org_table and _is_alias(field.org_table, text, views)):
        return False
    where = {"schema": field.db.decode(), "table": field.org_table, "column": field.org_name}
    return connection.execute(sa.text(_PLAIN), where).first() is not None


def _is_alias(name: str, text: str, views: Sequence[str]) -> bool:
    """Whether a table's name may be the alias of a view, a subquery or a CTE, for which the server gives the alias."""
    name, others = re.escape(name), "|".join(rf"\b{re.escape(view)}\b" for view in views) or r"(?!)"
    aliased = rf"(\)|{others})[\s`]*(\bas\b)?[\s`]*\b{name}\b"
    defined = rf"\b{name}`?\s*(\([^)]*\))?\s*as\s*\("
    return re.search(f"{aliased}|{defined}", text, re.IGNORECASE) is not None


def plain_in_postgresql(connection: sa.Connection, origins: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each column, as (table's oid, number), is the plain column of a table: of no view, and not generated."""
    oids = "{" + ",".join(str(oid) for oid in sorted({oid for oid, _ in origins} - {0})) + "}"
    plain = {tuple(row) for row in connection.execute(sa.text(_POSTGRESQL), {"oids": oids})}
    return [origin in plain for origin in origins]


def clocked_in_sqlite(connection: sa.Connection, text: str, names: Sequence[str]) -> Mapping[str, bool]:
    """Which columns of a SELECT the database may make with its own clock functions, which know UTC alone."""
    return {name: _uses_clock(connection, text, name) for name in names}


def _uses_clock(connection: sa.Connection, text: str, name: str) -> bool:
    quoted = '"' + name.replace('"', '""') + '"'
    steps = connection.exec_driver_sql(f"EXPLAIN SELECT f.{quoted} FROM ({text}) AS f")
    return any(_SQLITE_CLOCKS.match(str(step[5])) for step in steps)
