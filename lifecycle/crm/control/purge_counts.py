"""How much purge rows say is gone, and whether files of theirs wait, in numbers alone: their records are not read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in, value_chunks
from lifecycle.crm.control.control_tables import ControlTables


@dataclass(frozen=True, slots=True)
class PurgeCount:
    """What one night purged of one industry, calls and parts of calls; and how much of it waits for the ledger."""

    purged: int = 0
    waiting: int = 0


def purged_since(
    control: ControlTables, connection: sa.Connection, batches: list[str], since: datetime
) -> dict[str, int]:
    """How many calls were purged of some batches since a moment, by batch, by the index on them."""
    of, found = control.table.c, dict[str, int]()
    for some in value_chunks(connection.dialect.name, batches):
        mine = sa.and_(column_in(connection.dialect.name, of.batch, some), of.purged_at >= since.isoformat())
        rows = connection.execute(sa.select(of.batch, sa.func.sum(of.calls)).where(mine).group_by(of.batch))
        found |= {batch: int(calls) for batch, calls in rows}
    return found


def count_purged(control: ControlTables, connection: sa.Connection, batches: list[str]) -> PurgeCount:
    """Count what was purged of some batches, by the index on them."""
    of, dialect, purged, waiting = control.table.c, connection.dialect.name, 0, 0
    for some in value_chunks(dialect, batches):
        mine = column_in(dialect, of.batch, some)
        open_rows = sa.case((of.sealed_at.is_(None), of.calls), else_=0)
        row: Any = connection.execute(sa.select(sa.func.sum(of.calls), sa.func.sum(open_rows)).where(mine)).one()
        purged, waiting = purged + int(row[0] or 0), waiting + int(row[1] or 0)
    return PurgeCount(purged, waiting)


def files_wait(control: ControlTables, connection: sa.Connection, batches: list[str]) -> bool:
    """Whether files of some batches' calls are to be removed still, by the index on batches."""
    of, dialect = control.table.c, connection.dialect.name
    for some in value_chunks(dialect, batches):
        mine = column_in(dialect, of.batch, some)
        waits = sa.select(of.id).where(mine, of.files > 0, of.files_removed_at.is_(None)).limit(1)
        if connection.scalar(waits) is not None:
            return True
    return False
