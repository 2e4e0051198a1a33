"""What stands against putting calls back, named before anything is written. Reads only; the transaction looks again.

A conflict is of one call: an id that is taken, a row that a foreign key names and that is gone, a unique value in
use, a column that cannot take the value any more. What is of a table, such as a trigger, is a doubt.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from lifecycle.crm.bound_values import column_in, plain_bind, value_chunks
from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import MappedTable, split_name
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.reading.rows import Rows
from lifecycle.crm.restoring.references import Reference
from lifecycle.crm.restoring.restored_rows import NOT_OF_THE_ROW, as_live
from lifecycle.evidence.comparison import CALL_ID

Found = Iterator[tuple[Any, str]]
_TUPLES = 300  # composite values a statement
_LISTED = (sa.Enum, mysql.ENUM, mysql.SET)  # their length is that of a word


class RestoreConflicts:
    """Asks one database about calls that are to come back."""

    def __init__(
        self,
        database: Database,
        rows: Rows,
        tables: Mapping[str, MappedTable],
        references: Sequence[Reference],
        component: str | None = None,
    ) -> None:
        self._database, self._rows, self._tables = database, rows, tables
        self._references, self._component = references, component

    def of(self, keys: Sequence[Any], archived: Mapping[str, pa.Table]) -> dict[Any, list[str]]:
        """By call, everything that stands against it; a call that is not there may be put back."""
        found: dict[Any, list[str]] = defaultdict(list)
        with self._database.reading() as connection:
            live = self._rows.live_as_named(connection, keys) if self._component is None else ()
            for key in live:
                found[key].append("its id is taken: a call with it is in the CRM")
            for part in (part for part in self._rows.parts if not part.detach and part.name in archived):
                rows = archived[part.name]
                for key, why in (
                    *self._unfit_columns(part, rows),
                    *(self._taken(connection, part, rows) if part.columns is None else ()),
                    *self._orphans(connection, part, rows, archived),
                ):
                    if why not in found[key]:
                        found[key].append(why)
        return {key: why for key, why in found.items() if why}

    def _unfit_columns(self, part: Part, rows: pa.Table) -> Found:
        """Values that have no column any more, or do not fit into it."""
        live = self._tables[part.table].columns
        for name in (name for name in rows.column_names if name not in NOT_OF_THE_ROW):
            values = rows[name].combine_chunks()
            there = pc.is_valid(values)
            if name not in live:
                yield from self._named(rows, there, f"the column {part.table}.{name} was dropped, and it had a value")
                continue
            if live[name].type != values.type:
                there = pc.and_(there, pc.invert(_fits(values, live[name].type)))
                yield from self._named(rows, there, f"the column {part.table}.{name} cannot take its value any more")
            most = self._lengths.get((part.table, name))
            if most is not None and pa.types.is_string(values.type):
                said = f"the column {part.table}.{name} takes {most} letters, its value has more"
                long = pc.fill_null(pc.greater(pc.utf8_length(values), most), False)
                yield from self._named(rows, long, said)

    def _taken(self, connection: sa.Connection, part: Part, rows: pa.Table) -> Found:
        """Rows of whose unique values others are there."""
        table = self._tables[part.table]
        live = as_live(rows, table)
        keys = [tuple(sorted(names)) for names in table.unique if names <= set(live.column_names)]
        for names in dict.fromkeys(keys):
            if (part.shared or not part.chain) and set(names) == set(table.key):
                continue  # the call's own was asked; a shared one may be there for another's sake, and is compared
            near = next((own for own in (part.chain[-1].match if part.chain else ()) if own in names), None)
            there = self._there(connection, table.table, names, _distinct(live, names), near)
            said = f"a row of {part.table} has its {', '.join(names)}"
            yield from self._named(rows, _among(live, names, there), said)

    def _orphans(
        self, connection: sa.Connection, part: Part, rows: pa.Table, archived: Mapping[str, pa.Table]
    ) -> Found:
        """Rows that name one by a foreign key which is neither there nor among those that come back."""
        for one in (one for one in self._references if one.table == part.table):
            if not set(one.columns) <= set(rows.column_names):
                continue
            names = one.named_columns
            asked = rows.select(list(one.columns)).rename_columns(list(names))
            wanted = _distinct(asked, names)
            for other in (p for p in self._rows.parts if p.table == one.named_table and not p.detach):
                back = archived.get(other.name)
                if back is not None and set(names) <= set(back.column_names):
                    wanted = _without(wanted, names, back)
            there = self._there(connection, one.named, names, wanted)
            gone = {row for row in map(_comparable, _tuples(wanted, names)) if row not in there}
            said = f"a row of {one.named_table} that its {part.table}.{', '.join(one.columns)} names is gone"
            yield from self._named(rows, _among(asked, names, gone), said)

    def _there(
        self,
        connection: sa.Connection,
        table: sa.TableClause,
        names: Sequence[str],
        wanted: pa.Table,
        near: str | None = None,
    ) -> set[tuple[str, ...]]:
        """Of some values, each given once, those that rows of a table have. `near`: a column that names a row above:
        all rows with its values are asked for, which is one list where several columns would be many conditions."""
        columns, dialect = [table.c[name] for name in names], self._database.dialect
        alone = names[0] if len(names) == 1 else near
        if alone is not None:
            values = wanted[alone].unique().to_pylist()
            each = (column_in(dialect, table.c[alone], some) for some in value_chunks(dialect, values))
        else:
            cut = (list(_tuples(wanted.slice(start, _TUPLES), names)) for start in range(0, wanted.num_rows, _TUPLES))
            each = (
                sa.or_(*(sa.and_(*(c == plain_bind(v) for c, v in zip(columns, row, strict=True))) for row in some))
                for some in cut
            )
        return {_comparable(row) for one in each for row in connection.execute(sa.select(*columns).where(one))}

    def _named(self, rows: pa.Table, mask: pa.Array, why: str) -> Found:
        if pc.any(mask).as_py():
            yield from ((key, why) for key in dict.fromkeys(rows[CALL_ID].filter(mask).to_pylist()))

    @cached_property
    def _lengths(self) -> dict[tuple[str, str], int]:
        """How many letters a text column takes, where the database counts them."""
        found = {}
        with translated_errors():
            inspector = sa.inspect(self._database.engine)
            for name in self._tables if self._database.dialect != "sqlite" else ():
                schema, table = split_name(name)
                for column in inspector.get_columns(table, schema=schema):
                    if (
                        isinstance(column["type"], sa.String)
                        and not isinstance(column["type"], _LISTED)
                        and (most := column["type"].length) is not None
                    ):
                        found[name, str(column["name"])] = most
        return found


def _tuples(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[name].to_pylist() for name in names), strict=True)


def _distinct(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """The values of some columns, each once, and none of which a part is NULL."""
    return rows.group_by(list(names)).aggregate([]).drop_null()


def _without(wanted: pa.Table, names: Sequence[str], back: pa.Table) -> pa.Table:
    """Of some values those that no row which comes back has."""
    if len(names) == 1 and wanted[names[0]].type == back[names[0]].type:
        return wanted.filter(pc.invert(pc.is_in(wanted[names[0]], back[names[0]].combine_chunks())))
    return wanted.filter(pc.invert(_among(wanted, names, set(map(_comparable, _tuples(back, names))))))


def _among(rows: pa.Table, names: Sequence[str], known: Set[tuple[str, ...]]) -> pa.Array:
    """Which rows have some of these values."""
    if not known:
        return pa.repeat(pa.scalar(False), rows.num_rows)
    return pa.array([_comparable(row) in known for row in _tuples(rows, names)], pa.bool_())


def _comparable(row: Sequence[Any]) -> tuple[str, ...]:
    """Values as both the driver and the archive give them: a UUID is one object here and a text there."""
    return tuple(value.hex() if isinstance(value, bytes) else str(value).rstrip() for value in row)


def _fits(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Which values another type can hold. All or none, where Arrow says no more."""
    try:
        values.cast(kind)
    except (pa.ArrowException, ValueError):
        return pa.array([_one_fits(value, kind) for value in values], pa.bool_())
    return pa.repeat(pa.scalar(True), len(values))


def _one_fits(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except (pa.ArrowException, ValueError):
        return False
    return True
