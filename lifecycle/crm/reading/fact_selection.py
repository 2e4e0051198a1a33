"""Which calls are asked for, and how their facts are read: kinds of facts, cutoffs of a night, what a scope wants.

The statements that ask are `facts`'s.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.reading.day_bounds import ZONE_TOLERANCE
from lifecycle.crm.reading.fact_values import FALSE
from lifecycle.crm.reading.time_forms import TimeForm

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FactKinds:
    """Which facts are times and which are yes or no; every other one is compared as text."""

    times: frozenset[str]
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The latest trigger date, by fact, that may be due on a night; a fact whose rules never end has None.

    `components`: the same for the rules of each component, which ask only for calls that may have it.
    """

    as_of: date
    latest: dict[str, date | None] = field(default_factory=dict)
    components: dict[str, dict[str, date | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The calls that may be in a scope: the texts of each fact (blanks but spaces around one count), some days."""

    wanted: Mapping[str, Collection[str]]
    first: date | None = None
    last: date | None = None


def may_be_due(
    given: Any, forms: Mapping[str, TimeForm], latest: Mapping[str, date | None], as_of: date
) -> Iterator[sa.ColumnElement[bool]]:
    """For each trigger that is given: at least the rows in which it is before its cutoff, or cannot be used."""
    for name, day in latest.items():
        if name in given:
            column, form = given[name], forms[name]
            future = form.since(column, as_of - _ONE_DAY)
            unusable = sa.or_(column.is_(None), form.too_early(column, _ONE_DAY), future)
            yield unusable if day is None else sa.or_(unusable, form.before(column, day + ZONE_TOLERANCE))


def not_false(flag: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether a fact says yes, or nothing that is known to be no."""
    return sa.or_(flag.is_(None), sa.func.lower(sa.func.trim(sa.cast(flag, sa.String))).not_in(sorted(FALSE)))
