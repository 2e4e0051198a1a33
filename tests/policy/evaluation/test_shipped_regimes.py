"""Worked cases of shipped regimes: each was wrong once, or is the first of its kind. The sources are in the files."""

from typing import Any

import pytest

from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components
from tests.policy.build import NO_HOLDS, call, day, facts, rule, schedule, schedules
from tests.policy.documents.test_shipped import REGIMES
from tests.policy.evaluation.test_examples import DAY, FLAG

NIGHT = day("2999-12-31")
BOOLEANS = ("was_minor", "disputed", "has_card_data", "has_recording")


def under(*names: str, **more: Any) -> Schedules:
    one = rule("R", "at_once", "at_once", regimes=names, **more)
    return schedules(schedule(one), under=[REGIMES[name] for name in names])


def table(told: dict[str, Any]) -> Any:
    kinds = {
        name: FLAG if name in BOOLEANS else DAY for name in told if name not in ("call_id", "industry", "ended_at")
    }
    return facts({n: day(v) if isinstance(v, str) and n in kinds else v for n, v in told.items()}, **kinds)


def copy_goes(told: dict[str, Any], *names: str) -> str:
    (found,) = dispose_calls(table(told), under(*names), NO_HOLDS, NIGHT).to_pylist()
    return str(found["destroy_on"]) if found["disposition"] == "due" else found["disposition"]


@pytest.mark.parametrize(
    ("ended", "born", "goes"),
    [
        ("2021-03-16", "1961-07-04", "2026-03-17"),
        ("2024-02-10", "2015-06-01", "2038-06-01"),  # on the 23rd birthday nobody is younger any more
        ("2024-02-10", None, "2047-02-10"),  # the patient was born on the day of the call, or before
    ],
)
def test_nevada_counts_from_the_record_and_to_an_age(ended, born, goes):
    assert copy_goes(call(ended=ended, born_on=born), "us-nv-medical") == goes


@pytest.mark.parametrize(
    ("told", "goes"),
    [
        ({"born_on": "1990-05-05", "was_minor": False}, "2035-03-17"),  # eleven years, and not until 30 of an adult
        (
            {"born_on": "2005-08-01", "was_minor": False},
            "2035-03-17",
        ),  # 18 and a half at the call: not until 2035-08-02
        ({"born_on": "2010-05-05", "was_minor": True}, "2040-05-06"),  # the birthday itself is still kept
        ({"born_on": "2008-02-29", "was_minor": True}, "2038-03-02"),
        ({"born_on": None, "was_minor": False}, "2035-03-17"),
        ({"born_on": None, "was_minor": None}, "2054-03-02"),  # unknown keeps, and not for ever
        ({"born_on": None, "was_minor": True}, "2054-03-02"),
    ],
)
def test_north_carolina_asks_for_the_age_of_minors_and_keeps_their_birthday(told, goes):
    assert copy_goes(call(ended="2024-03-01", discharged_at="2024-03-16", **told), "us-nc-hospital") == goes


@pytest.mark.parametrize(
    ("name", "trigger"), [("cn-aml-34", "relationship_ended_at"), ("cn-aml-34-transaction", "transaction_completed_at")]
)
@pytest.mark.parametrize(
    ("over", "goes"),
    [
        ("2026-01-31", "2036-02-01"),
        ("2020-01-01", "2030-01-02"),
        ("2019-12-31", "2018-03-17"),
        ("2012-06-01", "2018-03-17"),
    ],
)
def test_china_counts_each_from_its_own_end_and_revives_nothing(name, trigger, over, goes):
    assert copy_goes(call(ended="2018-03-16", **{trigger: over}), name) == goes


def test_a_transaction_of_a_running_relationship_is_free_in_china_and_after_ten_years_in_the_uk():
    running = call(ended="2020-03-16", transaction_completed_at="2020-03-16", relationship_ended_at=None)
    assert copy_goes(running, "cn-aml-34-transaction") == "2030-03-17"
    assert copy_goes(running, "cn-aml-34") == "awaiting_trigger"
    assert copy_goes(running, "uk-mlr-40-transaction") == "2030-03-17"
    assert copy_goes(running, "uk-mlr-40") == "awaiting_trigger"
    ended = {**running, "relationship_ended_at": "2022-07-31"}
    assert copy_goes(ended, "uk-mlr-40-transaction") == "2027-07-31"


@pytest.mark.parametrize(("ended", "goes"), [("2022-10-02", "2022-10-03"), ("2022-10-03", "2023-01-02")])
def test_brazil_binds_from_the_third_of_october(ended, goes):
    assert copy_goes(call(ended=ended, has_recording=True), "br-sac-recording") == goes


@pytest.mark.parametrize(("ended", "goes"), [("2016-07-19", "2016-07-20"), ("2016-07-20", "2019-07-21")])
def test_russia_binds_the_facts_two_years_before_the_voice(ended, goes):
    assert copy_goes(call(ended=ended), "ru-126fz-64-facts") == goes


def test_card_data_go_at_once_under_a_rule_that_names_mifid():
    rules = [
        rule("ORDER", "P5Y", "P5Y", regimes=["eu-mifid2-16-7"]),
        rule("CARD", "at_once", "at_once", component="card_data", trigger="payment_authorised_at",
             regimes=["pci-dss-3-3-1"]),
    ]  # fmt: skip
    laws = [REGIMES[name] for name in ("eu-mifid2-16-7", "pci-dss-3-3-1")]
    told = table(call(ended="2026-03-16", payment_authorised_at="2026-03-16", has_card_data=True))
    night = day("2026-03-17")
    found = dispose_components(told, schedules(schedule(*rules), under=laws), NO_HOLDS, night).to_pylist()
    assert [(row["disposition"], str(row["destroy_on"])) for row in found] == [("due", "2026-03-17")]
    (whole,) = dispose_calls(told, schedules(schedule(*rules), under=laws), NO_HOLDS, night).to_pylist()
    assert (whole["disposition"], str(whole["destroy_on"])) == ("retained", "2031-03-17")


@pytest.mark.parametrize(
    ("disputed", "over", "goes"),
    [(False, None, "2026-02-01"), (True, "2025-12-31", "2028-01-01"), (True, None, "awaiting_trigger")],
)
def test_chinese_insurers_keep_two_years_after_a_dispute(disputed, over, goes):
    told = call(ended="2020-03-16", policy_ended_at="2021-01-31", disputed=disputed, dispute_ended_at=over)
    assert copy_goes({**told, "has_recording": True}, "cn-insurance-54-short") == goes


@pytest.mark.parametrize(
    ("closed", "replaced", "goes"),
    [("2020-06-30", None, "2026-07-01"), ("2020-06-30", "2019-01-31", "2025-02-01"), (None, None, "awaiting_trigger")],
)
def test_account_information_goes_six_years_after_the_earlier_of_closing_and_replacement(closed, replaced, goes):
    told = call(ended="2018-03-16", account_closed_at=closed, information_replaced_at=replaced)
    assert copy_goes(told, "us-sec-17a4-e5") == goes


def test_the_successor_of_a_law_that_ends_lengthens_what_it_leaves():
    told = call(ended="2021-03-16", relationship_ended_at="2023-01-01")
    assert copy_goes(told, "eu-amld4-40") == "2027-07-10"
    assert copy_goes(told, "eu-amld4-40", "eu-amlr-77") == "2028-01-02"
