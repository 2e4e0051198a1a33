"""How much purge rows say is gone, and whether files of theirs wait, in numbers alone: their records are not read."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.control.control_tables import ControlTables

_AT_ONCE = 500  # batches a statement


@dataclass(frozen=True, slots=True)
class PurgeCount:
    """What one night purged of one industry, calls and parts of calls; and how much of it waits for the ledger."""

    purged: int = 0
    waiting: int = 0


def count_purged(control: ControlTables, connection: sa.Connection, batches: list[str]) -> PurgeCount:
    """Count what was purged of some batches, by the index on them."""
    of, purged, waiting = control.table.c, 0, 0
    for start in range(0, len(batches), _AT_ONCE):
        mine = of.batch.in_(batches[start : start + _AT_ONCE])
        open_rows = sa.case((of.sealed_at.is_(None), of.calls), else_=0)
        row: Any = connection.execute(sa.select(sa.func.sum(of.calls), sa.func.sum(open_rows)).where(mine)).one()
        purged, waiting = purged + int(row[0] or 0), waiting + int(row[1] or 0)
    return PurgeCount(purged, waiting)


def files_wait(control: ControlTables, connection: sa.Connection, batches: list[str]) -> bool:
    """Whether files of some batches' calls are to be removed still, by the index on batches."""
    of = control.table.c
    for start in range(0, len(batches), _AT_ONCE):
        mine = of.batch.in_(batches[start : start + _AT_ONCE])
        waits = sa.select(of.id).where(mine, of.files > 0, of.files_removed_at.is_(None)).limit(1)
        if connection.scalar(waits) is not None:
            return True
    return False
