"""Days in the database: a narrowing in whole days of no zone in particular, which lets every zone's answer through."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.reading.time_forms import TimeForm

ZONE_TOLERANCE = timedelta(days=3)
"""A local day, and the day before or after it, lies within so many of the day in the database."""
_FIRST, _LAST = date(1000, 1, 1), date(9000, 1, 1)


def is_in_calendar(value: date) -> bool:
    """A day that leaves room around it, and that every database knows; one beyond narrows nothing."""
    return _FIRST < value < _LAST


def may_touch_days(
    times: Sequence[tuple[sa.ColumnElement[Any], TimeForm]], first: date | None, last: date | None
) -> sa.ColumnElement[bool]:
    """At least the calls on any day from `first` to `last`. `times`: when they started and ended, how it is written.

    A time before 1970 is what software writes for none.
    """
    asked: list[sa.ColumnElement[bool]] = [sa.true()]
    if first and is_in_calendar(first):
        asked.append(sa.or_(*(form.since(time, first - ZONE_TOLERANCE) for time, form in times)))
    if last and is_in_calendar(last):
        asked.append(sa.or_(*(form.before(time, last + ZONE_TOLERANCE) for time, form in times)))
    unknown = (sa.or_(time.is_(None), form.too_early(time, ZONE_TOLERANCE)) for time, form in times)
    return sa.or_(sa.and_(*unknown), sa.and_(*asked))
