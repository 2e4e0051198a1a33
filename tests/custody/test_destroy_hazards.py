"""What goes wrong around a destruction, by accident or on purpose: copies at stake stay and are named, others go."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.custody import batch_destruction
from lifecycle.custody.destroy_plans import survey_copies
from lifecycle.custody.registered_copies import copy_lease
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.errors import NightError, PolicyError
from tests.builders import BANK_DAY, NIGHT, World, run_night
from tests.custody.copies import CALLS, DAY, archived, below_archive, copies, copy_of, destroy

FIRST, SECOND = "id-1 to id-5", "id-6"


@pytest.fixture(scope="module")
def template(new_world) -> World:
    """Two batches: of five calls, and of one, of the night after."""
    world = archived(new_world("sqlite"))
    world.call("id-6", world.account("Banking"), BANK_DAY)
    world.note("id-6")
    assert run_night(world.lifecycle(), night=NIGHT + timedelta(days=1)).calls == 1
    return world


@pytest.fixture
def bank(template, tmp_path) -> World:
    return copy_of(template, tmp_path / "bank")


def store(world: World) -> Path:
    return Path(world.store_url.removeprefix("file://"))


def batches(world: World) -> dict[str, str]:
    """The manifest key of each batch, by which one it is."""
    manifests = {path: json.loads(path.read_bytes()) for path in store(world).rglob("manifest.json")}
    keys = {(FIRST if body["calls"] == 5 else SECOND): path for path, body in manifests.items()}
    return {which: path.relative_to(store(world)).as_posix() for which, path in keys.items()}


def name_of(key: str) -> str:
    return key.split("/")[-2]


def test_a_batch_that_is_restored_from_at_this_moment_is_passed_over_and_goes_afterwards(bank):
    busy = name_of(batches(bank)[FIRST])
    with bank.lifecycle().crm.control.lease(copy_lease(busy)):
        done = destroy(bank)
    assert (len(done.done.batches), list(done.done.set_aside)) == (1, [busy])
    assert "restores copies of it at this moment" in done.done.set_aside[busy]
    assert copies(bank) == dict.fromkeys(CALLS, 1)
    assert destroy(bank).done.copies == 5


def test_a_call_that_is_restored_between_plan_and_removal_keeps_its_copy(bank, monkeypatch):
    judge, restored = batch_destruction.judge_batch, []

    def restoring(*given: Any) -> Any:
        if not restored:
            restored.append(True)
            lifecycle = bank.lifecycle()
            with monkeypatch.context() as patch:  # the restore waits for the lease: here it came just before it
                patch.setattr(
                    "lifecycle.custody.prepared_batches.copy_lease",
                    lambda batch: f"another than {batch}",
                    raising=False,
                )
                back = restore_calls(lifecycle, ["id-3"], crm_target(lifecycle), RestoreOrder("clerk", "court"))
            assert back.refused == {}
        return judge(*given)

    monkeypatch.setattr(batch_destruction, "judge_batch", restoring)
    done = destroy(bank)
    assert (done.done.copies, copies(bank), bank.live()) == (5, {"id-3": 1}, {"id-3"})


@pytest.mark.parametrize("how", ["missing", pytest.param("rotten", marks=pytest.mark.slow)])
def test_an_object_that_is_missing_or_rotten_keeps_its_own_batch_where_that_is_rewritten(bank, how):
    """Nothing can be moved out of it: the held copy would be without its notes."""
    bank.hold("[{call_ids: [id-1]}]")
    notes = store(bank) / batches(bank)[FIRST].replace("manifest.json", "notes.parquet")
    if how == "missing":
        notes.unlink()
    else:
        notes.write_bytes(notes.read_bytes()[:-1] + b"?")
    first = name_of(batches(bank)[FIRST])
    done = destroy(bank)
    assert (done.done.copies, list(done.done.set_aside), done.needs_person) == (1, [first], True)
    assert "the copies that stay cannot be moved" in done.done.set_aside[first]
    assert copies(bank) == dict.fromkeys(CALLS, 1)
    assert {path.split("/")[-2] for path in below_archive(bank) if path.endswith("calls.parquet")} == {first}
    bank.release()
    assert destroy(bank).done.copies == 5  # all of it goes, as it is
    assert below_archive(bank) == set()


def edit_manifest(world: World) -> None:
    path = store(world) / batches(world)[FIRST]
    path.write_bytes(path.read_bytes().replace(b'"calls":5', b'"calls":4'))


def point_elsewhere(world: World) -> None:
    """A purge row of the first batch names the second's manifest, with its digest."""
    second, first = batches(world)[SECOND], name_of(batches(world)[FIRST])
    statement = "UPDATE lifecycle_purges SET manifest_key = :key, manifest_sha256 = (SELECT manifest_sha256 FROM "
    statement += "lifecycle_purges WHERE manifest_key = :key) WHERE batch = :batch"
    world.execute(sa.text(statement), key=second, batch=first)


