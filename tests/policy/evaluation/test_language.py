"""What the language of the law says beyond one trigger and one period: earlier days, caps, tails, at once."""

from typing import Any

import pytest

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components
from tests.policy.build import NO_HOLDS, call, day, facts, hold, holds, regime, rule, schedule, schedules

NIGHT = "2026-11-20"
EARLIER = {"earlier_of": ["ended_at", "relationship_ended_at"]}
LEFT = {"relationship_ended_at": day("2022-05-10")}


def under(*laws: Regime, **more: Any) -> Schedules:
    """Every call goes a year after its end, its copy too; under the laws given."""
    return schedules(schedule(rule("R", "P1Y", "P1Y", regimes=[law.id for law in laws], **more)), under=laws)


def row(told: dict[str, Any], of: Schedules, night: str = NIGHT, held: Holds = NO_HOLDS) -> dict[str, Any]:
    (found,) = dispose_calls(facts(told), of, held, day(night)).to_pylist()
    return found


def answer(*given: Any, **more: Any) -> tuple[str, str]:
    found = row(*given, **more)
    return found["disposition"], found["detail"]


def copy_goes(*given: Any) -> str:
    return str(row(*given)["destroy_on"])


# ---- the earlier of several days


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (call(ended="2021-03-16", **LEFT), "due: R from 2022-03-17"),
        (call(ended="2023-03-16", **LEFT), "due: R from 2023-05-11"),
        (call(ended=None, **LEFT), "due: R from 2023-05-11"),
        (call(ended="2027-03-16", **LEFT), "due: R from 2023-05-11"),  # a day to come is not the earlier one
        (call(ended="1970-01-01", **LEFT), "due: R from 2023-05-11"),  # what software writes for no date
        (call(ended="2021-03-16", relationship_ended_at=None), "due: R from 2022-03-17"),
        (
            call(ended=None, relationship_ended_at=None),
            "awaiting_trigger: the earlier of ended_at and relationship_ended_at: none of them is known and usable",
        ),
    ],
)
def test_the_earlier_of_the_days_that_are_known_starts_the_clock(told, said):
    assert ": ".join(answer(told, under(trigger=EARLIER))) == said


def test_a_law_may_count_from_the_earlier_day_as_well():
    law = regime("law", trigger=EARLIER, minimum="P5Y")
    assert copy_goes(call(ended="2021-03-16", **LEFT), under(law)) == "2026-03-17"
    assert copy_goes(call(ended="2023-03-16", **LEFT), under(law)) == "2027-05-11"


def test_the_earlier_and_the_later_of_the_same_facts_are_not_the_same():
    one, other = (rule(trigger={which: ["a", "b"]}) for which in ("earlier_of", "later_of"))
    assert schedule(one).rules[0].trigger != schedule(other).rules[0].trigger
    assert schedule(one).rules[0].clock != schedule(other).rules[0].clock
    assert schedule(other).rules[0].trigger == ("a", "b")


# ---- at the latest

CAP = {"at_the_latest": {"period": "P3Y", "trigger": "ended_at"}, "trigger": "relationship_ended_at"}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (call(ended="2021-03-16", **LEFT), "due: R from 2023-05-11"),
        (call(ended="2019-03-16", **LEFT), "due: R from 2022-03-17"),
        (call(ended="2021-03-16", relationship_ended_at=None), "due: R from 2024-03-17"),
        (call(ended="2025-03-16", relationship_ended_at=None), "retained: R from 2028-03-17"),
        (call(ended=None, **LEFT), "due: R from 2023-05-11"),
        (
            call(ended=None, relationship_ended_at=None),
            "awaiting_trigger: relationship_ended_at is missing or no date, and ended_at as well",
        ),
    ],
)
def test_a_rule_is_over_at_the_latest_by_its_cap(told, said):
    assert ": ".join(answer(told, under(**CAP))) == said


def test_the_copy_goes_with_the_cap_and_never_before_a_floor():
    of = schedules(schedule(rule("R", "P1Y", "P9Y", **CAP)))
    assert copy_goes(call(ended="2021-03-16", **LEFT), of) == "2024-03-17"
    law = regime("law", minimum="P5Y")
    of = schedules(schedule(rule("R", "P1Y", "P9Y", regimes=["law"], **CAP)), under=[law])
    assert copy_goes(call(ended="2021-03-16", **LEFT), of) == "2026-03-17"


