"""Whose the control tables are. They are one source's alone, for a ledger is."""

import json
import re
import zlib
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.control.inflation import inflate
from lifecycle.errors import SourceError


class TableOwner:
    """The table `source` with its one row. `source` is who asks, None where nobody does."""

    def __init__(self, metadata: sa.MetaData, purges: sa.Table, prefix: str, name: str, source: str | None) -> None:
        self._purges, self._name, self._source = purges, name, source
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}source",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("source", sa.String(80), nullable=False),
            **of,
        )

    def require(self, connection: sa.Connection) -> None:
        """Raise SourceError where the tables are another source's."""
        owner = self._found(connection)
        if self._source is not None and owner not in (None, self._source):
            raise SourceError(
                f"the control tables `{self._name}` of this database are those of source {owner}: what source "
                f"{self._source} deletes would never be in its ledger. Give the mapping tables of its own: "
                f"`control: {self._name}_{re.sub('[^a-z0-9]+', '_', self._source.lower())}`; nothing was done"
            )

    def note(self, connection: sa.Connection) -> None:
        """Note whose they are, where nobody has. Raises SourceError where they are another's."""
        self.require(connection)
        if self._source is not None and self._found(connection) is None:
            connection.execute(self.table.insert().values(id=1, source=self._source))

    def _found(self, connection: sa.Connection) -> str | None:
        """The source whose purges are here: as was noted, or as the records of a purge say."""
        noted: str | None = connection.scalar(sa.select(self.table.c.source))
        entries = None if noted else connection.scalar(sa.select(self._purges.c.entries).limit(1))
        if entries is None:
            return noted
        with suppress(ValueError, IndexError, zlib.error):
            return str(json.loads(inflate(entries).splitlines()[0])["source"])
        return None