def point_at_the_ledger(world: World) -> None:
    world.execute(
        sa.text("UPDATE lifecycle_purges SET manifest_key = 'ledger/manifest.json' WHERE batch = :batch"),
        batch=name_of(batches(world)[FIRST]),
    )


@pytest.mark.parametrize(
    "edit", [pytest.param(edit_manifest, marks=pytest.mark.slow), point_elsewhere, point_at_the_ledger]
)
def test_a_batch_whose_manifest_or_row_was_edited_stays_and_is_named_and_the_other_goes(bank, edit):
    edit(bank)
    ledger = {path for path in (store(bank) / "ledger").rglob("*") if path.is_file()}
    done = destroy(bank)
    assert (done.done.copies, len(done.survey.damaged), done.needs_person) == (1, 1, True)
    assert copies(bank) == dict.fromkeys(CALLS, 1)
    assert {path for path in ledger if not path.exists()} == set()


def test_copies_stay_while_files_of_their_calls_wait_to_be_removed_where_they_lay(bank):
    """What is to be removed there the manifest says."""
    first = name_of(batches(bank)[FIRST])
    bank.execute(sa.text("UPDATE lifecycle_purges SET files_removed_at = NULL WHERE batch = :batch"), batch=first)
    done = destroy(bank)
    assert (done.done.copies, dict(done.survey.kept), copies(bank)) == (1, {"files": 5}, dict.fromkeys(CALLS, 1))


def test_a_hold_by_a_fact_binds_a_copy_that_was_moved_as_well(bank):
    bank.hold("[{call_ids: [id-2, id-4]}]")
    assert destroy(bank).done.moved == 2
    bank.release()
    bank.hold("[{phones: ['+44 20 7946 0004']}]", "late")
    assert destroy(bank).done.copies == 1
    assert copies(bank) == {"id-4": 1}


@pytest.mark.slow
def test_a_list_of_copies_elsewhere_that_cannot_be_read_stops_it_before_anything_goes(bank):
    (bank.policies / "copies.yaml").write_text("copies: [{id: x}]\n")
    with pytest.raises(PolicyError, match=r"copies\.yaml"):
        destroy(bank)
    assert len(copies(bank)) == 6


@pytest.mark.slow
def test_no_night_to_come_is_destroyed_for_and_the_first_hour_of_a_day_is_that_of_the_latest_zone(bank):
    lifecycle = bank.lifecycle()
    tonight = resolve_night(lifecycle, None)
    with pytest.raises(NightError, match="expected a night that has begun in every schedule's time zone"):
        resolve_night(lifecycle, tonight + timedelta(days=1))
    assert survey_copies(lifecycle, DAY - timedelta(days=1)).plans == {}


@pytest.mark.slow
def test_a_copy_destroyed_is_on_the_ledger_once_however_often_it_is_asked_for(bank):
    destroy(bank)
    destroy(bank, DAY + timedelta(days=400))
    leaves = [leaf for leaf in bank.leaves() if leaf["kind"] == "destroyed"]
    assert (len(leaves), len({leaf["call"] for leaf in leaves})) == (6, 6)
