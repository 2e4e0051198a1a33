"""Absence is not "none": a folder, a file or a hold that is gone releases nothing."""

import os
import shutil
from pathlib import Path

import pytest

from lifecycle.crm.control.hold_register import SeenHolds
from lifecycle.deployment.policy_folder import read_policies
from lifecycle.errors import DatabaseError, PolicyError
from lifecycle.inquiry.check import check_everything, exit_code_of
from lifecycle.inquiry.explanation import explain_call
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.seal import seal_ledger
from tests.builders import DUE, DUE_BANK, NIGHT, RUN, World, account_for, archive, plan, run_night

HELD = DUE_BANK[0]


@pytest.fixture
def world(new_world) -> World:
    made = new_world("sqlite").furnish()
    made.hold(f"{{call_ids: [{HELD}]}}")
    return made


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def dangling(folder: Path) -> None:
    removed(folder)
    folder.symlink_to("nowhere")


def a_file(folder: Path) -> None:
    removed(folder)
    folder.write_text("")


@pytest.mark.parametrize("name", ["holds", "extensions"])
@pytest.mark.parametrize("absent", [removed, dangling, a_file])
def test_a_folder_that_is_not_there_stops_everything_with_its_path(world, name, absent):
    start, _ = world.dump(), archive(world)
    absent(world.policies / name)
    for work in (plan, run_night_of, purge_bank):
        with pytest.raises(PolicyError, match=f"^{name}/:1: expected the folder {world.policies / name}, ") as error:
            work(world)
        assert error.value.exit_code == 2
    assert world.dump() == start


def run_night_of(world: World) -> None:
    run_night(world.lifecycle())


def purge_bank(world: World) -> None:
    lifecycle = world.lifecycle()
    purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)


def test_a_folder_that_goes_while_a_run_purges_stops_it(world):
    start, _ = world.dump(), archive(world)
    lifecycle = world.lifecycle()
    work = open_industry_night(lifecycle, "bank", NIGHT)
    removed(world.policies / "holds")
    with pytest.raises(PolicyError, match=r"^holds/:1: expected the folder"):
        purge_night(lifecycle, work, RUN)
    assert world.dump() == start


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(world, monkeypatch):
    def refuses(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuses)
    with pytest.raises(PolicyError, match=r"^holds/:1: .*Permission denied"):
        read_policies(world.policies)


def test_a_hold_whose_link_leads_nowhere_stops_everything(world):
    (world.policies / "holds" / "hold-1.yaml").unlink()
    (world.policies / "holds" / "hold-1.yaml").symlink_to("nowhere")
    with pytest.raises(PolicyError, match=r"^hold-1\.yaml:1: the file cannot be read"):
        read_policies(world.policies)


def lose(world: World) -> None:
    (world.policies / "holds" / "hold-1.yaml").unlink()


def test_a_hold_that_was_seen_and_has_no_file_holds_on_and_is_named(world):
    start = world.dump()
    plan(world)
    lose(world)
    night = run_night(world.lifecycle())
    assert account_for(world, start) == DUE - {HELD}
    assert night.plans["bank"].dispositions["on_hold"] == 1
    survey, _ = plan_night(world.lifecycle(), NIGHT, RUN)
    said = (
        "holds/hold-1.yaml:1: the hold placed on 2026-01-01 has no file any more, and no release: its calls are kept. "
        "Put the file back; to release it, with released_at and released_by"
    )
    assert survey.broken == {"holds/hold-1.yaml": said}
    found = check_everything(world.lifecycle())
    assert said in [finding.message for finding in found if finding.severity == "error"]
    assert exit_code_of(found) == 1
    assert [hold.id for hold in explain_call(world.lifecycle(), HELD, NIGHT).holds] == ["hold-1"]


def test_also_where_it_was_lost_between_archive_and_purge(world):
    start, lifecycle = world.dump(), world.lifecycle()
    lose(world)
    archive(world)
    world.hold(f"{{call_ids: [{HELD}]}}")
    plan(world)  # it is seen now, after its call was archived
    work = open_industry_night(world.lifecycle(), "bank", NIGHT)
    archive_night(world.lifecycle(), work, RUN)
    lose(world)
    purge_bank(world)
    assert HELD in account_for_live(world, start)
    assert lifecycle.settings.policies == world.policies


def test_and_while_a_run_purges(world):
    lose(world)
    start, _ = world.dump(), archive(world)
    world.hold(f"{{call_ids: [{HELD}]}}")
    lifecycle = world.lifecycle()
    work = open_industry_night(lifecycle, "bank", NIGHT)
    assert "hold-1" in lifecycle.policies.holds.by_id
    lose(world)
    done = purge_night(lifecycle, work, RUN)
    assert done.set_aside == {HELD: "on_hold: hold-1"}
    assert HELD in account_for_live(world, start)


def account_for_live(world: World, start) -> set[str]:
    gone = account_for(world, start, sealed=False)
    return {row["id"] for row in start["calls"]} - gone


def test_a_release_ends_it_and_its_scope_is_forgotten(world):
    start = world.dump()
    plan(world)
    words = (world.policies / "holds" / "hold-1.yaml").read_text()
    released = words + "released_at: 2026-02-01\nreleased_by: counsel@example.com\n"
    (world.policies / "holds" / "hold-1.yaml").write_text(released)
    plan(world)
    with world.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, body FROM lifecycle_holds").all() == [("hold-1", None)]
    lose(world)
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE


def test_a_hold_that_the_record_alone_remembers_closes_everything(world):
    archive(world)
    seal_ledger(world.lifecycle())
    start = world.dump()
    world.execute("DELETE FROM lifecycle_holds")
    lose(world)
    for work in (plan, purge_bank):
        with pytest.raises(PolicyError, match=r"^holds/hold-1\.yaml:1: a hold placed on 2026-01-01 is on the record"):
            work(world)
    assert world.dump() == start


@pytest.mark.parametrize("body", [None, b"{}", b"\xff"])
def test_so_does_one_whose_scope_cannot_be_read(world, body):
    plan(world)
    world.execute("UPDATE lifecycle_holds SET body = :body", body=body)
    lose(world)
    with pytest.raises(PolicyError, match="what a hold placed on 2026-01-01 holds cannot be read"):
        plan(world)


@pytest.mark.parametrize("done", [False, True], ids=["not done", "answer lost"])
def test_a_hold_that_could_not_be_remembered_stops_the_night_and_the_next_remembers_it(world, monkeypatch, done):
    start, real = world.dump(), SeenHolds.remember

    def fails(seen, holds, at):
        if done:
            real(seen, holds, at)
        raise DatabaseError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(SeenHolds, "remember", fails)
        with pytest.raises(DatabaseError):
            plan(world)
    plan(world)
    lose(world)
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE - {HELD}


def test_every_key_of_a_scope_is_remembered(served_world):
    world = served_world
    account = world.account("Banking")
    world.call("id-1", account, None)
    days = "from: 2020-01-01, to: 2030-01-01"
    world.hold(f"{{account_ids: [{account}], phones: [+44 1, '0047'], industries: [Banking], {days}}}")
    plan(world)
    (before,) = read_policies(world.policies).holds.by_id.values()
    lose(world)
    assert world.lifecycle().unreleased == (before,)
