"""What a driver's values mean as facts: times, texts, yes or no. What makes no sense is NULL, and only keeps."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from math import isfinite
from struct import pack
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from lifecycle.crm.bound_values import is_utf8
from lifecycle.policy.zone_arithmetic import moments_of

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST_EXACT = 2**53
"""Beyond it a float is one of several whole numbers."""
TRUE, FALSE = {"1", "t", "true", "y", "yes"}, {"0", "f", "false", "n", "no"}


def parse_times(values: Sequence[Any], zone: str) -> pa.Array:
    """Times as the driver gave them → date32, or timestamps in UTC. What is no time is NULL: never another clock.

    A naive time that a clock change made ambiguous is the later one. A date among times is the end of its day.
    """
    if all(
        value is None or type(value) is date or (isinstance(value, str) and _DATE.fullmatch(value)) for value in values
    ):
        return _once_each(_date, values, pa.date32())
    try:
        found = pa.array(values)
        if not _whole_times(values, found.type):
            raise TypeError
        return read_clocks(found, zone)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return moments_of(pa.array([_naive(value, zone) for value in values], pa.timestamp("us")), zone)


def read_clocks(times: pa.Array, zone: str) -> pa.Array:
    """Timestamps or ISO texts as moments in UTC; the naive ones are of the zone."""
    if pa.types.is_timestamp(times.type) and times.type.tz is not None:
        return times.cast(pa.timestamp("us", "UTC"))
    return moments_of(times, zone)


def _whole_times(values: Sequence[Any], kind: pa.DataType) -> bool:
    """Whether Arrow may cast: no numbers (no times here), no dates (Arrow begins them at midnight), one clock."""
    if pa.types.is_timestamp(kind):
        return all(v is None or (type(v) is datetime and (v.tzinfo is None) == (kind.tz is None)) for v in values)
    return bool(pa.types.is_string(kind)) and all(value is None or len(value) > len("2021-03-16") for value in values)


def parse_texts(values: Sequence[Any]) -> pa.Array:
    """Facts that are compared as text: numbers and text alike."""
    if not any(isinstance(value, bytes | bytearray) for value in values):  # Arrow would take them for text
        try:
            return pa.array(values, pa.string())
        except (pa.ArrowException, TypeError, UnicodeError):
            pass
    return _once_each(clean_text, values, pa.string())


def clean_text(value: Any) -> str | None:
    """A fact as text, bytes in hex as records name them; one that is no UTF-8 is unknown. A whole number is one.

    Yes and no are written as databases do, in small letters.
    """
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and abs(value) > MOST_EXACT:
        return None  # the database itself has kept it rounded
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text if is_utf8(text) else None


def text_behind(value: Any) -> Any:
    """The text that bytes are, where people dial or read it: a phone. Other bytes are none that anybody knows."""
    try:
        return bytes(value).decode() if isinstance(value, bytes | bytearray) else value
    except UnicodeDecodeError:
        return None


def shortest_single(value: Any) -> Any:
    """A number of single precision with the fewest digits that tell it from others: 4711.1, not 4711.10009765625."""
    if not isinstance(value, float) or value.is_integer() or not isfinite(value):
        return value
    written = (f"{value:.{digits}g}" for digits in range(6, 10))
    return next((text for text in written if pack("f", float(text)) == pack("f", value)), value)


def _once_each(convert: Callable[[Any], Any], values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    known = {value: None if value is None else convert(value) for value in set(values)}
    return pa.array([known[value] for value in values], kind)


def _naive(value: Any, zone: str) -> datetime | None:
    """One time, naive in the source's zone. None for what is no time (zero dates, texts, numbers)."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(
                value.strip() + ("T23:59:59.999999" if _DATE.fullmatch(value.strip()) else "")
            )
        except ValueError:
            return None
    if type(value) is date:
        return datetime(value.year, value.month, value.day, 23, 59, 59, 999_999)  # noqa: DTZ001
    if not isinstance(value, datetime):
        return None
    try:
        return value if value.tzinfo is None else value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except OverflowError:  # within a day of the year 1 or 9999
        return None


def _date(value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def parse_flags(values: Sequence[Any]) -> pa.Array:
    """Yes or no as a database says it."""
    return _once_each(_flag, values, pa.bool_())


def _flag(value: Any) -> bool | None:
    """Yes or no as a database says it. Anything else is unknown, and keeps."""
    word = str(value).strip().lower()
    return True if word in TRUE else False if word in FALSE else None
