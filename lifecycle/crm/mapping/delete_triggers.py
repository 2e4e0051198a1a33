"""Triggers that act when rows of mapped tables go, or links to them are cleared, as far as the role may see them.

What they do is not looked into.

The second look (`purging.deletion_count`) catches what they delete; this says before a night which ones to read.
"""

import re
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.foreign_keys import TREE, home_schema, place_of, tree_values
from lifecycle.crm.mapping.name_spelling import table_folding
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.mapping.unfit_tables import Doubt


def delete_triggers(database: Database, source: Source) -> list[Doubt]:
    """A doubt for each trigger on the deletion of a mapped row, and on the update of one that stays and is cleared."""
    parts = source.parts()
    going = dict.fromkeys(part.table for part in parts if not part.detach)
    cleared = dict.fromkeys(part.table for part in parts if part.detach)
    if source.call.restricted or any(component.columns for component in source.components.values()):
        cleared[source.call.table] = None
    asked = {"postgresql": _of_postgresql, "mysql": _of_mysql, "sqlite": _of_sqlite}[database.dialect]
    with translated_errors(), database.reading() as connection:
        return [*asked(connection, list(going), "DELETE"), *asked(connection, list(cleared), "UPDATE")]


_ACTS = "its trigger {} acts when a row is deleted: if it deletes rows of other tables, the calls are set aside"
_MAY_KEEP = "its trigger {} runs before a row is deleted: if it returns NULL, nothing is, and the call is set aside"
_WRITES = (
    "its trigger {} acts when a row is deleted: if it writes anything at all, SQLite's count is off and the call stays"
)
_OF_UPDATE = (
    "its trigger {} acts when a row is updated, which clearing a column of a row that stays is: what it writes stays, "
    "and a call that it changes waits for the next night"
)
_POSTGRESQL = f"""{TREE}
SELECT DISTINCT n.nspname::text, r.relname::text, g.tgname::text, (g.tgtype & 3) = 3 AS before_row
FROM below t JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal AND (g.tgtype & :event) <> 0
  AND g.tgparentid = 0 AND g.tgenabled <> 'D'
JOIN pg_catalog.pg_class r ON r.oid = t.root JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
ORDER BY 1, 2, 3"""
_EVENTS = {"DELETE": 8, "UPDATE": 16}  # pg_trigger.h


def _of_postgresql(connection: sa.Connection, tables: Sequence[str], event: str) -> Iterator[Doubt]:
    home = home_schema(connection, "postgresql")
    names = {place_of(table, home, str): table for table in tables}
    asked = {**tree_values(list(names)), "event": _EVENTS[event]}
    for schema, table, trigger, before in connection.execute(sa.text(_POSTGRESQL), asked):
        said = _OF_UPDATE if event == "UPDATE" else _MAY_KEEP if before else _ACTS
        yield Doubt(names[schema, table], said.format(trigger))


_MYSQL = sa.text(
    "SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = :schema "
    "AND event_object_table = :table AND event_manipulation = :event ORDER BY 1"
)


def _of_mysql(connection: sa.Connection, tables: Sequence[str], event: str) -> Iterator[Doubt]:
    home, fold = home_schema(connection, "mysql"), table_folding(connection, "mysql")
    for name in tables:
        schema, table = place_of(name, home, fold)
        for trigger in connection.scalars(_MYSQL, {"schema": schema, "table": table, "event": event}):
            yield Doubt(name, (_OF_UPDATE if event == "UPDATE" else _ACTS).format(trigger))


def _of_sqlite(connection: sa.Connection, tables: Sequence[str], event: str) -> Iterator[Doubt]:
    names = {table.rpartition(".")[2].lower(): table for table in tables}
    on_event = re.compile(rf"\b{event}\s+(OF\b.*?\b)?ON\b", re.IGNORECASE | re.DOTALL)
    statement = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 2"
    for table, trigger, sql in connection.execute(sa.text(statement)):
        if table.lower() in names and on_event.search(sql):
            yield Doubt(names[table.lower()], (_OF_UPDATE if event == "UPDATE" else _WRITES).format(trigger))
