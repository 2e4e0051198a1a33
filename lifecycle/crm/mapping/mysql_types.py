"""The types of columns as MySQL and MariaDB name them: SQLAlchemy has no name for some (`inet6`, a geometry)."""

import sqlalchemy as sa

from lifecycle.crm.database import Database

_TYPES = """SELECT COLUMN_NAME, LOWER(DATA_TYPE) FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table"""


def mysql_types(database: Database, schema: str | None, table: str) -> dict[str, str]:
    """The type of each column of a table, by the column's name; nothing on other databases."""
    if database.dialect != "mysql":
        return {}
    with database.engine.connect() as connection:
        found = connection.execute(sa.text(_TYPES), {"schema": schema, "table": table})
        return {str(name): str(kind) for name, kind in found}
