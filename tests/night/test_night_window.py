"""Outside its window a night deletes nothing: what is left is counted, and goes on a later night."""

from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import SettingsError
from lifecycle.night import purge
from lifecycle.night.night_window import is_window_open
from lifecycle.settings import Settings, read_settings
from tests.builders import CLOCK, DUE, NIGHT, World, account_for, run_night


@pytest.mark.parametrize(
    ("window", "zone", "at", "is_open"),
    [
        (None, "UTC", "12:00", True),
        ("22:00-06:00", "UTC", "21:59", False),
        ("22:00-06:00", "UTC", "22:00", True),
        ("22:00-06:00", "UTC", "00:00", True),
        ("22:00-06:00", "UTC", "05:59", True),
        ("22:00-06:00", "UTC", "06:00", False),
        ("01:00-02:00", "UTC", "01:30", True),
        ("01:00-02:00", "UTC", "00:59", False),
        ("01:00-02:00", "Europe/Berlin", "01:30", False),
        ("01:00-02:00", "Europe/Berlin", "00:30", True),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(window, zone, at, is_open):
    now = datetime.fromisoformat(f"2026-11-21T{at}:00+00:00")
    assert is_window_open(Lifecycle(Settings(window=window, nightly_timezone=zone), lambda: now)) is is_open


@pytest.mark.parametrize("text", ["22:00", "22-6", "24:00-06:00", "22:00-22:00", "22:00 - 06:00", "22:00-06:00\n"])
def test_what_is_no_window_is_refused_with_its_name(text, monkeypatch):
    monkeypatch.setenv("LIFECYCLE_WINDOW", text)
    with pytest.raises(SettingsError, match="LIFECYCLE_WINDOW: expected two different times such as 22:00-06:00"):
        read_settings()


def windowed(world: World, closes_after: int) -> Lifecycle:
    """A lifecycle whose window closes after its clock was asked so many times by the purge or the archive."""
    asked = iter(range(1_000_000))

    def now() -> datetime:
        return CLOCK if next(asked) < closes_after else CLOCK.replace(hour=12)

    return Lifecycle(Settings(**world.given(), window="22:00-06:00"), now)


def test_a_night_outside_its_window_archives_and_deletes_nothing_and_says_how_much_is_left(sqlite_world):
    start = sqlite_world.furnish().dump()
    night = run_night(windowed(sqlite_world, 0))
    assert (night.calls, night.sealed, sum(done.left for done in night.archived.values())) == (0, 0, len(DUE))
    assert sqlite_world.dump() == start
    later = run_night(sqlite_world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert (later.calls, account_for(sqlite_world, start)) == (len(DUE), DUE)


@pytest.mark.slow
def test_a_window_that_closes_during_a_night_leaves_the_rest_whole_whenever_it_closes(new_world, monkeypatch):
    monkeypatch.setattr(purge, "SLICE_CALLS", 1)
    seen = set()
    for closes_after in range(0, 200, 6):
        world = new_world("sqlite")
        start = world.furnish().dump()
        night = run_night(windowed(world, closes_after))
        gone = account_for(world, start)
        left = sum(done.left for done in (*night.archived.values(), *night.purged.values()))
        assert (night.set_aside, len(gone) + left) == ({}, len(DUE)), closes_after
        assert night.sealed == len(gone)
        seen.add(len(gone))
        if len(gone) == len(DUE):
            break
    assert {0, len(DUE)} < seen, "it never closed between two transactions"


def test_what_is_left_of_a_night_is_finished_by_a_rerun_inside_the_window(sqlite_world):
    start = sqlite_world.furnish().dump()
    run_night(windowed(sqlite_world, 40))
    run_night(Lifecycle(Settings(**sqlite_world.given(), window="22:00-06:00"), lambda: CLOCK.astimezone(UTC)))
    assert account_for(sqlite_world, start) == DUE
