"""kill -9 at every write of a night of components and files: nothing is lost, and the night again finishes it."""

from collections.abc import Callable

import pytest

from tests.builders import BANK_DAY, World, run_night
from tests.night.driver import begin, night_killed, processes
from tests.night.parts import GOING, PARTS, Gone, account_for_parts, small_parts


def tiny_parts(world: World) -> World:
    """One call with a recording, its file and a transcript."""
    world.schedule(PARTS)
    (world.policies / "shop.yaml").unlink()
    world.recorded(world.call("id-1", world.account("Banking"), BANK_DAY), "r/id-1.wav", b"RIFF")
    return world


def killed_at_every_write(make: Callable[[], World], going: Gone, when: str) -> int:
    """Kill a night at its first write, its second …, until it comes to its end; gives the number of its writes."""
    at, ended = 0, None
    while ended is None:
        at += 1
        world = make()
        start, files = world.dump(), world.on_disk()
        ended = night_killed(world, at, when)
        assert account_for_parts(world, start, files, finished=False) <= going, f"killed {when} write {at}"
        run_night(world.lifecycle())
        assert account_for_parts(world, start, files) == going, f"killed {when} write {at}"
    return ended


FILE, PURGED, REMOVED, MARKED = 6, 11, 12, 13


@pytest.mark.parametrize(
    ("at", "when", "rows_gone", "file_gone"),
    [
        pytest.param(FILE, "after", False, False, marks=pytest.mark.slow),
        (PURGED, "after", True, False),
        (REMOVED, "before", True, False),
        (REMOVED, "after", True, True),
        pytest.param(MARKED, "after", True, True, marks=pytest.mark.slow),
    ],
)
def test_a_night_killed_around_the_removal_of_a_file_is_finished_by_running_it_again(
    sqlite_world, at, when, rows_gone, file_gone
):
    world = tiny_parts(sqlite_world)
    start, files = world.dump(), world.on_disk()
    assert night_killed(world, at, when) is None
    gone = account_for_parts(world, start, files, finished=False)
    assert (bool(gone), not world.on_disk()) == (rows_gone, file_gone)
    run_night(world.lifecycle())
    assert account_for_parts(world, start, files) == {("id-1", "recording")}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_night_killed_at_any_write_loses_nothing_and_is_finished_by_running_it_again(new_world, when):
    writes = killed_at_every_write(lambda: tiny_parts(new_world("sqlite")), {("id-1", "recording")}, when)
    # the plan's four, the file, two objects, the manifest's two, the purge, the removal, its mark; then the sealing
    assert writes > MARKED + 3


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_so_is_a_night_of_several_components(new_world, database, when):
    assert killed_at_every_write(lambda: small_parts(new_world(database)), GOING, when) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_runs_of_a_night_at_once_purge_each_component_once(new_world, database):
    world, barrier = small_parts(new_world(database)), processes.Barrier(2)
    start, files = world.dump(), world.on_disk()
    for process, said in [begin(world, f"run-{n}", barrier=barrier) for n in range(2)]:
        process.join()
        assert process.exitcode in (0, 3), said.read_text() if said.exists() else process.exitcode
    assert account_for_parts(world, start, files, finished=False) <= GOING
    run_night(world.lifecycle())
    assert account_for_parts(world, start, files) == GOING
