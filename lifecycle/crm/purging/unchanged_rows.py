"""The rows of calls, locked and taken from their proved copy where the database says that none was written since.

So rows travel once. Where anything is otherwise (a newer row, one more or one less), the calls are read whole, as every
call is where nothing tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import array_literal
from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.reading.part_statements import can_skip_locked
from lifecycle.crm.reading.row_tables import in_order, joined_tables
from lifecycle.crm.reading.row_versions import is_newer
from lifecycle.crm.reading.rows import Rows
from lifecycle.evidence.comparison import CALL_ID, rows_of_calls

_NEWER, KEYS = "newer", "keys"


@dataclass(frozen=True, slots=True)
class ArchivedCopy:
    """The rows of a batch as they were read, by part, and the moment before they were."""

    tables: Mapping[str, pa.Table]
    since: Snapshot


class UnchangedRows:
    """Locks rows by part as `Rows.lock` does, and gives the same."""

    def __init__(self, rows: Rows, copy: ArchivedCopy) -> None:
        self._rows, self._copy = rows, copy
        self._own = {skip: self._locking(rows.parts[0], skip) for skip in (False, True)}
        others = [self._locking(part, False) for part in rows.parts[1:]]
        self._others = sa.union_all(*others) if others else None

    def lock(self, connection: sa.Connection, keys: Sequence[Any], skip: bool) -> dict[str, pa.Table]:
        """All rows of the named calls; nobody changes them before the transaction ends. `skip`: see `Rows.lock`."""
        skip = skip and can_skip_locked(connection)
        archived = rows_of_calls(self._copy.tables, pa.array(keys, self._rows.key.type))
        listed = {KEYS: array_literal(keys)}
        own = connection.execute(self._own[skip], listed).one()
        if own.rows != len(keys):  # some are gone, or somebody else holds them
            return self._rows.lock(connection, keys, skip)
        # In a statement of its own: it sees what was committed before the calls were locked, and nobody adds to those.
        others = connection.execute(self._others, listed).all() if self._others is not None else ()
        found = [own, *others]
        changed = {key for one in found for key in self._rows.key.array(one.written or ()).to_pylist()}
        parts = {part.name: part for part in self._rows.parts}
        alike = not changed and all(one.rows == _rows_in(archived, parts[one.part]) for one in found)
        if alike:  # none is newer, so each was there before; and they are as many
            return self._with_every_part(archived)
        # A row that is missing here may be made up for by one that came there, through a newer row above it: so all
        # parts are counted by call. Of a call without a newer row and with as many as before none is another.
        for part in self._rows.parts:
            changed |= self._counted_otherwise(connection, part, keys, archived)
        left = [key for key in keys if key not in changed]
        read = self._rows.lock(connection, [key for key in keys if key in changed], skip)
        archived = rows_of_calls(archived, pa.array(left, self._rows.key.type))
        return {part.name: self._joined(part, [read[part.name], *_under(archived, part)]) for part in self._rows.parts}

    def _locking(self, part: Part, skip: bool) -> sa.Select[Any]:
        """How many rows of a part there are, all locked, and the calls of those that may have been written since."""
        newer = is_newer(f"c{len(part.chain)}", self._copy.since).label(_NEWER)
        rows = self._rows.statements.rows_of(part, sa.bindparam(KEYS), ()).add_columns(newer)
        found = self._rows.statements.locking(part, rows, skip).subquery("found")
        calls = sa.func.array_agg(found.c[CALL_ID].distinct()).filter(found.c[_NEWER])
        named = sa.literal(part.name, sa.Text()).label("part")
        chosen: list[Any] = [named, sa.func.count().label("rows"), calls.label("written")]
        return sa.select(*chosen).select_from(found)

    def _counted_otherwise(
        self, connection: sa.Connection, part: Part, keys: Sequence[Any], archived: Mapping[str, pa.Table]
    ) -> set[Any]:
        """The calls that have more rows of a part than were archived, or fewer."""
        rows = self._rows.statements.rows_of(part, keys, ()).subquery("found")
        found = connection.execute(sa.select(rows.c[CALL_ID], sa.func.count()).group_by(rows.c[CALL_ID])).all()
        calls = self._rows.key.array([row[0] for row in found]).to_pylist()
        live = {call: row[1] for call, row in zip(calls, found, strict=True)}
        counts = pc.value_counts(archived[part.name][CALL_ID]).to_pylist() if part.name in archived else ()
        before = {entry["values"]: entry["counts"] for entry in counts}
        return {key for key in keys if live.get(key, 0) != before.get(key, 0)}

    def _joined(self, part: Part, tables: Sequence[pa.Table]) -> pa.Table:
        return in_order(joined_tables(tables), self._rows.row_key(part))

    def _with_every_part(self, archived: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """A part of which no row was archived is no object of the batch."""
        empty = {part.name: self._rows.empty(part) for part in self._rows.parts if part.name not in archived}
        return {**archived, **empty}


def _rows_in(archived: Mapping[str, pa.Table], part: Part) -> int:
    return archived[part.name].num_rows if part.name in archived else 0


def _under(archived: Mapping[str, pa.Table], part: Part) -> list[pa.Table]:
    return [archived[part.name]] if part.name in archived else []
