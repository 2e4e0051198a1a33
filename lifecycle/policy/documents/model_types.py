"""What every policy model shares: strict, frozen, no unknown key; and the values that appear in several of them."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, StringConstraints, TypeAdapter

from lifecycle.policy.clock import Clock, CountingRule, EarlierOf, FiscalYearEnd
from lifecycle.policy.documents import schema_annotations
from lifecycle.policy.period import AT_ONCE, RetentionPeriod


class StrictModel(BaseModel):
    """The base of every model read from outside: strict, frozen, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def parse_period(value: Any) -> RetentionPeriod:
    """A period as a file writes it. Raises ValueError."""
    if isinstance(value, RetentionPeriod):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected an ISO 8601 period such as P5Y, P6M or P90D, found {value!r}")
    return RetentionPeriod.parse(value)


def period_or_at_once(value: Any) -> RetentionPeriod:
    """A period, or at_once. Raises ValueError."""
    return AT_ONCE if value == "at_once" else parse_period(value)


def _period_or_never(value: Any) -> RetentionPeriod | None:
    return None if value == "never" else period_or_at_once(value)


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ValueError(f"expected a time zone of the IANA database such as Europe/Berlin, found {value!r}") from error


def _many(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ValueError("expected at least one value, found an empty list")
    return tuple(fact_text(item) for item in listed)


def _triggers(value: Any) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    several = isinstance(value, dict) and len(value) == 1 and (value.keys() <= {"later_of", "earlier_of"})
    listed = next(iter(value.values())) if several else value
    names = listed if isinstance(listed, list) and several else [listed]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names) or len(names) < 1 + several:
        raise ValueError(f"expected a fact, or later_of or earlier_of with several different facts, found {value!r}")
    found = tuple(_NAME.validate_python(name) for name in names)
    return EarlierOf(found) if several and "earlier_of" in value else found


def _count(value: Any) -> CountingRule:
    try:
        return CountingRule(value)
    except ValueError:
        raise ValueError(f"expected one of {', '.join(CountingRule)}; found {value!r}") from None


def _fiscal_year_end(value: Any) -> FiscalYearEnd:
    try:
        if isinstance(value, tuple):
            return value
        month, day = (int(part) for part in str(value).split("-"))
        date(2024, month, day)  # a leap year: 02-29 is the end of February
    except ValueError:
        raise ValueError(f"expected a month and day such as 03-31, found {value!r}") from None
    return month, day


def fact_text(value: Any) -> str:
    """A fact's value as it is compared: numbers and text alike. Raises ValueError for what is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | date):
        raise ValueError(f"expected a text or a whole number, found {value!r}")
    text = str(value).strip()
    if not text:
        raise ValueError("expected a value, found a blank text")
    return text


def fold_name(text: str) -> str:
    """An industry as it is compared: trimmed and case-folded."""
    return text.strip().casefold()


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
_NAME: TypeAdapter[str] = TypeAdapter(Name)
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Period = Annotated[RetentionPeriod, BeforeValidator(parse_period), schema_annotations.PERIOD]
PeriodOrAtOnce = Annotated[RetentionPeriod, BeforeValidator(period_or_at_once), schema_annotations.PERIOD_OR_AT_ONCE]
PeriodOrNever = Annotated[RetentionPeriod | None, BeforeValidator(_period_or_never), schema_annotations.PERIOD_OR_NEVER]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone), schema_annotations.ZONE]
Values = Annotated[tuple[str, ...], BeforeValidator(_many), schema_annotations.VALUES]
Conditions = Mapping[Name, Values]
Triggers = Annotated[tuple[str, ...], PlainValidator(_triggers), schema_annotations.TRIGGERS]
Counting = Annotated[CountingRule, BeforeValidator(_count)]
YearEnd = Annotated[FiscalYearEnd, BeforeValidator(_fiscal_year_end), schema_annotations.MONTH_AND_DAY]


class Cap(StrictModel):
    """When a period is over at the latest, on a clock of its own. Where that is unknown it ends nothing."""

    period: Period
    trigger: Triggers
    count: Counting = CountingRule.AFTER_EVENT

    @property
    def clock(self) -> Clock:
        """What starts it."""
        return Clock(self.trigger, self.count)
