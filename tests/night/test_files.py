"""Files that rows name: copied and proved before the rows go, removed after that, and never one still named."""

import hashlib
from pathlib import Path

import botocore.retries.standard
import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.open_store import open_store
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.crm.sample import demo_schema
from lifecycle.errors import FixityError, ObjectRefused, SettingsError, StoreError
from lifecycle.inquiry.check import check_everything
from lifecycle.night.recording_files import RemovedFiles, remove_recording_files
from tests.builders import BANK_DAY, World, account_for, archive, committed, purge, run_night
from tests.night.parts import PARTS, account_for_parts

RECORDINGS = PARTS.partition("  - {id: BANK-TEXT")[0]
WHOLE = RECORDINGS.partition("  - {id: BANK-REC")[0].replace("purge_after: P10Y", "purge_after: P5Y")


def recordings(world: World, *keys: str, schedule: str = RECORDINGS) -> World:
    """Calls with a recording each that is due."""
    world.schedule(schedule)
    (world.policies / "shop.yaml").unlink()
    account = world.account("Banking")
    for key in keys:
        world.recorded(world.call(key, account, BANK_DAY), f"r/{key}.wav", key.encode())
    return world


def copies(world: World) -> set[str]:
    return {path.name for path in Path(world.store_url.removeprefix("file://")).glob("archive/**/files/*")}


def test_a_file_that_is_not_what_the_crm_says_keeps_its_component_and_leaves_no_copy(sqlite_world):
    world = recordings(sqlite_world, "good", "changed", "missing")
    world.recorded("changed", "r/changed-too.wav", b"sound")
    (world.files / "r/changed.wav").write_bytes(b"other bytes")
    (world.files / "r/missing.wav").unlink()
    start, files = world.dump(), world.on_disk()
    night = run_night(world.lifecycle())
    said = hashlib.sha256(b"changed").hexdigest(), hashlib.sha256(b"other bytes").hexdigest()
    why = "recording: files: a file cannot be archived: {}"
    assert night.set_aside == {
        "changed": why.format(f"the CRM promises sha256 {said[0]}, the file has {said[1]}"),
        "missing": why.format("it is not there"),
    }
    assert account_for_parts(world, start, files) == {("good", "recording")}
    assert copies(world) == {hashlib.sha256(b"good").hexdigest()}


@pytest.mark.slow
def test_a_path_that_leads_elsewhere_keeps_its_component(sqlite_world):
    paths = {
        "0": "/r/a.wav",
        "1": "../a.wav",
        "2": "r//a.wav",
        "3": "r/.a.wav",
        "4": f"{'a' * 252}.wav",
        "5": "r\\a.wav",
    }
    world = recordings(sqlite_world, "good", *paths)
    for key, path in paths.items():
        world.add(demo_schema.recordings, call_id=key, path=path, sha256="0" * 64)
    night = run_night(world.lifecycle())
    elsewhere = "recording: files: a file cannot be archived: its path is none below LIFECYCLE_RECORDINGS"
    assert night.set_aside == dict.fromkeys(paths, elsewhere)
    assert {record["call_id"] for record in world.records()} == {"good"}


@pytest.mark.slow
def test_a_row_without_a_path_names_no_file(sqlite_world):
    world = recordings(sqlite_world, "a")
    world.add(demo_schema.recordings, call_id="a", path="")
    night = run_night(world.lifecycle())
    assert (night.set_aside, world.on_disk(), len(world.records()[0]["files"])) == ({}, {}, 1)


def test_while_nobody_said_where_the_files_lie_such_components_stay_and_whole_calls_go_without(sqlite_world):
    world = recordings(sqlite_world, "a")
    files, world.recordings_url = world.on_disk(), None
    start = world.dump()
    night = run_night(world.lifecycle())
    assert night.set_aside == {
        "a": "recording: files: its rows name files, and LIFECYCLE_RECORDINGS does not say where they lie"
    }
    assert (world.dump(), world.on_disk()) == (start, files)
    world.schedule(WHOLE)
    assert run_night(world.lifecycle()).calls == 1
    assert account_for(world, start) == {"a"}
    assert (world.on_disk(), world.records()[0]["files"]) == (files, [])


def test_a_whole_call_takes_its_files_along(sqlite_world):
    world = recordings(sqlite_world, "a", "b", schedule=WHOLE)
    (world.files / "r/b.wav").unlink()
    start = world.dump()
    night = run_night(world.lifecycle())
    assert night.set_aside == {"b": "files: a file cannot be archived: it is not there"}
    assert account_for(world, start) == {"a"}
    ((manifest, _),) = committed(world.lifecycle().store)
    assert world.lifecycle().store.get(manifest.files[0].key) == b"a"
    assert world.on_disk() == {}


@pytest.mark.slow
def test_calls_archived_without_their_files_are_not_purged_once_it_is_known_where_they_lie(sqlite_world):
    world = recordings(sqlite_world, "a", schedule=WHOLE)
    url, world.recordings_url = world.recordings_url, None
    archive(world)
    world.recordings_url = url
    start = world.dump()
    assert purge(world).set_aside == {"a": "files: a file of it is not in the batch"}
    assert (world.dump(), set(world.on_disk())) == (start, {"r/a.wav"})


