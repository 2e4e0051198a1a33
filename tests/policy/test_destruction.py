"""A recorded destroy date is judged again when destruction comes, and moves later; sooner by a maximum or a request."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.policy.destruction import judge_copies
from lifecycle.policy.documents.schedule import Schedules
from tests.policy.build import NO_HOLDS, call, day, facts, hold, holds, regime, rule, schedule, schedules
from tests.policy.evaluation.test_disposition_laws import DAYS, FACTS, FEWER, HOLDS, NIGHTS, due, laws, table

OLD = regime("old", trigger="relationship_ended_at", minimum="P5Y", in_force={"until": day("2027-07-09"),
             "records": "unexpired"})  # fmt: skip
NEW = regime("new", trigger="relationship_ended_at", minimum="P5Y", in_force={"from": day("2027-07-10"),
             "records": "unexpired"})  # fmt: skip
CALL = call(ended="2021-03-16", relationship_ended_at=day("2023-01-01"))


def under(*names: str, destroy: str = "P5Y", **more: object) -> Schedules:
    return schedules(schedule(rule("R", "P1Y", destroy, regimes=list(names), **more)), under=[OLD, NEW])


def again(recorded: str | None, of: Schedules, night: str, held=NO_HOLDS, told=CALL) -> tuple[str, bool, str | None]:
    copies = pa.table({"call_id": ["c"], "destroy_on": pa.array([recorded and day(recorded)], pa.date32())})
    (row,) = judge_copies(copies, facts(told), of, held, day(night)).to_pylist()
    return str(row["destroy_from"]), row["may_go"], row["detail"]


def test_a_law_that_took_anothers_place_lengthens_what_was_recorded_under_it():
    """Recorded when only the old law was named: its end is the last day of that law, not of the five years."""
    assert again("2027-07-10", under("old"), "2027-07-10") == ("2027-07-10", True, None)
    both = under("old", "new")
    assert again("2027-07-10", both, "2027-07-10") == ("2028-01-02", False, "not before 2028-01-02")
    assert again("2027-07-10", both, "2028-01-02") == ("2028-01-02", True, None)


def test_a_shorter_schedule_moves_no_recorded_date():
    assert again("2030-01-01", under(), "2029-12-31") == ("2030-01-01", False, "not before 2030-01-01")
    assert again(None, under(), "2099-01-01") == ("9999-12-31", False, "kept for ever")
    assert again("2026-03-17", under(destroy="never"), "2099-01-01") == ("9999-12-31", False, "kept for ever")


def test_a_hold_keeps_the_copy():
    acme = holds(hold("acme", call_ids=["c"]))
    assert again("2026-03-17", under(), "2026-03-17", acme) == ("2026-03-17", False, "on_hold: acme")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (call(industry="Elsewhere"), "unscheduled: no schedule matches industry 'Elsewhere'"),
        (call(ended=None), "awaiting_trigger: ended_at is missing or no date"),
    ],
)
def test_what_is_unknown_keeps_the_copy(told, why):
    assert again("2020-01-01", under(), "2099-01-01", told=told)[1:] == (False, why)


def test_a_copy_that_is_not_on_record_stays():
    nobody = pa.table({"call_id": pa.array([], pa.string()), "destroy_on": pa.array([], pa.date32())})
    (row,) = judge_copies(nobody, facts(CALL), under(), NO_HOLDS, day("2099-01-01")).to_pylist()
    assert (row["may_go"], row["detail"]) == (False, "kept for ever")


def test_a_request_ends_the_companys_wish_and_no_minimum_and_no_hold():
    asked = call(ended="2021-03-16", relationship_ended_at=day("2023-01-01"), erasure_requested_on=day("2026-05-01"))
    eager = {"on_erasure": "floor"}
    assert again("2028-01-02", under(**eager), "2026-05-01", told=asked) == ("2026-03-17", True, None)
    assert again("2028-01-02", under("new", **eager), "2028-01-01", told=asked) == (
        "2028-01-02", False, "not before 2028-01-02")  # fmt: skip
    assert again("2028-01-02", under(), "2026-05-01", told=asked) == ("2028-01-02", False, "not before 2028-01-02")
    acme = holds(hold("acme", call_ids=["c"]))
    assert not again("2028-01-02", under(**eager), "2026-05-01", acme, asked)[1]
    assert not again("2028-01-02", under(**eager), "2026-04-30", told=asked)[1]


def test_a_maximum_ends_a_recorded_day_that_lies_beyond_it():
    most = schedules(schedule(rule("R", "P1Y", "P2Y", regimes=["most"])),
                     under=[regime("most", trigger="ended_at", maximum="P3Y")])  # fmt: skip
    assert again("2030-01-01", most, "2024-03-16") == ("2024-03-17", False, "not before 2024-03-17")
    assert again("2030-01-01", most, "2024-03-17") == ("2024-03-17", True, None)
    assert again("2023-01-01", most, "2023-03-17") == ("2023-03-17", True, None)


@FEWER
@given(
    FACTS, laws(), HOLDS, NIGHTS, st.dictionaries(st.sampled_from([f"c{n}" for n in range(6)]), st.sampled_from(DAYS))
)
def test_no_copy_goes_before_its_day_unless_hurried_nor_while_its_call_would_stay(rows, of, held, as_of, days):
    copies = pa.table({"call_id": list(days), "destroy_on": pa.array(days.values(), pa.date32())})
    copies = copies.cast(pa.schema([("call_id", pa.string()), ("destroy_on", pa.date32())]))
    found = judge_copies(copies, table(rows), of, held, as_of).to_pylist()
    assert [row["call_id"] for row in found] == list(dict.fromkeys(row["call_id"] for row in rows))
    for row in found:
        assert row["hurried"] or row["destroy_from"] >= days.get(row["call_id"], date.max)
        assert row["may_go"] == (row["detail"] is None)
        if row["may_go"]:
            assert row["call_id"] in due(rows, of, held, as_of)
            assert row["destroy_from"] <= as_of
