"""Wall clocks and moments of a time zone, in Arrow; from 2037 on reckoned by Python.

A zone's file lists its clock changes up to 2037 and then gives a rule, which Arrow does not read: to it every later
summer is winter, and what ended in the first hour of a day ended the day before.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

_MOMENT, _WALL_CLOCK = pa.timestamp("us", "UTC"), pa.timestamp("us")
_BY_RULE = datetime(2037, 1, 1)  # noqa: DTZ001 - of whatever zone: months before it matters
_LAST = datetime(9999, 12, 30)  # noqa: DTZ001 - within a day of its end Python's calendar overflows


def moments_of(wall_clock: pa.Array, zone: str) -> pa.Array:
    """Naive times of a zone as moments in UTC. Of two that a clock change made of one, the later."""
    naive, rule = wall_clock.cast(_WALL_CLOCK), ZoneInfo(zone)
    local = pc.assume_timezone(naive, zone, ambiguous="latest", nonexistent="latest")
    return _by_rule(naive, local.cast(_MOMENT), lambda time: _latest_moment(time, rule))


def days_of(moments: pa.Array, zone: ZoneInfo) -> pa.Array:
    """The calendar day of each moment in a zone, as date32."""
    there = pc.local_timestamp(moments.cast(pa.timestamp("us", zone.key)))
    in_utc = moments.cast(_MOMENT).cast(_WALL_CLOCK)
    return _by_rule(in_utc, there, lambda time: _wall_clock(time, zone)).cast(pa.date32())


def _by_rule(naive: pa.Array, arrows: pa.Array, reckon: Callable[[datetime], datetime]) -> pa.Array:
    """Arrow's answers, those that hang on a rule replaced."""
    late = pc.fill_null(pc.and_(pc.greater_equal(naive, _BY_RULE), pc.less(naive, _LAST)), False)
    if not pc.any(late).as_py():
        return arrows
    times = naive.filter(late).to_pylist()
    known = {time: reckon(time) for time in set(times)}
    return pc.replace_with_mask(arrows, late, pa.array([known[time] for time in times], arrows.type))


def _latest_moment(time: datetime, zone: ZoneInfo) -> datetime:
    return max(time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _wall_clock(time: datetime, zone: ZoneInfo) -> datetime:
    return time.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
