"""A purge waits for others between its transactions, says so, and leaves the rest where that lasts too long."""

import pytest

from lifecycle.crm.replicas import ReplicaLag, Replicas
from lifecycle.errors import NightStopped
from lifecycle.night import pauses
from lifecycle.night.pauses import FOR_DUTY, FOR_LOCKS, FOR_REPLICA, LONGEST_WAIT, Pauses
from tests.builders import DUE, account_for, run_night


class Clock:
    """A stopwatch that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Replies:
    """Seconds that a replica is said to be behind, one an answer; 0 once they are over. Counts the questions."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.asked = 0

    def furthest_behind(self) -> ReplicaLag | None:
        self.asked += 1
        seconds = self.seconds.pop(0) if self.seconds else 0
        return ReplicaLag("1 (db2)", seconds) if seconds else None


@pytest.fixture
def behind(monkeypatch) -> Replies:
    replies = Replies()
    monkeypatch.setattr(Replicas, "furthest_behind", lambda _replicas: replies.furthest_behind())
    return replies


def made(world, **settings):
    clock, said = Clock(), []
    lifecycle = world.lifecycle(**settings)
    object.__setattr__(lifecycle, "progress", lambda what, done, of: said.append((what, done, of)))
    return Pauses(lifecycle, {}, lambda: clock.now, clock.sleep), clock, said


def test_it_waits_until_the_replica_has_caught_up(sqlite_world, behind):
    waits, _, said = made(sqlite_world)
    behind.seconds += [30, 20, 9.9]
    assert waits.may_go_on()
    waited = "seconds waited for a replica"
    assert (waits.waited, said) == ({FOR_REPLICA: 2.0}, [(waited, 1, 0), (waited, 2, 0)])


def test_the_lag_that_is_borne_is_a_setting(sqlite_world, behind):
    waits, _, _ = made(sqlite_world, replica_lag=60)
    behind.seconds += [30]
    assert waits.may_go_on()
    assert waits.waited == {}


def test_it_waits_for_a_queue_of_others(sqlite_world, behind, monkeypatch):
    waits, _, _ = made(sqlite_world)
    queue = [12, 10, 9]
    monkeypatch.setattr(pauses, "sessions_in_lock_queue", lambda _database: queue.pop(0))
    assert waits.may_go_on()
    assert (waits.waited, queue) == ({FOR_LOCKS: 2.0}, [])


def test_it_asks_once_a_second_at_most(sqlite_world, behind):
    waits, clock, _ = made(sqlite_world)
    for _ in range(25):
        assert waits.may_go_on()
        clock.now += 0.1
    assert behind.asked == 3


def test_half_an_hour_in_all_is_enough(sqlite_world, behind):
    waits, clock, _ = made(sqlite_world)
    behind.seconds += [30] * 10_000
    assert not waits.may_go_on()
    assert clock.now == LONGEST_WAIT
    assert not waits.may_go_on()
    assert clock.now == LONGEST_WAIT


def test_a_rest_is_shown_and_ends_where_somebody_wants_the_process_to_end(sqlite_world, behind):
    waits, clock, said = made(sqlite_world)
    waits.rest(2.5)
    assert (waits.waited, clock.now) == ({FOR_DUTY: 2.5}, 2.5)
    assert said[0] == ("seconds waited for others' share of the time", 1, 0)
    object.__setattr__(waits.lifecycle, "stop_requested", lambda: "SIGTERM" if clock.now > 4 else None)
    waits.rest(60)
    assert clock.now == 4.5
    assert waits.may_go_on()


def test_a_stop_ends_the_wait(sqlite_world, behind):
    waits, _, _ = made(sqlite_world)
    behind.seconds += [30] * 5
    sqlite_world.lifecycle().crm.control.stops.stop("somebody", waits.lifecycle.now(), "")
    with pytest.raises(NightStopped, match="somebody"):
        waits.may_go_on()


def test_what_nobody_reached_is_left_for_a_later_night(sqlite_world, behind, monkeypatch):
    sqlite_world.furnish()
    start = sqlite_world.dump()
    monkeypatch.setattr(pauses, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(pauses, "EVERY", 0.05)
    behind.seconds += [30] * 1000
    done = run_night(sqlite_world.lifecycle())
    left = {industry: (result.calls, result.left) for industry, result in done.purged.items()}
    assert left == {industry: (0, result.calls) for industry, result in done.archived.items()}
    assert done.purged["bank"].waited[FOR_REPLICA] >= 0.05
    assert sqlite_world.dump() == start
    behind.seconds.clear()
    run_night(sqlite_world.lifecycle())
    assert account_for(sqlite_world, start) == DUE
