"""What five years means. Calendar arithmetic on dates; no clock and no time zone."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

_ISO_8601 = re.compile(r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?", re.ASCII)
_LONGEST_TEXT = 100
_LONGEST_MONTHS = 200 * 12
_LONGEST_DAYS = 200 * 366
_DAYS_OF_EVERY_MONTH = 28
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RetentionPeriod:
    """A calendar period such as P5Y or P90D. Months are added once, and clamped to the end of the month."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration of whole years, months, weeks and days, longer than nothing and up to 200 years.

        Raises ValueError, saying what was expected. Source: ISO 8601-1:2019, 5.5.2.
        """
        found = _ISO_8601.fullmatch(text)
        if found is None or text == "P":
            raise ValueError(f"expected an ISO 8601 period such as P5Y, P6M or P90D, found {text!r}")
        if len(text) > _LONGEST_TEXT:
            raise ValueError(f"expected at most 200 years, found a number of {len(text)} digits")
        years, months, weeks, days = (int(found[part] or 0) for part in ("years", "months", "weeks", "days"))
        period = cls(12 * years + months, 7 * weeks + days)
        if period == cls(0, 0):
            raise ValueError(f"expected a period longer than nothing, found {text!r}")
        if period.months > _LONGEST_MONTHS or period.days > _LONGEST_DAYS:
            raise ValueError(f"expected at most 200 years, found {text!r}; what is kept for ever says never")
        return period

    def last_day(self, trigger: date) -> date:
        """The last day on which a record triggered on `trigger` must still be there. The trigger day is not counted."""
        return _add_months(trigger, self.months) + timedelta(days=self.days)

    def first_free_day(self, trigger: date) -> date:
        """The first day, from its local midnight, on which a record triggered on `trigger` may go."""
        return self.last_day(trigger) + _ONE_DAY

    def latest_trigger(self, as_of: date) -> date:
        """The latest trigger whose first free day has come by `as_of`: the cutoff, inclusive."""
        found = _add_months(as_of - timedelta(days=self.days + 1), -self.months) + timedelta(days=4)
        while self.first_free_day(found) > as_of:
            found -= _ONE_DAY
        return found

    def __str__(self) -> str:
        if self == AT_ONCE:
            return "at_once"
        years, months = divmod(self.months, 12)
        parts = ((years, "Y"), (months, "M"), (self.days, "D"))
        return "P" + "".join(f"{count}{unit}" for count, unit in parts if count)


AT_ONCE = RetentionPeriod(0, 0)
"""No period at all: the event's own day is the last. A nightly program can do no sooner."""


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if day.day <= _DAYS_OF_EVERY_MONTH:
        return date(year, month + 1, day.day)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
