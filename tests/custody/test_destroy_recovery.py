"""Where the register of destructions is older than the ledger, or lost a row, the leaves say what is gone."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.custody.destroy_plans import survey_copies
from lifecycle.custody.merge_batches import merge_small_batches
from lifecycle.night.seal import seal_ledger
from tests.builders import RUN, World
from tests.custody.copies import CALLS, DAY, archived, committed_copies, copies, copy_of, destroy, destroyed

HELD = {"id-2", "id-4"}


@pytest.fixture(scope="module")
def template(new_world) -> World:
    world = archived(new_world("sqlite"))
    world.hold("[{call_ids: [id-2, id-4]}]")
    return world


@pytest.fixture
def bank(template, tmp_path) -> World:
    return copy_of(template, tmp_path / "bank")


def database(world: World) -> Path:
    return Path(world.url.removeprefix("sqlite:///"))


def lose_rows(world: World) -> None:
    world.execute(sa.text("DELETE FROM lifecycle_destructions"))


def kinds(world: World) -> list[str]:
    return [leaf["kind"] for leaf in world.leaves() if leaf["kind"] in ("destroyed", "moved")]


@pytest.mark.parametrize("how", ["an older backup", pytest.param("a lost row", marks=pytest.mark.slow)])
def test_what_is_gone_by_the_ledger_is_not_missing_and_what_was_moved_goes_on(bank, tmp_path, how):
    shutil.copy(database(bank), tmp_path / "backup.db")
    assert destroy(bank).done.copies == 3
    if how == "an older backup":
        shutil.copy(tmp_path / "backup.db", database(bank))
    else:
        lose_rows(bank)
    looked = survey_copies(bank.lifecycle(), DAY)
    assert (looked.damaged, len(looked.ended), looked.looked_at) == ({}, 1, 1)
    again = destroy(bank)
    assert (again.done.copies, again.needs_person, again.survey.damaged) == (0, False, {})
    assert survey_copies(bank.lifecycle(), DAY).ended == {}
    assert sorted(kinds(bank)) == [*["destroyed"] * 3, *["moved"] * 2]
    assert audit_archive_and_ledger(bank.lifecycle()).sound
    bank.release()
    assert destroy(bank).done.copies == 2
    assert (copies(bank), destroyed(bank)) == ({}, dict.fromkeys(CALLS, 1))


def test_a_database_that_saw_the_beginning_alone_does_not_write_the_end_a_second_time(bank, tmp_path, monkeypatch):
    from lifecycle.crm.control.destruction_register import DestructionRegister

    finish = DestructionRegister.finish

    def backed_up(register, row, entries, at):
        if not (tmp_path / "backup.db").exists():
            shutil.copy(database(bank), tmp_path / "backup.db")
        finish(register, row, entries, at)

    monkeypatch.setattr(DestructionRegister, "finish", backed_up)
    destroy(bank)
    shutil.copy(tmp_path / "backup.db", database(bank))
    before = kinds(bank)
    again = destroy(bank)
    assert (again.done.copies, again.needs_person) == (0, False)
    assert (kinds(bank), committed_copies(bank)) == (before, dict.fromkeys(HELD, 1))
    assert destroyed(bank) == dict.fromkeys(CALLS - HELD, 1)


@pytest.mark.slow
def test_small_batches_that_were_merged_are_found_where_they_were_moved_to(new_world):
    world = new_world("sqlite")
    one = world.account("Banking")
    from datetime import timedelta

    from tests.builders import BANK_DAY, NIGHT, run_night

    for number in (1, 2):
        world.call(f"id-{number}", one, BANK_DAY)
        run_night(world.lifecycle(), night=NIGHT + timedelta(days=number))
    lifecycle = world.lifecycle(destroy=True)
    assert len(merge_small_batches(lifecycle, NIGHT, RUN).merged) == 1
    seal_ledger(lifecycle)
    lose_rows(world)
    looked = survey_copies(world.lifecycle(), DAY)
    assert (looked.damaged, len(looked.ended), looked.plans["bank"].going) == ({}, 2, 2)
    assert destroy(world).done.copies == 2
    assert copies(world) == {}


@pytest.mark.slow
def test_what_is_gone_and_on_no_leaf_is_missing_all_the_same(bank):
    store = Path(bank.store_url.removeprefix("file://"))
    (manifest,) = store.rglob("manifest.json")
    shutil.rmtree(manifest.parent)
    found = destroy(bank)
    assert (list(found.survey.damaged), found.needs_person) == ([manifest.relative_to(store).as_posix()], True)


def test_a_manifest_that_lies_above_other_batches_is_not_removed_by_its_folder(bank):
    """Whoever can write to store and database, and not remove anything, does not get us to remove the whole archive."""
    store = Path(bank.store_url.removeprefix("file://"))
    (manifest,) = store.rglob("manifest.json")
    lie = store / "archive" / manifest.parent.name / "manifest.json"
    lie.parent.mkdir()
    for part in manifest.parent.iterdir():
        if part.is_file():
            shutil.copy(part, lie.parent / part.name)
    lie.write_bytes(manifest.read_bytes())
    key = lie.relative_to(store).as_posix()
    bank.execute(sa.text("UPDATE lifecycle_purges SET manifest_key = :key"), key=key)
    found = destroy(bank)
    assert (found.done.copies, list(found.survey.damaged)) == (0, [key])
    assert manifest.exists()
