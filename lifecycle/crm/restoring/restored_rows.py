"""Archived rows on their way back: the columns that the table has, each row once, parents before their children."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.evidence.archived_facts import FACTS
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING

_OURS = (*DECIDING, FACTS, "_moved_batch", "_moved_row")
NOT_OF_THE_ROW = (CALL_ID, *_OURS)


def as_live(rows: pa.Table, table: MappedTable) -> pa.Table:
    """The archived columns that the table has, and nothing of ours. A column that was dropped since is left out: who
    asks before says whether a value is lost."""
    return rows.select([name for name in rows.column_names if name in table.columns and name not in NOT_OF_THE_ROW])


def archived_rows(rows: pa.Table) -> pa.Table:
    """A part of a batch without what was decided about each call: what the CRM had."""
    return rows.drop_columns([name for name in _OURS if name in rows.column_names])


def are_distinct(rows: pa.Table, key: Sequence[str]) -> bool:
    """Whether no two rows have the same key. Rows without a key are as they are."""
    return not key or rows.group_by(list(key)).aggregate([]).num_rows == rows.num_rows


def without_known(
    rows: pa.Table, key: Sequence[str], known: set[tuple[Any, ...]], there: Collection[tuple[Any, ...]]
) -> pa.Table:
    """Each row once, by its key, and none that is there; adds to `known`. Rows without a key are as they are."""
    if not key:
        return rows
    keep = []
    for place, name in enumerate(zip(*(rows[column].to_pylist() for column in key), strict=True)):
        if name not in known and name not in there:
            known.add(name)
            keep.append(place)
    return rows if len(keep) == rows.num_rows else rows.take(pa.array(keep, pa.int64()))


def parents_first(rows: pa.Table, own_parents: Mapping[str, str]) -> pa.Table:
    """Rows in an order in which each comes after the one of the same table that it names by a foreign key.

    `own_parents`: such columns, with the column that is named.
    """
    waiting = rows
    done: list[pa.Table] = []
    pairs = [(own, named) for own, named in own_parents.items() if {own, named} <= set(rows.column_names)]
    while waiting.num_rows and pairs:
        blocked = pa.repeat(pa.scalar(False), waiting.num_rows)
        for own, named in pairs:
            mine = waiting[named].combine_chunks()
            elsewhere = pc.not_equal(waiting[own].combine_chunks(), mine)  # a row may name itself
            names_one = pc.is_in(waiting[own].combine_chunks(), mine)
            blocked = pc.or_(blocked, pc.and_(names_one, pc.fill_null(elsewhere, False)))
        if not pc.any(pc.invert(blocked)).as_py():
            break  # they name each other: the database says so
        done.append(waiting.filter(pc.invert(blocked)))
        waiting = waiting.filter(blocked)
    return pa.concat_tables([*done, waiting]) if done else waiting


def in_row_order(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in the order in which the reader gives them."""
    names = key or [field.name for field in rows.schema if field.name != CALL_ID and _sorts(field.type)]
    order = [(name, "ascending") for name in (CALL_ID, *names) if name in rows.column_names]
    return rows.sort_by(order)


def in_key_order(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in the order of their own key: a database appends to its index what it would else put in here and there."""
    sorts = bool(key) and all(name in rows.column_names and _sorts(rows.schema.field(name).type) for name in key)
    return rows.sort_by([(name, "ascending") for name in key]) if sorts else rows


def _sorts(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_duration(kind))
