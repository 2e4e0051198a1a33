"""`lifecycle discover`: every column that names a call, whatever the mapping knows; and none names a purged one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle.crm.mapping.source import CallTable, read_source
from lifecycle.crm.value_sweep import SearchedTable
from lifecycle.errors import InputError
from lifecycle.inquiry.discovery import discover_call, purged_calls_still_named
from lifecycle.inquiry.pointing_columns import pointing_columns
from lifecycle.night.industry_night import open_industry_night
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
                              .replace("call_id VARCHAR(40)", "call_id INTEGER")
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
    work = open_industry_night(lifecycle, "Retail", NIGHT)
    found = purged_calls_still_named(lifecycle, work, SOON)
    assert [(one.table, one.column, one.rows) for one in found.columns] == [("trackers", "item", 2)]
    world.execute("DELETE FROM trackers")
    assert purged_calls_still_named(world.lifecycle(), work, SOON).columns == ()


def test_a_call_of_any_batch_of_the_night_may_be_the_one_that_is_looked_for(small):
    """Twelve batches, a destroy month each, and the last call of the last is named still."""
    world = small("sqlite", *TABLES[:4], more=CHILD).initialised()
    for month in range(1, 13):
        for number in range(30):
            key = f"call-{month:04}-{number:04}"
            world.execute(f"INSERT INTO calls VALUES ('{key}', 'Retail', '2024-{month:02}-{number % 28 + 1:02}', 1)")
    world.execute("INSERT INTO trackers VALUES (1, 'call-0012-0029', 'no', 1)")
    world.ran()
    work = open_industry_night(world.lifecycle(), "Retail", NIGHT)
    found = purged_calls_still_named(world.lifecycle(), work, SOON)
    assert [(one.table, one.column, one.rows) for one in found.columns] == [("trackers", "item", 1)]


NUMBERED = (
    "CREATE TABLE calls (id INT PRIMARY KEY, industry VARCHAR(20), ended_at TIMESTAMP NULL, account_id INT)",
    "CREATE TABLE notes (id INT PRIMARY KEY, object_id INT, object_kind VARCHAR(9), body VARCHAR(40))",
    "CREATE TABLE scores (id INT PRIMARY KEY, call_id INT, parent_call_id INT, amount INT, other_id INT)",
    "CREATE TABLE tags (id INT PRIMARY KEY, parent_id VARCHAR(36), parent_type VARCHAR(40))",
    "CREATE TABLE trackers (id INT PRIMARY KEY, item_id INT, module_name VARCHAR(40))",
    "CREATE TABLE visits (id INT PRIMARY KEY, contact_id INT, type VARCHAR(9))",
    "INSERT INTO calls VALUES (1, 'Retail', '2025-11-20 12:00:00', 4711), (2, 'Retail', '2026-11-01 12:00:00', 1)",
    "INSERT INTO notes VALUES (1, 1, 'deal', 'of a deal'), (2, 1, 'call', 'of the call')",
    "INSERT INTO visits VALUES (1, 1, 'call')",
)
MAPPED_NUMBERS = "children: [{table: notes, match: {object_id: id}, where: {object_kind: call}}]"


def still_named(world):
    lifecycle = world.lifecycle()
    found = purged_calls_still_named(lifecycle, open_industry_night(lifecycle, "Retail", NIGHT), SOON)
    assert found.not_searched == {}
    return [(one.table, one.column, one.rows) for one in found.columns]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_number_that_names_a_purged_call_is_found_where_a_column_points_at_calls_and_nowhere_else(small, kind):
    world = small(kind, *NUMBERED, more=MAPPED_NUMBERS).initialised()
    world.ran()
    assert world.ids() == [2]
    world.execute("INSERT INTO scores VALUES (1, 2, 2, 1, 1), (3, 3, NULL, 1, 1)")
    tags = r"(1, '1', 'Deals'), (2, '2', 'Calls'), (3, '1', NULL)"
    world.execute(f"INSERT INTO tags VALUES {tags}")
    world.execute("INSERT INTO trackers VALUES (1, 1, 'Accounts')")
    assert still_named(world) == []
    world.execute("INSERT INTO scores VALUES (4, 1, 2, 0, 0), (5, 2, 1, 0, 0), (6, 2, 1, 0, 0)")
    world.execute("INSERT INTO tags VALUES (4, '1', 'Calls'), (5, '1', 'App.Models.Call')")
    world.execute("INSERT INTO trackers VALUES (2, 1, 'Calls')")
    world.execute("INSERT INTO notes VALUES (9, 1, 'call', 'written since')")
    assert sorted(still_named(world)) == [
        ("notes", "object_id", 1),
        ("scores", "call_id", 1),
        ("scores", "parent_call_id", 2),
        ("tags", "parent_id", 2),
        ("trackers", "item_id", 1),
    ]


def test_a_foreign_key_points_at_calls_whatever_its_column_is_called(small):
    world = small("sqlite", *NUMBERED, more=MAPPED_NUMBERS).initialised()
    world.ran()
    world.execute("CREATE TABLE polls (id INTEGER PRIMARY KEY, about INT REFERENCES calls, other INT)")
    world.execute("INSERT INTO polls VALUES (1, 2, 1), (2, 1, 2)")  # SQLite looks at keys only where a session asks
    assert still_named(world) == [("polls", "about", 1)]


@pytest.mark.parametrize(
    ("own", "column", "points"),
    [
        ("calls", "call_id", True), ("calls", "calls_id", True), ("calls", "callId", True), ("calls", "CALLID", True),
        ("calls", "id_call", True), ("calls", "accounts_calls_1calls_idb", True), ("calls", "call", True),
        ("calls", "parent_call_id", True), ("phone_calls", "call_id", True), ("phone_calls", "phone_call_id", True),
        ("vtiger_call", "callid", True), ("crm.calls", "call_id", True),
        ("calls", "calls", False), ("calls", "call_count", False), ("calls", "caller_id", False),
        ("calls", "recall_id", False), ("calls", "sales_call_id", False), ("calls", "parent_id", False),
        ("sales_calls", "sales_call_id", True),
    ],
)  # fmt: skip
def test_a_column_named_like_the_table_of_calls_points_at_them(own, column, points):
    schema, _, name = own.rpartition(".")
    table = SearchedTable(None, "x", {column: "integer", "amount": "integer"}, ())
    tables = [table, SearchedTable(schema or None, name, {"id": "integer"}, ("id",))]
    tables += [SearchedTable(None, "sales_calls", {"id": "integer"}, ("id",))] if own == "calls" else []
    source = read_source("demo").model_copy(update={"call": CallTable(table=own, key="id"), "children": ()})
    assert [one.column for one in pointing_columns(table, source, tables)] == ([column] if points else [])
