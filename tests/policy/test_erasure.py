"""What one who asks for erasure is told: a ground is a law of the Union or a hold, and nothing else."""

from datetime import date

import pyarrow as pa
import pytest

from lifecycle.policy.documents.schedule import collect_schedules
from lifecycle.policy.erasure import (
    ErasureAnswer,
    ErasureOutcome,
    answer_erasure_request,
    is_union_law,
    last_day_to_answer,
)
from tests.policy.build import NO_HOLDS, call, day, facts, hold, holds, regime, rule, schedule

ASKED, TONIGHT = day("2024-05-02"), day("2024-05-03")
MIFID = "GDPR Article 17(3)(b): five (EU, five) asks for it until 2026-03-16"


def regimes(*given):
    return {each.id: each for each in given}


FIVE = regime("five", minimum="P5Y")


def told(*rules, laws=(FIVE,), held=NO_HOLDS, as_of=TONIGHT, **more) -> ErasureAnswer:
    """What a request of 2 May 2024 comes to for a call that ended on 16 March 2021."""
    law = collect_schedules({"finance.yaml": schedule(*rules)}, {}, regimes(*laws))
    assert not law.broken
    row = call(account_id="A", **{"erasure_requested_on": ASKED, **more})
    return answer_erasure_request(facts(row, erasure_requested_on=pa.date32()), law, held, as_of)


def on_request(purge="P5Y", destroy="P7Y", **more):
    return rule("R", purge, destroy, regimes=["five"], on_erasure="floor", **more)


def test_a_floor_of_the_union_is_a_ground_until_its_last_day():
    assert told(on_request()) == ErasureAnswer(
        ErasureOutcome.REFUSED, (MIFID,), day("2026-03-17"), day("2026-03-17"), False
    )


def test_a_call_past_its_floor_is_granted_though_the_company_wishes_longer():
    assert told(on_request("P9Y", "P9Y"), as_of=day("2026-03-17")) == ErasureAnswer(
        ErasureOutcome.GRANTED, (), day("2026-03-17"), day("2026-03-17"), False
    )


def test_without_any_floor_it_goes_at_once():
    free = rule("R", "P5Y", "P7Y", on_erasure="floor")
    assert told(free) == ErasureAnswer(ErasureOutcome.GRANTED, (), ASKED, ASKED, False)


def test_a_rule_that_waits_is_no_ground_and_a_person_decides():
    found = told(rule("R", "P5Y", "P7Y"))
    assert found == ErasureAnswer(
        ErasureOutcome.UNDECIDED,
        (
            "no ground: the company's own rule R keeps it until 2026-03-16",
            "no ground: its archived copy is kept until 2028-03-16",
        ),
        day("2026-03-17"),
        day("2028-03-17"),
        True,
    )


def test_a_rule_that_waits_beyond_the_floor_is_grounded_only_that_far():
    found = told(rule("R", "P7Y", "P7Y", regimes=["five"]))
    assert (found.outcome, found.goes_on, found.needs_person) == (ErasureOutcome.REFUSED, day("2028-03-17"), True)
    assert found.reasons[:2] == (MIFID, "no ground: the company's own rule R keeps it until 2028-03-16")


def test_a_copy_that_outlives_every_ground_needs_a_person():
    found = told(rule("R", "P5Y", "P7Y", regimes=["five"]), as_of=day("2026-03-17"))
    assert (found.outcome, found.needs_person) == (ErasureOutcome.GRANTED, True)
    assert found.reasons == ("no ground: its archived copy is kept until 2028-03-16",)


def test_a_copy_kept_for_ever_needs_a_person():
    found = told(rule("R", "P1Y", "never"))
    assert found.reasons == ("no ground: its archived copy is kept for ever",)


@pytest.mark.parametrize("jurisdiction", ["US", "UK", "CH", "global", "RU"])
def test_a_law_of_a_third_country_is_no_ground_and_the_call_is_kept_all_the_same(jurisdiction):
    found = told(on_request(), laws=[FIVE.model_copy(update={"jurisdiction": jurisdiction})])
    assert (found.outcome, found.goes_on, found.needs_person) == (ErasureOutcome.UNDECIDED, day("2026-03-17"), True)
    said = (
        f"no ground: five ({jurisdiction}, five) asks for it until 2026-03-16, and that is no Union or member state law"
    )
    assert found.reasons[0] == said


