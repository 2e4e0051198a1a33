"""Erasure requests beside facts: found by the key of the call, whatever its type; and the mark in the CRM itself."""

from datetime import date

import pytest

from lifecycle.crm.control.request_table import ErasureRequest
from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.errors import SourceError
from tests.crm.conftest import TIMES
from tests.roles import product_url

TABLES = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, ended_at TIMESTAMP NULL, mark INTEGER)",
    "INSERT INTO t VALUES (1, '2020-01-01 00:00:00', 0), (2, '2026-11-01 00:00:00', 0), (3, '2026-11-01 00:00:00', 0)",
]
FACTS = "SELECT id AS call_id, 'x' AS industry, ended_at AS ended_at FROM t"
CUTOFFS = Cutoffs(date(2026, 11, 20), {"ended_at": date(2025, 1, 1)})


def opened(made, marks: str = "column: mark, value: 1") -> Crm:
    made.crm(facts=FACTS)
    path = made._folder / "mapped.yaml"
    path.write_text(path.read_text().replace("key: 'id'}", f"key: 'id', restricted: {{{marks}}}}}"))
    crm = Crm(open_database(product_url(made.url, read_source(str(path)))), read_source(str(path)), TIMES)
    crm.control.create()
    return crm


def request(id: str, call: str, received: str = "2026-01-01") -> ErasureRequest:
    return ErasureRequest(id, call, date.fromisoformat(received), f"{received}T00:00:00+00:00", "dpo")


def found(tables) -> dict[int, tuple[str | None, date | None]]:
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["call_id"]: (row.get("erasure_request"), row.get("erasure_requested_on")) for row in rows}


def test_a_requested_call_is_a_candidate_whatever_its_clock_and_carries_the_earliest_request(made):
    crm = opened(made.run(*TABLES))
    new = [request("b", "2", "2026-02-01"), request("a", "2", "2026-01-15"), request("c", "1"), request("d", "77")]
    crm.control.requests.insert(new, crm.restriction, [1, 2])
    with crm.database.reading() as connection:
        everyone = {1: ("c", date(2026, 1, 1)), 2: ("a", date(2026, 1, 15))}
        assert found(crm.facts.candidates(connection, CUTOFFS)) == everyone
        assert found([crm.facts.of(connection, [1, 2, 3])]) == everyone | {3: (None, None)}
        assert "erasure_request" not in crm.facts.of(connection, [3]).column_names
    assert made.rows("SELECT id, mark FROM t ORDER BY id") == [(1, 1), (2, 1), (3, 0)]


def test_a_withdrawn_request_is_none_and_its_mark_is_lifted_with_the_last_one(made):
    crm = opened(made.run(*TABLES))
    one, other = request("a", "2"), request("b", "2", "2026-02-01")
    crm.control.requests.insert([one, other], crm.restriction, [2])
    for each, mark in ((one, 1), (other, 0), (other, 0)):
        crm.control.requests.withdraw(each, f"{each.id} 1", "dpo", crm.restriction, 2)
        assert made.rows("SELECT mark FROM t WHERE id = 2") == [(mark,)]
    with crm.database.reading() as connection:
        assert found(crm.facts.candidates(connection, CUTOFFS)) == {1: (None, None)}
        assert crm.control.requests.of_calls(connection, ["2"]) == []
        both = crm.control.requests.of_calls(connection, ["2"], withdrawn=True)
    assert [(each.id, each.withdrawn_at, each.withdrawn_by) for each in both] == [
        ("a", "a 1", "dpo"),
        ("b", "b 1", "dpo"),
    ]


def test_a_request_whose_key_can_be_none_of_this_crm_names_no_call(make):
    crm = opened(make("sqlite").run(*TABLES))
    crm.control.requests.insert([request("a", "x-7"), request("b", "9" * 30)], crm.restriction, [])
    with crm.database.reading() as connection:
        assert found(crm.facts.candidates(connection, CUTOFFS)) == {1: (None, None)}


def test_a_flag_of_the_database_can_be_the_mark(make):
    made = make("postgresql").run("CREATE TABLE t (id INTEGER PRIMARY KEY, ended_at TIMESTAMP, mark BOOLEAN)")
    made.run("INSERT INTO t VALUES (1, NULL, false)")
    crm = opened(made)
    crm.control.requests.insert([request("a", "1")], crm.restriction, [1])
    assert made.rows("SELECT mark FROM t") == [(True,)]


def test_a_mark_in_a_column_that_is_not_there_is_refused(make):
    with pytest.raises(SourceError, match="table t has no column nowhere"):
        opened(make("sqlite").run(*TABLES), "column: nowhere, value: 1")
