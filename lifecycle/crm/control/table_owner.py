"""Whose the control tables are. They are one source's alone, for a ledger is, and of one table of calls."""

import json
import re
import zlib
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.control.inflation import inflate
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.errors import SourceError

_SOURCE, _CALLS = 1, 2
_LONGEST = 80


class TableOwner:
    """The table `source`: who asks, and where its calls are, a row each. `source`, `calls`: None where nobody asks."""

    def __init__(
        self,
        metadata: sa.MetaData,
        purges: sa.Table,
        prefix: str,
        name: str,
        source: str | None,
        calls: str | None = None,
    ) -> None:
        self._purges, self._name, self._source, self._calls = purges, name, source, calls
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}source",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("source", sa.String(_LONGEST), nullable=False),
            **of,
        )

    def require(self, connection: sa.Connection) -> None:
        """Raise SourceError where the tables are another source's, or one of that name has its calls elsewhere."""
        owner, calls = self._found(connection), self._noted(connection, _CALLS)
        if self._source is not None and owner not in (None, self._source):
            raise SourceError(
                f"the control tables `{self._name}` of this database are those of source {owner}: what source "
                f"{self._source} deletes would never be in its ledger. Give the mapping tables of its own: "
                f"`control: {self._name}_{re.sub('[^a-z0-9]+', '_', self._source.lower())}`; nothing was done"
            )
        if self._calls is not None and calls not in (None, self._calls):
            renamed = f"UPDATE {self.table.fullname} SET source = '{self._calls}' WHERE id = {_CALLS}"
            raise SourceError(
                f"the control tables `{self._name}` are those of source {owner}, with its calls in {calls}; this "
                f"mapping has that name and its calls in {self._calls}, and their records would be mixed up: give it a "
                f"`source` and a `control` of its own; or, if the table was only renamed: {renamed}; nothing was done"
            )

    def note(self, connection: sa.Connection) -> None:
        """Note whose they are, where nobody has. Raises SourceError where they are another's."""
        self.require(connection)
        if self._source is not None and self._found(connection) is None:
            connection.execute(self.table.insert().values(id=_SOURCE, source=self._source))
        if self._calls is not None and self._noted(connection, _CALLS) is None:
            connection.execute(self.table.insert().values(id=_CALLS, source=self._calls))

    def _noted(self, connection: sa.Connection, row: int) -> str | None:
        found: str | None = connection.scalar(sa.select(self.table.c.source).where(self.table.c.id == row))
        return found

    def _found(self, connection: sa.Connection) -> str | None:
        """The source whose purges are here: as was noted, or as the records of a purge say."""
        noted = self._noted(connection, _SOURCE)
        entries = None if noted else connection.scalar(sa.select(self._purges.c.entries).limit(1))
        if entries is None:
            return noted
        with suppress(ValueError, IndexError, zlib.error):
            return str(json.loads(inflate(entries).splitlines()[0])["source"])
        return None


def place_of_calls(dialect: str, source: Source) -> str:
    """Where a mapping's calls are in its database, as far as the mapping says it."""
    schema, table = split_name(source.call.table)
    schema = schema or (source.schemas[0] if dialect == "postgresql" else None)
    return ".".join(filter(None, (schema, table)))[:_LONGEST]
