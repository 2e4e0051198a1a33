"""What every policy model shares: strict, frozen, no unknown key; and the values that appear in several of them."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from lifecycle.policy.period import RetentionPeriod


class StrictModel(BaseModel):
    """The base of every model read from outside: strict, frozen, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


def _period(value: Any) -> RetentionPeriod:
    if not isinstance(value, str):
        raise ValueError(f"expected an ISO 8601 period such as P5Y, P6M or P90D, found {value!r}")
    return RetentionPeriod.parse(value)


def _period_or_never(value: Any) -> RetentionPeriod | None:
    return None if value == "never" else _period(value)


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ValueError(f"expected a time zone of the IANA database such as Europe/Berlin, found {value!r}") from error


def _many(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ValueError("expected at least one value, found an empty list")
    return tuple(text_of(item) for item in listed)


def text_of(value: Any) -> str:
    """A fact's value as it is compared: numbers and text alike. Raises ValueError for what is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | date):
        raise ValueError(f"expected a text or a whole number, found {value!r}")
    text = str(value).strip()
    if not text:
        raise ValueError("expected a value, found a blank text")
    return text


def folded(text: str) -> str:
    """An industry as it is compared: trimmed and case-folded."""
    return text.strip().casefold()


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Period = Annotated[RetentionPeriod, BeforeValidator(_period)]
PeriodOrNever = Annotated[RetentionPeriod | None, BeforeValidator(_period_or_never)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Values = Annotated[tuple[str, ...], BeforeValidator(_many)]
Conditions = Mapping[Name, Values]
