"""Whose a row is. A row may be deleted only if every call that it belongs to goes in the same transaction.

Where a row belongs to a call that stays, the call that may go is set aside with the other's name; rows that the
mapping calls `shared` are kept instead, until the last of their calls goes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.mapping.source import Part
from lifecycle.crm.reading.rows import RowKey, Rows
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text

Owners = Mapping[str, Mapping[RowKey, Collection[Any]]]


@dataclass(frozen=True, slots=True)
class Ownership:
    """What belongs to calls that stay: the calls to set aside for it, and the rows to keep, by table."""

    set_aside: Mapping[Any, str] = field(default_factory=dict)
    kept: Mapping[str, Collection[RowKey]] = field(default_factory=dict)


def ownership(
    connection: sa.Connection, whole: Rows, mine: Rows, locked: Mapping[str, pa.Table], going: Sequence[Any]
) -> Ownership:
    """What the rows of calls that may go belong to beside them, at this moment.

    `whole`: the rows of whole calls, by every way of the mapping. `mine`: those that go, perhaps of one component only.
    """
    shared = {part.table for part in whole.parts if part.shared}
    owners = {table: _owners(connection, whole, ways, mine, locked) for table, ways in _open_tables(whole, mine)}
    staying = calls_to_keep({table: rows for table, rows in owners.items() if table not in shared}, going)
    left = set(going) - staying.keys()
    return Ownership(staying, {table: _of_others(rows, left) for table, rows in owners.items() if table in shared})


def calls_to_keep(owners: Owners, going: Iterable[Any]) -> dict[Any, str]:
    """The calls that may not go because a row of theirs belongs to one that stays, for which others may stay again."""
    left, found, again = set(going), dict[Any, str](), True
    while again:
        again = False
        for table, rows in owners.items():
            for calls in rows.values():
                others = [call for call in calls if call not in left]
                for call in (left & set(calls)) if others else ():
                    named = call_id_text(min(others, key=call_id_text))
                    found[call] = f"shared: a row of {table} also belongs to call {named}, which stays"
                    left.discard(call)
                    again = True
    return found


def calls_together(tables: Mapping[str, pa.Table], rows: Rows, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The calls in groups: those that share a row are in one, for they go in one transaction or not at all."""
    tables_open = [parts for _, parts in _open_tables(rows, rows) if not any(part.shared for part in parts)]
    if not tables_open:
        return [(key,) for key in keys]
    leader = {key: key for key in keys}

    def first(key: Any) -> Any:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    for parts in tables_open:
        met: dict[RowKey, Any] = {}
        for call, row in _pairs(tables, parts, rows.row_key(parts[0])):
            if call in leader and first(met.setdefault(row, call)) != first(call):
                leader[first(call)] = first(met[row])
    groups = defaultdict[Any, list[Any]](list)
    for key in keys:
        groups[first(key)].append(key)
    return [tuple(group) for group in groups.values()]


def _open_tables(whole: Rows, mine: Rows) -> Iterator[tuple[str, list[Part]]]:
    """The tables of which a row that goes may belong to several calls as far as the schema tells, and the ways there.

    The call's own table counts where rows of it are children too: each is a call, and belongs to itself.
    """
    taken = dict.fromkeys(part.table for part in mine.parts if part.chain and not part.detach)
    for table in taken:
        ways = [part for part in whole.parts if part.table == table and not (part.detach or part.grouped)]
        if whole.row_key(ways[0]) and (len(ways) > 1 or not whole.statements.one_call_only(ways[0])):
            yield table, ways  # rows without a key belong to one call each: `live_schema` sees to it


def _owners(
    connection: sa.Connection, whole: Rows, ways: Sequence[Part], mine: Rows, locked: Mapping[str, pa.Table]
) -> dict[RowKey, set[Any]]:
    """Every call of each row of one table that was locked to go, whichever way leads to it."""
    names = whole.row_key(ways[0])
    parts = [part for part in mine.parts if part.table == ways[0].table and part.chain and not part.detach]
    rows = pa.concat_tables(locked[part.name].select(list(names)) for part in parts)
    rows = rows.group_by(list(names)).aggregate([]).select(list(names))
    found = defaultdict[RowKey, set[Any]](set)
    for statement in (each for way in ways for each in whole.statements.owners(way, rows)):
        for call, *row in connection.execute(statement):
            found[tuple(row)].add(call)
    return found


def _pairs(tables: Mapping[str, pa.Table], parts: Sequence[Part], names: Sequence[str]) -> Iterator[tuple[Any, RowKey]]:
    for part in parts:
        if part.name in tables:
            columns = [tables[part.name][name].to_pylist() for name in (CALL_ID, *names)]
            yield from ((call, tuple(row)) for call, *row in zip(*columns, strict=True))


def _of_others(rows: Mapping[RowKey, Collection[Any]], going: Collection[Any]) -> set[RowKey]:
    return {row for row, calls in rows.items() if any(call not in going for call in calls)}


def without_rows(table: pa.Table, names: Sequence[str], gone: Collection[RowKey]) -> pa.Table:
    """The rows of a table whose keys are not among these, each once."""
    once = table.group_by(list(names), use_threads=False).aggregate([]) if table.num_rows else table.select(list(names))
    if not gone:
        return once
    keys = zip(*(once[name].to_pylist() for name in names), strict=True)
    return once.filter(pa.array([key not in gone for key in keys], pa.bool_()))


def named_twice(calls: pa.Table) -> dict[Any, str]:
    """Calls whose key names several rows of the call table: nobody can say which of them is the call."""
    if pc.count_distinct(calls[CALL_ID]).as_py() == calls.num_rows:
        return {}
    counts = {entry["values"]: entry["counts"] for entry in calls[CALL_ID].value_counts().to_pylist()}
    return {key: f"ambiguous: its key names {n} rows of the call table" for key, n in counts.items() if n > 1}
