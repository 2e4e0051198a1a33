"""Whole rows of calls and of everything that belongs to them, as Arrow: one table a part, in the order of the row keys.

Children are matched inside the database, by its own collation; each row carries the key of its call as `_call_id`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import plain_bind
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.crm.mapping.row_condition import Condition
from lifecycle.crm.mapping.source import Child, Part, Source
from lifecycle.crm.reading.part_reader import Lock, read_rows
from lifecycle.crm.reading.part_statements import PartStatements, can_skip_locked
from lifecycle.crm.reading.row_tables import in_order, joined_tables, once
from lifecycle.evidence.comparison import CALL_ID

KEYS_A_STATEMENT = 1000

RowKey = tuple[Any, ...]


class Rows:
    """The rows behind calls, or behind one component of them, for one mapping on one database schema."""

    def __init__(
        self,
        source: Source,
        tables: Mapping[str, MappedTable],
        dialect: str,
        component: str | None = None,
        keys_a_statement: int | None = None,
    ) -> None:
        self.parts = source.parts(component)
        self.statements = PartStatements(source, tables, dialect, keys_a_statement)
        self._call_table, self._call_key = source.call.table, source.call.key
        self._tables, self._dialect, self._legs = tables, dialect, source.legs
        owned = (part for part in self.parts if part.chain and part.chain[-1].unless_named_by)
        self._namers = {p.table: {namer.table for namer in p.chain[-1].unless_named_by} for p in owned}

    @property
    def key(self) -> Column:
        """The column that names a call."""
        return self.statements.key

    @property
    def one_row_a_call(self) -> bool:
        """Whether a call is a row of the call table, and not several."""
        return self._legs is None

    def read(self, connection: sa.Connection, keys: Sequence[Any], most: int | None = None) -> dict[str, pa.Table]:
        """All rows of the named calls, by part.

        Raises UnreadableCalls where a value fits no Arrow type exactly, and CallsTooLarge where several calls have
        more than `most` bytes.
        """
        found = self._own(connection, keys, most)
        for part in (part for part in self.parts if part.name not in found):
            left = most - sum(table.nbytes for table in found.values()) if most and len(keys) > 1 else None
            found[part.name] = self._read_part(connection, part, keys, left)
        return found

    def lock(self, connection: sa.Connection, keys: Sequence[Any], skip: bool = False) -> dict[str, pa.Table]:
        """All rows of the named calls, by part; nobody changes them before the transaction ends.

        `skip`: of a call whose own row another transaction holds there is no row, where the database can skip it.
        """
        own = self._own(connection, keys, None, "skip" if skip and can_skip_locked(connection) else "wait")
        there = own[self.parts[0].name][CALL_ID].unique().to_pylist()
        others = [part for part in self.parts if part.name not in own]
        return {**own, **{part.name: self._read_part(connection, part, there, lock="wait") for part in others}}

    def _own(
        self, connection: sa.Connection, keys: Sequence[Any], most: int | None, lock: Lock = "none"
    ) -> dict[str, pa.Table]:
        """The calls' own rows; of calls of several those, none of them skipped, and the keys that they have."""
        first = self.parts[0]
        if self._legs is None:
            return {first.name: self._read_part(connection, first, keys, most if len(keys) > 1 else None, lock)}
        all_of_them: Lock = "none" if lock == "none" else "wait"
        rows = self._read_part(connection, self._legs, keys, most if len(keys) > 1 else None, all_of_them)
        named = pa.array(sorted(set(rows[CALL_ID].to_pylist())), self.key.type)
        return {first.name: pa.table([named, named], names=[CALL_ID, self._call_key]), self._legs.name: rows}

    def spelled(self, connection: sa.Connection, keys: Sequence[Any]) -> dict[Any, Any]:
        """Keys that the database finds under another spelling (`AbC` where one asks for `abc`), with that spelling."""
        calls, found = self._tables[self._call_table].table, dict[Any, Any]()
        for key in keys:
            live = connection.scalar(self.statements.every_call().where(calls.c[self._call_key] == plain_bind(key)))
            if live is not None and live != key:
                found[key] = live
        return found

    def live(self, connection: sa.Connection, keys: Sequence[Any]) -> list[Any]:
        """Which of the named calls the CRM still has, as it writes them; of a component: which still have any of it."""
        whole = self.parts[0].columns is None
        parts = self.parts[:1] if whole else [part for part in self.parts if not part.detach]
        wanted = (self.statements.presence(part, some) for part in parts for some in self.statements.chunks(keys))
        return list(dict.fromkeys(key for statement in wanted for key in connection.scalars(statement)))

    def live_as_named(self, connection: sa.Connection, keys: Sequence[Any]) -> list[Any]:
        """`live`, with each key as it is given here: the CRM may write it otherwise by now, and means the same call."""
        found = set(self.live(connection, keys))
        if found <= set(keys):
            return list(found)
        spelled = self.spelled(connection, [key for key in keys if key not in found])
        return [key for key in keys if key in found or spelled.get(key) in found]

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
        yield from connection.execution_options(yield_per=KEYS_A_STATEMENT).scalars(self.statements.every_call())

    def doubled_key(self, connection: sa.Connection) -> str | None:
        """A key that several rows of the call table have; None: it names one call each."""
        table = self._tables[self._call_table]
        if table.key == (self._call_key,) or self._legs is not None:
            return None
        column = table.table.c[self._call_key]
        found = connection.execute(sa.select(column).group_by(column).having(sa.func.count() > 1).limit(1)).first()
        return None if found is None else str(found[0])

    def row_key(self, part: Part) -> tuple[str, ...]:
        """The columns that name a row of a part."""
        return (self._call_key,) if part.grouped else self._tables[part.table].key

    def self_updating(self, part: Part) -> tuple[str, ...]:
        """The columns that the database writes anew at any update of a row of a part, but those that are cleared."""
        return tuple(name for name in self._tables[part.table].self_updating if name not in part.cleared)

    def tables_above(self, part: Part) -> frozenset[str]:
        """The tables through which the rows of a part are found."""
        return frozenset({self._call_table, *(child.table for child in part.chain[:-1])})

    def deletion_order(self) -> list[str]:
        """The tables of which rows go: what references another by a foreign key before it, else the deepest first."""
        waiting = list(dict.fromkeys(part.table for part in reversed(self.parts) if not part.detach))
        ordered: list[str] = []
        while waiting:
            named = {t for t in waiting for other in waiting if t in self._tables[other].references}
            named |= {t for t in waiting if not self._namers.get(t, set()).isdisjoint({*waiting} - {t})}
            free = (t for t in waiting if t not in named)
            ordered.append(next(free, waiting[0]))
            waiting.remove(ordered[-1])
        return ordered

    def named_still(self, connection: sa.Connection, part: Part, rows: pa.Table) -> set[RowKey]:
        """Of rows that others may own too the keys of those that some row names at this moment."""
        return {tuple(row) for each in self.statements.named_still(part, rows) for row in connection.execute(each)}

    def count_of_parents(self, connection: sa.Connection, part: Part, above: pa.Table, which: Condition) -> int:
        """How many rows of a part belong to these rows above them at this moment, of those that are meant."""
        table = self.mapped(part)
        count = sa.select(sa.func.count()).select_from(table).where(*which.expressions(table))
        count = count.with_for_update() if self._dialect == "mysql" else count
        return sum(connection.scalar(count.where(each)) or 0 for each in self.statements.of_parents(part, above))

    def part_above(self, part: Part) -> str | None:
        """The name of the part whose rows those of a part belong to; None: it is not among these rows."""
        wanted = part.chain[:-1]
        return next((p.name for p in self.parts if len(p.chain) == len(wanted) and _same(p.chain, wanted)), None)

    def mapped(self, part: Part) -> sa.TableClause:
        """The table of a part, for statements that write."""
        return self._tables[part.table].table

    def left(
        self, connection: sa.Connection, part: Part, keys: Sequence[Any], known: Collection[RowKey]
    ) -> RowKey | None:
        """The key of some row of a part that belongs to the named calls at this moment and is not known."""
        for some in self.statements.chunks(keys):
            # Without LIMIT, for which a database that expects many rows reads the whole table.
            wanted = self.statements.rows_of(part, some, self.statements.key_columns(part))
            rows = connection.execute(wanted.with_for_update() if self._dialect == "mysql" else wanted)
            found = next((row for row in (tuple(found[1:]) for found in rows) if row not in known), None)
            if found is not None:
                return found
        return None

    def cleared(self) -> dict[str, tuple[str, ...]]:
        """By part, the columns that the purge of another call sets to NULL. None of them is of a component."""
        mine = self.parts if self.parts[0].columns is None else ()
        links = [(part.table, name) for part in mine for name in part.detach]
        found = {p.name: tuple(name for table, name in links if table == p.table) for p in mine if not p.detach}
        return {name: columns for name, columns in found.items() if columns}

    def _read_part(
        self, connection: sa.Connection, part: Part, keys: Sequence[Any], most: int | None = None, lock: Lock = "none"
    ) -> pa.Table:
        columns, read = self._columns(part), [self.empty(part)]
        for some in self.statements.chunks(keys):
            left = most - sum(table.nbytes for table in read) if most is not None else None
            read += read_rows(connection, self.statements, part, some, columns, left, lock)
        key = self.row_key(part)
        twice = key and any(not self._tables[child.table].key for child in part.chain[:-1])
        found = in_order(joined_tables(read), key)
        return once(found, (CALL_ID, *key)) if twice else found

    def empty(self, part: Part) -> pa.Table:
        """No row of a part, with every column."""
        return pa.schema([(column.name, column.type) for column in self._columns(part)]).empty_table()

    def _columns(self, part: Part) -> list[Column]:
        return [Column(CALL_ID, self.key.type), *self.statements.columns(part)]


def _same(chain: Sequence[Child], other: Sequence[Child]) -> bool:
    return all(one is two for one, two in zip(chain, other, strict=True))
