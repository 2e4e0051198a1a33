"""kill -9 at every write of a destruction: never fewer copies than the record says, and the rerun finishes it."""

import pytest

from tests.builders import World
from tests.custody.copies import (
    CALLS,
    archived,
    committed_copies,
    copies,
    copy_of,
    destroy,
    destroyed,
    destroying,
)
from tests.night.driver import night_killed

HELD = {"id-2", "id-4"}
WHERE = [
    ("before", 6),
    pytest.param("before", 1, marks=pytest.mark.slow),
    pytest.param("after", 1, marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def held(new_world) -> World:
    """Five copies whose day has come, of which two are held: the batch is rewritten."""
    world = archived(new_world("sqlite"))
    world.hold("[{call_ids: [id-2, id-4]}]")
    return world


@pytest.mark.parametrize(("when", "step"), WHERE)
@pytest.mark.slow
def test_a_destruction_killed_at_any_write_keeps_what_stays_and_is_finished_by_the_next(
    held, tmp_path_factory, when, step
):
    at, ended = 1, None
    while ended is None:
        world = copy_of(held, tmp_path_factory.mktemp("copy"))
        ended = night_killed(world, at, when, work=destroying)
        there = committed_copies(world)
        assert there.keys() >= HELD, f"killed {when} write {at}"
        for call in CALLS - there.keys():
            assert call in registered(world), f"killed {when} write {at}: {call} went unregistered"
        assert destroyed(world).keys() <= CALLS - copies(world).keys()
        done = destroy(world)
        assert not done.needs_person, f"killed {when} write {at}: {done.done}"
        assert committed_copies(world) == copies(world) == dict.fromkeys(HELD, 1), f"killed {when} write {at}"
        assert destroyed(world) == dict.fromkeys(CALLS - HELD, 1), f"killed {when} write {at}"
        at += step
    assert ended >= 20  # a plan, an intent, objects and a manifest, eight removals, leaves, a sealing


def registered(world: World) -> set[str]:
    """The calls that are registered to go, by the control table, of a removal that had begun."""
    lifecycle = world.lifecycle()
    epoch = lifecycle.keys.epoch()
    source = lifecycle.crm.source.source
    begun = [row for row in lifecycle.crm.control.destructions.unfinished() if row.begun_at]
    gone = [row for batch in lifecycle.crm.control.destructions.states() if (
        row := lifecycle.crm.control.destructions.of_batch(batch)) and row.destroyed_at]  # fmt: skip
    going = {copy[3] for row in [*begun, *gone] for copy in row.details["copies"]}
    return {call for call in CALLS if epoch.commitment(source, call) in going}
