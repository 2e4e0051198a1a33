"""The brake through the steps: what earlier nights say is usual, and what an approved change of a schedule explains."""

from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.authority.approval import (
    check_approvals,
    draft_approval,
    schedule_file,
    store_approval,
)
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.authority.usual_night import earlier_plans
from lifecycle.crm.sample import demo_schema
from lifecycle.errors import ApprovalRefused, PlanHeld
from lifecycle.inquiry.preview import preview_night
from lifecycle.night.industry_night import accept_plans, open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.policy.plan import Plan
from tests.authority.test_approval import commit, copy, world_in
from tests.builders import BANK, BANK_DAY, CLOCK, DUE, DUE_SHOP, NIGHT, RUN, World, account_for, plan, run_night
from tests.sshkeys import Key, allow, keygen, revoke

USUAL = BANK.replace("max_share: 100%", "max_share: 100%\nmax_usual: 2")
CHANGED = USUAL + "# changed\n"


@pytest.fixture(scope="module")
def alice(tmp_path_factory) -> Key:
    return keygen(tmp_path_factory.mktemp("keys"), "alice@example.com")


@pytest.fixture(scope="module")
def template(tmp_path_factory, alice: Key) -> Path:
    """Six calls of the bank are due on 20 November; on each of the five nights before, nothing was."""
    folder = tmp_path_factory.mktemp("template") / "world"
    folder.mkdir()
    demo_schema.create_schema(sa.create_engine(f"sqlite:///{folder}/crm.db", poolclass=sa.NullPool))
    made = world_in(folder).initialised()
    made.schedule(USUAL)
    allow(made.policies, alice.line())
    for night in nights(5):
        plan(made, night=night)
    made.furnish().flush()
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    return copy(template, tmp_path / "world")


def nights(count: int) -> list[date]:
    return [NIGHT - timedelta(days=back) for back in range(count, 0, -1)]


def approve(world: World, alice: Key) -> None:
    lifecycle = world.lifecycle()
    file = schedule_file(lifecycle, lifecycle.policies.schedules.by_industry["bank"])
    body = draft_approval(lifecycle, find_approval_subject(lifecycle, file.sha256), alice.owner).to_bytes()
    store_approval(lifecycle, file, body, alice.sign(body, "schedule@call-lifecycle"))


SAID = (
    "brake: 6 calls are due, the usual night has 1 and no approved change of the schedule explains it; max_usual is 2"
)


def test_an_unusual_night_waits_before_its_first_row_until_its_plan_is_accepted(world):
    start = world.dump()
    night = run_night(world.lifecycle())
    assert account_for(world, start) == set(DUE_SHOP)
    assert night.plans["bank"].waits_for == (f"{SAID} times",)
    with pytest.raises(PlanHeld) as held:
        open_industry_night(world.lifecycle(), "bank", NIGHT)
    digest = night.plans["bank"].sha256
    command = f"lifecycle run --as-of 2026-11-20 --industry bank --accept-plan {digest}"
    assert str(held.value).endswith(f"Nothing was archived or purged. To let its brake go: {command}")
    accept_plans(world.lifecycle(), night.plans, [digest], RUN)
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_an_absolute_number_stops_a_night_too(sqlite_world):
    sqlite_world.schedule(BANK.replace("max_share: 100%", "max_share: 100%\nmax_calls: 5"))
    assert plan(sqlite_world.furnish())["bank"].waits_for == ("brake: 6 calls are due; max_calls is 5",)


def test_four_nights_are_too_few_to_say_what_is_usual(sqlite_world):
    sqlite_world.schedule(USUAL)
    for night in nights(4):
        plan(sqlite_world, night=night)
    assert plan(sqlite_world.furnish())["bank"].waits_for == ()


def test_the_preview_says_what_the_night_will(world):
    found = preview_night(world.lifecycle(), NIGHT).industries["bank"]
    assert (found.waits_for, found.brake) == ((f"{SAID} times",), True)


def test_an_unusual_night_is_explained_by_a_changed_schedule_only_if_the_change_is_approved(world, alice):
    world.schedule(CHANGED)
    assert [reason[:5] for reason in plan(world)["bank"].waits_for] == ["brake"]
    approve(world, alice)
    again = plan(world)["bank"]
    assert (again.revision, again.waits_for, again.change_approved) == (2, (), True)
    assert plan(world)["bank"] == again


def test_an_approved_schedule_that_did_not_change_explains_nothing(world, alice):
    approve(world, alice)
    assert [reason[:5] for reason in plan(world)["bank"].waits_for] == ["brake"]


def test_an_approval_explains_nothing_once_its_key_is_revoked(world, alice):
    world.schedule(CHANGED)
    approve(world, alice)
    revoke(world.policies, alice)
    assert [reason[:5] for reason in plan(world)["bank"].waits_for] == ["brake"]


def test_whoever_wrote_the_change_may_not_approve_it(world, alice):
    world.schedule(CHANGED)
    commit(world, "alice@example.com")
    with pytest.raises(ApprovalRefused, match="somebody else must approve"):
        approve(world, alice)


def test_another_schedules_approval_does_not_count(world, alice):
    approve(world, alice)
    world.schedule(CHANGED)
    lifecycle = world.lifecycle()
    bank = schedule_file(lifecycle, lifecycle.policies.schedules.by_industry["bank"])
    store = lifecycle.store
    for key in list(store.list("plans/approvals/")):
        head, _, tail = key.partition("schedule-")
        store.put_once(f"{head}schedule-{bank.sha256}{tail[64:]}", store.get(key))
    found = check_approvals(lifecycle, bank)
    assert (found.by, len(found.refused)) == ((), 1)
    assert "does not count: it approves another schedule, " in found.refused[0]


def before(world: World, *names: str) -> list[Plan]:
    return earlier_plans(world.lifecycle(), NIGHT, "bank", 30)


def test_a_backlog_that_is_stopped_night_after_night_does_not_become_usual(world):
    later = [NIGHT + timedelta(days=ahead) for ahead in range(-1, 0)]
    assert [found.night for found in before(world)] == nights(5)[::-1]
    world.schedule(CHANGED)
    stopped = plan_night(world.lifecycle(), later[0], RUN)[1]["bank"]
    assert (stopped.revision, bool(stopped.brakes)) == (2, False)  # four nights before it: too few to say
    world.schedule(CHANGED.replace("100%", "1%"))
    stopped = plan_night(world.lifecycle(), later[0], RUN)[1]["bank"]
    assert (stopped.revision, bool(stopped.brakes)) == (3, True)
    assert [found.night for found in before(world)] == nights(5)[:-1][::-1]
    world.lifecycle().crm.control.register.accept(stopped, RUN.id, RUN.actor, CLOCK)
    assert before(world)[0] == stopped


def test_only_the_last_thirty_nights_and_no_later_one_are_looked_at(world):
    lifecycle = world.lifecycle()
    assert [found.night for found in earlier_plans(lifecycle, NIGHT, "bank", 2)] == nights(2)[::-1]
    assert earlier_plans(lifecycle, nights(5)[0], "bank", 30) == []


def test_a_call_due_on_one_of_the_nights_counts_for_that_night(sqlite_world):
    sqlite_world.schedule(USUAL)
    sqlite_world.call("id-1", sqlite_world.account("Banking"), BANK_DAY)
    for night in nights(5):
        plan(sqlite_world, night=night)
    assert [found.due for found in before(sqlite_world)] == [1] * 5
