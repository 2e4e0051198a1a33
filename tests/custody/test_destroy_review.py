"""A destroy plan under review: it waits for a signature of somebody else over exactly it; nothing else lets it go."""

import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.authority.approval import draft_approval, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.custody import destroy as destroy_module
from lifecycle.custody.destroy import DestroyResult, destroy_copies, survey_destruction
from lifecycle.custody.requested_copies import answer_for_copies
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import ApprovalRefused, InputError, NightError, PolicyChanged
from lifecycle.ledger.keys import FileKeys
from lifecycle.night.seal import seal_ledger
from lifecycle.policy.approval import UNKNOWN_REQUESTER
from tests.builders import BANK, CLOCK, World
from tests.custody.copies import CALLS, DAY, archived, copies, copy_of
from tests.sshkeys import PLAN, Key, allow, keygen, revoke

REVIEWED = BANK.replace("id: BANK-ORDER, title: t", "id: BANK-ORDER, title: t, review: required")
BOB = Run("run-1", "lifecycle run by bob <bob@example.com>")
DESTROY = "destroy@call-lifecycle"
WAITS = "review: BANK-ORDER asks for one (5 copies)"


def slow(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Key]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: keygen(folder, f"{name}@example.com") for name in ("alice", "carol", "bob")}


@pytest.fixture(scope="module")
def waiting(new_world, keys) -> World:
    """Bob asked for the destruction of five copies, whose rule asks for a review by now; it waits."""
    world = archived(new_world("sqlite"))
    world.schedule(REVIEWED)
    allow(world.policies, *(key.line(f'namespaces="{DESTROY},{PLAN}"') for key in keys.values()))
    assert destroy(world).waiting == {"bank": (WAITS,)}
    return world


@pytest.fixture
def world(waiting, tmp_path) -> World:
    return copy_of(waiting, tmp_path / "world")


def opened(world: World, days: int = 0) -> Lifecycle:
    settings = world.lifecycle(destroy=True).settings
    return Lifecycle(settings, lambda: CLOCK.replace(year=2028, month=3, day=2) + timedelta(days=days))


def destroy(world: World, days: int = 0, run: Run = BOB, **how: Any) -> DestroyResult:
    world.flush()
    lifecycle = opened(world, days)
    found = destroy_copies(lifecycle, DAY + timedelta(days=days), run, **how)
    seal_ledger(lifecycle)
    return found


def digest_of(world: World, days: int = 0) -> str:
    (plan,) = survey_destruction(opened(world, days), DAY + timedelta(days=days)).survey.plans.values()
    return plan.sha256


def approve(world: World, digest: str, key: Key, namespace: str = DESTROY) -> None:
    """Ask, sign, hand in: as the command does."""
    lifecycle = opened(world)
    subject = find_approval_subject(lifecycle, digest)
    body = draft_approval(lifecycle, subject, key.owner).to_bytes()
    store_approval(lifecycle, subject, body, key.sign(body, namespace))


def rows(world: World, statement: str, *values: Any) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(statement, values)


def why(found: DestroyResult) -> str:
    """Why a plan that had an approval waits again, in full; nothing of it went."""
    (reasons,) = found.waiting.values()
    assert (found.done.copies, found.released) == (0, [])
    return "; ".join(reasons)


def test_a_signed_plan_goes_the_same_night_and_the_ledger_says_who_signed(world, keys):
    approve(world, digest_of(world), keys["alice"])
    done = destroy(world)
    assert (done.done.copies, done.needs_person, copies(world)) == (5, False, {})
    (leaf,) = [leaf for leaf in world.leaves() if leaf["kind"] == "destroy_plan_run"]
    assert (leaf["approved_by"], leaf["actor"]) == (["alice@example.com"], BOB.actor)


def test_a_plan_that_is_signed_later_goes_with_a_later_night_whatever_was_archived_since(world, keys):
    digest = digest_of(world)
    waits = destroy(world, days=1)
    assert (digest in {plan.sha256 for plan in waits.survey.plans.values()}, why(waits)) == (False, WAITS)
    approve(world, digest, keys["alice"])
    assert [plan.sha256 for plan in survey_destruction(opened(world, 2), DAY + timedelta(days=2)).released] == [digest]
    done = destroy(world, days=2)
    assert (done.done.copies, done.waiting, copies(world)) == (5, {}, {})
    assert destroy(world, days=3).released == []


