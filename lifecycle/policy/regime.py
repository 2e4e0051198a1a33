"""A regime: what a law, regulation or standard asks for, with its citation. Nothing of a company's own."""

import calendar
from collections.abc import Iterator
from datetime import date

from lifecycle.policy.document import Document, parse_model
from lifecycle.policy.models import Name, Period, StrictModel, Text
from lifecycle.policy.period import RetentionPeriod

# The calendar repeats every 400 years (2100 has no 29 February), and a month treats its first 28 days alike. Today's
# years come first, for they make the better example.
_YEARS = (*range(2020, 2028), *range(1970, 2370))
_EVERY_KIND_OF_DAY = tuple(
    date(year, month, day)
    for year in _YEARS
    for month in range(1, 13)
    for day in (1, 29, 30, 31)
    if day <= calendar.monthrange(year, month)[1]
)


class Regime(StrictModel):
    """One source of law. No copy may end before the minimum, none may live beyond the maximum."""

    id: Name
    title: Text
    jurisdiction: Text
    citation: Text
    evidence: Text
    review_by: date
    minimum: Period | None = None
    maximum: Period | None = None


def read_regime(document: Document) -> Regime:
    """Read one regime file. Raises PolicyError with file and line."""
    regime = parse_model(Regime, document)
    if regime.minimum is None and regime.maximum is None:
        raise document.error((), "expected a minimum, a maximum or both, found neither")
    return regime


def breaches(regime: Regime, destroy_after: RetentionPeriod | None) -> Iterator[str]:
    """What of a regime a copy's life breaks, each said with the dates of a worked case. None lives for ever."""
    if regime.minimum is not None and destroy_after is not None:
        day = ever_shorter(destroy_after, regime.minimum)
        if day is not None:
            yield (
                f"undercuts the minimum {regime.minimum} of {regime.id} ({regime.citation}): triggered on {day}, "
                f"the last copy may go from {destroy_after.first_free_day(day)}, the law asks for it "
                f"until {regime.minimum.last_day(day)}"
            )
    if regime.maximum is not None:
        day = _EVERY_KIND_OF_DAY[0]
        if destroy_after is not None:
            day = ever_shorter(regime.maximum, destroy_after) or day
        if destroy_after is None or regime.maximum.last_day(day) < destroy_after.last_day(day):
            end = "never" if destroy_after is None else f"on {destroy_after.first_free_day(day)}"
            yield (
                f"outlives the maximum {regime.maximum} of {regime.id} ({regime.citation}): triggered on {day}, "
                f"the last copy goes {end}, the law allows it until {regime.maximum.last_day(day)}"
            )


def ever_shorter(first: RetentionPeriod, second: RetentionPeriod) -> date | None:
    """A trigger day on which the first period ends before the second; None: there is none."""
    if first.months >= second.months and first.days >= second.days:
        return None
    return next((day for day in _EVERY_KIND_OF_DAY if first.last_day(day) < second.last_day(day)), None)
