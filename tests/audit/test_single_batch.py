"""One batch verified by its name: as strictly as in the whole, and without reading the rest."""

import json
from pathlib import Path

import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.audit.single_batch import audit_single_batch
from lifecycle.errors import InputError
from tests.audit.tampering import Place, build, copy_of
from tests.audit.tamperings import TAMPERINGS


@pytest.fixture(scope="module")
def states(new_world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("states")
    build(new_world("sqlite"), folder)
    return folder


def batch_of(place: Place, number: int = 0) -> str:
    return str(json.loads(place.manifest(number=number).read_bytes())["batch"])


def test_a_sound_batch_is_compared_with_all_that_speaks_of_it_and_no_other_is_read(states, tmp_path, monkeypatch):
    place, read = copy_of(states, "done", tmp_path), list[str]()
    get, fetch = FolderStore.get, FolderStore.fetch
    monkeypatch.setattr(FolderStore, "get", lambda *a, **k: read.append(a[1]) or get(*a, **k))
    monkeypatch.setattr(FolderStore, "fetch", lambda *a, **k: read.append(a[1]) or fetch(*a, **k))
    found = audit_single_batch(place.lifecycle(), batch_of(place))
    assert (found.sound, found.batches) == (True, 1)
    counts = ("manifests", "objects", "leaves", "opened", "purge rows", "plans", "planned")
    assert [found.compared[name] for name in counts] == [1, 2, 3, 3, 1, 1, 3]
    assert {key.split("/")[4] for key in read if key.startswith("archive/")} == {batch_of(place)}


@pytest.mark.parametrize(
    "title",
    [
        "a bit of an archived object is flipped",
        "a manifest is edited",
        "calls.parquet forged with its manifest and the control table: the content of a call",
        "a purge row's records are edited with their digest: the actor",
        "a purge row's time is changed",
        "a plan is removed",
        "a leaf is edited",
        "the checkpoint is signed by another key",
        "a whole batch is removed",
    ],
)
def test_what_is_tampered_with_is_noticed_of_one_batch_too(states, tmp_path, title):
    place = copy_of(states, "done", tmp_path)
    batches = {batch_of(place), *(name for (name,) in place.sql("SELECT DISTINCT batch FROM lifecycle_purges"))}
    next(one for one in TAMPERINGS if one.title == title).do(place)
    assert [audit_single_batch(place.lifecycle(), batch).sound for batch in sorted(batches)].count(False) >= 1


def test_a_batch_that_waits_or_was_never_purged_is_found_too_and_nobody_else(states, tmp_path):
    place = copy_of(states, "archived", tmp_path)
    found = audit_single_batch(place.lifecycle(), batch_of(place, -1))
    assert (found.sound, found.batches, found.reconciled.live) == (True, 1, 2)
    with pytest.raises(InputError, match="batch nobody: expected the name of a batch"):
        audit_single_batch(place.lifecycle(), "nobody")