@pytest.mark.slow
def test_a_batch_under_two_signed_plans_goes_once(world, keys):
    approve(world, digest_of(world), keys["alice"])
    later = digest_of(world, days=1)
    with pytest.MonkeyPatch.context() as patch:  # the second plan is registered before anybody signed the first
        patch.setattr("lifecycle.custody.destroy._released", lambda *_: [])
        assert why(destroy(world, days=1)) == WAITS
    approve(world, later, keys["carol"])
    done = destroy(world, days=2)
    assert ([plan.night for plan in done.released], done.done.copies) == ([DAY, DAY + timedelta(days=1)], 5)
    assert (done.needs_person, copies(world)) == (False, {})
    assert len([leaf for leaf in world.leaves() if leaf["kind"] == "destroyed"]) == 5


@pytest.mark.slow
def test_what_is_held_when_a_signed_plan_runs_stays_and_its_release_asks_for_another_signature(world, keys):
    approve(world, digest_of(world), keys["alice"])
    world.hold("[{call_ids: [id-2]}]")
    done = destroy(world, days=1)
    assert (done.done.copies, copies(world)) == (4, {"id-2": 1})
    world.release()
    again = destroy(world, days=2)
    assert (again.waiting, copies(world)) == ({"bank": (WAITS.replace("5", "1"),)}, {"id-2": 1})


@pytest.mark.slow
def test_a_plan_of_the_same_night_made_again_since_is_another_one(world, keys):
    """As of the nights of the purge the newest alone counts, on later nights too."""
    first = digest_of(world)
    approve(world, first, keys["alice"])
    world.hold("[{call_ids: [id-2]}]")
    again = destroy(world)
    assert why(again) == WAITS.replace("5", "4")
    approvals = Path(world.store_url.removeprefix("file://")) / f"plans/{DAY}/bank"
    for file in approvals.glob("approval-*"):
        file.with_name(file.name.replace(first, digest_of(world))).write_bytes(file.read_bytes())
    assert "it approves another plan" in why(destroy(world))
    assert why(destroy(world, days=1)) == WAITS.replace("5", "4")


@pytest.mark.slow
def test_a_schedule_that_changed_since_makes_the_signature_worthless(world, keys):
    digest = digest_of(world)
    approve(world, digest, keys["alice"])
    world.schedule(REVIEWED + "# another\n")
    with pytest.raises(PolicyChanged, match="under another schedule"):
        approve(world, digest, keys["carol"])
    assert why(destroy(world, days=1)) == WAITS
    assert copies(world) == dict.fromkeys(CALLS, 1)


@pytest.mark.parametrize(
    "how", ["the key is revoked", *map(slow, ("the name is taken out", "the approval is removed"))]
)
def test_an_approval_that_is_withdrawn_does_not_count(world, keys, how):
    approve(world, digest_of(world), keys["alice"])
    if how == "the key is revoked":
        revoke(world.policies, keys["alice"])
    elif how == "the name is taken out":
        allow(world.policies, keys["carol"].line(f'namespaces="{DESTROY}"'))
    else:
        for file in Path(world.store_url.removeprefix("file://")).glob("plans/*/bank/approval-*.json"):
            file.unlink()
    assert why(destroy(world)).startswith(WAITS)
    assert why(destroy(world, days=1)).startswith(WAITS)


def test_an_approval_that_is_withdrawn_while_the_plan_runs_stops_it_before_the_next_batch(world, keys, monkeypatch):
    approve(world, digest_of(world), keys["alice"])
    looked = destroy_module.plan_under_review

    def revoking(*given: Any) -> Any:
        revoke(world.policies, keys["alice"])
        return looked(*given)

    monkeypatch.setattr(destroy_module, "plan_under_review", revoking)
    stopped = destroy(world)
    (said,) = stopped.done.set_aside.values()
    assert said.startswith(f"it waits again: {WAITS}; the approval …-")
    assert (stopped.done.copies, copies(world)) == (0, dict.fromkeys(CALLS, 1))


