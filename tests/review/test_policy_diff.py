"""The law changes between the steps of a night: what was planned under another one does not go."""

import subprocess
from datetime import UTC, date, datetime
from importlib.resources import files

import pytest

from lifecycle.deployment.lifecycle import Lifecycle, resolve_night
from lifecycle.errors import NightError, PlanHeld, PolicyChanged, PolicyError
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import accept_plans, open_industry_night, runnable_industries, waiting_plans
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from tests.builders import (
    BANK,
    DUE,
    DUE_BANK,
    DUE_BOTH,
    DUE_SHOP,
    NIGHT,
    RUN,
    SHOP,
    World,
    account_for,
    archive,
    plan,
    purge,
    run_night,
)


@pytest.fixture
def furnished(sqlite_world) -> World:
    return sqlite_world.furnish()


def purge_bank(world: World):
    lifecycle = world.lifecycle()
    return purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)


def test_a_schedule_changed_since_the_plan_stops_its_industry(furnished):
    start = furnished.dump()
    archive(furnished)
    furnished.schedule(BANK.replace("P5Y", "P5Y1D"))
    with pytest.raises(PolicyChanged, match="plan the night again"):
        purge_bank(furnished)
    assert furnished.dump() == start


def test_a_regime_changed_since_the_plan_stops_the_industries_that_name_it(furnished):
    furnished.schedule(BANK.replace("purge_after", "regimes: [law], purge_after", 1))
    furnished.regime("law", "trigger: ended_at, minimum: P5Y")
    start, first = furnished.dump(), archive(furnished).plans
    furnished.regime("law", "trigger: ended_at, minimum: P4Y")
    with pytest.raises(PolicyChanged, match="names a regime that was changed since"):
        purge_bank(furnished)
    assert furnished.dump() == start
    night = run_night(furnished.lifecycle())
    assert (night.plans["bank"].revision, night.plans["shop"]) == (2, first["shop"])


def test_planning_again_under_a_changed_schedule_makes_revision_2_and_keeps_the_first(furnished):
    start = furnished.dump()
    first = archive(furnished).plans
    furnished.schedule(BANK.replace("P5Y", "P5Y1D"))
    night = run_night(furnished.lifecycle())
    assert (night.plans["bank"].revision, night.plans["shop"]) == (2, first["shop"])
    names = [key.rpartition("/")[2] for key in furnished.lifecycle().store.list("plans/2026-11-20/bank/plan")]
    assert names == [f"plan-1-{first['bank'].sha256}.json", f"plan-2-{night.plans['bank'].sha256}.json"]
    assert {r["plan_sha256"] for r in furnished.records()} == {p.sha256 for p in night.plans.values()}
    assert account_for(furnished, start) == DUE


def test_a_plan_under_the_same_schedule_and_holds_is_used_again(furnished):
    assert plan(furnished) == plan(furnished)


def test_a_hold_placed_since_the_plan_keeps_its_calls_at_the_purge_and_planning_again_leaves_them_out(furnished):
    start = furnished.dump()
    archive(furnished)
    furnished.hold(f"{{call_ids: [{DUE_BANK[0]}, {DUE_BOTH}]}}")
    result = purge_bank(furnished)
    assert result.set_aside == {DUE_BANK[0]: "on_hold: hold-1", DUE_BOTH: "on_hold: hold-1"}
    night = run_night(furnished.lifecycle())
    assert (night.plans["bank"].revision, night.plans["bank"].dispositions["on_hold"]) == (2, 2)
    assert account_for(furnished, start) == DUE - {DUE_BANK[0], DUE_BOTH}


def test_a_hold_of_an_account_an_industry_or_days_keeps_what_it_covers(furnished):
    start = furnished.dump()
    furnished.hold("{industries: [retail]}", "hold-1")
    furnished.hold("[{phones: ['+44 20 7946 0001'], from: 2021-03-01, to: 2021-03-01}]", "hold-2")
    night = run_night(furnished.lifecycle())
    assert (night.calls, account_for(furnished, start)) == (0, set())


@pytest.mark.parametrize("text", ["industry: bank\nrules: [", BANK.replace("P5Y", "5y"), BANK + "  - {}\n", ""])
def test_a_broken_schedule_keeps_its_industry_and_the_others_go(furnished, text):
    start = furnished.dump()
    (furnished.policies / "bank.yaml").write_text(text)
    assert account_for(furnished, start) == set()
    run_night(furnished.lifecycle())
    assert account_for(furnished, start) == set(DUE_SHOP)


