"""Calls counted by what decides about them, in the database: the statements. Running them is `counted`'s.

A day matters only beside a cutoff. Between two of them all times fall into one group; beside one the time itself is
the group, so that no zone, no change of the clocks and no way to write a time can make a difference. What a group
cannot say (a call of several rows, one that a hold may be on) is left to be asked for singly.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.bound_values import ValuesOrSelect, column_named_in, exact_text
from lifecycle.crm.reading.day_bounds import ZONE_TOLERANCE, is_in_calendar, may_touch_days
from lifecycle.crm.reading.fact_columns import FactColumn, readable
from lifecycle.crm.reading.links import Links
from lifecycle.crm.reading.scope_sql import may_be_one_of
from lifecycle.crm.reading.time_forms import TimeForm
from lifecycle.policy.documents.hold import HoldScope

INDUSTRY_FACT = "industry"
Span = tuple[date | None, date | None]
Spans = Mapping[str, tuple[Span, ...]]


@dataclass(frozen=True, slots=True)
class RowsInReach:
    """Rows of some industries, as the CRM writes them.

    `spans`: by time fact the days, both included, of which one must hold the row; None: every row. `scopes`: one of
    them, as a hold's; none: every row. `singly`: these rows are never grouped.
    """

    industries: tuple[str, ...]
    spans: Spans | None = None
    scopes: tuple[HoldScope, ...] = ()
    singly: bool = False


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which rows to count, and by what.

    `marks`: by time fact the days after which an answer may differ. `words`: facts to tell apart as they are. `flags`:
    facts that matter only where a time fact lies on or before its day in `past`; elsewhere they are not asked for.
    `singly`: scopes of holds; `present`: facts whose calls must be asked for one by one where they are not NULL.
    """

    reaches: tuple[RowsInReach, ...]
    marks: Mapping[str, frozenset[date]]
    words: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    past: Mapping[str, date] = field(default_factory=dict)
    singly: tuple[HoldScope, ...] = ()
    present: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FactsQuery:
    """The rows of a facts query, and what is known of it: dialect, its facts, how times are written, which are text."""

    query: Any
    dialect: str
    columns: Mapping[str, FactColumn]
    forms: Mapping[str, TimeForm]
    times: Callable[[Any], Sequence[tuple[sa.ColumnElement[Any], TimeForm]]]
    written: frozenset[str]
    links: Links

    @property
    def names(self) -> frozenset[str]:
        """The facts that are columns."""
        return frozenset(self.columns)


def group_statement(
    asked: FactsQuery, by: Grouping, call_id: sa.ColumnElement[Any], apart: Sequence[ValuesOrSelect]
) -> Any:
    """The statement: industry, words, flags, a time of each time fact, `calls`, `first` and `last` call id.

    `apart`: statements or lists of the calls to leave out.
    """
    c = asked.query.c
    wanted = [_in_reach(asked, c, reach) for reach in by.reaches if not reach.singly]
    where = [sa.or_(*wanted), _is_not(_singly(asked, c, by))]
    where += [_is_not(column_named_in(asked.dialect, c.call_id, each)) for each in apart]
    texts = sorted({INDUSTRY_FACT, *by.words} & asked.names)
    flags, times = sorted(by.flags & asked.names), sorted(by.marks.keys() & asked.names)
    matters = sa.or_(
        sa.false(), *(_between(c[name], asked.forms[name], (None, day)) for name, day in by.past.items() if name in c)
    )
    inner = sa.select(
        call_id.label("call_id"),
        *(readable(asked.dialect, asked.columns[name].kind, c[name]).label(name) for name in texts),
        *(sa.case((matters, c[name])).label(name) for name in flags),
        *(column for name in times for column in _time(asked, name, by.marks[name])),
    ).where(*where)
    rows = inner.subquery("r")
    keys = [exact_text(asked.dialect, rows.c[name]) for name in (*texts, *flags)]
    keys += [rows.c[f"{name}{part}"] for name in times for part in ("_between", "_beside")]
    least = [sa.func.min(rows.c[name]).label(name) for name in times]
    same = [_any(asked.dialect, rows.c[name]).label(name) for name in (*texts, *flags)]
    ends = [sa.func.count().label("calls"), sa.func.min(rows.c.call_id).label("first")]
    return sa.select(*same, *least, *ends, sa.func.max(rows.c.call_id).label("last")).group_by(*keys)


def industry_spellings(asked: FactsQuery, spans: Spans | None) -> sa.Select[Any]:
    """The industries, as they are written, of the rows that have a day in one of the spans; None: of every row."""
    c = asked.query.c
    return sa.select(exact_text(asked.dialect, c[INDUSTRY_FACT])).where(_in_spans(asked, c, spans)).distinct()


def calls_of_several_rows(asked: FactsQuery, by: Grouping) -> sa.Select[Any]:
    """The calls in reach that have more than one row of facts."""
    inner, outer = asked.query.alias("s"), asked.query.alias("t")
    near = sa.select(inner.c.call_id).where(sa.or_(*(_in_reach(asked, inner.c, reach) for reach in by.reaches)))
    return (
        sa.select(outer.c.call_id)
        .where(outer.c.call_id.in_(near))
        .group_by(outer.c.call_id)
        .having(sa.func.count() > 1)
    )


