"""What is signed to the byte, and who counts as the one who asked for it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lifecycle.policy.approval import (
    ScheduleFile,
    approval_statement,
    command_line_actor,
    identities_of,
    requester_sharing_identity,
)
from tests.policy.test_plan import PLAN

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
FILE = ScheduleFile("finance", "aa", {"law": "bb"}, ("bob@example.com",))


def test_an_approval_of_a_plan_has_these_bytes():
    approval = approval_statement(PLAN, "alice@example.com", AT)
    assert approval.to_bytes().decode() == (
        '{"approved_at":"2026-11-20T09:00:00Z","approver":"alice@example.com","industry":"finance",'
        f'"kind":"plan-approval","night":"2026-11-20","plan_sha256":"{PLAN.sha256}",'
        '"requested_by":["schedule nightly","bob@example.com"],"v":1}'
    )
    assert type(approval).model_validate_json(approval.to_bytes()) == approval


def test_an_approval_of_a_schedule_has_these_bytes():
    assert approval_statement(FILE, "alice@example.com", AT).to_bytes().decode() == (
        '{"approved_at":"2026-11-20T09:00:00Z","approver":"alice@example.com","industry":"finance",'
        '"kind":"schedule-approval","regimes":{"law":"bb"},"requested_by":["bob@example.com"],"schedule_sha256":"aa","v":1}'
    )
    assert approval_statement(replace(FILE, authors=()), "alice@example.com", AT).requested_by == ()


def test_the_two_kinds_are_signed_for_different_purposes():
    assert approval_statement(PLAN, "a", AT).namespace == "plan@call-lifecycle"
    assert approval_statement(FILE, "a", AT).namespace == "schedule@call-lifecycle"


@pytest.mark.parametrize(
    ("actor", "names"),
    [
        (command_line_actor("bob", "bob.b@example.com"), ("bob", "bob.b@example.com")),
        (command_line_actor("bob", None), ("bob",)),
        ("schedule nightly", ("schedule nightly",)),
        ("carol@example.com", ("carol@example.com",)),
    ],
)
def test_an_actor_names_its_person(actor, names):
    assert identities_of(actor) == names


@pytest.mark.parametrize(
    ("approver", "asked"),
    [
        ("bob@example.com", command_line_actor("root", "bob@example.com")),
        ("BOB@Example.com", command_line_actor("root", "bob@example.com")),
        ("bob", command_line_actor("root", "Bob@example.com")),
        ("bob@example.com", command_line_actor("bob", None)),
        ("bob@example.com", command_line_actor("BOB", "b@elsewhere.example")),
        ("schedule nightly", "schedule nightly"),
        ("ＳＴＲＡＳＳＥ", "ｓｔｒａｓｓｅ"),
    ],
)
def test_whoever_asked_is_found_however_he_is_written(approver, asked):
    assert requester_sharing_identity([approver], ["schedule x", asked]) == asked
    assert requester_sharing_identity(["zoe@example.com", approver], [asked]) == asked


@pytest.mark.parametrize("other", ["bob@example.org", "bobby@example.com", "bobby", "alice@example.com"])
def test_somebody_else_did_not_ask(other):
    assert (
        requester_sharing_identity([other], [command_line_actor("root", "bob@example.com"), "schedule nightly"]) is None
    )
