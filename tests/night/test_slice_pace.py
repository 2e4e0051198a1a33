"""Slices grow and shrink with the time that their locks are held."""

import pytest

from lifecycle.night.slice_pace import FEW, FEWEST, LOCK_SECONDS, MOST, SlicePace


class Database:
    """A stopwatch that a slice moves on."""

    def __init__(self, seconds_a_call: float, duty: float = 1.0) -> None:
        self.now, self.slept, self.cost = 0.0, 0.0, seconds_a_call
        self.pace = SlicePace(duty, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds

    def run(self, slices: int) -> list[int]:
        sizes = []
        for _ in range(slices):
            sizes.append(self.pace.calls)
            with self.pace.slice(sizes[-1]):
                self.now += sizes[-1] * self.cost
        return sizes


@pytest.mark.parametrize(("cost", "settled"), [(5e-5, 4000), (1e-4, 2000), (1e-3, FEW), (1e-1, FEWEST), (1e-7, MOST)])
def test_slices_come_to_hold_their_locks_for_the_time_aimed_at(cost, settled):
    sizes = Database(cost).run(10)
    assert sizes[0] == 900
    assert sizes[-1] == pytest.approx(settled, rel=0.01)


def test_a_slice_grows_threefold_at_most():
    assert Database(1e-7).run(4) == [900, 2700, 8100, MOST]


def test_a_database_that_slows_down_gets_smaller_slices_at_once():
    database = Database(2e-5)
    assert database.run(10)[-1] == pytest.approx(10_000, rel=0.01)
    database.cost = 1e-4
    assert database.run(2)[1] == pytest.approx(2000, rel=0.01)


def test_a_slice_that_would_not_get_quicker_does_not_get_smaller():
    database = Database(0)
    for _ in range(5):
        with database.pace.slice(database.pace.calls):
            database.now += 1.9  # however few calls
    assert database.pace.calls == FEW


def test_a_duty_leaves_the_rest_of_the_time_to_others():
    database = Database(1e-3, duty=0.25)
    database.run(8)
    assert database.slept / database.now == pytest.approx(0.75)


def test_a_transaction_that_fails_sizes_nothing():
    pace = SlicePace()
    with pytest.raises(ZeroDivisionError), pace.slice(500):
        raise ZeroDivisionError
    assert pace.calls == 900


def test_a_slice_that_took_no_time_is_no_division_by_zero():
    pace = SlicePace(stopwatch=lambda: 1.0)
    with pace.slice(500):
        pass
    assert pace.calls == 2700
    assert LOCK_SECONDS == 0.2
