"""Inserts the rows that stay where calls were, in the transaction that deletes these. Values fit the columns' kinds."""

import calendar
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.tombstone import Tombstone
from lifecycle.crm.purging.deletion_count import MeantDeletions
from lifecycle.errors import SourceError


class TombstoneRows:
    """The table of a timeline. Raises SourceError where it, or one of the columns, is not there."""

    def __init__(self, database: Database, tombstone: Tombstone) -> None:
        schema, name = split_name(tombstone.table)
        with translated_errors(), database.reading() as connection:
            if not sa.inspect(connection).has_table(name, schema=schema):
                raise SourceError(f"tombstone: the database has no table {tombstone.table}")
            self.table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
        unknown = [column for column in tombstone.columns if column not in self.table.c]
        if unknown:
            raise SourceError(f"tombstone: {tombstone.table} has no column {unknown[0]}")
        self._name, self._given = tombstone.table, tombstone.columns

    def missing(self) -> list[str]:
        """The columns that ask for a value and get none."""
        asked = (c for c in self.table.c if not c.nullable and c.server_default is None and c.name not in self._given)
        made = self.table.autoincrement_column
        return [column.name for column in asked if column is not made and not column.identity]

    def insert(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]], meant: MeantDeletions) -> None:
        """Insert them. `meant`: SQLite counts the rows as written."""
        if not rows:
            return
        fitted = [{name: self._fitted(name, value) for name, value in row.items()} for row in rows]
        connection.execute(self.table.insert(), fitted)
        meant.clear(self._name, len(rows))

    def _fitted(self, name: str, value: Any) -> Any:
        """A value as its column takes it: seconds since 1970 where a time goes into a number."""
        kind = self.table.c[name].type
        if isinstance(kind, sa.Integer | sa.Numeric):
            return calendar.timegm(value.utctimetuple()) if isinstance(value, datetime) else _number(value)
        if isinstance(kind, sa.DateTime):
            return value.replace(tzinfo=None) if isinstance(value, datetime) and not kind.timezone else value
        if isinstance(kind, sa.Uuid):
            return UUID(str(value)) if kind.as_uuid else str(value)
        if isinstance(kind, sa.Date):
            return value
        return str(value) if isinstance(value, date | int) else value


def _number(value: Any) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        return value
