"""How a source writes one time fact: wall clock of a zone, epoch number, or text of a format. Reading it, comparing it.

A value that fits its form nowhere is NULL: never another clock. Which facts are times is the schedules' to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import plain_bind
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.mapping.time_facts import NO_OFFSET, TimeFact
from lifecycle.crm.reading.fact_columns import TIMES, FactColumn, Kind
from lifecycle.crm.reading.fact_values import parse_times, read_clocks
from lifecycle.errors import SourceError
from lifecycle.policy.clock import EARLIEST_TRIGGER

_SORTABLE = re.compile(r"%Y([-/. ]?)%m\1%d([ T_-]?%H([:.]?)%M(\3%S)?)?(%z)?")
_HOUR = re.compile(r"%[HIcXs]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEWEST_MILLISECONDS = 10**10
"""Less than this, as milliseconds, is a day before 27 April 1970: such numbers are seconds in truth."""


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How one time fact is written. `zone`: of what carries none. `whole_days`: its dates are days of that zone.

    `narrows`: the column is of a type that the database can compare with such a value.
    """

    zone: str
    unit: str | None = None
    format: str | None = None
    whole_days: bool = True
    narrows: bool = True

    @property
    def plain(self) -> bool:
        """Whether the database's own times, dates and ISO texts are meant."""
        return self.unit is None and self.format is None

    @property
    def comparable(self) -> bool:
        """Whether the database orders such values as time goes."""
        return self.narrows and (self.format is None or _SORTABLE.fullmatch(self.format) is not None)

    def read(self, values: Sequence[Any]) -> pa.Array:
        """The driver's values as dates, or as timestamps in UTC; what is no such time is NULL."""
        if self.plain:
            given: Sequence[Any] = values if self.whole_days else [_evening(value) for value in values]
            return parse_times(given, self.zone)
        convert = _from_text if self.format else _from_epoch
        known = {value: convert(self.format or self.unit or "", value) for value in set(values)}
        return parse_times([known[value] for value in values], self.zone)

    def serves(self, kind: Kind) -> bool:
        """Whether a column of a type of times can be read as the server writes it, without the driver."""
        return self.plain and (self.whole_days or kind is not Kind.DATE)

    def read_served(self, times: pa.Array) -> pa.Array:
        """Values of `served_type` as `read` makes them of the driver's."""
        if pa.types.is_date(times.type):
            return times
        return read_clocks(times, self.zone) if times.null_count < len(times) else times.cast(pa.date32())

    def before(self, column: sa.ColumnElement[Any], day: date) -> sa.ColumnElement[bool]:
        """At least the rows before a day of no zone in particular."""
        return column < self._written(day) if self.comparable else sa.true()

    def since(self, column: sa.ColumnElement[Any], day: date) -> sa.ColumnElement[bool]:
        """At least the rows on or after a day of no zone in particular."""
        return column >= self._written(day) if self.comparable else sa.true()

    def too_early(self, column: sa.ColumnElement[Any], margin: timedelta) -> sa.ColumnElement[bool]:
        """At least the rows before the first day that is a call's."""
        if self.unit == "epoch_milliseconds" and self.comparable:
            return column < sa.literal(_FEWEST_MILLISECONDS, sa.BigInteger)
        return self.before(column, EARLIEST_TRIGGER + margin)

    def _written(self, day: date) -> sa.ColumnElement[Any]:
        if self.unit:
            seconds = (day - _EPOCH.date()) // timedelta(seconds=1)
            return sa.literal(seconds * (1 if self.unit == "epoch_seconds" else 1000), sa.BigInteger)
        return plain_bind(day.strftime(self.format.removesuffix("%z")) if self.format else day.isoformat())


def served_type(kind: Kind, dialect: str) -> pa.DataType:
    """What a column of times is to Arrow as the server writes it. PostgreSQL alone says a zone."""
    if kind is Kind.DATE:
        return pa.date32()
    return pa.timestamp("us", "UTC") if kind is Kind.UTC and dialect == "postgresql" else pa.timestamp("us")


