"""Which calls share a batch: one component, one month of destruction, no more calls and bytes than are handled well.

The batch's day is the latest of its calls' days, so no copy goes early. A call that a maximum of the law forbids to
wait so long lies in a batch of its own day.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import NEVER
from lifecycle.crm.reading.row_tables import joined_tables

BATCH_CALLS = 50_000
BATCH_BYTES = 128 * 2**20
PAST = "past"

Tables = dict[str, pa.Table]


@dataclass(frozen=True, slots=True)
class DestroyGroup:
    """Planned calls, or one component of them, whose copies go on one day; None: never."""

    component: str | None
    destroy_on: date | None
    planned: pa.Table


def group_by_destroy_month(planned: pa.Table, night: date) -> Iterator[DestroyGroup]:
    """Planned calls by component and destroy month; those whose day had come by the night are one month."""
    if "ceiling" not in planned.column_names:  # planned before plans said it: nobody knows whether a copy may wait
        planned = planned.append_column("ceiling", planned["destroy_on"])
    months = pc.coalesce(pc.strftime(planned["destroy_on"], format="%Y-%m"), pa.scalar(NEVER))
    had_come = pc.fill_null(pc.less_equal(planned["destroy_on"], pa.scalar(night)), False)
    planned = planned.append_column("month", pc.if_else(had_come, pa.scalar(PAST), months))
    for component, month in _distinct(planned, "component", "month"):
        chosen = planned.filter(pc.and_(same(planned["component"], component), same(planned["month"], month)))
        yield from _days_of(component, chosen.drop_columns(["month"]))


def _days_of(component: str | None, planned: pa.Table) -> Iterator[DestroyGroup]:
    """The calls of one month under its latest day; those that may not wait for it under their own."""
    latest = pc.max(planned["destroy_on"])
    waits = pc.fill_null(pc.greater_equal(planned["ceiling"], latest), True)
    if pc.any(waits).as_py():
        yield DestroyGroup(component, latest.as_py(), planned.filter(waits))
    hurried = planned.filter(pc.invert(waits))
    for (day,) in _distinct(hurried, "destroy_on"):
        yield DestroyGroup(component, day, hurried.filter(same(hurried["destroy_on"], day)))


def fill_batches(parts: Iterable[Tables], most: int = BATCH_BYTES) -> Iterator[Tables]:
    """Calls, some at a time as they are read, as batches of at most BATCH_CALLS calls and about BATCH_BYTES bytes.

    `most`: about how many bytes, where there is memory for fewer.
    """
    waiting: list[Tables] = []
    for part in parts:
        full = _calls([*waiting, part]) > BATCH_CALLS or _bytes([*waiting, part]) > min(BATCH_BYTES, most)
        if waiting and full:
            yield _joined(waiting)
            waiting = []
        waiting.append(part)
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[Tables]) -> Tables:
    return {name: joined_tables([part[name] for part in parts]) for name in parts[0]}


def _calls(parts: list[Tables]) -> int:
    return sum(part["calls"].num_rows for part in parts)


def _bytes(parts: list[Tables]) -> int:
    return sum(table.nbytes for part in parts for table in part.values())


def same(column: pa.ChunkedArray, value: Any) -> pa.ChunkedArray:
    """Where a column has a value; None is one."""
    return pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, pa.scalar(value)), False)


def _distinct(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    found = table.group_by(list(names)).aggregate([]).sort_by([(name, "ascending") for name in names])
    return [tuple(row[name] for name in names) for row in found.to_pylist()]


def without_calls(tables: Mapping[str, pa.Table], key: str, calls: Iterable[Any]) -> Tables:
    """The rows of every call but these."""
    gone = pa.array(list(calls), tables["calls"][key].type)
    if not len(gone):
        return dict(tables)
    return {name: table.filter(pc.invert(pc.is_in(table[key], gone))) for name, table in tables.items()}
