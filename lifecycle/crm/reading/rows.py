"""Whole rows of calls and of everything that belongs to them, as Arrow: one table a part, in the order of the row keys.

Children are matched inside the database, by its own collation; each row carries the key of its call as `_call_id`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.database import column_in, plain_bind
from lifecycle.crm.mapping.columns import Column, UnreadableValue
from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.crm.mapping.source import Part, Source
from lifecycle.crm.reading.column_comparison import are_of_one_type, columns_equal
from lifecycle.evidence.comparison import CALL_ID

KEYS_A_STATEMENT = 1000


class UnreadableCalls(Exception):
    """Some row of these calls cannot be read exactly. Carries why."""


class Rows:
    """The rows behind calls, or behind one component of them, for one mapping on one database schema."""

    def __init__(
        self, source: Source, tables: Mapping[str, MappedTable], dialect: str, component: str | None = None
    ) -> None:
        self.parts = source.parts(component)
        self._call_table, self._call_key = source.call.table, source.call.key
        self._tables, self._dialect = tables, dialect

    @property
    def key(self) -> Column:
        """The column that names a call."""
        return self._tables[self._call_table].columns[self._call_key]

    def read(self, connection: sa.Connection, keys: Sequence[Any], lock: bool = False) -> dict[str, pa.Table]:
        """All rows of the named calls, by part; with `lock`, nobody changes them before the transaction ends.

        Raises UnreadableCalls where a value fits no Arrow type exactly.
        """
        return {part.name: self._read_part(connection, part, keys, lock) for part in self.parts}

    def live(self, connection: sa.Connection, keys: Sequence[Any]) -> list[Any]:
        """Which of the named calls the CRM still has; of a component: which still have any of it."""
        whole = self.parts[0].columns is None
        parts = self.parts[:1] if whole else [part for part in self.parts if not part.detach]
        wanted = (self._presence(part, some) for part in parts for some in _chunks(keys))
        return list(dict.fromkeys(key for statement in wanted for key in connection.scalars(statement)))

    def having(self, tables: Mapping[str, pa.Table]) -> set[Any]:
        """Of calls whose rows were read, those that have any of what these rows are of; a whole call always has."""
        own = tables[self.parts[0].name]
        if self.parts[0].columns is None:
            return set(own[CALL_ID].to_pylist())
        filled = [own.filter(own[name].is_valid()) for name in self.parts[0].columns]
        children = [tables[part.name] for part in self.parts[1:] if not part.detach]
        return {key for table in (*filled, *children) for key in table[CALL_ID].to_pylist()}

    def every_key(self, connection: sa.Connection) -> Iterator[Any]:
        """The keys of all calls the CRM has, streamed."""
        column = self.key.expression(self._tables[self._call_table].table)
        yield from connection.execution_options(yield_per=KEYS_A_STATEMENT).scalars(sa.select(column))

    def doubled_key(self, connection: sa.Connection) -> str | None:
        """A key that several rows of the call table have; None: it names one call each."""
        table = self._tables[self._call_table]
        if table.key == (self._call_key,):
            return None
        column = table.table.c[self._call_key]
        found = connection.execute(sa.select(column).group_by(column).having(sa.func.count() > 1).limit(1)).first()
        return None if found is None else str(found[0])

    def matched_across_types(self, part: Part) -> list[tuple[str, str]]:
        """The columns by which a part is found that are text where what they name is none, or the other way round."""
        if not part.chain:
            return []
        own, above = self._columns_matched(part, len(part.chain))
        pairs = part.chain[-1].match.items()
        return [(mine, other) for mine, other in pairs if not are_of_one_type(own[mine], above[other])]

    def _columns_matched(self, part: Part, depth: int) -> tuple[Mapping[str, Column], Mapping[str, Column]]:
        """The columns of the table at a depth of the way to a part, and those of the table above it."""
        tables = [self._call_table, *(child.table for child in part.chain)]
        return self._tables[tables[depth]].columns, self._tables[tables[depth - 1]].columns

    def row_key(self, part: Part) -> tuple[str, ...]:
        """The columns that name a row of a part."""
        return self._tables[part.table].key

    def mapped(self, part: Part) -> sa.TableClause:
        """The table of a part, for statements that write."""
        return self._tables[part.table].table

    def any_left(self, connection: sa.Connection, part: Part, keys: Sequence[Any]) -> bool:
        """Whether any row of a part still belongs to the named calls."""
        statement = self._statement(part, keys, lock=self._dialect == "mysql")
        return connection.execute(statement.limit(1)).first() is not None

    def _columns(self, part: Part) -> list[Column]:
        """Of a row that stays, only what names it and what is cleared; of a row that goes, everything."""
        table = self._tables[part.table]
        stays = part.detach or part.columns is not None
        found_by = part.chain[-1].match if part.chain else (self._call_key,)
        wanted = {*table.key, *found_by, *part.cleared} if stays else table.columns.keys()
        return [column for name, column in table.columns.items() if name in wanted]

    def cleared(self) -> tuple[str, ...]:
        """The columns of calls that the purge of another call sets to NULL. None of them is of a component."""
        mine = self.parts if self.parts[0].columns is None else ()
        return tuple(name for part in mine if part.table == self._call_table for name in part.detach)

    def _read_part(self, connection: sa.Connection, part: Part, keys: Sequence[Any], lock: bool) -> pa.Table:
        columns = [Column(CALL_ID, self.key.type), *self._columns(part)]
        read = [self._rows(connection, part, some, lock, columns) for some in _chunks(keys)]
        empty = pa.schema([(column.name, column.type) for column in columns]).empty_table()
        table = pa.concat_tables([empty, *read]).combine_chunks()
        return table.sort_by([(name, "ascending") for name in (CALL_ID, *self.row_key(part))])

    def _rows(
        self, connection: sa.Connection, part: Part, keys: Sequence[Any], lock: bool, columns: list[Column]
    ) -> pa.Table:
        statement = self._statement(part, keys, lock)
        try:
            fetched = connection.execute(statement).fetchall()
            values = list(zip(*fetched, strict=True)) if fetched else [()] * len(columns)
            arrays = [column.array(some) for column, some in zip(columns, values, strict=True)]
        except UnreadableValue as error:
            raise UnreadableCalls(f"{part.table}.{error}") from error
        except (sa.exc.DataError, ValueError, OverflowError) as error:
            raise UnreadableCalls(f"{part.table} holds a value the driver cannot read ({_said(error)})") from error
        return pa.table(arrays, names=[column.name for column in columns])

    def _presence(self, part: Part, keys: Sequence[Any]) -> sa.Select[Any]:
        """The calls that have a row of a part; of the call's own row those where any of its columns has a value."""
        calls, below, joined = self._joined(part)
        statement = sa.select(self.key.expression(calls)).select_from(joined).distinct()
        statement = statement.where(column_in(self._dialect, calls.c[self._call_key], keys))
        if part.columns is None:
            return statement
        return statement.where(sa.or_(sa.false(), *(below.c[name].is_not(None) for name in part.columns)))

    def _joined(self, part: Part) -> tuple[sa.FromClause, sa.FromClause, sa.FromClause]:
        """The call's table, the part's, and both joined along the way from one to the other."""
        calls = self._tables[self._call_table].table.alias("c0")
        below: sa.FromClause = calls
        joined: sa.FromClause = calls
        for depth, child in enumerate(part.chain, 1):
            above, below = below, self._tables[child.table].table.alias(f"c{depth}")
            mine, other = self._columns_matched(part, depth)
            on = [
                columns_equal(self._dialect, (below, mine[one]), (above, other[two]))
                for one, two in child.match.items()
            ]
            on += [below.c[name] == plain_bind(value) for name, value in child.where.items()]
            joined = joined.join(below, sa.and_(*on))
        return calls, below, joined

    def _statement(self, part: Part, keys: Sequence[Any], lock: bool) -> sa.Select[Any]:
        calls, below, joined = self._joined(part)
        call_id = self.key.expression(calls).label(CALL_ID)
        chosen = [column.expression(below) for column in self._columns(part)]
        wanted = column_in(self._dialect, calls.c[self._call_key], keys)
        statement = sa.select(call_id, *chosen).select_from(joined).where(wanted)
        if lock:
            statement = statement.with_for_update(of=below if self._dialect == "postgresql" else None)
            if not part.chain:  # one order for every transaction, so that two never wait for each other
                statement = statement.order_by(calls.c[self._call_key])
        return statement


def _chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[start : start + KEYS_A_STATEMENT] for start in range(0, len(keys), KEYS_A_STATEMENT))


def _said(error: Exception) -> str:
    return type(error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error).__name__