def test_what_is_on_record_is_the_day_that_counted():
    assert row(call(ended="2019-03-16", **LEFT), under(**CAP))["trigger_date"] == day("2019-03-16")
    assert row(call(ended="2021-03-16", **LEFT), under(**CAP))["trigger_date"] == day("2022-05-10")


CAPPED = regime(
    "capped",
    trigger="relationship_ended_at",
    minimum={"period": "P5Y", "at_the_latest": {"period": "P6Y", "trigger": "ended_at"}},
)


@pytest.mark.parametrize(
    ("ended", "left", "goes"),
    [
        ("2021-03-16", "2022-05-10", "2027-03-17"),
        ("2022-03-16", "2022-05-10", "2027-05-11"),
        ("2021-03-16", None, "2027-03-17"),  # no relationship ended: six years are asked for, and no more
    ],
)
def test_a_minimum_is_over_at_the_latest_by_its_cap(ended, left, goes):
    assert copy_goes(call(ended=ended, relationship_ended_at=left and day(left)), under(CAPPED)) == goes


def test_a_capped_minimum_waits_where_nothing_is_known():
    of = under(CAPPED, trigger="started_at")
    why = "capped counts from relationship_ended_at and ended_at, which is missing or cannot be used"
    told = call(ended=None, started_at=call()["ended_at"], relationship_ended_at=None)
    assert answer(told, of) == ("awaiting_trigger", why)


# ---- a tail after a dispute

TAIL = regime("tail", minimum=["P1Y", {"period": "P2Y", "trigger": "dispute_ended_at", "only_if": "disputed"}])


@pytest.mark.parametrize(
    ("disputed", "over", "goes"),
    [
        (False, None, "2022-03-17"),
        (False, "2025-01-31", "2022-03-17"),
        (True, "2025-01-31", "2027-02-01"),
        (None, "2025-01-31", "2027-02-01"),
    ],
)
def test_a_dispute_lengthens_what_it_is_about_and_nothing_else(disputed, over, goes):
    told = call(disputed=disputed, dispute_ended_at=over and day(over))
    assert copy_goes(told, under(TAIL)) == goes


@pytest.mark.parametrize("disputed", [True, None])
def test_a_dispute_that_is_open_or_perhaps_one_keeps(disputed):
    told = call(disputed=disputed, dispute_ended_at=None)
    assert answer(told, under(TAIL))[0] == "awaiting_trigger"


def test_a_rule_for_disputed_calls_says_nothing_of_others():
    tail = rule("T", "P9Y", "P9Y", trigger="dispute_ended_at", only_if="disputed")
    of = schedules(schedule(rule("R", "P1Y", "P1Y"), tail))
    said = [answer(call(disputed=each, dispute_ended_at=day("2025-01-31")), of) for each in (False, True, None)]
    assert said == [("due", "R from 2022-03-17"), *[("retained", "T from 2034-02-01")] * 2]
    alone = schedules(schedule(tail))
    told = [call(disputed=each, dispute_ended_at=day("2010-01-31")) for each in (True, None)]
    assert [answer(each, alone)[0] for each in told] == ["due", "unscheduled"]


def test_a_maximum_that_may_not_count_bounds_nothing():
    law = regime("law", maximum={"period": "P1D", "only_if": "disputed"})
    said = [answer(call(disputed=each), under(law))[0] for each in (True, False, None)]
    assert said == ["conflict", "due", "due"]


# ---- at once


@pytest.mark.parametrize(
    ("count", "first"), [("after_event", "2026-11-20"), ("from_event", "2026-11-20"), ("year_end", "2027-01-01")]
)
def test_at_once_is_the_day_after_the_event(count, first):
    of = schedules(schedule(rule("R", "at_once", "at_once", count=count)))
    found = row(call(ended="2026-11-19"), of, "2027-06-01")
    assert (str(found["purge_from"]), str(found["destroy_on"])) == (first, first)
    assert answer(call(ended="2026-11-19"), of, "2026-11-19")[0] == "retained"


