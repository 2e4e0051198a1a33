"""An open request lets the archived copy go on its first lawful day; the answer says what keeps it until when."""

from datetime import date

import pytest

from lifecycle.inquiry.erasure_requests import register_requests
from tests.builders import BANK, World
from tests.custody.copies import archived, committed_copies, copy_of, destroy, destroyed

ASKED = date(2026, 11, 20)
EAGER = BANK.replace("destroy_after: P7Y,", "destroy_after: P7Y, on_erasure: floor, regimes: [law],")
LAW = "trigger: ended_at, minimum: P6Y"  # until 2027-03-01: a year after the call left the CRM


@pytest.fixture(scope="module")
def bank(new_world) -> World:
    world = new_world("sqlite")
    world.regime("law", LAW)
    world.schedule(EAGER)
    return archived(world)


@pytest.fixture
def copy(bank, tmp_path) -> World:
    return copy_of(bank, tmp_path)


def ask(world: World, call: str = "id-3"):
    (answer,) = register_requests(world.lifecycle(destroy=True), [call], "dpo", ASKED, ASKED, None)
    return answer.verdict


def test_a_copy_that_is_asked_for_goes_on_the_first_lawful_day_and_the_others_wait(copy):
    said = ask(copy)
    assert (said.outcome, said.copy_goes_on, said.needs_person) == ("archived", date(2027, 3, 2), False)
    assert said.reasons[0].endswith("its archived copy goes by itself on 2027-03-02")
    assert said.reasons[1] == "GDPR Article 17(3)(b): law (EU, c) asks for it until 2027-03-01"
    assert destroy(copy, date(2027, 3, 1)).done.copies == 0
    done = destroy(copy, date(2027, 3, 2))
    assert (done.done.copies, done.done.moved) == (1, 4)
    assert committed_copies(copy) == {f"id-{n}": 1 for n in (1, 2, 4, 5)}
    assert destroyed(copy) == {"id-3": 1}
    (leaf,) = [leaf for leaf in copy.leaves() if leaf["kind"] == "destroyed"]
    assert leaf["request"].startswith("erase-")
    said = ask(copy)
    assert (said.outcome, said.needs_person) == ("gone", False)
    assert "its archived copy was destroyed at" in said.reasons[0]


def test_a_hold_keeps_what_is_asked_for_and_is_the_ground(copy):
    ask(copy)
    copy.hold("[{call_ids: [id-3]}]")
    assert destroy(copy, date(2027, 3, 2)).done.copies == 0
    said = ask(copy)
    assert said.copy_goes_on is None
    assert "GDPR Article 17(3)(e): legal hold hold-1 (m) keeps it until it is released" in said.reasons
    copy.release()
    assert destroy(copy, date(2027, 3, 2)).done.copies == 1


def test_under_a_rule_that_waits_nothing_goes_sooner_and_a_person_is_asked(copy):
    copy.schedule(EAGER.replace("on_erasure: floor", "on_erasure: wait"))
    said = ask(copy)
    assert (said.outcome, said.copy_goes_on, said.needs_person) == ("archived", date(2028, 3, 2), True)
    assert destroy(copy, date(2027, 3, 2)).done.copies == 0