def test_guidance_is_no_ground():
    assert told(on_request(), laws=[FIVE.model_copy(update={"kind": "guidance"})]).outcome is ErasureOutcome.GRANTED


def test_a_hold_is_a_ground_of_its_own_and_nobody_knows_until_when():
    acme = holds(hold("acme", account_ids=["A"]))
    claim = "GDPR Article 17(3)(e): legal hold acme (m) keeps it until it is released"
    assert told(on_request(), held=acme) == ErasureAnswer(
        ErasureOutcome.REFUSED, (MIFID, claim), None, day("2026-03-17"), False
    )
    later = told(on_request(), held=acme, as_of=day("2026-06-01"))
    assert later == ErasureAnswer(ErasureOutcome.REFUSED, (claim,), None, day("2026-03-17"), False)


def test_a_released_hold_is_no_ground():
    acme = holds(hold("acme", account_ids=["A"], released="2025-06-01"))
    assert told(on_request(), held=acme, as_of=day("2026-06-01")).outcome is ErasureOutcome.GRANTED


def test_a_hold_past_a_hard_maximum_needs_a_person():
    laws = [regime("five", minimum="P5Y", maximum="P5Y")]
    found = told(
        on_request("P5Y", "P5Y"), laws=laws, held=holds(hold("acme", account_ids=["A"])), as_of=day("2026-06-01")
    )
    assert (found.outcome, found.needs_person) == (ErasureOutcome.REFUSED, True)
    assert found.reasons[-1] == "acme; needs legal review: a maximum ended on 2026-03-16"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ended": None}, "no ground: awaiting_trigger: ended_at is missing or no date"),
        ({"industry": None}, "no ground: unscheduled: no industry"),
        ({"open_deal": None}, "no ground: kept: open_deal?"),
    ],
)
def test_what_is_unknown_keeps_and_is_no_ground(more, said):
    found = told(rule("R", "P1Y", "P1Y", on_erasure="floor", keep_while=["open_deal"]), **{"open_deal": False, **more})
    assert (found.outcome, found.reasons, found.goes_on) == (ErasureOutcome.UNDECIDED, (said,), None)


def test_a_duty_whose_clock_has_not_begun_is_a_ground_and_a_person_looks_at_the_date():
    ending = regime("ending", minimum="P5Y", trigger="relationship_ended_at")
    found = told(rule("R", "P5Y", "P7Y", regimes=["ending"], on_erasure="floor"), laws=[ending])
    assert (found.outcome, found.goes_on, found.needs_person) == (ErasureOutcome.REFUSED, None, True)
    assert found.reasons == (
        "GDPR Article 17(3)(b): ending (EU, ending) asks for it for a time that cannot be known yet",
        "awaiting_trigger: ending counts from relationship_ended_at, which is missing or cannot be used",
    )


def test_every_duty_is_named_once_and_the_longest_first():
    ten = regime("ten", minimum="P10Y")
    rules = [rule("A", "P5Y", "P10Y", regimes=["five", "ten"], on_erasure="floor"), on_request()]
    found = told(*rules, laws=[FIVE, ten])
    assert found.reasons == (MIFID.replace("five (EU, five)", "ten (EU, ten)").replace("2026", "2031"), MIFID)
    assert (found.outcome, found.goes_on, found.copy_goes_on) == (
        ErasureOutcome.REFUSED,
        day("2026-03-17"),
        day("2031-03-17"),
    )


def test_a_rule_that_does_not_speak_of_the_call_gives_no_ground():
    rules = [on_request(when={"record_class": ["order"]}), rule("S", "P1Y", "P1Y", when={"record_class": ["talk"]})]
    assert told(*rules, record_class="talk").outcome is ErasureOutcome.GRANTED


@pytest.mark.parametrize("of", ["EU", "EEA", "DE", "DE-BY", "fr", "NO", "EL"])
def test_laws_of_the_union_and_of_its_members(of):
    assert is_union_law(of)


@pytest.mark.parametrize("of", ["US", "US-NJ", "UK", "GB", "CH", "", "global", "EUROPE"])
def test_laws_of_others(of):
    assert not is_union_law(of)


@pytest.mark.parametrize(
    ("received", "until"),
    [("2024-05-02", "2024-06-02"), ("2024-01-31", "2024-02-29"), ("2026-12-15", "2027-01-15")],
)
def test_a_person_is_answered_within_a_month(received, until):
    assert last_day_to_answer(date.fromisoformat(received)) == date.fromisoformat(until)
