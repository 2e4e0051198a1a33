"""Which rows of a table: conditions as a mapping writes them, asked in SQL and of values that were read.

{kind: Call}                      equals
{kind: [Call, Meeting]}           is one of
{deleted: false, ended: null}     both; null asks for NULL
{status: {not: [Planned, null]}}  everything but; a NULL counts as a value of its own
[{kind: Call}, {other: Call}]     one of several
{kind: {select: "SELECT …"}}      one of the values that the CRM itself gives, asked once when it is opened
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BeforeValidator

Scalar = str | int | bool | date | None
_SCALARS = (str, int, bool, date)


@dataclass(frozen=True, slots=True)
class ColumnTest:
    """One column of a condition: the values it may have (`excluded`: may not have), or the SQL that gives them."""

    column: str
    values: tuple[Scalar, ...]
    excluded: bool = False
    select: str | None = None
    begins: str | None = None

    def expression(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """The test in SQL: true for the rows that are meant, and for no other. NULL is a value like any other."""
        column = table.c[self.column]
        if self.begins is not None:
            first = sa.func.substr(column, 1, len(self.begins))
            return sa.and_(column.is_not(None), column.startswith(self.begins, autoescape=True), first == self.begins)
        given = [_bound(value) for value in self.values if value is not None]
        among = [column == given[0]] if len(given) == 1 else [column.in_(given)] if given else []
        if self.excluded:
            differs = sa.and_(column.is_not(None), *(sa.not_(one) for one in among))
            return differs if None in self.values else sa.or_(column.is_(None), differs)
        return sa.or_(sa.false(), *among, *([column.is_(None)] if None in self.values else []))

    def holds(self, value: Any) -> bool:
        """The test of a value that was read."""
        if self.begins is not None:
            return value is not None and str(value).startswith(self.begins)
        return any(_same(value, one) for one in self.values) != self.excluded


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows that pass every test of one of the alternatives. No alternative at all: every row."""

    alternatives: tuple[tuple[ColumnTest, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alternatives)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is asked for."""
        return tuple(dict.fromkeys(test.column for tests in self.alternatives for test in tests))

    @property
    def fixed(self) -> tuple[str, ...]:
        """The columns that have one value in every row, as an index begins with them."""
        if len(self.alternatives) != 1:
            return ()
        return tuple(test.column for test in self.alternatives[0] if len(test.values) == 1 and not test.excluded)

    @property
    def listed(self) -> dict[str, frozenset[str]]:
        """By column the texts, in small letters, of which every row that is meant has one; of some columns."""
        tests = self.alternatives[0] if len(self.alternatives) == 1 else ()
        plain = [test for test in tests if test.values and None not in test.values and not test.excluded]
        return {test.column: frozenset(_plain(value).lower() for value in test.values) for test in plain}

    @property
    def given(self) -> Iterator[tuple[str, str | int]]:
        """Each column with each text or number that it is compared with."""
        for test in (test for tests in self.alternatives for test in tests):
            yield from ((test.column, v) for v in test.values if isinstance(v, str | int) and not isinstance(v, bool))

    @property
    def selects(self) -> Iterator[str]:
        """The SQL whose values are still to be asked for."""
        return (test.select for tests in self.alternatives for test in tests if test.select is not None)

    def expressions(self, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """The condition as what a WHERE or ON joins by AND."""
        if not self.alternatives:
            return []
        if len(self.alternatives) == 1:
            return [test.expression(table) for test in self.alternatives[0]]
        return [sa.or_(*(sa.and_(*(test.expression(table) for test in tests)) for tests in self.alternatives))]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row that was read is meant."""
        return not self.alternatives or any(
            all(test.holds(row[test.column]) for test in tests) for tests in self.alternatives
        )

    def renamed(self, name: Callable[[str], str]) -> "Condition":
        """The same about columns of other names."""
        return Condition(tuple(tuple(replace(t, column=name(t.column)) for t in tests) for tests in self.alternatives))

    def resolved(self, ask: Callable[[str], Sequence[Any]]) -> "Condition":
        """The same with the CRM's own values instead of the SQL that gives them."""
        found = tuple(
            tuple(t if t.select is None else replace(t, values=tuple(ask(t.select)), select=None) for t in tests)
            for tests in self.alternatives
        )
        return Condition(found)


def read_condition(value: Any) -> Condition:
    """A condition as a file writes it. Raises ValueError."""
    if isinstance(value, Condition):
        return value
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) and one for one in listed) or not listed:
        raise ValueError(f"expected columns with their values, or a list of such, found {value!r}")
    return Condition(tuple(tuple(_test(str(name), said) for name, said in one.items()) for one in listed))


def _test(column: str, said: Any) -> ColumnTest:
    if isinstance(said, dict):
        if set(said) == {"not"}:
            return ColumnTest(column, _values(column, said["not"]), excluded=True)
        if set(said) == {"select"} and isinstance(said["select"], str):
            return ColumnTest(column, (), select=said["select"])
        if set(said) == {"begins"} and isinstance(said["begins"], str):
            return ColumnTest(column, (), begins=said["begins"])
        raise ValueError(f"{column}: expected a value, a list, not, begins or select, found {said!r}")
    return ColumnTest(column, _values(column, said))


def _values(column: str, said: Any) -> tuple[Scalar, ...]:
    listed = said if isinstance(said, list) else [said]
    if not listed or not all(one is None or isinstance(one, _SCALARS) for one in listed):
        raise ValueError(f"{column}: expected a text, a number, true, false, null or a list of them, found {said!r}")
    return tuple(listed)


def _bound(value: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(None, value, type_=sa.types.NullType())


def _same(value: Any, said: Scalar) -> bool:
    if value is None or said is None:
        return value is said
    return _plain(value) == _plain(said)


def _plain(value: Any) -> str:
    """Yes and no as numbers: some databases have no other."""
    return str(int(value)) if isinstance(value, bool) else str(value)


EVERY_ROW = Condition()
Where = Annotated[Condition, BeforeValidator(read_condition)]