@pytest.mark.slow
def test_files_archived_are_not_orphaned_when_nobody_says_any_more_where_they_lie(sqlite_world):
    world = recordings(sqlite_world, "a", schedule=WHOLE)
    archive(world)
    world.recordings_url = None
    start = world.dump()
    assert "LIFECYCLE_RECORDINGS does not say" in purge(world).set_aside["a"]
    assert world.dump() == start


def test_a_file_goes_with_the_last_row_that_names_it(sqlite_world):
    world = recordings(sqlite_world, "a", "b")
    world.recorded("a", "r/shared.wav", b"shared")
    world.recorded("b", "r/shared.wav", b"shared")
    world.hold("{call_ids: [b]}")
    run_night(world.lifecycle())
    assert set(world.on_disk()) == {"r/b.wav", "r/shared.wav"}
    assert audit_archive_and_ledger(world.lifecycle()).files_waiting == 0
    world.release()
    start, files = world.dump(), world.on_disk()
    run_night(world.lifecycle())
    assert world.on_disk() == {}
    assert {r["call_id"] for r in world.records()} == {"a", "b"}
    assert (len(start["recordings"]), set(files)) == (2, {"r/b.wav", "r/shared.wav"})


@pytest.mark.slow
def test_two_paths_of_the_same_bytes_are_two_copies(sqlite_world):
    world = recordings(sqlite_world, "a", "b")
    (world.files / "r/b.wav").write_bytes(b"a")
    world.execute(f"UPDATE recordings SET sha256 = '{hashlib.sha256(b'a').hexdigest()}'")
    start, files = world.dump(), world.on_disk()
    run_night(world.lifecycle())
    assert account_for_parts(world, start, files) == {("a", "recording"), ("b", "recording")}
    digest = hashlib.sha256(b"a").hexdigest()
    assert copies(world) == {digest, f"{digest}-2"}


def test_bytes_that_nobody_archived_are_never_removed(sqlite_world, monkeypatch):
    world = recordings(sqlite_world, "a")
    archive(world)
    (world.files / "r/a.wav").write_bytes(b"recorded anew")
    night = purge(world)
    (left,) = night.purged["bank"].files_left.items()
    assert left[0].endswith(hashlib.sha256(b"a").hexdigest())
    assert "which nobody archived" in left[1]
    assert world.on_disk() == {"r/a.wav": b"recorded anew"}
    assert audit_archive_and_ledger(world.lifecycle()).files_waiting == 1
    (world.files / "r/a.wav").write_bytes(b"a")
    assert remove_recording_files(world.lifecycle()).files == 1
    assert (world.on_disk(), audit_archive_and_ledger(world.lifecycle()).files_waiting) == ({}, 0)


def removing_nothing(_):
    return RemovedFiles()


@pytest.mark.slow
def test_an_empty_mount_point_is_no_proof_that_a_file_is_gone(sqlite_world, monkeypatch):
    world = recordings(sqlite_world, "a")
    monkeypatch.setattr(
        "lifecycle.night.purge.remove_recording_files", lambda _: type("R", (), {"files": 0, "left": {}})
    )
    run_night(world.lifecycle())
    world.files.rename(world.files.with_name("elsewhere"))
    world.files.mkdir()
    (reason,) = remove_recording_files(world.lifecycle()).left.values()
    assert reason == "nothing is where LIFECYCLE_RECORDINGS points: is it mounted?"
    world.files.rmdir()
    world.files.with_name("elsewhere").rename(world.files)
    assert (remove_recording_files(world.lifecycle()).files, world.on_disk()) == (1, {})


@pytest.mark.slow
def test_a_damaged_copy_stops_the_purge_of_its_rows(sqlite_world):
    world = recordings(sqlite_world, "a")
    archive(world)
    start = world.dump()
    (copy,) = Path(world.store_url.removeprefix("file://")).glob("archive/**/files/*")
    copy.write_bytes(b"damaged")
    with pytest.raises(FixityError, match="Restore it from a backup"):
        purge(world)
    assert (world.dump(), set(world.on_disk())) == (start, {"r/a.wav"})
    assert [key.endswith(copy.name) for key in audit_archive_and_ledger(world.lifecycle()).damaged] == [True]


@pytest.mark.slow
def test_a_manifest_that_was_swapped_removes_no_file(sqlite_world, monkeypatch):
    world = recordings(sqlite_world, "a", "b")
    world.hold("{call_ids: [b]}")
    with monkeypatch.context() as patch:
        patch.setattr("lifecycle.night.purge.remove_recording_files", removing_nothing)
        run_night(world.lifecycle())
    (path,) = Path(world.store_url.removeprefix("file://")).glob("archive/**/manifest.json")
    path.write_bytes(path.read_bytes().replace(b"r/a.wav", b"r/b.wav"))
    (reason,) = remove_recording_files(world.lifecycle()).left.values()
    assert "it is not the manifest that purge" in reason
    assert set(world.on_disk()) == {"r/a.wav", "r/b.wav"}


