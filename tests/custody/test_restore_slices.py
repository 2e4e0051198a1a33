"""Calls of one batch put back in two transactions at a time: whole all the same, also where one of the two fails."""

import threading
from datetime import datetime

import pytest

from lifecycle.crm.restoring.restore_transaction import RestoreTransaction
from lifecycle.custody import restore_slices
from lifecycle.errors import DatabaseError
from tests.builders import BANK_DAY, World, around, run_night
from tests.custody.test_restore import restored

CALLS, YOUNG = [f"id-{n}" for n in range(6)], datetime(2026, 10, 1, 9)  # noqa: DTZ001


@pytest.fixture
def purged(world, monkeypatch) -> tuple[World, dict]:
    """Six calls of one batch, each with a contact of the account and children as `World.call` makes them."""
    bank = world.account("Banking")
    for key in CALLS:
        world.call(key, bank, BANK_DAY)
    start = world.dump()
    run_night(world.lifecycle())
    assert world.live() == set()
    monkeypatch.setattr(restore_slices, "_WORTH_TWO", 2)
    return world, start


def test_two_transactions_are_open_at_a_time_where_the_database_takes_two(purged, monkeypatch):
    world, start = purged
    two = world.dialect != "sqlite"
    open_at_once, plain = threading.Barrier(2, timeout=30), RestoreTransaction._transaction
    taken: list[list[str]] = []

    def transaction(self, keys, archived, note):
        def both(connection, going):
            if two:
                open_at_once.wait()  # broken, unless both are at work
            note(connection, going)

        taken.append(list(keys))
        return plain(self, keys, archived, both)

    monkeypatch.setattr(RestoreTransaction, "_transaction", transaction)
    assert restored(world, *CALLS).refused == {}
    assert world.dump() == start
    assert [len(each) for each in taken] == ([3, 3] if two else [6])


def test_one_that_fails_leaves_the_calls_of_the_other_whole_and_the_next_run_ends_it(purged, monkeypatch):
    world, start = purged
    plain = RestoreTransaction._transaction

    def transaction(self, keys, archived, note):
        def fail(connection, going):
            note(connection, going)
            raise DatabaseError("the connection was lost")

        return plain(self, keys, archived, fail if CALLS[0] in keys else note)

    monkeypatch.setattr(RestoreTransaction, "_transaction", transaction)
    with pytest.raises(DatabaseError):
        restored(world, *CALLS)
    back = set(CALLS[3:]) if world.dialect != "sqlite" else set()
    assert world.live() == back
    assert all(around(world.dump(), key) == around(start, key) for key in back)
    monkeypatch.setattr(RestoreTransaction, "_transaction", plain)
    again = restored(world, *CALLS)
    assert (set(again.before), set(again.restored)) == (back, set(CALLS) - back)
    assert world.dump() == start


def test_calls_that_repeat_others_come_first_in_one_transaction(world, monkeypatch):
    bank = world.account("Banking")
    for key in CALLS:
        world.call(key, bank, BANK_DAY, repeat_parent_id={CALLS[4]: CALLS[5], CALLS[0]: "id-young"}.get(key))
    world.call("id-young", bank, YOUNG)
    start = world.dump()
    run_night(world.lifecycle())
    assert world.live() == {"id-young"}
    monkeypatch.setattr(restore_slices, "_WORTH_TWO", 2)
    plain, taken = RestoreTransaction._transaction, list[set[str]]()

    def transaction(self, keys, archived, note):
        taken.append(set(keys))
        return plain(self, keys, archived, note)

    monkeypatch.setattr(RestoreTransaction, "_transaction", transaction)
    assert restored(world, *CALLS).refused == {}
    assert world.dump() == start
    assert taken[0] == (set(CALLS[4:]) if world.dialect != "sqlite" else set(CALLS))
    assert set().union(*taken) == set(CALLS)
