"""Calls that were put back from the archive: the product's own table beside the purge rows.

A row commits with the rows that it speaks of. Until when the night leaves such a call alone is in it; whether a call
that is live again is explained by it is decided where its leaf is known too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in, value_chunks
from lifecycle.crm.control.request_table import keys_of
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.columns import Column

_COLUMNS = (
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("call_id", sa.String(200), nullable=False, index=True),
    sa.Column("batch", sa.String(120), nullable=False),
    sa.Column("restored_at", sa.String(40), nullable=False),
    sa.Column("restored_until", sa.String(10), nullable=False),
    sa.Column("files", sa.LargeBinary(2**24 - 1), nullable=True),
)
RESTORED_COLUMNS = tuple(column.name for column in _COLUMNS)


@dataclass(frozen=True, slots=True)
class RestoredCall:
    """One call, put back from the copy that a batch had of it; its leaf says more. Times are ISO 8601 in UTC.

    `files`: its files that are to be put where they lay, as JSON; None: all are, or it has none.
    """

    id: str
    call_id: str
    batch: str
    restored_at: str
    restored_until: date
    files: bytes | None = None


class RestoredTable:
    """The table `restored` of schema `lifecycle` on PostgreSQL, `lifecycle_restored` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        columns = [column._copy() for column in _COLUMNS]
        self.table = sa.Table(f"{prefix}restored", metadata, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")
        self._there = False

    def there(self, connection: sa.Connection) -> bool:
        """Whether the table is there; an installation of before has none, and put nothing back."""
        if not self._there:
            self._there = sa.inspect(connection).has_table(self.table.name, schema=self.table.schema)
        return self._there

    def has_any(self, connection: sa.Connection) -> bool:
        """Whether any call was ever put back."""
        return self.there(connection) and connection.scalar(sa.select(self.table.c.id).limit(1)) is not None

    def of_calls(self, connection: sa.Connection, calls: Sequence[str]) -> list[RestoredCall]:
        """What was put back of the named calls, the oldest first."""
        found: list[RestoredCall] = []
        for some in value_chunks(self._database.dialect, calls if self.has_any(connection) else []):
            rows = self._rows(connection, column_in(self._database.dialect, self.table.c.call_id, some))
            found += [one for one in rows if one.call_id in set(some)]  # no collation here
        return sorted(found, key=lambda one: (one.restored_at, one.id))

    def files_waiting(self, connection: sa.Connection) -> list[RestoredCall]:
        """The calls whose rows are back and whose files are not all."""
        if not self.there(connection):
            return []
        return self._rows(connection, self.table.c.files.is_not(None))

    def mark_files_put(self, connection: sa.Connection, restore_id: str) -> None:
        """Note that every file of a call is where it lay."""
        connection.execute(self.table.update().where(self.table.c.id == restore_id).values(files=None))

    def _rows(self, connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[RestoredCall]:
        found = connection.execute(self.table.select().where(wanted).order_by(self.table.c.id)).mappings()
        return [RestoredCall(**{**row, "restored_until": _day(row["restored_until"])}) for row in found]


def with_restores(facts: pa.Table, restored: Sequence[RestoredCall], key: Column) -> pa.Table:
    """Facts with `restored_until` and `restored_at` of the calls that were put back, by the latest restore of each.

    Where none of them was, the columns are absent.
    """
    latest = {parsed: one for one in restored for parsed in keys_of(key, [one.call_id])}
    place = pc.index_in(facts["call_id"].combine_chunks(), pa.array(list(latest), key.type))
    if place.null_count == len(place):
        return facts
    days = pa.array([one.restored_until for one in latest.values()], pa.date32())
    times = pa.array([one.restored_at for one in latest.values()], pa.string())
    return facts.append_column("restored_until", days.take(place)).append_column("restored_at", times.take(place))


def _day(text: Any) -> date:
    """A day; one that nobody can read keeps the call, and somebody will ask why."""
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return date(9999, 12, 31)
