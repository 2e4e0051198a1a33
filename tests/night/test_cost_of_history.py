"""What is asked of one call, one batch or one night costs the same however much was purged before."""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.audit.proof import prove_call
from lifecycle.audit.single_batch import audit_single_batch
from lifecycle.crm.control import control_tables
from lifecycle.custody.record_lookup import find_records
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.inquiry.explanation import explain_call
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.ledger_events import take_census
from lifecycle.night.plan import plan_night
from lifecycle.night.reconciliation import reconcile_night
from lifecycle.night.seal import seal_ledger
from tests.builders import NIGHT, RUN, run_night

CALLS = 100
FEW, MANY = 3, 12
LISTED_DAYS = 8  # whose batches a night looks at, for one without an index; here one a night


class Costs:
    """What was asked of the store and the database, by kind."""

    def __init__(self, monkeypatch) -> None:
        self.found = Counter[str]()
        for name in ("get", "fetch"):
            monkeypatch.setattr(FolderStore, name, self._counted("objects read", getattr(FolderStore, name)))
        listed = FolderStore.list
        monkeypatch.setattr(FolderStore, "list", lambda *given: map(self._seen, listed(*given)))
        inflate = self._counted("purge rows read", control_tables.inflate)
        monkeypatch.setattr(control_tables, "inflate", inflate)
        sa.event.listen(sa.Engine, "before_cursor_execute", self._statement)

    def _counted(self, kind, work):
        def counting(*given, **named):
            self.found[kind] += 1
            return work(*given, **named)

        return counting

    def _seen(self, key):
        self.found["keys listed"] += 1
        return key

    def _statement(self, *_):
        self.found["statements"] += 1

    @contextmanager
    def none_before(self):
        self.found.clear()
        yield self.found

    def end(self) -> None:
        sa.event.remove(sa.Engine, "before_cursor_execute", self._statement)


@pytest.fixture
def costs(monkeypatch):
    made = Costs(monkeypatch)
    yield made
    made.end()


def night_of(number: int) -> date:
    return NIGHT + timedelta(days=number)


def at(world, number: int) -> Lifecycle:
    """The world as another process opens it on the day after a night."""
    night = night_of(number)
    clock = datetime(night.year, night.month, night.day, 2).astimezone() + timedelta(days=1)
    return Lifecycle(world.lifecycle().settings, lambda: clock)


def live_through(world, nights: range) -> None:
    """Each night a hundred calls are due, and go."""
    account = world.account("Banking")
    for number in nights:
        for call in range(CALLS):
            world.call(f"id-{number}-{call}", account, datetime(2020, 1, 1 + number))  # noqa: DTZ001
        world.flush()
        assert run_night(at(world, number), night=night_of(number)).calls == CALLS


def questions(world) -> dict[str, Callable[[Lifecycle], object]]:
    """Each about the second night, which is as far back as nothing is special about it."""
    call, night = "id-1-7", night_of(1)
    with world.lifecycle().crm.database.reading() as connection:
        rows = world.lifecycle().crm.control.table
        batch = connection.scalar(sa.select(rows.c.batch).where(rows.c.night == night.isoformat()))
    return {
        "record": lambda it: find_records(it, call).records or pytest.fail("no record"),
        "prove": lambda it: prove_call(it, call) or pytest.fail("no proof"),
        "explain": lambda it: explain_call(it, call, night),
        "verify one batch": lambda it: audit_single_batch(it, batch).sound or pytest.fail("unsound"),
        "reconciliation": lambda it: reconcile_night(it, "bank", night),
        "a note again": lambda it: queue_event_leaves(it, "plan", {"same": {"of": "a note"}}),
    }


def night_with_nothing_due(number: int) -> Callable[[Lifecycle], object]:
    def work(lifecycle: Lifecycle) -> None:
        _, plans = plan_night(lifecycle, night_of(number), RUN)
        assert plans["bank"].due == 0
        take_census(lifecycle, night_of(number))
        seal_ledger(lifecycle)

    return work


@pytest.mark.slow
def test_what_is_asked_of_one_thing_costs_the_same_after_four_times_the_history(sqlite_world, costs):
    def spent(last: int) -> dict[str, dict[str, int]]:
        found = {}
        for name, work in questions(sqlite_world).items():
            lifecycle = at(sqlite_world, last)
            with costs.none_before() as cost:
                work(lifecycle)
                found[name] = dict(cost)
        return found

    live_through(sqlite_world, range(FEW))
    few = spent(FEW)
    live_through(sqlite_world, range(FEW, MANY))
    many = spent(MANY)
    more = {
        (name, kind): (few[name].get(kind, 0), number)
        for name, cost in many.items()
        for kind, number in cost.items()
        if number > few[name].get(kind, 0) + 3
    }
    assert more == {}


@pytest.mark.slow
def test_a_night_with_nothing_due_costs_the_same_after_four_times_the_history(sqlite_world, costs):
    def spent(last: int) -> dict[str, int]:
        night_with_nothing_due(last)(at(sqlite_world, last))  # the census of the night before is paid here
        lifecycle = at(sqlite_world, last + 1)
        with costs.none_before() as cost:
            night_with_nothing_due(last + 1)(lifecycle)
            return dict(cost)

    live_through(sqlite_world, range(FEW))
    few = spent(FEW)
    live_through(sqlite_world, range(FEW + 2, MANY))
    many = spent(MANY)
    assert many.pop("keys listed") <= LISTED_DAYS
    assert {kind: (few.get(kind, 0), number) for kind, number in many.items() if number > few.get(kind, 0) + 3} == {}
