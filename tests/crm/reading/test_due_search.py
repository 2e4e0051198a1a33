"""Calls found by a column that stands for a computed fact: none that may be due is lost, whatever the column holds."""

from datetime import date

import pytest

from lifecycle.crm.reading import facts as module
from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.errors import SourceError

NIGHT = date(2026, 11, 20)
CUTOFFS = Cutoffs(NIGHT, {"ended_at": date(2025, 11, 20)})
TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, kind VARCHAR(9), began TIMESTAMP NULL, ended TIMESTAMP NULL)"
FACTS = "SELECT id AS call_id, kind AS industry, CASE WHEN ended > began THEN ended ELSE began END AS ended_at FROM t"
FOUND_BY = "found_by: {ended_at: began}"
CALLS = """INSERT INTO t VALUES (1, 'x', '2025-03-04 10:00:00', '2025-03-04 10:05:00'), (2, 'x', NULL, NULL),
(3, 'x', '1970-01-02 00:00:00', NULL), (4, 'x', '2027-01-01 00:00:00', NULL), (5, 'x', '2026-05-06 00:00:00', NULL),
(6, 'y', '2025-11-19 23:00:00', '2026-05-06 00:00:00')"""


def found(crm, cutoffs=CUTOFFS) -> set[int]:
    with crm.database.reading() as connection:
        return {key for table in crm.facts.candidates(connection, cutoffs) for key in table["call_id"].to_pylist()}


@pytest.mark.parametrize("few", [0, 100])
def test_due_and_unusable_calls_are_found_by_the_column_and_judged_by_the_fact(made, monkeypatch, few):
    monkeypatch.setattr(module, "FEW_CALLS", few)
    plain, by_column = (made.run(*which).crm(facts=FACTS, more=more) for which, more in
                        (((TABLE, CALLS), ""), ((), FOUND_BY)))  # fmt: skip
    assert found(plain) == {1, 2, 3, 4}
    assert found(by_column) == {1, 2, 3, 4, 6}
    with by_column.database.reading() as connection:
        tables = list(by_column.facts.candidates(connection, CUTOFFS))
    ended = {row["call_id"]: row["ended_at"] for table in tables for row in table.to_pylist()}
    assert ended[6].year == 2026


def test_the_condition_of_the_calls_holds_for_what_is_found_by_the_column(make):
    made = make("sqlite").run(TABLE, CALLS)
    crm = made.crm(facts=f"{FACTS} WHERE kind = 'x'", more=FOUND_BY)
    assert found(crm) == {1, 2, 3, 4}


def test_a_component_is_found_by_the_column_where_it_may_be_there(made):
    made.run(TABLE, CALLS, "CREATE TABLE r (id INTEGER PRIMARY KEY, call_id INTEGER)", "INSERT INTO r VALUES (1, 1)")
    crm = made.crm(
        facts=FACTS.replace(" FROM", ", EXISTS (SELECT 1 FROM r WHERE r.call_id = t.id) AS has_tape FROM"),
        children="[{table: r, match: {call_id: id}}]",
        more=f"{FOUND_BY}\ncomponents: {{tape: {{tables: [r]}}}}",
    )
    assert found(crm, Cutoffs(NIGHT, {}, {"tape": CUTOFFS.latest})) == {1}


def test_a_column_that_is_not_there_is_refused(make):
    with pytest.raises(SourceError, match="table t has no column start"):
        make("sqlite").run(TABLE).crm(facts=FACTS, more="found_by: {ended_at: start}")