def test_who_asked_may_not_approve_nor_who_may_only_approve_purges(world, keys):
    with pytest.raises(ApprovalRefused, match=r"bob@example\.com asked for it"):
        approve(world, digest_of(world), keys["bob"])
    with pytest.raises(ApprovalRefused, match="signed for another purpose than destroy@call-lifecycle"):
        approve(world, digest_of(world), keys["alice"], PLAN)
    allow(world.policies, keys["alice"].line(f'namespaces="{PLAN}"'))
    with pytest.raises(ApprovalRefused, match=r"alice@example\.com may not approve"):
        approve(world, digest_of(world), keys["alice"])
    assert copies(world) == dict.fromkeys(CALLS, 1)


@pytest.mark.slow
def test_nobody_approves_what_nobody_known_asked_for_and_somebody_known_mends_that(world, keys):
    nobody = Run("run-2", UNKNOWN_REQUESTER)
    assert "nobody knows who asked for the destruction" in why(destroy(world, days=1, run=nobody))
    digest = digest_of(world, days=1)
    with pytest.raises(InputError, match="found neither"):
        approve(world, digest, keys["alice"])
    assert why(destroy(world, days=1)) == WAITS
    approve(world, digest, keys["alice"])
    assert destroy(world, days=1).done.copies == 5


@pytest.mark.parametrize("edit", ["accepted", *map(slow, ("who asked", "the plan"))])
def test_a_row_of_a_plan_that_somebody_edited_lets_nothing_go(world, keys, edit):
    digest = digest_of(world)
    approve(world, digest, keys["alice"])
    with world.engine.connect() as connection:
        ((body,),) = connection.exec_driver_sql("SELECT body FROM lifecycle_destroy_plans").all()
    text = zlib.decompress(body)
    changed = {
        "who asked": text.replace(b"by bob <bob@example.com>", b"by eve <eve@example.com>"),
        "accepted": text.replace(b'"accepted_by":null', b'"accepted_by":"the boss"'),
        "the plan": text.replace(b'"waits_for":["review', b'"waits_for":["brake'),
    }[edit]
    assert changed != text
    rows(world, "UPDATE lifecycle_destroy_plans SET body = ?", zlib.compress(changed))
    lifecycle = opened(world, 1)
    assert survey_destruction(lifecycle, DAY + timedelta(days=1)).released == []
    assert destroy(world, days=1).done.copies == 0
    assert copies(world) == dict.fromkeys(CALLS, 1)


@pytest.mark.slow
def test_a_plan_whose_epochs_key_is_gone_lets_nothing_go(world, keys):
    made = FileKeys(world.given()["signing_key"]).make_epoch(2028)
    destroy(world, days=1)
    approve(world, digest_of(world, days=1), keys["alice"])
    assert len(survey_destruction(opened(world, 2), DAY + timedelta(days=2)).released) == 1
    made.unlink()
    assert why(destroy(world, days=2)) == WAITS


@pytest.mark.slow
def test_a_plan_with_a_brake_and_a_review_needs_both_in_any_order(world, keys):
    world.schedule(REVIEWED.replace("max_share: 100%", "max_share: 50%"))
    brake = "brake: 5 of 5 copies go, 100.00%; max_share is 50%"
    assert why(destroy(world)) == f"{brake}; {WAITS}"
    digest = digest_of(world)
    with pytest.raises(NightError, match="no plan of this night or of those before"):
        destroy(world, accepted=["0" * 64])
    assert why(destroy(world, accepted=[digest[:12]])) == WAITS
    approve(world, digest, keys["alice"])
    assert destroy(world, days=1).done.copies == 5


@pytest.mark.slow
def test_an_earlier_nights_brake_can_be_let_go_later(world):
    world.schedule(BANK.replace("max_share: 100%", "max_share: 50%"))
    destroy(world)
    digest = digest_of(world)
    assert destroy(world, days=1, accepted=[digest]).done.copies == 5


def test_a_person_who_asked_is_told_that_the_copy_waits_for_a_review(world, keys):
    answer = answer_for_copies(opened(world), "id-1", DAY)
    assert answer is not None
    said = answer.reasons[0].partition("archived copy ")[2]
    assert said.startswith("goes with the next destruction, once a person lets plan ")
    assert said.endswith(f" go ({WAITS})")
    assert (answer.copy_goes_on, answer.needs_person) == (None, True)
    world.execute("DELETE FROM lifecycle_destroy_plans")  # nobody planned yet
    said = answer_for_copies(opened(world), "id-1", DAY).reasons[0].partition("archived copy ")[2]
    assert said == ("goes with the next destruction, once somebody approves its plan, for BANK-ORDER asks for a review")
