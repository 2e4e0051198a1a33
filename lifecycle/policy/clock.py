"""What starts a period and how its days are counted. Pure calendar: which fact means what is the schedule's to say."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from lifecycle.policy.period import AT_ONCE, RetentionPeriod

EARLIEST_TRIGGER = date(1970, 1, 2)
"""A clock on the day before is what software writes for no date."""
EARLIEST_BIRTH = date(1880, 1, 1)
CALENDAR_YEAR = (12, 31)
_ONE_DAY = timedelta(days=1)

FiscalYearEnd = tuple[int, int]
"""The month and the day a company's year ends on; 29 February is the last day of February."""


class EarlierOf(tuple[str, ...]):
    """Facts of which the earlier starts a clock. Plain tuples of several stand for the later of them."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EarlierOf) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("earlier_of", *self))

    def __str__(self) -> str:
        return f"the earlier of {' and '.join(self)}"

    def __repr__(self) -> str:
        return f"EarlierOf({tuple.__repr__(self)})"


class CountingRule(StrEnum):
    """How a period is counted from its event.

    after_event: the event's day is not counted (Regulation 1182/71, article 3; BGB sections 187(1), 188).
    from_event: it is the first day ("beginning on the date"; BGB section 187(2)).
    year_end, fiscal_year_end: the period begins when the year of the event has ended.
    age: from_event on a birth date, which may lie before 1970.
    """

    AFTER_EVENT = "after_event"
    FROM_EVENT = "from_event"
    YEAR_END = "year_end"
    FISCAL_YEAR_END = "fiscal_year_end"
    AGE = "age"


@dataclass(frozen=True, slots=True)
class Clock:
    """What starts a period, and the counting: one fact, or several.

    Of the later of several all must be known. The earlier (`EarlierOf`) is that of those that are known: one that is
    not could only let the period end sooner.
    """

    triggers: tuple[str, ...]
    count: CountingRule = CountingRule.AFTER_EVENT

    @property
    def text(self) -> str:
        """The clock as people read it."""
        facts = self.triggers[0] if len(self.triggers) == 1 else f"the later of {' and '.join(self.triggers)}"
        facts = str(self.triggers) if isinstance(self.triggers, EarlierOf) else facts
        return facts if self.count is CountingRule.AFTER_EVENT else f"{facts} ({self.count})"

    @property
    def earliest(self) -> date:
        """The earliest date that can be meant."""
        return EARLIEST_BIRTH if self.count is CountingRule.AGE else EARLIEST_TRIGGER


@dataclass(frozen=True, slots=True)
class Term:
    """A period on a clock, in a company whose year ends on `fiscal_year_ends`."""

    period: RetentionPeriod
    clock: Clock
    fiscal_year_ends: FiscalYearEnd = CALENDAR_YEAR

    def last_day(self, trigger: date) -> date:
        """The last day of the term of a record triggered on `trigger`."""
        if self.clock.count in (CountingRule.FROM_EVENT, CountingRule.AGE) and self.period != AT_ONCE:
            return self._last_day_from(trigger)
        return self.period.last_day(self._begins(trigger))

    def first_free_day(self, trigger: date) -> date:
        """The day after the last."""
        return self.last_day(trigger) + _ONE_DAY

    def latest_trigger(self, as_of: date) -> date:
        """The latest trigger whose first free day has come by `as_of`: the cutoff, inclusive."""
        latest = self.period.latest_trigger(as_of)
        if self.clock.count in (CountingRule.FROM_EVENT, CountingRule.AGE) and self.period != AT_ONCE:
            while self.first_free_day(latest + _ONE_DAY) <= as_of:
                latest += _ONE_DAY
            return latest
        begins = self._begins(latest)
        return latest if begins == latest else self._ended_before(latest)

    def _begins(self, trigger: date) -> date:
        """The day after whose end the period runs."""
        if self.clock.count not in (CountingRule.YEAR_END, CountingRule.FISCAL_YEAR_END):
            return trigger
        end = self.year_end(trigger.year)
        return end if trigger <= end else self.year_end(trigger.year + 1)

    def _ended_before(self, day: date) -> date:
        end = self.year_end(day.year)
        return end if end < day else self.year_end(day.year - 1)

    def year_end(self, year: int) -> date:
        """The last day of the calendar year, or of the company's."""
        month, day = CALENDAR_YEAR if self.clock.count is CountingRule.YEAR_END else self.fiscal_year_ends
        following = date(year + month // 12, month % 12 + 1, 1)
        return min(following - _ONE_DAY, date(year, month, min(day, 28)) + timedelta(days=max(0, day - 28)))

    def _last_day_from(self, trigger: date) -> date:
        """The day before the corresponding one; where a month has no such day, its end is (no double clamp)."""
        ends = RetentionPeriod(self.period.months, 0).last_day(trigger)
        if ends.day == trigger.day or not self.period.months:
            ends -= _ONE_DAY
        return ends + timedelta(days=self.period.days)
