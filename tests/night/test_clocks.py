"""One clock alone never says what day it is: the database's, the store's and the ledger's are asked as well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.crm.database import Database
from lifecycle.errors import ClockError
from lifecycle.night.clocks import DATABASE, HOST, LEDGER, STORE, odd_clocks, read_clocks, require_agreeing_clocks

MINUTE = timedelta(minutes=1)


def shifted(world, by: timedelta = timedelta(0)):
    return replace(world.lifecycle(), now=lambda: datetime.now(UTC) + by)


@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
@pytest.mark.slow
def test_this_machine_is_held_against_the_database_and_the_store(new_world, database):
    world = new_world(database, "s3")
    assert [one.whose for one in read_clocks(shifted(world))] == [DATABASE, STORE]
    for by in (0 * MINUTE, 9 * MINUTE, -9 * MINUTE):
        assert odd_clocks(shifted(world, by)) == {}
    for by in (11 * MINUTE, -11 * MINUTE, timedelta(days=40)):
        assert list(odd_clocks(shifted(world, by))) == [HOST]
    with pytest.raises(ClockError, match=r"the clock of this machine is odd: it says .*; the store .*no night runs"):
        require_agreeing_clocks(shifted(world, 11 * MINUTE))


def test_the_one_that_differs_from_the_others_is_named(new_world, monkeypatch):
    world = new_world("postgresql", "s3")
    now = Database.now
    monkeypatch.setattr(Database, "now", lambda database: now(database) - 60 * MINUTE)
    assert list(odd_clocks(shifted(world))) == [DATABASE]
    monkeypatch.undo()
    store = type(world.lifecycle().store)
    said = store.now
    monkeypatch.setattr(store, "now", lambda one: said(one) + 60 * MINUTE)
    assert list(odd_clocks(shifted(world))) == [STORE]


def test_a_store_that_refuses_says_what_time_it_is_all_the_same(new_world, monkeypatch):
    """A clock far off makes a store refuse every request: its answer has a date still."""
    world = new_world("sqlite", "s3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert abs(world.lifecycle().store.now() - datetime.now(UTC)) < MINUTE


def test_a_file_and_a_folder_have_no_clock_of_their_own(sqlite_world):
    assert read_clocks(shifted(sqlite_world, timedelta(days=4000))) == []
    assert odd_clocks(shifted(sqlite_world, timedelta(days=4000))) == {}


def test_a_machine_behind_its_ledger_is_odd(world):
    now = datetime.now(UTC)
    control = world.lifecycle().crm.control
    control.places.sealed(3, b"note", [], now - 9 * MINUTE)
    assert odd_clocks(shifted(world)) == {}
    control.places.sealed(5, b"note", [], now + 11 * MINUTE)
    assert list(odd_clocks(shifted(world))) == [LEDGER]
    with world.engine.begin() as connection:
        connection.execute(control.places.checkpoints.delete())
