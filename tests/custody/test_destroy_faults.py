"""Every write of a destruction failing twice: not done, and done with the answer lost. The rerun makes it good."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.database import Database
from lifecycle.custody import batch_destruction
from lifecycle.errors import DatabaseError, LifecycleError, StoreError
from tests.builders import World
from tests.custody.copies import CALLS, archived, committed_copies, copies, copy_of, destroy, destroyed

HELD = {"id-2", "id-4"}


class Fault:
    """Fails the k-th write to store or database: before it, or after it was done."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, when: str, stores: Any = FolderStore) -> None:
        self.at, self.when, self.writes = at, when, 0
        put, swap, delete, writing = stores.put_once, stores.swap, stores.delete, Database.writing
        patch.setattr(stores, "put_once", lambda store, key, body: self._do(lambda: put(store, key, body)))
        patch.setattr(stores, "swap", lambda *given: self._do(lambda: swap(*given)))
        patch.setattr(stores, "delete", lambda *given: self._do(lambda: delete(*given)))

        @contextmanager
        def committing(database: Database, *patience: int) -> Iterator[sa.Connection]:
            with self._mine(DatabaseError("no answer")) as mine:
                if mine and self.when == "before":
                    raise DatabaseError("no answer")
                with writing(database, *patience) as connection:
                    yield connection

        patch.setattr(Database, "writing", committing)

    @contextmanager
    def _mine(self, error: LifecycleError) -> Iterator[bool]:
        self.writes += 1
        mine = self.writes == self.at
        yield mine
        if mine:
            raise error

    def _do(self, write: Any) -> Any:
        with self._mine(StoreError("no answer")) as mine:
            if mine and self.when == "before":
                raise StoreError("no answer")
            return_value = write()
        return return_value


def is_made_good(world: World, at: int, when: str, stores: Any = FolderStore) -> bool:
    """Destroy with a write that fails, and again; what must be so after each. Whether there was no such write."""
    with pytest.MonkeyPatch.context() as patch:
        fault = Fault(patch, at, when, stores)
        with suppress(LifecycleError):
            destroy(world)
    assert committed_copies(world).keys() >= HELD, f"{when} write {at}"
    done = destroy(world)
    assert not done.needs_person, f"{when} write {at}: {done.done}"
    assert committed_copies(world) == dict.fromkeys(HELD, 1), f"{when} write {at}"
    assert destroyed(world) == dict.fromkeys(CALLS - HELD, 1), f"{when} write {at}"
    return fault.writes < at


@pytest.fixture(scope="module")
def held(new_world) -> World:
    world = archived(new_world("sqlite"))
    world.hold("[{call_ids: [id-2, id-4]}]")
    return world


@pytest.mark.parametrize(
    ("when", "first", "step"),
    [
        ("before", 2, 11),
        ("after", 1, 11),
        pytest.param("before", 1, 1, marks=pytest.mark.slow),
        pytest.param("after", 1, 1, marks=pytest.mark.slow),
    ],
)
def test_a_write_that_fails_is_made_good_by_the_next_run(held, tmp_path_factory, when, first, step):
    at, ended = first, False
    while not ended:
        world = copy_of(held, tmp_path_factory.mktemp("copy"))
        ended = is_made_good(world, at, when)
        assert copies(world) == dict.fromkeys(HELD, 1), f"{when} write {at}"
        at += step


def test_a_hold_placed_after_the_plan_was_shown_keeps_its_copies(held, tmp_path, monkeypatch):
    world = copy_of(held, tmp_path)
    world.release()
    judge, looked = batch_destruction.judge_batch, []

    def placing(*given: Any) -> Any:
        if not looked:
            world.hold("[{call_ids: [id-5]}]", "late")
        looked.append(given)
        return judge(given[0], given[1], given[0].holds_now(), given[3])

    monkeypatch.setattr(batch_destruction, "judge_batch", placing)
    assert destroy(world).done.copies == 4
    assert (copies(world), destroyed(world).keys()) == ({"id-5": 1}, CALLS - {"id-5"})


def test_a_hold_that_comes_while_a_removal_is_half_done_stops_it(held, tmp_path):
    world = copy_of(held, tmp_path)
    world.release()
    with pytest.MonkeyPatch.context() as patch:
        delete, left = FolderStore.delete, [2]

        def failing(store: FolderStore, key: str, version: str | None) -> None:
            if not left[0]:
                raise StoreError("the store is gone")
            left[0] -= 1
            delete(store, key, version)

        patch.setattr(FolderStore, "delete", failing)
        with pytest.raises(StoreError):
            destroy(world)
    world.hold("[{call_ids: [id-5]}]", "late")
    stopped = destroy(world)
    assert [why for why in stopped.done.set_aside.values()] == ["its removal was begun, and is stopped: on_hold: late"]
    assert copies(world) == dict.fromkeys(CALLS, 1)  # calls.parquet goes last
    world.release("late")
    assert destroy(world).done.copies == 5
