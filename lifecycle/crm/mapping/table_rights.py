"""The rights that a night will need on the mapped tables, asked of the database before it. Nothing is changed."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.source import Source


def missing_rights(database: Database, source: Source) -> list[str]:
    """What the role may not do and a night does: SELECT and UPDATE on mapped tables, DELETE where rows are not
    detached, INSERT for tombstones."""
    wanted: dict[str, set[str]] = {}
    for part in source.parts():
        wanted.setdefault(part.table, {"SELECT", "UPDATE"}).update(() if part.detach else ("DELETE",))
    if source.tombstone:
        wanted.setdefault(source.tombstone.table, set()).add("INSERT")
    ask = {"postgresql": _may_in_postgresql, "mysql": _may_in_mysql}.get(database.dialect)
    if ask is None:
        return []
    with translated_errors(), database.engine.connect() as connection:
        return [
            f"{table}: the role may not {right}, which a night does. GRANT it"
            for table, rights in wanted.items()
            for right in sorted(rights)
            if not ask(connection, right, table)
        ]


def _may_in_postgresql(connection: sa.Connection, right: str, table: str) -> bool:
    asked = sa.text("SELECT pg_catalog.has_table_privilege(CAST(:table AS regclass), :right)")
    named = ".".join('"' + name.replace('"', '""') + '"' for name in table.split("."))
    return bool(connection.scalar(asked, {"table": named, "right": right}))


def _may_in_mysql(connection: sa.Connection, right: str, table: str) -> bool:
    """MySQL has no such question; explaining a statement asks for the rights of the statement."""
    named = ".".join("`" + name.replace("`", "``") + "`" for name in table.split("."))
    try:
        for statement in _explained(connection, right, named):
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if error.orig is None or error.orig.args[0] not in _DENIED:
            raise
        return False
    return True


_DENIED = (1044, 1142, 1143)


def _explained(connection: sa.Connection, right: str, table: str) -> Iterator[str]:
    if right == "INSERT":
        yield f"EXPLAIN INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0"
        return
    if right != "UPDATE":
        yield f"EXPLAIN {'DELETE' if right == 'DELETE' else 'SELECT 1'} FROM {table} WHERE 1 = 0"
        return
    column = connection.exec_driver_sql(f"SHOW COLUMNS FROM {table}").first()
    if column is not None:
        named = "`" + str(column[0]).replace("`", "``").replace("%", "%%") + "`"
        yield f"EXPLAIN UPDATE {table} SET {named} = {named} WHERE 1 = 0"
