"""Days and moments in a zone are those of Python's zoneinfo, in every year; Arrow alone forgets summer after 2037."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from lifecycle.policy.zone_arithmetic import days_of, moments_of

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Sydney", "Africa/Casablanca", "Asia/Beirut", "UTC")
NEARLY_2038 = datetime(2037, 12, 25, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("first", [datetime(2030, 1, 1, tzinfo=UTC), NEARLY_2038, datetime(9998, 1, 1, tzinfo=UTC)])
def test_the_day_of_a_moment_is_the_one_on_the_wall(zone, first):
    moments = [first + timedelta(minutes=30 * n) for n in range(48 * 370)]
    days = days_of(pa.array([None, *moments], pa.timestamp("us", "UTC")), ZoneInfo(zone))
    assert days.to_pylist() == [None, *(moment.astimezone(ZoneInfo(zone)).date() for moment in moments)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("first", [datetime(2030, 1, 1), NEARLY_2038.replace(tzinfo=None)])  # noqa: DTZ001
def test_a_time_on_the_wall_is_never_an_earlier_moment_than_it_may_be(zone, first):
    walls = [first + timedelta(minutes=30 * n) for n in range(48 * 370)]
    there = ZoneInfo(zone)
    for wall, moment in zip(walls, moments_of(pa.array(walls, pa.timestamp("us")), zone).to_pylist(), strict=True):
        both = [wall.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1)]
        exists = both[0].astimezone(there).replace(tzinfo=None) == wall
        assert moment == max(both) if exists else min(both) < moment <= max(both)


def test_an_hour_past_midnight_in_a_summer_after_2037_is_of_its_own_day():
    moment = pa.array([datetime(2038, 6, 30, 22, 30, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    assert days_of(moment, ZoneInfo("Europe/Berlin")).to_pylist() == [date(2038, 7, 1)]
