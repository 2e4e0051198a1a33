"""The last day of a term for a column of days: the same as `Term.last_day`, a column at a time.

A month has one first day and one length wherever it lies, so the calendar is asked once a month, and once a year.
"""

from calendar import monthrange
from collections.abc import Callable
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.clock import CountingRule, Term
from lifecycle.policy.period import AT_ONCE

_EPOCH = date(1970, 1, 1)


def last_days(term: Term, days: pa.Array) -> pa.Array:
    """The last day of a term for each day (date32, none NULL) on which its clock may start."""
    period, count = term.period, term.clock.count
    if count in (CountingRule.YEAR_END, CountingRule.FISCAL_YEAR_END):
        days = _year_ends(term, days)
    ends = _months_later(days, period.months)
    if count in (CountingRule.FROM_EVENT, CountingRule.AGE) and period != AT_ONCE:
        corresponds = pc.equal(pc.day(ends), pc.day(days))  # where a month has no such day its end is the last
        ends = pc.subtract(_number(ends), corresponds.cast(pa.int32())).cast(pa.date32())
    return pc.add(_number(ends), pa.scalar(period.days, pa.int32())).cast(pa.date32())


def _months_later(days: pa.Array, months: int) -> pa.Array:
    """Each day so many months later, clamped to the end of its month."""
    month = pc.add(pc.multiply(pc.year(days), 12), pc.subtract(pc.month(days), 1))
    first = _once_each(month, lambda each: _first_day(each + months))
    length = _once_each(month, lambda each: _length(each + months))
    day = pc.min_element_wise(pc.day(days).cast(pa.int32()), length)
    return pc.add(first, pc.subtract(day, pa.scalar(1, pa.int32()))).cast(pa.date32())


def _year_ends(term: Term, days: pa.Array) -> pa.Array:
    """The end of the year that each day lies in."""
    year = pc.year(days)
    this = _once_each(year, lambda each: _number_of(term.year_end(each)))
    following = _once_each(year, lambda each: _number_of(term.year_end(each + 1)))
    return pc.if_else(pc.less_equal(_number(days), this), this, following).cast(pa.date32())


def _once_each(column: pa.Array, number: Callable[[int], int]) -> pa.Array:
    """A number for each value, worked out once for each distinct one."""
    encoded = column.dictionary_encode()
    return pa.array([number(each) for each in encoded.dictionary.to_pylist()], pa.int32()).take(encoded.indices)


def _first_day(month: int) -> int:
    return _number_of(date(month // 12, month % 12 + 1, 1))


def _length(month: int) -> int:
    return monthrange(month // 12, month % 12 + 1)[1]


def _number_of(day: date) -> int:
    return (day - _EPOCH).days


def _number(days: pa.Array) -> pa.Array:
    return days.cast(pa.int32())
