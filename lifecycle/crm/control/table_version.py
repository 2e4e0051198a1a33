"""Which version the control tables are of. `lifecycle init` raises it step by step; a newer one's tables are refused.

A release that changes a control table raises VERSION and adds a step. A step may have been done in part before: MariaDB
and MySQL commit each change of a table by itself.
"""

from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa

from lifecycle.errors import SourceError

VERSION = 2
Step = Callable[[sa.Connection, sa.MetaData], None]


class TableVersion:
    """The table `version` with its one row. An installation of before has none, which is version 0."""

    def __init__(self, metadata: sa.MetaData, prefix: str) -> None:
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}version",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("version", sa.Integer, nullable=False),
            **of,
        )

    def require(self, connection: sa.Connection) -> None:
        """Raise SourceError where the tables are not of the version that this release works with."""
        found = self._found(connection)
        if found > VERSION:
            raise SourceError(
                f"the control tables are of version {found}, made by a newer release; this one works with {VERSION}. "
                "Upgrade this installation; nothing was done"
            )
        if found < VERSION:
            raise SourceError(
                f"the control tables are of version {found}, this release works with {VERSION}. "
                "Run `lifecycle init` once (docs/upgrades.md); nothing was done"
            )

    def raise_from(self, connection: sa.Connection, there: Collection[str]) -> None:
        """Do what leads from the version that is there to VERSION. `there`: the tables before `create_all`.

        Raises SourceError, and does nothing, where a newer release made them.
        """
        found = self._found(connection) if self.table.name in there else 0
        if found > VERSION:
            self.require(connection)
        if there:
            for step in STEPS[found:]:
                step(connection, self.table.metadata)
        changed = connection.execute(self.table.update().values(version=VERSION)).rowcount
        if not changed and self._found(connection) == 0:
            connection.execute(self.table.insert().values(id=1, version=VERSION))

    def _found(self, connection: sa.Connection) -> int:
        return connection.scalar(sa.select(self.table.c.version)) or 0


def add_missing_columns(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Step 1: tables from before there were versions get the columns they lack, with 0 or nothing in them."""
    inspector, quote = sa.inspect(connection), connection.dialect.identifier_preparer
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
        for column in table.columns:
            if column.name not in present:
                kind = column.type.compile(connection.dialect)
                value = "0" if isinstance(column.type, sa.Integer) else "''"
                default = "" if column.nullable else f" DEFAULT {value} NOT NULL"
                name = f"{quote.format_table(table)} ADD COLUMN {quote.format_column(column)}"
                connection.exec_driver_sql(f"ALTER TABLE {name} {kind}{default}")


def drop_what_leaves_say(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Step 2: rows of restored calls no longer say what the leaf of each says, and was asked for in every new row."""
    inspector, quote = sa.inspect(connection), connection.dialect.identifier_preparer
    for table in (table for table in metadata.sorted_tables if table.name.endswith("restored")):
        present = {column["name"] for column in inspector.get_columns(table.name, schema=table.schema)}
        for name in ("manifest_key", "row", "restored_by"):
            if name in present:
                connection.exec_driver_sql(f"ALTER TABLE {quote.format_table(table)} DROP COLUMN {quote.quote(name)}")


STEPS: tuple[Step, ...] = (add_missing_columns, drop_what_leaves_say)
