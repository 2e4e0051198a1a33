"""Who administers the database and has no right in the store gets nothing removed there by what he writes."""

import hashlib
import json
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.custody import batch_destruction
from lifecycle.errors import StoreError
from lifecycle.evidence.leaf import make_leaf
from lifecycle.night.seal import seal_ledger
from tests.builders import World
from tests.custody.copies import CALLS, DAY, archived, committed_copies, copies, copy_of, destroy

OLD = "2028-03-02T02:00:00+00:00"


@pytest.fixture(scope="module")
def template(new_world) -> World:
    return archived(new_world("sqlite"))


@pytest.fixture
def bank(template, tmp_path) -> World:
    return copy_of(template, tmp_path / "bank")


def written(world: World, **changed: Any) -> None:
    """A row of the register that nobody but an administrator wrote: unkeyed digests he can make himself."""
    lifecycle = world.lifecycle()
    (batch,) = lifecycle.crm.control.destructions.batches_on_record()
    named = (batch.batch, batch.manifest_key, batch.manifest_sha256)
    details = {"industry": "bank", "component": None, "night": "2028-03-02", "schedule": {}, "calls": 5,
               "copies": [], "moved": [], "objects": []}  # fmt: skip
    row = Destruction(*named, "0" * 64, "run", "the boss", OLD, details)
    lifecycle.crm.control.destructions.register(replace(row, **changed))


def everything(world: World) -> set[str]:
    return set(world.lifecycle().store.list(""))


@pytest.mark.parametrize(
    "changed",
    [
        {"begun_at": OLD, "manifest_key": "ledger/manifest.json"},  # the whole ledger
        {"begun_at": OLD, "manifest_sha256": "0" * 64},  # a batch, years before its day
        {"begun_at": OLD, "batch": "nobody", "manifest_key": "plans/manifest.json"},
        {"moved_to": "ledger/manifest.json"},  # what is withdrawn takes along what was written of it
        {"begun_at": OLD, "moved_to": "archive/x/manifest.json", "moved_sha256": "0" * 64},
    ],
)
def test_a_destruction_that_somebody_wrote_into_the_register_removes_nothing_and_is_named(bank, changed):
    written(bank, **changed)
    before = everything(bank)
    found = destroy(bank, DAY - timedelta(days=1))
    assert before <= everything(bank)
    (why,) = found.done.set_aside.values()
    assert "no run of ours registered this destruction" in why
    assert found.needs_person


def failing_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise StoreError("no answer")

    monkeypatch.setattr(batch_destruction, "remove_batch", fails)


@pytest.mark.parametrize("edit", ["the objects", "the move", "the batch"])
def test_a_registered_destruction_that_somebody_edited_removes_nothing_more(bank, monkeypatch, edit):
    bank.hold("[{call_ids: [id-2, id-4]}]")
    with monkeypatch.context() as patch:
        failing_removal(patch)
        with pytest.raises(StoreError):
            destroy(bank)
    ((body,),) = _rows(bank)
    if edit == "the objects":
        details = json.loads(json.loads(zlib.decompress(body))[1])
        details["copies"], details["moved"] = [*details["copies"], *details["moved"]], []
        text = json.dumps(details, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        packed = zlib.compress(json.dumps([hashlib.sha256(text.encode()).hexdigest(), text]).encode())
        _set(bank, "details", packed)
    elif edit == "the move":
        _set(bank, "moved_to", None)
    else:
        _set(bank, "manifest_key", "ledger/manifest.json")
    before = everything(bank)
    found = destroy(bank)
    assert before <= everything(bank)
    assert "no run of ours registered this destruction" in next(iter(found.done.set_aside.values()))


def test_where_the_moved_copies_are_not_what_was_registered_nothing_of_the_old_batch_goes(bank, monkeypatch):
    """Between the two are all copies that stay: a begun removal goes on only while they are proved."""
    bank.hold("[{call_ids: [id-2, id-4]}]")
    with monkeypatch.context() as patch:
        failing_removal(patch)
        with pytest.raises(StoreError):
            destroy(bank)
    lifecycle = bank.lifecycle()
    (row,) = lifecycle.crm.control.destructions.unfinished()
    moved = Path(bank.store_url.removeprefix("file://")) / str(row.moved_to)
    kept = moved.read_bytes()
    moved.unlink()
    stopped = destroy(bank)
    assert "the copies that stay" in stopped.done.set_aside[row.batch]
    assert copies(bank) == {**dict.fromkeys(CALLS, 1), "id-2": 2, "id-4": 2}
    moved.write_bytes(kept)
    assert destroy(bank).done.set_aside == {}
    assert committed_copies(bank) == {"id-2": 1, "id-4": 1}


def _rows(world: World) -> list[Any]:
    with world.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT details FROM lifecycle_destructions"))


def _set(world: World, column: str, value: Any) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE lifecycle_destructions SET {column} = ?", (value,))


def test_leaves_of_a_destruction_that_somebody_wrote_are_not_signed(bank):
    leaf = make_leaf("destroyed", {"batch": "b", "call": "0" * 64})
    copy = [0, "b", 0, "0" * 64, "2026-x", "R", None, None]
    details = {"copies": [copy], "moved": [], "objects": []}
    written(bank, batch="b", details=details, begun_at=OLD, destroyed_at=OLD)
    _set(bank, "entries", zlib.compress(leaf + b"\n"))
    refused = seal_ledger(bank.lifecycle()).refused
    assert "no run of ours registered this destruction" in " ".join(refused.values())
    assert "destroyed" not in {each["kind"] for each in bank.leaves()}
