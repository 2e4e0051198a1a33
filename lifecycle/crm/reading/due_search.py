"""How the calls are found that a night may let go: statements that give their keys. Their facts are `facts`'s.

A fact that the facts query computes has no index. Where the mapping names a column of the call table that is never
later (`found_by`), calls are found by that one, and the rest of the night sees the fact itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators

from lifecycle.crm.database import Database
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.fact_columns import TIMES, FactColumn, fact_columns
from lifecycle.crm.reading.fact_selection import Cutoffs, may_be_due, not_false
from lifecycle.crm.reading.time_forms import TimeForm, fact_form
from lifecycle.policy.evaluation.distinct_cases import presence_fact


class DueSearch:
    """Statements over one facts query and the call table beside it."""

    def __init__(self, database: Database, source: Source, query: Any, forms: Mapping[str, TimeForm]) -> None:
        self._dialect, self._source, self._query, self._forms = database.dialect, source, query, forms
        self._calls = _call_table(source)
        self._by = _forms_of_columns(database, source) if source.found_by else {}

    def may_go(self, cutoffs: Cutoffs) -> list[sa.Select[Any]]:
        """The keys of at least the calls that may be due, whole or one component, or that have no usable trigger."""
        found = [*self._by_column(cutoffs), *self._by_fact(cutoffs.latest, cutoffs.as_of)]
        for component, latest in cutoffs.components.items():
            found += self._of_component(presence_fact(component), latest, cutoffs.as_of)
        return found

    def _by_column(self, cutoffs: Cutoffs) -> Iterator[sa.Select[Any]]:
        """Of whole calls, by the columns that stand for facts."""
        latest = {name: day for name, day in cutoffs.latest.items() if name in self._by}
        wanted = list(may_be_due(self._columns(), self._by, latest, cutoffs.as_of))
        yield from map(self._keys_of_table, self._asked_apart(wanted))

    def _by_fact(self, latest: Mapping[str, date | None], as_of: date) -> Iterator[sa.Select[Any]]:
        inner = self._query.alias("g")
        others = {name: day for name, day in latest.items() if name not in self._by}
        for wanted in self._asked_apart(list(may_be_due(inner.c, self._forms, others, as_of))):
            yield sa.select(inner.c.call_id).where(wanted)

    def _of_component(self, presence: str, latest: Mapping[str, date | None], as_of: date) -> Iterator[sa.Select[Any]]:
        inner = self._query.alias("g")
        if presence not in inner.c:
            return
        for name, day in latest.items():
            for wanted in may_be_due(inner.c, self._forms, {name: day}, as_of):
                found = sa.select(inner.c.call_id).where(not_false(inner.c[presence]), wanted)
                for early in may_be_due(self._columns(), self._by, {name: day} if name in self._by else {}, as_of):
                    found = found.where(inner.c.call_id.in_(self._keys_of_table(early)))
                yield found

    def _asked_apart(self, wanted: Sequence[sa.ColumnElement[bool]]) -> Sequence[sa.ColumnElement[bool]]:
        """What one statement may ask at once. SQLite knows no distribution: two ranges of an index are a scan to it."""
        if self._dialect == "sqlite":
            return [one for each in wanted for one in _alternatives(each)]
        return [sa.or_(*wanted)] if wanted else []

    def _keys_of_table(self, wanted: sa.ColumnElement[bool]) -> sa.Select[Any]:
        where = self._source.call.where.expressions(self._calls)
        found = sa.select(self._calls.c[self._source.call.key]).where(wanted, *where)
        return found.distinct() if self._source.call.group_by else found

    def _columns(self) -> dict[str, Any]:
        return {name: self._calls.c[self._source.found_by[name]] for name in self._by}


def _alternatives(wanted: sa.ColumnElement[bool]) -> Iterator[sa.ColumnElement[bool]]:
    if isinstance(wanted, sa.BooleanClauseList) and wanted.operator is operators.or_:
        for one in wanted.clauses:
            yield from _alternatives(one)
    else:
        yield wanted


def _call_table(source: Source) -> sa.TableClause:
    schema, table = split_name(source.call.table)
    names = dict.fromkeys((source.call.key, *source.call.where.columns, *source.found_by.values()))
    quoted: list[sa.ColumnClause[Any]] = [sa.column(sa.sql.quoted_name(name, True)) for name in names]
    home = sa.sql.quoted_name(schema, True) if schema else None
    return sa.table(sa.sql.quoted_name(table, True), *quoted, schema=home)


def _forms_of_columns(database: Database, source: Source) -> dict[str, TimeForm]:
    """By fact, how the column that stands for it is written."""
    statement = sa.select(*(_call_table(source).c[name] for name in dict.fromkeys(source.found_by.values())))
    with database.reading() as connection:
        given = fact_columns(connection, str(statement.compile(connection)))
    kinds = {column.name: column.kind for column in given}
    # What `times` says of a computed fact is said of the fact: a column of a time type speaks for itself, to the day.
    plain = source.model_copy(update={"times": {}})
    return {
        fact: fact_form(
            plain if kinds[column] in TIMES else source, FactColumn(fact, kinds[column], False), database.dialect
        )
        for fact, column in source.found_by.items()
    }
