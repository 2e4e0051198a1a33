"""A restore while copies of the same batch are destroyed, and the other way round: whoever is second says so."""

import pytest

from lifecycle.custody import batch_destruction, prepared_batches
from lifecycle.custody.restore import RestoreResult, restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from tests.builders import World, run_night
from tests.custody.copies import CALLS, archived, destroy

IN_USE = "another run is at work on its copy at this moment: restored, moved or destroyed. Run it again afterwards"


def restored(world: World) -> RestoreResult:
    lifecycle = world.lifecycle()
    return restore_calls(lifecycle, sorted(CALLS), crm_target(lifecycle), RestoreOrder("clerk", "trial"))


@pytest.fixture
def archive(sqlite_world, monkeypatch) -> tuple[World, dict]:
    """Calls whose copies lie in one batch, and their rows of before."""
    rows: dict = {}

    def night(lifecycle):
        rows.update(sqlite_world.dump())
        return run_night(lifecycle)

    monkeypatch.setattr("tests.custody.copies.run_night", night)
    return archived(sqlite_world), rows


def test_a_destroy_leaves_a_batch_that_is_being_restored(archive, monkeypatch):
    world, before = archive
    plain, destroyed = prepared_batches.read_copies, []

    def read_copies(*given):
        destroyed.append(destroy(world).done)
        return plain(*given)

    monkeypatch.setattr(prepared_batches, "read_copies", read_copies)
    done = restored(world)
    assert (done.refused, set(done.restored), world.dump()) == ({}, CALLS, before)
    (second,) = destroyed
    assert (second.copies, list(second.set_aside.values())) == (0, [batch_destruction._IN_USE])


def test_a_restore_puts_nothing_back_from_a_batch_that_is_being_destroyed(archive, monkeypatch):
    world, _ = archive
    plain, second = batch_destruction.finish_removal, []

    def finish_removal(*given):
        second.append(restored(world))
        return plain(*given)

    monkeypatch.setattr(batch_destruction, "finish_removal", finish_removal)
    assert destroy(world).done.copies == len(CALLS)
    (result,) = second
    assert (result.restored, result.refused) == ({}, {key: [IN_USE] for key in CALLS})
    assert world.live() == set()
    monkeypatch.setattr(batch_destruction, "finish_removal", plain)
    after = restored(world)
    assert (after.restored, set(after.refused)) == ({}, CALLS)
    assert all(why.startswith("its copy was destroyed at") for (why,) in after.refused.values())