def calls_asked_singly(asked: FactsQuery, by: Grouping) -> sa.Select[Any]:
    """The calls in reach that no group can speak for, but for those of several rows."""
    inner = asked.query.alias("o")
    wanted = [
        _in_reach(asked, inner.c, reach) if reach.singly else
        sa.and_(_in_reach(asked, inner.c, reach), _singly(asked, inner.c, by))
        for reach in by.reaches
    ]  # fmt: skip
    return sa.select(inner.c.call_id).where(sa.or_(*wanted))


def asks_for_single_calls(by: Grouping) -> bool:
    """Whether any call could be asked for singly, those of several rows apart."""
    return bool(by.reaches) and bool(by.singly or by.present or any(reach.singly for reach in by.reaches))


def _in_reach(asked: FactsQuery, c: Any, reach: RowsInReach) -> sa.ColumnElement[bool]:
    parts: list[sa.ColumnElement[bool]] = [exact_text(asked.dialect, c[INDUSTRY_FACT]).in_(reach.industries)]
    parts.append(_in_spans(asked, c, reach.spans))
    if reach.scopes:
        parts.append(sa.or_(*(_in_scope(asked, c, scope) for scope in reach.scopes)))
    return sa.and_(*parts)


def _in_spans(asked: FactsQuery, c: Any, spans: Spans | None) -> sa.ColumnElement[bool]:
    if spans is None:
        return sa.true()
    given = [(name, span) for name, several in spans.items() for span in several if name in asked.names]
    return sa.or_(sa.false(), *(_between(c[name], asked.forms[name], span) for name, span in given))


def _singly(asked: FactsQuery, c: Any, by: Grouping) -> sa.ColumnElement[bool]:
    held = (_in_scope(asked, c, scope) for scope in by.singly)
    return sa.or_(sa.false(), *held, *(c[name].is_not(None) for name in sorted(by.present & asked.names)))


def _in_scope(asked: FactsQuery, c: Any, scope: HoldScope) -> sa.ColumnElement[bool]:
    """At least the rows in a scope: what the database compares otherwise than the law does is not asked."""
    parts: list[sa.ColumnElement[bool]] = [sa.true()]
    for name, values in scope.wanted().items():
        if name in asked.links.names:
            parts.append(c.call_id.in_(asked.links.calls_with(name, values)))
        elif name in asked.names and name != INDUSTRY_FACT:
            parts.append(may_be_one_of(asked.dialect, c[name], asked.columns[name], values))
    return sa.and_(may_touch_days(asked.times(c), scope.first_day, scope.last_day), *parts)


def _time(asked: FactsQuery, name: str, marks: Iterable[date]) -> Sequence[sa.ColumnElement[Any]]:
    """A time, the number of the stretch between marks it lies in, and itself where it lies beside one."""
    column, form, beside = asked.query.c[name], asked.forms[name], _beside(marks)
    given = readable(asked.dialect, asked.columns[name].kind, column)
    ends = [end for zone in beside for end in zone]
    stretch = sa.case(*((form.before(column, end), number) for number, end in enumerate(ends)), else_=len(ends))
    near = sa.or_(sa.false(), *(sa.and_(form.since(column, low), form.before(column, high)) for low, high in beside))
    if (
        name in asked.written or not form.comparable
    ):  # text in a database that has dates: nobody knows how it is written
        return given.label(name), sa.literal(0).label(f"{name}_between"), given.label(f"{name}_beside")
    if asked.dialect == "sqlite":  # it compares texts, which is right for those that begin with a day
        is_day = sa.func.date(column) == sa.func.substr(column, 1, 10)
        near = sa.or_(near, _is_not(is_day if form.plain else sa.func.typeof(column).in_(["integer", "real"])))
    return given.label(name), stretch.label(f"{name}_between"), sa.case((near, given)).label(f"{name}_beside")


def _beside(marks: Iterable[date]) -> list[tuple[date, date]]:
    """The days around each mark that some zone might move across it, those that overlap in one."""
    found: list[tuple[date, date]] = []
    for mark in sorted(mark for mark in marks if is_in_calendar(mark)):
        low, high = mark - ZONE_TOLERANCE, mark + ZONE_TOLERANCE
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _between(column: sa.ColumnElement[Any], form: TimeForm, span: Span) -> sa.ColumnElement[bool]:
    first, last = span
    parts: list[sa.ColumnElement[bool]] = [column.is_not(None)]
    parts += [form.since(column, first - ZONE_TOLERANCE)] if first and is_in_calendar(first) else []
    parts += [form.before(column, last + ZONE_TOLERANCE)] if last and is_in_calendar(last) else []
    return sa.and_(*parts)


def _any(dialect: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.min(column) if dialect == "mysql" else column


def _is_not(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """True also where the condition is NULL."""
    return sa.case((condition, 1), else_=0) == 0
