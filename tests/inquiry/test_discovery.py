"""`lifecycle discover`: every column that names a call, whatever the mapping knows; and none names a purged one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle.errors import InputError
from lifecycle.inquiry.discovery import discover_call, purged_calls_still_named
from lifecycle.night.cohort import open_cohort
from tests.night.small import NIGHT

KEY, NOTE = "call-0001-0001", "note-0001-0001"
TABLES = (
    "CREATE TABLE calls (id VARCHAR(40) PRIMARY KEY, industry VARCHAR(20), ended_at TIMESTAMP NULL, account_id INT)",
    "CREATE TABLE notes (id VARCHAR(40) PRIMARY KEY, call_id VARCHAR(40), body VARCHAR(40))",
    "CREATE TABLE trackers (id INT PRIMARY KEY, item VARCHAR(40), other VARCHAR(40), amount INT)",
    "CREATE TABLE quiet (id INT PRIMARY KEY, item VARCHAR(40))",
    f"INSERT INTO calls VALUES ('{KEY}', 'Retail', '2025-11-20 12:00:00', 4711)",
    f"INSERT INTO notes VALUES ('{NOTE}', '{KEY}', 'x')",
    f"INSERT INTO trackers VALUES (1, '{KEY}', 'no', 1), (2, '{KEY}', '{NOTE}', 2), (3, 'no', 'no', 3)",
    "INSERT INTO quiet VALUES (1, 'call')",
)
CHILD = "children: [{table: notes, match: {call_id: id}}]"
SOON = timedelta(seconds=30)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def world(request, small):
    return small(request.param, *TABLES, more=CHILD).initialised()


def test_every_column_that_holds_the_call_or_a_row_of_it_is_found_and_counted(world):
    seen = []
    lifecycle = world.lifecycle()
    found = discover_call(replaced(lifecycle, seen), KEY, SOON)
    assert [(one.table, one.column, one.rows, one.names, one.mapped) for one in found.columns] == [
        ("trackers", "item", 2, "calls", False),
        ("trackers", "other", 1, "notes", False),
        ("notes", "call_id", 1, "calls", True),
    ]
    assert (found.not_searched, found.needs_person, found.tables) == ({}, True, 4)
    assert seen[-1] == ("tables looked through", 4, 4)


def replaced(lifecycle, seen):
    return replace(lifecycle, progress=lambda *said: seen.append(said))


def test_what_there_is_no_time_for_is_named(world):
    found = discover_call(world.lifecycle(), KEY, timedelta(0))
    assert (len(found.columns), len(found.not_searched), found.needs_person) == (0, 4, True)


def test_a_table_that_takes_too_long_or_may_not_be_read_is_named_and_the_others_go_on(small, monkeypatch):
    monkeypatch.setattr("lifecycle.inquiry.discovery.TABLE_SECONDS", 0.05)
    big = "CREATE TABLE big AS SELECT n, md5(n::text) AS t FROM generate_series(1, 1000000) n"
    world = small("postgresql", *TABLES, big, more=CHILD)
    found = discover_call(world.lifecycle(), KEY, SOON)
    assert list(found.not_searched) == ["big"]
    assert "timeout" in found.not_searched["big"]
    assert [one.table for one in found.columns] == ["trackers", "trackers", "notes"]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_other_databases_end_a_search_in_time_too(small, monkeypatch, kind):
    monkeypatch.setattr("lifecycle.inquiry.discovery.TABLE_SECONDS", 0.01)
    rows = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n, {} AS t FROM s"
    text = {"sqlite": "hex(randomblob(40))", "mariadb": "md5(n)"}[kind]
    world = small(
        kind,
        *TABLES,
        "CREATE TABLE big AS " + rows.format({"sqlite": 200_000, "mariadb": 1_000}[kind], text),
        more=CHILD,
    )
    for _ in range(8 if kind == "mariadb" else 0):
        world.execute("INSERT INTO big SELECT n, md5(rand()) FROM big")
    assert list(discover_call(world.lifecycle(), KEY, SOON).not_searched) == ["big"]


def test_a_number_is_sought_in_columns_that_look_like_keys_and_proves_little(small):
    world = small("sqlite", *(statement.replace(f"'{KEY}'", "7").replace("id VARCHAR(40) PRIMARY", "id INTEGER PRIMARY")
                              .replace(f"'{NOTE}'", "9") for statement in TABLES),
                  "CREATE TABLE more (id INTEGER PRIMARY KEY, call_ref INTEGER, amount INTEGER)",
                  "INSERT INTO more VALUES (7, 7, 7)", more=CHILD)  # fmt: skip
    found = discover_call(world.lifecycle(), "7", SOON)
    assert [(one.table, one.column, one.sure) for one in found.columns if one.names == "calls" and not one.mapped] == [
        ("more", "call_ref", False),
        ("trackers", "item", False),
    ]
    assert not found.needs_person


def test_a_call_that_is_nowhere_is_an_error_of_the_input(world):
    with pytest.raises(InputError, match="expected a call of the CRM, found none"):
        discover_call(world.lifecycle(), "call-0009-0009", SOON)


def test_what_still_names_a_purged_call_is_found_and_nothing_else(world):
    world.ran()
    lifecycle = world.lifecycle()
    cohort = open_cohort(lifecycle, "Retail", "2025-11", NIGHT)
    found = purged_calls_still_named(lifecycle, cohort, SOON)
    assert [(one.table, one.column, one.rows) for one in found.columns] == [("trackers", "item", 2)]
    world.execute("DELETE FROM trackers")
    assert purged_calls_still_named(world.lifecycle(), cohort, SOON).columns == ()
