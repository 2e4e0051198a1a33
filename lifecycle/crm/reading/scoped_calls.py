"""The calls that may be in the scope of a hold or of a question, found in SQL: at least those, perhaps some more.

What is unknown may be in any scope. Which of them are is decided on their facts, by `policy.evaluation`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in
from lifecycle.crm.control.request_table import keys_of
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.day_bounds import may_touch_days
from lifecycle.crm.reading.fact_columns import FactColumn
from lifecycle.crm.reading.fact_selection import Narrowing
from lifecycle.crm.reading.links import Links
from lifecycle.crm.reading.scope_sql import may_be_one_of
from lifecycle.crm.reading.time_forms import TimeForm, time_form


class ScopedCalls:
    """What to ask a facts query for, so that it gives the calls of a scope. `forms`: of its time facts."""

    def __init__(
        self,
        dialect: str,
        source: Source,
        key: Column,
        columns: Mapping[str, FactColumn],
        forms: Mapping[str, TimeForm],
        links: Links,
    ) -> None:
        self._dialect, self._key, self._columns, self._forms, self._links = dialect, key, columns, forms, links
        self._zone = time_form(None, source.timezone)

    def keys(self, query: Any, scopes: Sequence[Narrowing]) -> sa.Select[Any]:
        """The keys of the calls that may be in one of the scopes. `query`: the facts, a column each."""
        return sa.select(query.c.call_id).where(sa.or_(*(self.may_be_in(query, scope) for scope in scopes)))

    def may_be_in(self, query: Any, scope: Narrowing, unknown: bool = True) -> sa.ColumnElement[bool]:
        """Whether a row of facts may be in a scope. `unknown`: one of which nobody knows counts."""
        asked = [self._has(query.c, name, texts, unknown) for name, texts in scope.wanted.items()]
        return sa.and_(may_touch_days(self.call_times(query.c), scope.first, scope.last), *asked)

    def call_times(self, given: Any) -> list[tuple[sa.ColumnElement[Any], TimeForm]]:
        """When a call started and ended, and how that is written."""
        return [
            (given[name] if name in self._columns else sa.null(), self._forms.get(name, self._zone))
            for name in ("started_at", "ended_at")
        ]

    def _has(self, given: Any, name: str, wanted: Collection[str], unknown: bool) -> sa.ColumnElement[bool]:
        column: sa.ColumnElement[Any] = given.call_id if name in self._links.names else given[name]
        if name in self._links.names:
            return column.in_(self._links.calls_with(name, wanted, unknown))
        if name == "call_id":
            return column_in(self._dialect, column, keys_of(self._key, sorted(wanted)))
        if name == "industry":
            return sa.func.trim(sa.cast(column, sa.String)).in_(list(wanted))
        return may_be_one_of(self._dialect, column, self._columns[name], wanted, unknown)
