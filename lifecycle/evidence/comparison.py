"""Whether two copies of the same calls are the same, and which calls differ. Values only; no store, no database."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

CALL_ID = "_call_id"
_WIDER = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}


def rows_of_calls(tables: Mapping[str, pa.Table], keys: pa.Array) -> dict[str, pa.Table]:
    """The rows of some calls only."""
    return {name: table.filter(pc.is_in(table[CALL_ID], keys)) for name, table in tables.items()}


def find_differences(
    archived: Mapping[str, pa.Table],
    live: Mapping[str, pa.Table],
    may_vanish: Collection[str] = (),
    may_clear: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[Any, str]:
    """The calls whose live rows are not their archived rows, each with the part that differs.

    Both sides hold the same parts in the same row order; a part that one side lacks has no rows there. Columns
    must agree in name, order and type. A call is compared row by row only where whole tables differ.

    The purge of one call clears its links in others, and they may be purged in any order. So of the parts in
    `may_vanish` (links to a call) a live row must be archived, but an archived one may be gone; and the columns that
    `may_clear` names for a part may be NULL by now. Either way the archived copy is the one that says more.
    """
    found: dict[Any, str] = {}
    for name in dict.fromkeys((*archived, *live)):
        ours, theirs = archived.get(name), live.get(name)
        if ours is None or theirs is None:
            extra = () if theirs is None and name in may_vanish else _keys(theirs if ours is None else ours)
            reasons: dict[Any, str] = dict.fromkeys(extra, f"{name}: rows on one side only")
        elif not ours.schema.equals(theirs.schema):
            reasons = dict.fromkeys([*_keys(ours), *_keys(theirs)], f"{name}: the columns changed")
        else:
            ours = _cleared(ours, theirs, may_clear.get(name, ()))
            reasons = dict.fromkeys(_differing(ours, theirs, name in may_vanish), f"{name}: the rows changed")
        found = {**reasons, **found}
    return found


def of_one_width(tables: Mapping[str, pa.Table], others: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Tables whose texts and bytes have a large type where the others' have one: how many bytes there are decides it,
    and the others may have been read with fewer."""
    return {name: _as_wide(table, others[name]) if name in others else table for name, table in tables.items()}


def _as_wide(table: pa.Table, other: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema if table.column_names == other.column_names else ()):
        if _WIDER.get(field.type) == other.schema.field(place).type:
            wide = field.with_type(other.schema.field(place).type)
            table = table.set_column(place, wide, table[field.name].cast(wide.type))
    return table


def _cleared(ours: pa.Table, theirs: pa.Table, names: Collection[str]) -> pa.Table:
    for name in names if ours[CALL_ID].equals(theirs[CALL_ID]) else ():
        kept = pc.if_else(pc.is_null(theirs[name]), pa.scalar(None, ours[name].type), ours[name])
        ours = ours.set_column(ours.column_names.index(name), ours.schema.field(name), kept)
    return ours


def _keys(table: pa.Table | None) -> Iterable[Any]:
    return [] if table is None else table[CALL_ID].unique().to_pylist()


def _differing(ours: pa.Table, theirs: pa.Table, may_vanish: bool) -> list[Any]:
    if ours.equals(theirs):
        return []
    left, right = _by_call(ours), _by_call(theirs)
    if may_vanish:
        return [key for key, rows in right.items() if not rows <= left.get(key, Counter())]
    return [key for key in {**left, **right} if left.get(key) != right.get(key)]


def _by_call(table: pa.Table) -> dict[Any, Counter[str]]:
    rows: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in table.to_pylist():
        rows[row[CALL_ID]][repr(row)] += 1  # repr, so that a NaN equals itself
    return rows
