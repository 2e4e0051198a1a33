"""The SQL that finds the rows of calls, part by part: the way from a call to a row, as the mapping gives it.

Nothing is run here, and no row becomes anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in, plain_bind, value_chunks
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.live_schema import MappedTable, call_table
from lifecycle.crm.mapping.source import Part, Source
from lifecycle.crm.reading.column_comparison import columns_equal
from lifecycle.crm.reading.locking_plans import index_for, join_in_order
from lifecycle.evidence.comparison import CALL_ID

COMPOSITE_KEYS = 500  # a statement: SQLite takes an OR of fewer than 1000

Written = Callable[[Column, sa.FromClause], sa.ColumnElement[Any]]


class PartStatements:
    """The statements over the parts of one mapping on one database schema."""

    def __init__(
        self, source: Source, tables: Mapping[str, MappedTable], dialect: str, keys_a_statement: int | None = None
    ) -> None:
        self._keys_a_statement = keys_a_statement
        self._call_table, self._call_key, self._calls_are = source.call.table, source.call.key, source.call.where
        self._tables, self.dialect, self._calls = tables, dialect, call_table(source, tables)
        self._legs = source.call.legs if source.call.group_by else None

    @property
    def key(self) -> Column:
        """The column that names a call."""
        return self._calls.columns[self._call_key]

    def rows_of(
        self,
        part: Part,
        keys: Sequence[Any] | sa.BindParameter[Any],
        columns: Sequence[Column],
        written: Written = Column.expression,
        locks: bool = False,
    ) -> sa.Select[Any]:
        """The rows of a part that belong to the named calls, each with its call's key as CALL_ID.

        `keys`: a parameter may stand for them as in `column_in`. `locks`: it is going to be `locking`.
        """
        calls, below, joined = self.joined(part, keys, locks)
        wanted = column_in(self.dialect, calls.c[self._call_key], keys)
        chosen = [written(column, below) for column in columns]
        statement = sa.select(written(self.key, calls).label(CALL_ID), *chosen).select_from(joined)
        statement = statement.where(wanted, *self._calls_are.expressions(calls))
        if part.grouped:
            return statement.distinct()
        return join_in_order(statement, self._steps(part, joined)) if self.dialect == "mysql" else statement

    def chunks(self, keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Keys, as many at a time as one statement takes."""
        most = self._keys_a_statement
        if most is None:
            return value_chunks(self.dialect, keys)
        return (keys[start : start + most] for start in range(0, len(keys), most))

    def _steps(self, part: Part, joined: Any) -> Iterator[tuple[sa.FromClause, str | None]]:
        """The tables below the call's, each with the index that its rows are found by."""
        for child in reversed(part.chain[1:] if self._begins_with_legs(part) else part.chain):
            indexes = self._tables[child.table].indexes if child.cast is None else {}
            yield joined.right, index_for(indexes, child.match, child.where.fixed)
            joined = joined.left
        if self._begins_with_legs(part):  # nothing else says by which index the call's own rows are found
            yield joined, index_for(self._tables[self._call_table].indexes, (self._call_key,), ())

    def locking(self, part: Part, statement: sa.Select[Any], skip: bool) -> sa.Select[Any]:
        """The statement with locks on the rows of the part."""
        _, below, _ = self.joined(part)
        locking = statement.with_for_update(of=below if self.dialect == "postgresql" else None, skip_locked=skip)
        # one order for every transaction, so that two never wait for each other
        return locking if part.chain else locking.order_by(below.c[self._call_key])

    def presence(self, part: Part, keys: Sequence[Any]) -> sa.Select[Any]:
        """The calls that have a row of a part; of the call's own row those where any of its columns has a value."""
        calls, below, joined = self.joined(part)
        statement = sa.select(self.key.expression(calls)).select_from(joined).distinct()
        wanted = column_in(self.dialect, calls.c[self._call_key], keys)
        statement = statement.where(wanted, *self._calls_are.expressions(calls))
        if part.columns is None:
            return statement
        return statement.where(sa.or_(sa.false(), *(below.c[name].is_not(None) for name in part.columns)))

    def owners(self, part: Part, rows: pa.Table) -> Iterator[sa.Select[Any]]:
        """Every call that the rows of a part (given by their keys) belong to by the way of this part."""
        calls, below, joined = self.joined(part)
        chosen = [column.expression(below) for column in self.key_columns(part)]
        statement = sa.select(self.key.expression(calls), *chosen).select_from(joined)
        yield from (statement.where(wanted) for wanted in self.named_rows(below, part, rows))

    def named_rows(self, table: sa.FromClause, part: Part, rows: pa.Table) -> Iterator[sa.ColumnElement[bool]]:
        """Conditions that hold for the rows with these keys, some rows each."""
        key = self._tables[part.table].key
        places = range(rows.num_rows)
        composite = [places[start : start + COMPOSITE_KEYS] for start in places[::COMPOSITE_KEYS]]
        for some in composite if len(key) > 1 else value_chunks(self.dialect, places):
            yield _row_is_among(self.dialect, table, key, rows.slice(some[0], len(some)))

    def every_call(self) -> sa.Select[Any]:
        """The keys of all calls."""
        table = self._tables[self._call_table].table
        every = sa.select(self.key.expression(table)).where(*self._calls_are.expressions(table))
        return every.distinct() if self._legs else every

    def of_parents(self, part: Part, above: pa.Table) -> Iterator[sa.ColumnElement[bool]]:
        """Conditions that hold for all rows of a part that belong to these rows above them, some of those each."""
        child, table = part.chain[-1], self._tables[part.table].table
        own, other = list(child.match), list(child.match.values())
        distinct = above.select(other).group_by(other).aggregate([]).select(other).rename_columns(own)
        for name in own:
            distinct = distinct.filter(distinct[name].is_valid())
        for start in range(0, distinct.num_rows, COMPOSITE_KEYS):
            alike = _row_is_among(self.dialect, table, tuple(own), distinct.slice(start, COMPOSITE_KEYS))
            yield sa.and_(alike, *child.where.expressions(table))

    def named_still(self, part: Part, rows: pa.Table) -> Iterator[sa.Select[Any]]:
        """Of rows that others may own too the keys of those that some row names at this moment."""
        table, lock = self._tables[part.table].table, self.dialect == "mysql"
        for namer in part.chain[-1].unless_named_by if part.chain else ():
            other, (own,) = self._tables[namer.table].table.alias("n"), part.chain[-1].match
            joined = table.join(other, other.c[namer.column] == table.c[own])
            chosen = [column.expression(table) for column in self.key_columns(part)]
            statement = sa.select(*chosen).select_from(joined)
            statement = statement.with_for_update(read=True) if lock else statement  # and nobody adds one
            yield from (statement.where(wanted) for wanted in self.named_rows(table, part, rows))

    def one_call_only(self, part: Part) -> bool:
        """Whether the schema itself says that a row belongs to one call at most by this way: each step of it matches
        a unique key of the row above, and columns of one type, which no conversion can make alike."""
        above, alone = self._calls, True
        for child in part.chain:
            table = self._tables[child.table]
            alike = all(table.columns[own].type == above.columns[up].type for own, up in child.match.items())
            named = any(key <= set(child.match.values()) for key in above.unique)
            alone, above = alone and alike and named, table
        return alone

    def refused_by_key(self, part: Part) -> bool:
        """Whether the database itself refuses to delete the row above while a row of this part names it."""
        above = part.chain[-2].table if len(part.chain) > 1 else self._call_table
        pairs = set(part.chain[-1].match.items())
        keys = self._tables[part.table].refusing
        return any(named == above and columns <= pairs for named, columns in keys)

    def key_columns(self, part: Part) -> list[Column]:
        """The columns that name a row of a part."""
        table = self._calls if part.grouped else self._tables[part.table]
        return [table.columns[name] for name in table.key]

    def columns(self, part: Part) -> list[Column]:
        """Of a row that stays, only what names it and what is cleared; of a row that goes, everything."""
        table = self._calls if part.grouped else self._tables[part.table]
        stays = part.detach or part.columns is not None
        found_by = part.chain[-1].match if part.chain else (self._call_key,)
        wanted = {*table.key, *found_by, *part.cleared, *part.beside} if stays else table.columns.keys()
        return [column for name, column in table.columns.items() if name in wanted]

    def joined(
        self, part: Part, keys: Sequence[Any] | sa.BindParameter[Any] | None = None, locks: bool = False
    ) -> tuple[sa.FromClause, sa.FromClause, sa.FromClause]:
        """The call's table, the part's, and both joined along the way from one to the other.

        Of calls of several rows the way begins at those rows, or at the keys, each once where they are given.
        """
        below: sa.FromClause = self._tables[self._call_table].table.alias("c0")
        calls = joined = below = self._keys_once(keys, locks) if self._begins_with_keys(part, keys) else below
        place, begun = self._tables[self._call_table], int(self._begins_with_legs(part))
        for depth, child in enumerate(part.chain[begun:], 1 + begun):
            above, below = below, self._tables[child.table].table.alias(f"c{depth}")
            mine, other = self._tables[child.table].columns, place.columns
            on = [
                columns_equal(self.dialect, (below, mine[one]), (above, other[two])) for one, two in child.match.items()
            ]
            on += child.where.expressions(below)
            joined = joined.join(below, sa.and_(*on))
            place = self._tables[child.table]
        return calls, below, joined

    def _begins_with_legs(self, part: Part) -> bool:
        first = part.chain[0] if part.chain else None
        return first is not None and self._legs == (first.table, dict(first.match)) and not first.detach

    def _begins_with_keys(self, part: Part, keys: Any) -> bool:
        return bool(self._legs and part.chain and keys is not None and not self._begins_with_legs(part))

    def _keys_once(self, keys: Any, locks: bool) -> sa.FromClause:
        table = self._tables[self._call_table].table
        wanted = column_in(self.dialect, table.c[self._call_key], keys or ())
        once = sa.select(table.c[self._call_key]).where(wanted, *self._calls_are.expressions(table)).distinct()
        # A plain read would fix what a transaction of MySQL sees before it holds its locks.
        return (once.with_for_update() if locks and self.dialect == "mysql" else once).subquery("c0")


def _row_is_among(dialect: str, table: sa.FromClause, key: tuple[str, ...], rows: pa.Table) -> sa.ColumnElement[bool]:
    if len(key) == 1:
        return column_in(dialect, table.c[key[0]], rows[key[0]].to_pylist())
    tuples = list(zip(*(rows[name].to_pylist() for name in key), strict=True))
    if dialect == "mysql" and tuples:
        named = sa.type_coerce(sa.tuple_(*(table.c[name] for name in key)), sa.types.NullType())
        return named.op("IN", is_comparison=True)(plain_bind(tuple(tuples)))
    return sa.or_(*(sa.and_(*(table.c[n] == plain_bind(v) for n, v in zip(key, row, strict=True))) for row in tuples))


def can_skip_locked(connection: sa.Connection) -> bool:
    """Whether the server knows SKIP LOCKED: MariaDB since 10.6, MySQL since 8.0.1. SQLite locks no rows."""
    dialect = connection.dialect
    if dialect.name == "sqlite":
        return False
    since = {"mariadb": (10, 6), "mysql": (10, 6) if getattr(dialect, "is_mariadb", False) else (8, 0, 1)}
    return tuple(dialect.server_version_info or ()) >= since.get(dialect.name, ())
