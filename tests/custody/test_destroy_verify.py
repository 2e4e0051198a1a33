"""`verify` understands copies that are destroyed or moved; gone without a leaf, or there against one, is damage."""

import shutil
from pathlib import Path

import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.audit.single_batch import audit_single_batch
from lifecycle.audit.whole_audit import AuditReport, audit_archive_and_ledger
from lifecycle.errors import StoreError
from tests.builders import World
from tests.custody.copies import CALLS, archived, copy_of, destroy


@pytest.fixture(scope="module")
def bank(new_world) -> World:
    return archived(new_world("sqlite"))


@pytest.fixture
def copy(bank, tmp_path) -> World:
    return copy_of(bank, tmp_path)


def audited(world: World) -> AuditReport:
    return audit_archive_and_ledger(world.lifecycle())


def batch_folder(world: World) -> Path:
    (manifest,) = Path(world.store_url.removeprefix("file://")).rglob("manifest.json")
    return manifest.parent


def test_a_batch_destroyed_whole_is_accounted_for(copy):
    batch = batch_folder(copy).name
    destroy(copy)
    found = audited(copy)
    assert (found.sound, found.damaged, found.uncompared) == (True, {}, {})
    assert (found.compared["destroyed"], found.compared["purge rows"], found.batches) == (5, 1, 0)
    one = audit_single_batch(copy.lifecycle(), batch)
    assert (one.sound, one.compared["destroyed"]) == (True, 5)


def test_moved_copies_are_held_against_the_records_of_the_batch_they_came_from(copy):
    batch = batch_folder(copy).name
    copy.hold("[{call_ids: [id-2, id-4]}]")
    destroy(copy)
    found = audited(copy)
    assert (found.sound, found.damaged, found.uncompared) == (True, {}, {})
    assert (found.compared["destroyed"], found.reconciled.archived, found.reconciled.recorded) == (3, 2, 2)
    assert audit_single_batch(copy.lifecycle(), batch).sound
    copy.release()
    destroy(copy)
    found = audited(copy)
    assert (found.sound, found.compared["destroyed"]) == (True, len(CALLS))


def test_a_batch_that_somebody_removed_is_missing(copy):
    shutil.rmtree(batch_folder(copy))
    found = audited(copy)
    assert not found.sound
    assert [why.partition(" and ")[0][:14] for why in found.damaged.values()] == ["missing: purge"]


def test_a_moved_copy_that_somebody_removed_is_missing(copy):
    copy.hold("[{call_ids: [id-2, id-4]}]")
    destroy(copy)
    shutil.rmtree(batch_folder(copy))
    (why,) = audited(copy).damaged.values()
    assert why.startswith("missing: 2 copies are not on record as destroyed")


@pytest.mark.parametrize("what", ["the whole batch", "one object"])
def test_what_a_leaf_calls_destroyed_and_the_store_has_is_damage(copy, tmp_path, what):
    folder = batch_folder(copy)
    shutil.copytree(folder, tmp_path / "kept")
    destroy(copy)
    folder.mkdir(parents=True, exist_ok=True)
    if what == "one object":
        shutil.copy(tmp_path / "kept" / "notes.parquet", folder / "notes.parquet")
    else:
        shutil.copytree(tmp_path / "kept", folder, dirs_exist_ok=True)
    found = audited(copy)
    assert not found.sound
    assert any("says that its batch is destroyed, and the store has it" in why for why in found.damaged.values())


def test_a_removal_that_was_begun_is_no_damage_and_no_peace_either(copy, monkeypatch):

    delete, left = FolderStore.delete, [3]

    def failing(store, key, version_id):
        left[0] -= 1
        if left[0] < 0:
            raise StoreError("the store is gone")
        delete(store, key, version_id)

    monkeypatch.setattr(FolderStore, "delete", failing)
    with pytest.raises(StoreError):
        destroy(copy)
    monkeypatch.undo()
    found = audited(copy)
    assert (found.sound, found.damaged) == (False, {})
    assert [why.startswith("its removal was begun at") for why in found.uncompared.values()] == [True]
    destroy(copy)
    assert audited(copy).sound
