"""How large calls are on average, from a sample: an estimate for previews and reviews, never for a decision."""

from typing import Any

import pyarrow as pa

from lifecycle.crm.crm import Crm
from lifecycle.crm.reading.part_reader import UnreadableCalls


def mean_call_bytes(crm: Crm, sample: list[Any], component: str | None = None) -> float:
    """The mean size of calls, or of one component, with all rows, before compression. Unreadable ones, files: no."""
    if not sample:
        return 0
    try:
        tables = _read(crm, sample, component)
    except UnreadableCalls:
        unreadable = crm.unreadable(sample, component)
        tables = _read(crm, [key for key in sample if key not in unreadable], component)
    return float(sum(int(table.nbytes) for table in tables.values()) / max(1, int(tables["calls"].num_rows)))


def _read(crm: Crm, keys: list[Any], component: str | None) -> dict[str, pa.Table]:
    with crm.database.reading() as connection:
        return crm.rows_of(component).read(connection, keys)
