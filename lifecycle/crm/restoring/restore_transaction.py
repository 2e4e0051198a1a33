"""The restore transaction: insert, parents first; read back, compare column by column, note it, commit.

All or nothing a call. Which calls are to come back, and as what, is the caller's; so is what is noted.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.database import Database
from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.purging.row_failures import ROW_FAILURES, reason_to_set_aside
from lifecycle.crm.reading.rows import Rows
from lifecycle.crm.restoring.planner_beliefs import join_by_sets, long_lists
from lifecycle.crm.restoring.references import Reference, own_parents, tied_calls
from lifecycle.crm.restoring.restored_rows import (
    are_distinct,
    as_live,
    in_key_order,
    in_row_order,
    parents_first,
    without_known,
)
from lifecycle.crm.restoring.row_writer import insert_rows, set_where_empty, taking_values_as_they_are
from lifecycle.evidence.comparison import CALL_ID, find_differences, of_one_width, rows_of_calls

Note = Callable[[sa.Connection, Sequence[Any]], None]


class RestoredOtherwise(Exception):
    """What is in the database now is not what was archived; the transaction is rolled back. Carries why, by call."""

    def __init__(self, reasons: Mapping[Any, str]) -> None:
        super().__init__("; ".join(sorted(set(reasons.values()))))
        self.reasons = reasons


@dataclass
class RestoredSlice:
    """What transactions did: the calls that are back, those that are not and why, the links not set again."""

    restored: list[Any] = field(default_factory=list)
    refused: dict[Any, str] = field(default_factory=dict)
    links_left: int = 0


class RestoreTransaction:
    """Puts calls of one database back, some a transaction. `component`: one of a call that is live."""

    def __init__(
        self,
        database: Database,
        rows: Rows,
        tables: Mapping[str, MappedTable],
        references: Sequence[Reference] = (),
        component: str | None = None,
    ) -> None:
        self._database, self._rows, self._tables, self._component = database, rows, tables, component
        self._own_parents, self._references = own_parents(references), references

    def tied_calls(self, archived: Mapping[str, pa.Table]) -> set[Any] | None:
        """The calls that may need rows of others among these, or the others theirs: they are put back in one
        transaction after the other, the rest in two at a time. None: all of them. SQLite takes one writer."""
        parts = [part for part in self._rows.parts if part.name in archived and archived[part.name].num_rows]
        if self._database.dialect == "sqlite" or any(part.shared for part in parts):
            return None
        rows, linked = dict[str, list[pa.Table]](), set[Any]()
        for part in (part for part in parts if not part.detach):
            rows.setdefault(part.table, []).append(archived[part.name])
        for part in (part for part in parts if part.detach):
            links, key = archived[part.name], self._rows.key.name
            if part.table in rows and (part.table != self._rows.parts[0].table or key not in links.column_names):
                return None
            own = links[key].to_pylist() if part.table in rows else ()  # the call whose row has the link
            linked |= {*links[CALL_ID].to_pylist(), *own}
        tied = tied_calls(self._references, rows)
        return None if tied is None else tied | linked

    def restore(self, keys: Sequence[Any], archived: Mapping[str, pa.Table], note: Note) -> RestoredSlice:
        """Put the named calls back. Where one makes the transaction fail, the others are tried without it.

        `archived`: by part, the rows as they were, with _call_id. `note` commits with them.
        """
        if not keys:
            return RestoredSlice()
        try:
            return self._transaction(keys, archived, note)
        except RestoredOtherwise as error:
            rest = [key for key in keys if key not in error.reasons]
            done = self.restore(rest, archived, note)
            done.refused |= error.reasons
            return done
        except ROW_FAILURES as error:
            if len(keys) == 1:
                return RestoredSlice(refused={keys[0]: reason_to_set_aside(error)})
        half = len(keys) // 2
        done, other = self.restore(keys[:half], archived, note), self.restore(keys[half:], archived, note)
        return RestoredSlice(
            done.restored + other.restored, done.refused | other.refused, done.links_left + other.links_left
        )

    def _transaction(self, keys: Sequence[Any], archived: Mapping[str, pa.Table], note: Note) -> RestoredSlice:
        mine = rows_of_calls(archived, pa.array(keys, self._rows.key.type))
        done, dialect = RestoredSlice(list(keys)), self._database.dialect
        with self._database.writing() as connection, long_lists(connection):
            if self._component is None and (live := self._rows.live_as_named(connection, keys)):
                raise RestoredOtherwise(dict.fromkeys(live, "taken: a call with its id is in the CRM"))
            with taking_values_as_they_are(connection, dialect):
                inserted = {
                    self._tables[name].table: self._insert(connection, name, mine)
                    for name in reversed(self._rows.deletion_order())
                }
                for part in self._rows.parts:
                    done.links_left += self._set(connection, part, mine.get(part.name))
            if dialect == "postgresql":  # or a deferred trigger would write after the look
                connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
                join_by_sets(connection, inserted)
            reasons = self._differences(connection, keys, mine)
            if reasons:
                raise RestoredOtherwise(reasons)
            note(connection, keys)
        return done

    def _insert(self, connection: sa.Connection, name: str, mine: Mapping[str, pa.Table]) -> int:
        """Insert the rows of one table, each once, whichever parts they are in; gives how many."""
        table, known, inserted = self._tables[name], set[tuple[Any, ...]](), 0
        whole = [part for part in self._rows.parts if part.table == name and not part.detach and part.columns is None]
        parts = [part for part in whole if part.name in mine]
        for part in parts:
            live = as_live(mine[part.name], table)
            if part.shared or len(parts) > 1 or not are_distinct(live, table.key):
                there = self._there(connection, part, live) if part.shared else ()
                live = without_known(live, table.key, known, there)
            live = parents_first(in_key_order(live, table.key), self._own_parents.get(name, {}))
            insert_rows(connection, self._database.dialect, table.table, live)
            inserted += live.num_rows
        return inserted

    def _there(self, connection: sa.Connection, part: Part, rows: pa.Table) -> Collection[tuple[Any, ...]]:
        """Of rows that other calls may own too the keys of those that are there still."""
        statements, table = self._rows.statements, self._rows.mapped(part)
        columns = [column.expression(table) for column in statements.key_columns(part)]
        asked = (sa.select(*columns).where(wanted) for wanted in statements.named_rows(table, part, rows))
        return {tuple(row) for each in asked for row in connection.execute(each)}

    def _set(self, connection: sa.Connection, part: Part, rows: pa.Table | None) -> int:
        """Set cleared columns again: links in rows that stayed, and the columns of a component. Gives how many links
        could not be: their rows name something else by now."""
        if rows is None or not part.cleared or (part.columns is None and not part.detach):
            return 0
        key, as_is = self._rows.row_key(part), self._rows.self_updating(part)
        missed = set_where_empty(connection, self._rows.mapped(part), key, part.cleared, as_is, rows)
        if missed and part.columns is not None:
            raise RestoredOtherwise({row[key[0]]: "taken: the CRM has another value there" for row in missed})
        return len(missed)

    def _differences(
        self, connection: sa.Connection, keys: Sequence[Any], mine: Mapping[str, pa.Table]
    ) -> dict[Any, str]:
        """The calls whose rows are not now what was archived, each with the part that differs."""
        found = self._rows.read(connection, keys)
        parts = [part for part in self._rows.parts if not part.detach]
        ours, theirs = dict[str, pa.Table](), dict[str, pa.Table]()
        for part in parts:
            live, archived = found[part.name], mine.get(part.name)
            if archived is None:
                theirs |= {part.name: live} if live.num_rows else {}
                continue
            columns = [name for name in archived.column_names if name == CALL_ID or name in live.column_names]
            with suppress(pa.ArrowException):  # a value that the archived type cannot hold is another one
                live = live.select(columns).cast(_schema(archived, columns))
            order = self._rows.row_key(part)
            ours[part.name] = in_row_order(archived.select(columns), order)
            theirs[part.name] = in_row_order(live, order)
        return {
            key: f"otherwise: {why}, compared with the archived ones"
            for key, why in find_differences(of_one_width(ours, theirs), of_one_width(theirs, ours)).items()
        }


def _schema(archived: pa.Table, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([archived.schema.field(name) for name in columns])
