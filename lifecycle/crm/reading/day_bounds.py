"""Days in the database: a narrowing in whole days of no zone in particular, which lets every zone's answer through."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import plain_bind
from lifecycle.policy.clock import EARLIEST_TRIGGER

ZONE_TOLERANCE = timedelta(days=3)
"""A local day, and the day before or after it, lies within so many of the day in the database."""
_FIRST, _LAST = date(1000, 1, 1), date(9000, 1, 1)


def bind_day(value: date) -> sa.BindParameter[Any]:
    """A day bound as plain text, which every dialect reads in the column's own type."""
    return plain_bind(value.isoformat())


def is_in_calendar(value: date) -> bool:
    """A day that leaves room around it, and that every database knows; one beyond narrows nothing."""
    return _FIRST < value < _LAST


def may_touch_days(
    times: tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]], first: date | None, last: date | None
) -> sa.ColumnElement[bool]:
    """At least the calls on any day from `first` to `last`. `times`: when they started and ended, in any order.

    A time before 1970 is what software writes for none.
    """
    asked: list[sa.ColumnElement[bool]] = [sa.true()]
    if first and is_in_calendar(first):
        asked.append(sa.or_(*(time >= bind_day(first - ZONE_TOLERANCE) for time in times)))
    if last and is_in_calendar(last):
        asked.append(sa.or_(*(time < bind_day(last + ZONE_TOLERANCE) for time in times)))
    unknown = (sa.or_(time.is_(None), time < bind_day(EARLIEST_TRIGGER + ZONE_TOLERANCE)) for time in times)
    return sa.or_(sa.and_(*unknown), sa.and_(*asked))
