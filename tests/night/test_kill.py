"""kill -9 at every write to the outside: nothing is lost, and running the night again finishes it as if nothing was."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.builders import BANK_DAY, SHOP_DAY, World, account_for, run_night
from tests.night.driver import begin, night_killed, processes, without_sealing

DUE = {f"id-{n}" for n in range(1, 8)}


def small(world: World) -> World:
    """Seven due calls in two industries, with a child, a grandchild and links of calls that go and that stay."""
    bank, shop = world.account("Banking"), world.account("Retail")
    for number in range(1, 8):
        key, account = f"id-{number}", bank if number < 5 else shop
        repeats = {"repeat_parent_id": "id-1"} if number in (2, 6) else {}
        world.call(key, account, BANK_DAY if number < 5 else SHOP_DAY, **repeats)
    world.contact("id-1", bank)
    world.note("id-2", file=b"x")
    world.contact("id-5", shop)
    world.call("id-stays", bank, SHOP_DAY, repeat_parent_id="id-1")
    world.contact("id-stays", bank)
    return world


@pytest.fixture(scope="module")
def copies(new_world, request, tmp_path_factory) -> Callable[[str], tuple[Callable[[], World], dict]]:
    """Gives a maker of copies of one small world on a database, and its dump."""
    known = {}

    def of(database: str):
        if database not in known:
            first = small(new_world(database))
            known[database] = (first, first.dump())
        first, start = known[database]

        def copy() -> World:
            folder = tmp_path_factory.mktemp("copy")
            shutil.copytree(first.policies, folder / "policies")
            for secret in first.policies.parent.glob("lifecycle.*"):
                (shutil.copytree if secret.is_dir() else shutil.copy)(secret, folder / secret.name)
            return World(_copy_of(request, first, database, folder), (folder / "store").as_uri(), folder / "policies")

        return copy, start

    return of


def _copy_of(request, first: World, database: str, folder: Path) -> str:
    if database == "sqlite":
        shutil.copy(first.url.removeprefix("sqlite:///"), folder / "crm.db")
        return f"sqlite:///{folder / 'crm.db'}"
    assert database == "postgresql"
    server, url = request.getfixturevalue("postgres_server"), sa.make_url(first.url)
    name = f"copy_{folder.name}".replace("-", "_")
    # A session of ours that the garbage collector has not closed yet.
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'")
    server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute(f"CREATE DATABASE {name} TEMPLATE {url.database} STRATEGY FILE_COPY")
    return server.url(name)


def drop(request, world: World) -> None:
    if world.dialect == "postgresql":
        request.getfixturevalue("postgres_server").execute(
            f"DROP DATABASE {sa.make_url(world.url).database} WITH (FORCE)"
        )


WHERE = [
    pytest.param("sqlite", "before", marks=pytest.mark.slow),
    pytest.param("postgresql", "before", marks=pytest.mark.slow),
    pytest.param("sqlite", "after", marks=pytest.mark.slow),
    pytest.param("postgresql", "after", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("database", "when"), WHERE)
def test_a_night_killed_at_any_write_loses_nothing_and_is_finished_by_running_it_again(request, copies, database, when):
    copy, start = copies(database)
    at, ended = 0, None
    while ended is None:
        at += 1
        world = copy()
        ended = night_killed(world, at, when, work=without_sealing)
        gone = account_for(world, start, sealed=False)
        assert gone <= DUE, f"killed {when} write {at}"
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"killed {when} write {at}"
        drop(request, world)
    assert ended == at - 1
    assert ended >= 12  # plans, objects, manifests, purges; sealing is killed in test_seal


@pytest.mark.parametrize("at", [9, 12])
@pytest.mark.slow
def test_a_rerun_killed_as_well_is_finished_by_the_next(copies, at):
    copy, start = copies("sqlite")
    for again in (1, 2, 3):
        world = copy()
        night_killed(world, at, "before")
        night_killed(world, again, "after", run="run-2")
        assert account_for(world, start, sealed=False) <= DUE
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_runs_of_a_night_at_once_purge_and_record_each_call_once(request, copies, database):
    copy, start = copies(database)
    world, barrier = copy(), processes.Barrier(2)
    both = [begin(world, f"run-{n}", barrier=barrier) for n in range(2)]
    for process, said in both:
        process.join()
        # Put-once lets one of them make the plan, the lease lets one of them work; the other says so and ends.
        assert process.exitcode in (0, 3), said.read_text() if said.exists() else process.exitcode
        if process.exitcode == 3:
            assert said.read_text().startswith(("LeaseTaken", "ObjectExists", "DatabaseError")), said.read_text()
    assert account_for(world, start, sealed=False) <= DUE
    run_night(world.lifecycle())
    assert account_for(world, start) == DUE
    drop(request, world)