def test_check_says_what_stays_for_want_of_a_setting(sqlite_world):
    world = recordings(sqlite_world, "a")
    assert [finding for finding in check_everything(world.lifecycle()) if finding.subject == "settings"] == []
    world.recordings_url = None
    found = {
        f.message: (f.severity, f.exit_code) for f in check_everything(world.lifecycle()) if f.subject == "settings"
    }
    assert found == {
        "LIFECYCLE_RECORDINGS: BANK-REC of bank needs to know where the files of recording lie; until then they stay": (
            "error",
            2,
        ),
        "LIFECYCLE_RECORDINGS is not set: the files that purged calls name are left where they lie, and components "
        "with files stay": ("warning", 1),
    }


@pytest.mark.parametrize("where", ["", "/archive", "/.."])
def test_files_never_lie_where_the_archive_is(sqlite_world, where):
    sqlite_world.recordings_url = (Path(sqlite_world.store_url.removeprefix("file://") + where)).resolve().as_uri()
    with pytest.raises(SettingsError, match="expected a place apart from LIFECYCLE_STORE"):
        _ = sqlite_world.lifecycle().recordings


def in_bucket(world: World, s3_server) -> World:
    """The same files, in a bucket."""
    prefix = s3_server.new_prefix()
    world.recordings_url, world.s3_endpoint = f"s3://{s3_server.bucket}/{prefix}", s3_server.endpoint
    store = open_store(world.recordings_url, s3_server.endpoint)
    for path, body in world.on_disk().items():
        store.put_once(path, body)
    return world


@pytest.mark.parametrize("kind", ["cut_request", pytest.param("swallow_answer", marks=pytest.mark.slow)])
def test_a_removal_that_fails_either_way_is_finished_by_a_rerun(
    sqlite_world, s3_server, s3_credentials, fault_proxy, monkeypatch, kind
):
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
    world, proxy = in_bucket(recordings(sqlite_world, "a"), s3_server), fault_proxy(s3_server)
    getattr(proxy, kind)(b"DELETE /", times=3)
    world.s3_endpoint = proxy.endpoint
    with pytest.raises(StoreError, match="A rerun is safe"):
        run_night(world.lifecycle())
    assert (proxy.struck, len(world.purge_rows())) == (3, 1)  # the rows are gone, on record, and the copy was proved
    proxy.pass_through()
    assert audit_archive_and_ledger(world.lifecycle()).files_waiting == 1
    run_night(world.lifecycle())
    assert list(open_store(world.recordings_url, s3_server.endpoint).list("r/")) == []
    assert (
        audit_archive_and_ledger(world.lifecycle()).sound,
        audit_archive_and_ledger(world.lifecycle()).files_waiting,
    ) == (True, 0)


def test_a_file_that_the_mapping_does_not_call_a_recording_is_neither_archived_nor_removed(sqlite_world):
    """Somebody edited a row so that it names a contract, with the right digest."""
    world = recordings(sqlite_world, "good")
    world.recorded(world.call("edited", world.account("Banking"), BANK_DAY), "hr/contract.pdf", b"signed")
    night = run_night(world.lifecycle())
    why = "the mapping's patterns do not say that a file of such a path is a recording"
    assert night.set_aside == {"edited": f"recording: files: a file cannot be archived: {why}"}
    assert world.on_disk() == {"hr/contract.pdf": b"signed"}
    assert world.live() == {"good", "edited"}


def test_a_file_that_cannot_be_read_keeps_its_call_alone(sqlite_world):
    world = recordings(sqlite_world, "good", "linked", "folder")
    (world.files / "r/linked.wav").unlink()
    (world.files / "r/linked.wav").symlink_to(world.files / "r/good.wav")
    (world.files / "r/folder.wav").unlink()
    (world.files / "r/folder.wav").mkdir()
    night = run_night(world.lifecycle())
    why = "recording: files: a file cannot be archived: {}"
    assert night.set_aside == {
        "linked": why.format("it cannot be read: its path leads through a symbolic link"),
        "folder": why.format("it is not there"),
    }
    assert sum(purged.files for purged in night.purged.values()) == 1


def test_a_file_that_cannot_be_removed_is_named_and_the_others_are_removed(sqlite_world, monkeypatch):
    world = recordings(sqlite_world, "a", "b")
    remove = FolderStore.delete

    def refusing(self, key, version_id):
        if key == "r/a.wav":
            raise ObjectRefused(f"could not delete {key}") from PermissionError(13, "Permission denied")
        remove(self, key, version_id)

    monkeypatch.setattr(FolderStore, "delete", refusing)
    night = run_night(world.lifecycle())
    left = [reason for purged in night.purged.values() for reason in purged.files_left.values()]
    assert (left, set(world.on_disk())) == (["it cannot be removed: Permission denied"], {"r/a.wav"})
    monkeypatch.undo()
    assert (remove_recording_files(world.lifecycle()).left, world.on_disk()) == ({}, {})
