"""Links of calls: each call's own, whatever the database, and none that is unknown passes for none."""

from datetime import date

import pytest

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import Cutoffs, Narrowing
from lifecycle.errors import SourceError
from tests.crm.conftest import TIMES
from tests.roles import product_url

TABLES = [
    "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, ended_at TIMESTAMP NULL, deal_id VARCHAR(9))",
    "CREATE TABLE l (call_id VARCHAR(9), deal_id VARCHAR(9))",
    "INSERT INTO t VALUES ('a', '2020-01-01 00:00:00', 'd'), ('b', '2020-01-01 00:00:00', 'd')",
    "INSERT INTO t VALUES ('c', '2020-01-01 00:00:00', 'd'), ('new', '2026-11-01 00:00:00', 'd')",
    "INSERT INTO l VALUES ('a', '7'), ('a', ' 8 '), ('b', NULL), ('new', '7'), ('gone', '7')",
]
FACTS = "SELECT id AS call_id, 'x' AS industry, ended_at AS ended_at FROM t"
PLAIN = "{deal_id: 'SELECT call_id, deal_id FROM l'}"
CUTOFFS = Cutoffs(date(2026, 11, 20), {"ended_at": date(2025, 1, 1)})


def linked(made, links: str = PLAIN, facts: str = FACTS) -> Crm:
    made.crm(facts=facts)
    path = made._folder / "mapped.yaml"
    path.write_text(f"{path.read_text()}\nlinks: {links}")
    return Crm(open_database(product_url(made.url, read_source(str(path)))), read_source(str(path)), TIMES)


def links_of(tables, name: str = "deal_id") -> dict[str, list[str | None]]:
    found = [row for table in tables for row in table.to_pylist()]
    return {row["call_id"]: sorted(row[name], key=repr) for row in found}


def test_every_link_of_every_call_is_given_and_no_link_is_an_empty_list(made):
    crm = linked(made.run(*TABLES))
    with crm.database.reading() as connection:
        assert links_of([crm.facts.of(connection, ["a", "b", "c"])]) == {"a": [" 8 ", "7"], "b": [None], "c": []}
        assert links_of(crm.facts.candidates(connection, CUTOFFS)) == {"a": [" 8 ", "7"], "b": [None], "c": []}
        assert crm.facts.empty().num_rows == crm.facts.of(connection, []).num_rows == 0


def test_candidates_bring_only_the_links_asked_for_and_the_look_under_lock_brings_all(make):
    two = "{deal_id: 'SELECT call_id, deal_id FROM l', task_id: 'SELECT call_id, deal_id AS task_id FROM l'}"
    crm = linked(make("sqlite").run(*TABLES), two)
    with crm.database.reading() as connection:
        for asked in ([], ["account_id"], ["task_id"], ["deal_id", "task_id"]):
            for table in crm.facts.candidates(connection, CUTOFFS, asked):
                assert {"deal_id", "task_id"} & set(table.column_names) == {"deal_id", "task_id"} & set(asked)
        assert {"deal_id", "task_id"} <= set(crm.facts.of(connection, ["a"]).column_names)
    assert crm.facts.given == {"call_id", "industry", "ended_at", "deal_id", "task_id"}


def test_calls_are_matched_by_the_collation_of_the_database(make):
    made = make("mariadb").run(*TABLES, "INSERT INTO l VALUES ('A', '9')")
    crm = linked(made)
    with crm.database.reading() as connection:
        assert links_of([crm.facts.of(connection, ["a"])]) == {"a": [" 8 ", "7", "9"]}


def test_a_link_of_bytes_is_named_in_hex(make):
    crm = linked(make("mariadb").run(*TABLES), "{deal_id: \"SELECT id AS call_id, x'ff00' AS deal_id FROM t\"}")
    with crm.database.reading() as connection:
        assert links_of([crm.facts.of(connection, ["a"])]) == {"a": ["ff00"]}


def test_a_link_that_is_no_utf_8_is_unknown(make):
    made = make("sqlite").run(*TABLES, "INSERT INTO l VALUES ('c', CAST(x'ff41' AS TEXT))")
    crm = linked(made)
    with crm.database.reading() as connection:
        assert links_of([crm.facts.of(connection, ["c"])]) == {"c": [None]}


def test_whether_any_call_is_in_a_scope_is_asked_of_links_too(made):
    crm = linked(made.run(*TABLES, "DELETE FROM l WHERE deal_id IS NULL"))
    with crm.database.reading() as connection:
        known = {value: crm.facts.any_in(connection, Narrowing({"deal_id": [value]})) for value in ("7", "8", "70")}
        assert known == {"7": True, "8": True, "70": False}
        assert not crm.facts.any_in(connection, Narrowing({"deal_id": ["7"], "call_id": ["b"]}))
        scopes = [Narrowing({"deal_id": ["8"]}), Narrowing({"call_id": ["c"]})]
        assert links_of(crm.facts.in_scopes(connection, scopes)) == {"a": [" 8 ", "7"], "c": []}


def test_a_link_without_a_value_may_be_in_any_scope(made):
    crm = linked(made.run(*TABLES))
    with crm.database.reading() as connection:
        assert crm.facts.any_in(connection, Narrowing({"deal_id": ["70"], "call_id": ["b"]}))


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ("{deal_id: 'SELECT deal_id FROM l'}", "deal_id: expected the columns call_id and deal_id, found deal_id"),
        ("{deal_id: 'SELECT call_id FROM l'}", "deal_id: expected the columns call_id and deal_id, found call_id"),
        ("{lot_id: 'SELECT call_id FROM l'}",
         "expected a link that a hold can name (account_id, agent_id, case_id, contact_id, deal_id, lead_id, phone, "
         "task_id), found 'lot_id'"),
        ("{industry: 'SELECT call_id FROM l'}", "expected a link that a hold can name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_link_is_said_when_the_crm_is_opened(make, links, said):
    with pytest.raises(SourceError) as error:
        linked(make("sqlite").run(*TABLES), links)
    assert said in str(error.value)


def test_a_link_that_is_also_a_fact_is_refused(make):
    with pytest.raises(SourceError, match="deal_id is a link and a column of the facts query"):
        linked(make("sqlite").run(*TABLES), facts=FACTS.replace("ended_at AS ended_at", "deal_id AS deal_id"))


def test_a_link_whose_key_cannot_be_compared_is_found_before_a_night(make):
    links = "{deal_id: 'SELECT 1 AS call_id, deal_id FROM l'}"
    with pytest.raises(SourceError, match=r"links\.deal_id: its call_id is number and t\.id is text"):
        linked(make("postgresql").run(*TABLES), links)


def test_sql_of_a_link_may_hold_percents_colons_and_a_semicolon(made):
    text = (
        "{deal_id: \"SELECT call_id, CASE WHEN deal_id LIKE '7%' THEN 'x:y' END AS deal_id FROM l WHERE ':' = ':' ;\"}"
    )
    crm = linked(made.run(*TABLES), text)
    with crm.database.reading() as connection:
        assert links_of([crm.facts.of(connection, ["a"])]) == {"a": ["x:y", None]}
