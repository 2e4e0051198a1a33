"""Every write of restore, export, drill and index fails twice: not done, and done with the answer lost. And kills.

Afterwards the same command again: each row and file is there once, and what is on record happened.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lifecycle.archive.batch_index import BATCH_INDEXES
from lifecycle.archive.batches import manifest_keys
from lifecycle.crm.database import Database
from lifecycle.custody.drill import drill_archive
from lifecycle.custody.export import ExportOrder, export_calls
from lifecycle.custody.restore import RestoreResult, restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import DatabaseError, StoreError
from lifecycle.night.drill_gate import newest_drill
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, World, account_for, run_night
from tests.custody.test_restore import scratch_url, world_restore_url

ORDER = RestoreOrder("clerk", "trial")
CALLS = ("id-a", "id-b", "id-c")


class FaultyStore:
    """Fails one write, before or after it was done."""

    def __init__(self, store: Any, begins: str, done: bool) -> None:
        self._store, self._begins, self._done = store, begins, done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_once(self, key: str, body: Any) -> Any:
        if key.startswith(self._begins):
            begins, self._begins = self._begins, "nothing begins so"
            if self._done:
                self._store.put_once(key, body)
            raise StoreError(f"the store does not answer ({begins})")
        return self._store.put_once(key, body)


def three_purged(world: World) -> tuple[World, dict, dict]:
    bank = world.account("Banking")
    for key in CALLS:
        world.call(key, bank, BANK_DAY)
        world.note(key, file=b"x")
        world.recorded(key, f"2021/{key}.wav", key.encode())
    start, files = world.dump(), world.on_disk()
    run_night(world.lifecycle())
    assert (world.live(), world.on_disk()) == (set(), {})
    return world, start, files


@pytest.fixture
def purged(sqlite_world) -> tuple[World, dict, dict]:
    return three_purged(sqlite_world)


@pytest.fixture(
    params=[
        ("sqlite", "folder"),
        pytest.param(("postgresql", "s3"), marks=pytest.mark.slow),
        pytest.param(("mariadb", "s3"), marks=pytest.mark.slow),
    ],
    ids=lambda given: "-".join(given),
)
def anywhere(request, new_world) -> World:
    """On each server too, with a store that is a bucket."""
    return new_world(*request.param)


@pytest.fixture
def purged_anywhere(anywhere) -> tuple[World, dict, dict]:
    """Restored under the role that people are told to make."""
    return three_purged(anywhere)


def opened(world: World) -> Lifecycle:
    return world.lifecycle(restore_url=world_restore_url(world))


def restored(world: World, lifecycle: Lifecycle | None = None) -> RestoreResult:
    lifecycle = lifecycle or opened(world)
    return restore_calls(lifecycle, CALLS, crm_target(lifecycle), ORDER)


def whole_again(world: World, start: dict, files: dict) -> None:
    """The same command ends it: every row and file as it was, one row in the control table and one leaf a call."""
    again = restored(world)
    assert (again.refused, again.files_left, world.dump(), world.on_disk()) == ({}, {}, start, files)
    with world.engine.connect() as connection:
        table = "lifecycle.restored" if world.dialect == "postgresql" else "lifecycle_restored"
        rows = connection.exec_driver_sql(f"SELECT call_id FROM {table} ORDER BY 1").scalars().all()
    assert tuple(rows) == CALLS
    seal_ledger(world.lifecycle())
    assert [leaf["kind"] for leaf in world.leaves()].count("restored") == len(CALLS)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_commit_that_was_not_done_or_whose_answer_was_lost(purged_anywhere, monkeypatch, done, number):
    world, start, files = purged_anywhere
    lifecycle = opened(world)
    plain, count = Database.writing, iter(range(1, 1000))

    @contextmanager
    def writing(self, *given):
        mine = next(count) == number
        with plain(self, *given) as connection:
            yield connection
            if mine and not done:
                raise DatabaseError("the database went away before it committed")
        if mine:
            raise DatabaseError("the database committed, and its answer was lost")

    monkeypatch.setattr(Database, "writing", writing)
    try:
        restored(world, lifecycle)
    except DatabaseError:
        assert next(count) > number
    else:
        assert next(count) <= number  # there are fewer transactions
    monkeypatch.setattr(Database, "writing", plain)
    whole_again(world, start, files)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("which", CALLS)
def test_a_file_that_was_not_put_or_whose_answer_was_lost(purged_anywhere, done, which):
    world, start, files = purged_anywhere
    lifecycle = opened(world)
    lifecycle.__dict__["recordings"] = FaultyStore(lifecycle.recordings, f"2021/{which}", done)
    with pytest.raises(StoreError):
        restored(world, lifecycle)
    assert world.dump() == start
    whole_again(world, start, files)


@pytest.mark.parametrize("done", [False, True])
def test_an_index_that_was_not_put_or_whose_answer_was_lost(anywhere, done):
    start = anywhere.furnish().dump()
    run_night(anywhere.lifecycle(), sealing=False)
    lifecycle = anywhere.lifecycle()
    lifecycle.__dict__["store"] = FaultyStore(lifecycle.store, BATCH_INDEXES, done)
    with pytest.raises(StoreError):
        seal_ledger(lifecycle)
    seal_ledger(anywhere.lifecycle())
    store = anywhere.lifecycle().store
    assert len(list(store.list(BATCH_INDEXES))) == len(list(manifest_keys(store)))
    account_for(anywhere, start)


@pytest.mark.parametrize("done", [False, True])
def test_an_export_whose_leaf_was_not_noted_or_is_not_known_to_be_leaves_no_file(
    purged_anywhere, monkeypatch, tmp_path, done
):
    world, _, _ = purged_anywhere
    plain = Database.writing

    @contextmanager
    def writing(self, *given):
        with plain(self, *given) as connection:
            yield connection
            if not done:
                raise DatabaseError("not committed")
        raise DatabaseError("the answer was lost")

    monkeypatch.setattr(Database, "writing", writing)
    order = ExportOrder("clerk", "trial", ("call",), "csv")
    with pytest.raises(DatabaseError):
        export_calls(world.lifecycle(), CALLS, tmp_path / "out", order)
    assert list(tmp_path.glob("*out*")) == list(tmp_path.glob(".lifecycle-export-*")) == []
    monkeypatch.setattr(Database, "writing", plain)
    assert export_calls(world.lifecycle(), CALLS, tmp_path / "out", order).calls == len(CALLS)
    seal_ledger(world.lifecycle())
    assert [leaf["kind"] for leaf in world.leaves()].count("exported") == 1 + done


@pytest.mark.parametrize("done", [False, True])
def test_a_drill_whose_leaf_was_not_noted_counts_as_none(purged_anywhere, monkeypatch, tmp_path, request, done):
    world, _, _ = purged_anywhere
    scratch = scratch_url(request, world, tmp_path)
    plain = Database.writing

    @contextmanager
    def writing(self, *given):
        ours = self.engine.url.database == world.engine.url.database
        with plain(self, *given) as connection:
            yield connection
            if ours and not done:
                raise DatabaseError("not committed")
        if ours:
            raise DatabaseError("the answer was lost")

    monkeypatch.setattr(Database, "writing", writing)
    with pytest.raises(DatabaseError):
        drill_archive(world.lifecycle(), 1, scratch)
    monkeypatch.setattr(Database, "writing", plain)
    assert (newest_drill(world.lifecycle()) is not None) is done


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
import {module} as module
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from tests.builders import World

def kill(*given, **named):
    if {after}:
        plain(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

plain, module.{name} = module.{name}, kill
folder = Path(sys.argv[1])
world = World("sqlite:///" + sys.argv[2], (folder / "store").as_uri(), folder / "policies")
world.recordings_url = world.files.as_uri()
lifecycle = world.lifecycle()
restore_calls(lifecycle, sys.argv[3:], crm_target(lifecycle), RestoreOrder("clerk", "trial"))
"""
POINTS = [
    ("lifecycle.custody.prepared_batches", "read_copies", False),
    ("lifecycle.crm.restoring.restore_transaction", "insert_rows", True),
    ("lifecycle.custody.restore_record", "insert_rows", True),
    ("lifecycle.custody.restore", "put_files_that_wait", False),
    ("lifecycle.custody.restored_files", "_put", True),
]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "after"), POINTS)
def test_a_kill_anywhere_then_the_same_command_again(purged, module, name, after):
    world, start, files = purged
    program = KILLED.format(module=module, name=name, after=after)
    folder, root = world.policies.parent, Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", program, str(folder), str(world.engine.url.database), *CALLS]
    ended = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert world.live() in (set(), set(CALLS))
    whole_again(world, start, files)
