"""The stop switch: one row in the control tables that stops every run of this CRM until somebody lifts it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class StopOrder:
    """Who stopped the nights of this CRM, when (ISO 8601, UTC), and why."""

    by: str
    at: str
    reason: str


class StopSwitch:
    """The table `stops`, with one row while a stop stands."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database, self._seen = database, False
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}stops",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("stopped_by", sa.String(_LONGEST_TEXT), nullable=False),
            sa.Column("stopped_at", sa.String(40), nullable=False),
            sa.Column("reason", sa.String(_LONGEST_TEXT), nullable=False),
            **of,
        )

    def order(self) -> StopOrder | None:
        """The stop that stands; None: none does, or an installation of before has no such table."""
        if not self._there():
            return None
        with self._database.reading() as connection:
            columns = self.table.c
            row = connection.execute(sa.select(columns.stopped_by, columns.stopped_at, columns.reason)).first()
        return StopOrder(*row) if row else None

    def stop(self, by: str, at: datetime, reason: str) -> StopOrder:
        """Stop; one that stands already stays as it is. Gives the one that stands."""
        standing = self.order()
        if standing:
            return standing
        made = StopOrder(by[:_LONGEST_TEXT], at.isoformat(), reason[:_LONGEST_TEXT])
        with self._database.writing() as connection:
            row = {"id": 1, "stopped_by": made.by, "stopped_at": made.at, "reason": made.reason}
            connection.execute(self.table.insert().values(row))
        return made

    def lift(self) -> StopOrder | None:
        """Let the nights run again; gives the stop that stood."""
        standing = self.order()
        if standing:
            with self._database.writing() as connection:
                connection.execute(self.table.delete())
        return standing

    def _there(self) -> bool:
        if not self._seen:  # asked before every transaction: once it is there, the catalogue is left alone
            with translated_errors():
                found = sa.inspect(self._database.engine).has_table(self.table.name, schema=self.table.schema)
            self._seen = bool(found)
        return self._seen