def test_a_schedule_that_broke_since_the_plan_stops_its_industry(furnished):
    start = furnished.dump()
    archive(furnished)
    (furnished.policies / "bank.yaml").write_text("industry: bank\n")
    with pytest.raises(PolicyChanged, match="cannot be relied on"):
        purge_bank(furnished)
    assert furnished.dump() == start


def test_two_schedules_that_claim_one_industry_keep_both(furnished):
    start = furnished.dump()
    furnished.schedule(SHOP.replace("[Retail]", "[Retail, banking]"))
    run_night(furnished.lifecycle())
    assert account_for(furnished, start) == set()


@pytest.mark.parametrize("text", ["", "id: hold-1\n", "id: hold-1\nmatter: [", "id: other\nmatter: m\n"])
def test_a_hold_that_cannot_be_read_stops_everything_before_the_plan(furnished, text):
    start = furnished.dump()
    (furnished.policies / "holds" / "hold-1.yaml").write_text(text)
    with pytest.raises(PolicyError, match=r"holds/hold-1\.yaml"):
        run_night(furnished.lifecycle())
    assert (furnished.dump(), list(furnished.lifecycle().store.list("plans/"))) == (start, [])


def test_a_hold_that_broke_during_the_night_stops_the_purge_that_has_begun(furnished):
    start = furnished.dump()
    archive(furnished)
    lifecycle = furnished.lifecycle()
    work = open_industry_night(lifecycle, "bank", NIGHT)  # the policies are read: only the holds are read again
    (furnished.policies / "holds" / "hold-1.yaml").write_text("nonsense")
    with pytest.raises(PolicyError, match=r"holds/hold-1\.yaml"):
        purge_night(lifecycle, work, RUN)
    assert (furnished.dump(), furnished.live()) == (start, {row["id"] for row in start["calls"]})


def test_a_hold_that_asks_for_a_fact_the_source_does_not_give_stops_everything(furnished, tmp_path):
    start = furnished.dump()
    source = tmp_path / "mine.yaml"
    shipped = files("lifecycle.crm.mapping").joinpath("sources/demo.yaml").read_text(encoding="utf-8")
    source.write_text(shipped.replace(" c.phone AS phone,", ""))
    furnished.hold("{phones: ['+44 20 7946 0001']}")
    with pytest.raises(PolicyError, match="phone"):
        run_night(furnished.lifecycle(source=str(source)))
    assert furnished.dump() == start


def held(world: World) -> tuple[Lifecycle, dict]:
    lifecycle = world.lifecycle()
    return lifecycle, plan_night(lifecycle, NIGHT, RUN)[1]


def test_a_tripped_brake_holds_its_industry_until_that_very_plan_is_accepted(furnished):
    start = furnished.dump()
    furnished.schedule(BANK.replace("100%", "2%"))
    night = run_night(furnished.lifecycle())
    assert account_for(furnished, start) == set(DUE_SHOP)
    accept_plans(furnished.lifecycle(), night.plans, [night.plans["bank"].sha256], RUN)
    run_night(furnished.lifecycle())
    assert account_for(furnished, start) == DUE


def test_a_plan_that_waits_cannot_be_opened_by_any_step(furnished):
    furnished.schedule(BANK.replace("100%", "2%"))
    lifecycle, plans = held(furnished)
    assert plans["bank"].waits_for[0].startswith("brake: 6 of ")
    assert "bank" not in runnable_industries(plans, waiting_plans(lifecycle, plans))
    with pytest.raises(PlanHeld, match=plans["bank"].sha256):
        open_industry_night(lifecycle, "bank", NIGHT)


def test_the_acceptance_of_one_plan_lets_no_other_plan_through(furnished):
    furnished.schedule(BANK.replace("100%", "2%"))
    lifecycle, plans = held(furnished)
    accept_plans(lifecycle, plans, [plans["bank"].sha256], RUN)
    furnished.schedule(BANK.replace("100%", "3%"))
    lifecycle, again = held(furnished)
    assert again["bank"].sha256 != plans["bank"].sha256
    with pytest.raises(PlanHeld):
        open_industry_night(lifecycle, "bank", NIGHT)