def test_a_maximum_at_once_ends_with_the_day_of_the_event():
    law = regime("law", maximum="at_once")
    at_once = schedules(schedule(rule("R", "at_once", "at_once", regimes=["law"])), under=[law])
    assert answer(call(), at_once)[0] == "due"
    later = schedules(schedule(rule("R", "P1D", "P1D", regimes=["law"])), under=[law])
    assert answer(call(), later) == ("conflict", "2021-03-16: a maximum's last day, the copy goes on 2021-03-18")


# ---- a component's maximum ends at the component

SIX_MONTHS = regime("voice", maximum="P6M", components=["recording"])
PARTS = [rule("R", "P5Y", "P7Y", regimes=["voice"]), rule("REC", "P3M", "P6M", component="recording")]


@pytest.mark.parametrize("there", [True, False, None])
def test_a_maximum_of_the_recording_puts_no_call_in_conflict(there):
    of = schedules(schedule(*PARTS), under=[SIX_MONTHS])
    assert answer(call(ended="2026-01-10", has_recording=there), of)[0] == "retained"
    assert answer(call(ended="2021-01-10", has_recording=there), of) == ("due", "R from 2026-01-11")


def test_it_bounds_the_recording_whichever_rule_names_it():
    late = {**PARTS[1], "destroy_after": "P1Y"}
    for rules in ([PARTS[0], late], [rule("R", "P5Y", "P7Y"), {**late, "regimes": ["voice"]}]):
        of = schedules(schedule(*rules), under=[SIX_MONTHS])
        told = facts(call(ended="2026-01-10", has_recording=True))
        (found,) = dispose_components(told, of, NO_HOLDS, day(NIGHT)).to_pylist()
        why = "2026-07-10: a maximum's last day, the copy goes on 2027-01-11"
        assert (found["disposition"], found["detail"]) == ("conflict", why)
        assert answer(call(ended="2026-01-10", has_recording=True), of)[0] == "retained"


def test_a_maximum_of_the_metadata_is_the_calls_own():
    law = regime("law", maximum="P6M", components=["metadata", "notes"])
    assert answer(call(), schedules(schedule(rule("R", "P1Y", "P1Y", regimes=["law"])), under=[law]))[0] == "conflict"


def test_a_law_without_a_component_sets_it_no_floor():
    five = {"minimum": "P5Y", "trigger": "ended_at"}
    rules = [rule("R", "P5Y", "P7Y", regimes=["law"]), rule("REC", "at_once", "at_once", component="recording")]
    ends = {}
    for name, law in {"all": regime("law", **five), "without": regime("law", without=["recording"], **five)}.items():
        told = facts(call(ended="2026-01-10", has_recording=True))
        found = dispose_components(told, schedules(schedule(*rules), under=[law]), NO_HOLDS, day(NIGHT)).to_pylist()
        ends[name] = [str(each["destroy_on"]) for each in found]
    assert ends == {"all": ["2031-01-11"], "without": ["2026-01-11"]}


# ---- a maximum that ended


def test_what_keeps_a_call_beyond_a_hard_maximum_needs_legal_review():
    of = under(regime("law", maximum="P2Y"), keep_while=["open_deal"])
    acme, review = holds(hold("acme", call_ids=["c"])), "; needs legal review: a maximum ended on 2023-03-16"
    for open_deal, said in ((True, "open_deal"), (None, "open_deal?")):
        told = call(open_deal=open_deal)
        assert answer(told, of, "2023-03-16") == ("kept", said)
        assert answer(told, of, "2023-03-17") == ("kept", said + review)
        assert answer(told, of, "2023-03-17", acme) == ("on_hold", "acme" + review)


# ---- what had run out before a law came


@pytest.mark.parametrize(
    ("left", "goes"), [("2018-06-01", "2022-03-17"), ("2019-12-31", "2022-03-17"), ("2020-01-01", "2030-01-02")]
)
def test_what_had_run_out_under_the_older_period_is_not_bound_again(left, goes):
    force = {"from": day("2025-01-01"), "records": "unexpired", "before": {"period": "P5Y", "count": "year_end"}}
    law = regime("law", trigger="relationship_ended_at", minimum="P10Y", in_force=force)
    assert copy_goes(call(relationship_ended_at=day(left)), under(law)) == goes
