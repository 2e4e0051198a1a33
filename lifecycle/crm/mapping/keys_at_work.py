"""Which foreign keys of a table the database enforces: on PostgreSQL somebody may have disabled their triggers."""

from collections.abc import Callable

import sqlalchemy as sa

from lifecycle.crm.database import Database

_AT_WORK = """SELECT c.conname FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_trigger t ON t.tgconstraint = c.oid AND t.tgrelid = c.confrelid
WHERE c.conrelid = CAST(:name AS regclass) AND t.tgenabled IN ('O', 'A') AND t.tgtype & 8 > 0"""


def keys_at_work(database: Database, schema: str | None, table: str) -> Callable[[str | None], bool]:
    """Which foreign keys of a table the database enforces when a row goes that they name: not those of which somebody
    has disabled the triggers."""
    if database.dialect != "postgresql":
        return lambda _name: True
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table) if part)
    with database.engine.connect() as connection:
        found = set(connection.scalars(sa.text(_AT_WORK), {"name": quoted}))
    return found.__contains__
