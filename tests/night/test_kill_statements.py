"""kill -9 before and after every statement and every write of a purge and its sealing, on each database; then a rerun.

What is counted is what the drivers send (tests/night/statements), so a statement that is new is covered by itself.
LIFECYCLE_TEST_EVERY=1 kills at each of them: ten minutes on SQLite, thirty on MariaDB. By itself every ninth is taken.
"""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night import purge
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, NIGHT, World, account_for, run_night
from tests.night.driver import begin
from tests.night.statements import Counted, changes_something

EVERY = int(os.environ.get("LIFECYCLE_TEST_EVERY", "9"))
FROM = int(os.environ.get("LIFECYCLE_TEST_FROM", "0"))
DUE = {"id-1", "id-2", "id-3", "id-4"}


def made(new_world, database: str) -> World:
    """Four due calls with a child, a grandchild, a link of a call that goes and of one that stays."""
    world = new_world(database)
    (world.policies / "shop.yaml").unlink()
    bank = world.account("Banking")
    for number in range(1, 5):
        world.call(f"id-{number}", bank, BANK_DAY, **({"repeat_parent_id": "id-1"} if number == 2 else {}))
    world.contact("id-1", bank)
    world.note("id-2", file=b"x")
    world.call("id-stays", bank, None, repeat_parent_id="id-1")
    world.contact("id-stays", bank)
    return world


def purge_counted(at: int, when: str, heard: Path, lifecycle: Lifecycle, run: Run) -> None:
    """Plan and archive, purge in two transactions, and seal; counted from the purge's first statement on."""
    counted = Counted(at, when).install()
    run_night(lifecycle, run, purge=False)
    purge.SLICE_CALLS = 3
    work = open_industry_night(lifecycle, "bank", NIGHT)
    counted.begin()
    purge.purge_night(lifecycle, work, run)
    seal_ledger(lifecycle)
    heard.write_text(json.dumps(counted.said))


def killed(world: World, at: int, when: str, heard: Path) -> bool:
    """Whether a night came to the n-th thing it says outside, and died there."""
    process, said = begin(world, f"run-{at}", work=partial(purge_counted, at, when, heard))
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return True
    assert process.exitcode == 0, said.read_text() if said.exists() else process.exitcode
    return False


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_a_purge_killed_at_any_statement_is_finished_by_running_it_again(new_world, database, tmp_path):
    heard = tmp_path / "heard.json"
    assert not killed(made(new_world, database), 0, "before", heard)
    said = json.loads(heard.read_text())
    points = [(at, "before") for at in range(1, len(said) + 1)]
    points += [(at, "after") for at, text in enumerate(said, 1) if changes_something(text) and database != "sqlite"]
    deaths, halves = 0, set()
    for at, when in sorted(points)[FROM::EVERY]:
        world = made(new_world, database)
        start = world.dump()
        deaths += (died := killed(world, at, when, heard))
        print(when, at, said[at - 1][:100].replace("\n", " "), flush=True)
        assert died or at > len(said) - 10, f"{at} of {len(said)}: {said[at - 1][:200]}"
        halves.add(len(DUE - world.live()))
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"killed {when} {at}: {said[at - 1][:200]}"
    print(f"\n{database}: {len(said)} statements and writes, {deaths} deaths of {len(points)} points")
    assert len(said) > 60
    assert halves >= {0, 4}