def fact_form(source: Source, column: FactColumn, dialect: str) -> TimeForm:
    """How a time fact is written. Raises SourceError where that cannot be told."""
    declared, zone = source.times.get(column.name), source.timezone
    _require_fitting(source, column, declared, dialect)
    others = [one.key for one in (zone, declared.zone if declared else None) if one and one.key not in NO_OFFSET]
    if column.computed and others:
        _require_known_zone(source, column, declared, dialect)
    if column.kind is Kind.UTC:
        # Of PostgreSQL's timestamptz the driver gives the zone; MySQL's session is in UTC, and so is its TIMESTAMP,
        # unless it was made from something else.
        return TimeForm(declared.zone.key if column.computed and declared and declared.zone else "UTC")
    if declared and declared.unit and column.kind is Kind.TEXT:
        return replace(time_form(declared, zone), narrows=False)
    if declared is None and column.computed and column.kind is Kind.DATE:
        return TimeForm(zone.key, whole_days=False)  # a day of UTC ends later than the local day it began in
    return time_form(declared, zone)


def _require_fitting(source: Source, column: FactColumn, declared: TimeFact | None, dialect: str) -> None:
    """What `times` says must be what the column can be: a form that its type has not would be another clock."""
    if declared is None or column.kind not in TIMES:
        return
    where, said = f"source {source.source}: times.{column.name}", declared.zone
    if declared.unit or declared.format:
        wanted, key = ("a number", "as") if declared.unit else ("a text", "format")
        raise SourceError(f"{where}: expected {wanted}, found a {column.kind}: take `{key}` out")
    if column.kind is Kind.UTC and dialect == "mysql" and not column.computed and said and said.key not in NO_OFFSET:
        raise SourceError(f"{where}: a TIMESTAMP is in UTC, found zone {said.key}: take it out")


def _require_known_zone(source: Source, column: FactColumn, declared: TimeFact | None, dialect: str) -> None:
    """Raise SourceError for a value that was made from others, of which nobody says in which zone they were."""
    name, zone = column.name, source.timezone.key
    if dialect == "postgresql" and column.kind is Kind.UTC:
        # It takes a wall clock that an expression makes a timestamptz for the session's: UTC. Nothing tells.
        if not declared or not declared.zone or declared.zone.key not in NO_OFFSET:
            raise SourceError(
                f"source {source.source}: the fact {name} is a computed timestamptz, and PostgreSQL takes a timestamp "
                f"without zone in it for UTC, not for {zone}. Write `(column AT TIME ZONE '{zone}')` for each such "
                f"column, and then say so: `times: {{{name}: {{zone: UTC}}}}`"
            )
        return
    number = column.kind in (Kind.NUMBER, Kind.SINGLE)
    if (declared and declared.says_zone) or (declared is None and number):  # a number that nobody explains is no time
        return
    also = f"as: {declared.unit}, " if declared and declared.unit else ""
    also += f"format: '{declared.format}', " if declared and declared.format else ""
    other = "" if declared and declared.unit else f" or `{{{also}zone: {zone}}}`"
    raise SourceError(
        f"source {source.source}: the fact {name} is computed, a {column.kind}, and nobody can tell whether it was "
        f"made of times in UTC or in {zone}. Give the bare column of a table, or say which: "
        f"`times: {{{name}: {{{also}zone: UTC}}}}`{other}"
    )


def time_form(declared: TimeFact | None, zone: ZoneInfo) -> TimeForm:
    """The form of a fact: what the mapping says of it, in the source's zone where it names none."""
    if declared is None:
        return TimeForm(zone.key)
    own = declared.zone or zone
    return TimeForm(own.key, declared.unit, declared.format, whole_days=own.key == zone.key)


def _from_epoch(unit: str, value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value).strip())
        if unit == "epoch_milliseconds":
            if abs(number) < _FEWEST_MILLISECONDS:
                return None
            number = number.scaleb(-3)
        return _EPOCH + timedelta(seconds=int(number // 1), microseconds=int(number % 1 * 1_000_000))
    except (InvalidOperation, OverflowError, ValueError):
        return None


def _from_text(form: str, value: Any) -> datetime | date | None:
    try:
        found = datetime.strptime(str(value).strip(), form)  # noqa: DTZ007 - naive ones are of the zone
    except (ValueError, OverflowError):
        return None
    return found if _HOUR.search(form) else found.date()


def _evening(value: Any) -> Any:
    """A date as the end of its day in a zone that is not the source's."""
    if type(value) is date:
        return datetime(value.year, value.month, value.day, 23, 59, 59, 999_999)  # noqa: DTZ001
    return value