@pytest.mark.parametrize("digest", ["", "0" * 64, "bank"])
def test_a_digest_that_is_no_plan_of_the_night_lets_nothing_through(furnished, digest):
    furnished.schedule(BANK.replace("100%", "2%"))
    lifecycle, plans = held(furnished)
    with pytest.raises(NightError, match="Nothing was let through"):
        accept_plans(lifecycle, plans, [plans["bank"].sha256, digest], RUN)
    with pytest.raises(PlanHeld):
        open_industry_night(lifecycle, "bank", NIGHT)


def test_a_rule_that_asks_for_a_review_waits_only_where_it_lets_calls_go(furnished):
    furnished.schedule(BANK.replace("title: t, when: {record_class: [talk]}", "title: t, review: required"))
    furnished.schedule(SHOP.replace("title: t", "title: t, review: none"))
    _, plans = held(furnished)
    assert (plans["bank"].waits_for, plans["shop"].waits_for) != ((), ())
    assert all(reason.startswith("review: BANK-TALK") for reason in plans["bank"].waits_for)


def test_a_night_that_nobody_planned_cannot_be_opened(furnished):
    plan(furnished)
    for industry, night in (("nobody", NIGHT), ("bank", date(2026, 1, 1))):
        with pytest.raises(NightError, match="there is no plan of"):
            open_industry_night(furnished.lifecycle(), industry, night)


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        (datetime(2026, 11, 20, 7, 59, tzinfo=UTC), date(2026, 11, 19)),  # Los Angeles still has the 19th
        (datetime(2026, 11, 20, 8, 0, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), date(2026, 11, 20)),  # in Berlin the 21st has begun
    ],
)
def test_a_night_that_has_not_begun_in_every_zone_is_refused(furnished, now, latest):
    lifecycle = Lifecycle(furnished.lifecycle().settings, lambda: now)
    assert resolve_night(lifecycle, None) == latest
    assert resolve_night(lifecycle, latest) == latest
    with pytest.raises(NightError, match=f"up to {latest}"):
        resolve_night(lifecycle, date(latest.year, latest.month, latest.day + 1))


def git(world: World, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    command = ["git", "-C", str(world.policies), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_records_name_the_commit_of_the_policies_and_whether_they_differ_from_it(furnished):
    version = plan(furnished)["bank"].schedule
    assert (version.git_commit, version.git_dirty) == (None, None)
    git(furnished, "init", "-q")
    git(furnished, "add", ".")
    git(furnished, "commit", "-qm", "law")
    head = git(furnished, "rev-parse", "HEAD")
    policies = furnished.lifecycle().policies
    assert (policies.git_commit, policies.git_dirty) == (head, False)
    furnished.hold("{call_ids: [x]}")
    policies = furnished.lifecycle().policies
    assert (policies.git_commit, policies.git_dirty) == (head, True)
    purge(furnished)
    assert {(r["schedule"]["git_commit"], r["schedule"]["git_dirty"]) for r in furnished.records()} == {(head, True)}


def test_a_plan_killed_after_its_calls_were_stored_can_be_made_again_by_the_same_run(furnished, monkeypatch):
    from lifecycle.night import plan as module

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "put_plan", killed)
    with pytest.raises(KeyboardInterrupt):
        plan(furnished)
    monkeypatch.undo()
    furnished.execute(f"UPDATE calls SET ended_at = NULL WHERE id = '{DUE_BANK[0]}'")
    start = furnished.dump()
    run_night(furnished.lifecycle())  # the same run id, as when Dagster retries the step
    assert account_for(furnished, start) == DUE - {DUE_BANK[0]}


def test_calls_archived_on_an_older_night_are_archived_anew_and_purged_under_the_plan_of_the_newer(furnished):
    start = furnished.dump()
    plan(furnished, night=date(2026, 11, 18))
    lifecycle = furnished.lifecycle()
    archive_night(lifecycle, open_industry_night(lifecycle, "bank", date(2026, 11, 18)), RUN)
    night = run_night(furnished.lifecycle(), night=date(2026, 11, 20))
    assert night.set_aside == {}
    assert account_for(furnished, start) == DUE
    assert {record["night"] for record in furnished.records()} == {"2026-11-20"}
