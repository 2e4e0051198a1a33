"""A row without an industry is judged under those of its call, with all that it says; a call without any stays."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.crm.reading.blank_industries import with_industries_of_others
from lifecycle.crm.reading.fact_selection import Cutoffs

COLUMNS = {"call_id": pa.int64(), "industry": pa.string(), "account_id": pa.string()}


def facts(*rows):
    return pa.table({name: pa.array([row[n] for row in rows], COLUMNS[name]) for n, name in enumerate(COLUMNS)})


def told(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_blank_row_has_every_industry_of_its_call_and_keeps_what_it_says():
    found, beside = with_industries_of_others(
        facts((1, "Retail", "a"), (1, None, "held"), (1, "Bank", "b"), (2, " ", "d"), (3, "Retail", "e"))
    )
    assert told(found) == [
        (1, "Retail", "a"),
        (1, "Retail", "held"),
        (1, "Bank", "held"),
        (1, "Bank", "b"),
        (2, " ", "d"),
        (3, "Retail", "e"),
    ]
    assert beside == {1}


one_row = st.tuples(st.integers(1, 3), st.sampled_from([None, "", " \t", "x", "y"]), st.sampled_from("abc"))


@given(st.lists(one_row, max_size=9))
def test_no_call_no_industry_and_no_account_is_lost_or_made(rows):
    before, (found, beside) = facts(*rows), with_industries_of_others(facts(*rows))
    assert {(call, account) for call, _, account in told(found)} == {(call, account) for call, _, account in rows}
    assert told(before) == told(found) or beside
    for call in {row[0] for row in rows}:
        own = [industry or "" for key, industry, _ in rows if key == call]
        named = {industry for industry in own if industry.strip()}
        assert {industry for key, industry, _ in told(found) if key == call} == named or not named
        assert (call in beside) == (bool(named) and not all(industry.strip() for industry in own))


@pytest.mark.parametrize("few", [0, 100])
def test_it_is_so_for_every_way_to_the_facts(make, monkeypatch, few):
    monkeypatch.setattr("lifecycle.crm.reading.facts.FEW_CALLS", few)
    made = make("sqlite").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, ended_at DATETIME)",
        "CREATE TABLE i (t_id INTEGER, industry VARCHAR(9))",
        "INSERT INTO t VALUES (1, NULL)",
        "INSERT INTO i VALUES (1, ''), (1, 'x')",
    )
    given = "SELECT t.id AS call_id, i.industry AS industry, t.ended_at AS ended_at FROM t JOIN i ON i.t_id = t.id"
    crm, cutoffs = made.crm(facts=given), Cutoffs(date(2026, 1, 1), {"ended_at": None})
    with crm.database.reading() as connection:
        tables = [crm.facts.of(connection, [1]), *crm.facts.candidates(connection, cutoffs)]
    assert [table["industry"].to_pylist() for table in tables] == [["x", "x"]] * 2
    assert crm.facts.blank_beside == {1}
