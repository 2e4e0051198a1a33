"""The calls of a CRM counted in groups, and the few that no group can speak for. What is asked for is in `groups`."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import ValuesOrSelect
from lifecycle.crm.database import Database
from lifecycle.crm.reading.facts import Facts
from lifecycle.crm.reading.group_statements import (
    FactsQuery,
    Grouping,
    Spans,
    asks_for_single_calls,
    calls_asked_singly,
    calls_of_several_rows,
    group_statement,
    industry_spellings,
)

_FEW = 5_000


def industries_written(connection: sa.Connection, facts: Facts, spans: Spans | None) -> list[str]:
    """The industries the CRM writes in rows that have a day in one of the spans, each spelling once."""
    asked = _asked(facts, connection.dialect.name, frozenset())
    found = connection.execute(industry_spellings(asked, spans))
    return [text for text in facts.tables.typed("industry", [row[0] for row in found]).to_pylist() if text is not None]


class GroupedCounts:
    """One question to the facts of a CRM, in one snapshot. Every call in reach is in exactly one of its answers."""

    def __init__(self, connection: sa.Connection, database: Database, facts: Facts, by: Grouping) -> None:
        self._connection, self._dialect, self._facts, self._by = connection, database.dialect, facts, by
        names = frozenset(facts.names)
        self._asked = _asked(facts, database.dialect, self._written(names))
        several = self._several_rows() if by.reaches else None
        requested = facts.requested(connection)
        self._apart: list[ValuesOrSelect] = [
            *([several] if several is not None else []),
            *([requested] if requested else []),
        ]

    def groups(self) -> tuple[pa.Table, pa.Table]:
        """Calls of one row each, counted by what decides about them.

        A table of facts, a row a group, its call_id the row's number; and beside it `calls` (how many), `first` and
        `last` (the least and the greatest of their keys, as records name them).
        """
        rows: Sequence[Any] = ()
        names: list[str] = []
        if any(not reach.singly for reach in self._by.reaches):
            result = self._connection.execute(group_statement(self._asked, self._by, self._key(), self._apart))
            rows, names = result.fetchall(), list(result.keys())
        columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
        facts = {
            name: self._facts.tables.typed(name, columns.get(name, ())) for name in self._asked.names if name in columns
        }
        number = pa.array(range(len(rows)), pa.int64())
        ends = {name: pa.array(map(_text, columns.get(name, ())), pa.string()) for name in ("first", "last")}
        calls = pa.array(columns.get("calls", ()), pa.int64())
        nothing = {"industry": pa.array([], pa.string())}
        return pa.table({"call_id": number, **(facts or nothing)}), pa.table({"calls": calls, **ends})

    def singly(self) -> Iterator[pa.Table]:
        """Every fact of the calls that `groups` leaves out; whole calls, some tens of thousands a table."""
        wanted: list[ValuesOrSelect] = (
            [calls_asked_singly(self._asked, self._by)] if asks_for_single_calls(self._by) else []
        )
        wanted += self._apart
        return self._facts.named(self._connection, wanted) if wanted else iter(())

    def _several_rows(self) -> ValuesOrSelect | None:
        """The calls of several rows: named where they are few, else asked for again by each statement. None: none."""
        statement = calls_of_several_rows(self._asked, self._by)
        found = [row[0] for row in self._connection.execute(statement.limit(_FEW + 1))]
        return statement if len(found) > _FEW else found or None

    def _written(self, names: frozenset[str]) -> frozenset[str]:
        """The times that are text where the database has a type for times."""
        if self._dialect == "sqlite":
            return frozenset()
        return frozenset(name for name in self._by.marks.keys() & names if self._is_text(self._facts.query.c[name]))

    def _is_text(self, column: sa.ColumnElement[Any]) -> bool:
        return isinstance(self._connection.scalar(sa.select(column).where(column.is_not(None)).limit(1)), str | bytes)

    def _key(self) -> sa.ColumnElement[Any]:
        """A call's key in a type that has a least value: PostgreSQL's UUIDs and bytes have none."""
        column = self._facts.query.c.call_id
        return sa.cast(column, sa.Text) if self._dialect == "postgresql" else column


def _asked(facts: Facts, dialect: str, written: frozenset[str]) -> FactsQuery:
    return FactsQuery(facts.query, dialect, facts.columns, facts.forms, facts.call_times, written, facts.links)


def _text(key: Any) -> str:
    """A key as records name it. PostgreSQL writes bytes as \\x and hex."""
    return key.hex() if isinstance(key, bytes) else str(key).removeprefix("\\x")
