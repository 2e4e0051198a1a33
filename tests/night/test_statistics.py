"""Statistics are what SQL counted before the purge, whatever breaks; and what is published is never a small group."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import Database
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import DatabaseError, StoreError
from lifecycle.evidence.call_statistics import add_up
from lifecycle.inquiry.call_statistics import live_statistics, published_statistics
from lifecycle.night.publish_statistics import publish_statistics, statistics_of
from tests.builders import BANK_DAY, CLOCK, DUE, DUE_BANK, NIGHT, SHOP_DAY, World, archive, run_night
from tests.inquiry.test_erasure_requests import asked
from tests.night.driver import night_killed

ORACLE = """
SELECT CASE WHEN i.industry = 'Banking' THEN 'bank' ELSE 'shop' END AS industry, c.agent_id, c.direction,
       c.record_class, c.id, c.started_at, c.ended_at
FROM calls c JOIN account_industries i ON i.account_id = c.account_id
"""


def busy(world: World) -> World:
    """Sixty due calls of several agents, days and lengths, and one that must stay."""
    bank, shop = world.account("Banking"), world.account("Retail")
    for n in range(60):
        account, day = (bank, BANK_DAY) if n % 3 else (shop, SHOP_DAY)
        began = day + timedelta(days=n % 2)
        lasted = {"started_at": began - timedelta(seconds=n * 7), "agent_id": 100 + n % 4 or None}
        world.call(f"id-{n:02}", account, began, **lasted, **({"direction": "out"} if n % 5 else {}))
    world.call("id-stays", bank, SHOP_DAY, agent_id=101)
    return world


def by_sql(world: World, calls: set[str]) -> Counter:
    """How many calls, and seconds, by day, industry, agent, direction and class: as SQL has them, without our code."""
    found = Counter()
    world.flush()
    with world.engine.connect() as connection:
        for row in connection.execute(sa.text(ORACLE)).mappings():
            if row["id"] in calls:
                began, ended = (_moment(row[name]) for name in ("started_at", "ended_at"))
                agent = None if row["agent_id"] is None else str(row["agent_id"])
                group = (f"{began:%Y-%m-%d}", row["industry"], agent, row["direction"], row["record_class"])
                found[group, "calls"] += 1
                found[group, "seconds"] += int((ended - began).total_seconds())
    return +found


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def counted(*tables: pa.Table) -> Counter:
    found = Counter()
    for row in add_up(tables).to_pylist():
        group = tuple(row[name] for name in ("period", "industry", "agent_id", "direction", "record_class"))
        found[group, "calls"] += row["calls"]
        found[group, "seconds"] += row["seconds"]
    return +found


def everything(lifecycle: Lifecycle) -> Counter:
    """Whatever was counted, published or not."""
    return counted(*published_statistics(lifecycle), *map(statistics_of, lifecycle.control.statistics.waiting()))


def sizes(*tables: pa.Table) -> Counter:
    return Counter({group: calls for (group, what), calls in counted(*tables).items() if what == "calls"})


def publish(world: World, days: int = 0, **settings: int) -> int:
    """Some days after the night."""
    return publish_statistics(replace(world.lifecycle(**settings), now=lambda: CLOCK + timedelta(days=days)))


def test_the_statistics_of_purged_calls_are_what_sql_counted_before(world: World):
    busy(world)
    expected = by_sql(world, {f"id-{n:02}" for n in range(60)})
    before = counted(*live_statistics(world.lifecycle()))
    run_night(world.lifecycle())
    assert world.live() == {"id-stays"}
    assert everything(world.lifecycle()) == expected
    assert counted(*live_statistics(world.lifecycle())) + expected == before
    assert publish(world, statistics_group=1) == 60
    assert everything(world.lifecycle()) == expected
    assert world.lifecycle().control.statistics.waiting() == []
    assert publish(world, statistics_group=1) == 0


def test_a_call_of_two_industries_counts_once(sqlite_world: World):
    run_night(sqlite_world.furnish().lifecycle())
    assert sum(sizes(*map(statistics_of, sqlite_world.lifecycle().control.statistics.waiting())).values()) == len(DUE)


def test_what_is_published_is_no_small_group_and_what_waits_waits_a_month(sqlite_world: World):
    world = busy(sqlite_world)
    run_night(world.lifecycle())
    assert publish(world) < 60
    assert all(calls >= 10 for calls in sizes(*published_statistics(world.lifecycle())).values())
    waiting = sum(sizes(*map(statistics_of, world.lifecycle().control.statistics.waiting())).values())
    assert waiting > 10
    assert publish(world) == 0
    later = publish(world, days=40)
    published = sizes(*published_statistics(world.lifecycle()))
    assert all(calls >= 10 for calls in published.values())
    left = [statistics_of(part) for part in world.lifecycle().control.statistics.waiting()]
    assert waiting - later == sum(sizes(*left).values()) < 10
    assert set(sizes(*left)) <= {("*",) * 5}
    assert sum(published.values()) + waiting - later == 60


@pytest.mark.parametrize(("counts", "setting"), [(len(DUE), True), (len(DUE) - 1, False)])
def test_erased_calls_are_counted_where_it_is_set(sqlite_world: World, counts: int, setting: bool):
    world = sqlite_world.furnish()
    asked(world, "2026-01-01", DUE_BANK[0])
    run_night(world.lifecycle(statistics_erased=setting))
    assert DUE_BANK[0] not in world.live()
    assert sum(sizes(*map(statistics_of, world.lifecycle().control.statistics.waiting())).values()) == counts


def counting(lifecycle: Lifecycle, run: Run) -> None:
    """A night, and the publishing of what it counted."""
    everything_goes = lifecycle.settings.model_copy(update={"statistics_group": 1})
    run_night(lifecycle, run, sealing=False)
    publish_statistics(replace(lifecycle, settings=everything_goes))


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_killed_at_any_write_a_call_counts_once(new_world, tmp_path, when: str):
    first = new_world("sqlite")
    account = first.account("Banking")
    calls = {first.call(f"id-{n}", account, BANK_DAY, agent_id=n % 2 + 1) for n in range(6)}
    expected = by_sql(first, calls)
    archive(first)
    at, ended = 0, None
    while ended is None:
        at += 1
        folder = tmp_path / str(at)
        shutil.copytree(first.policies.parent, folder)
        world = World(f"sqlite:///{folder / 'crm.db'}", (folder / "store").as_uri(), folder / "policies")
        ended = night_killed(world, at, when, work=counting)
        counting(world.lifecycle(), Run("run-2", "tester"))
        assert everything(world.lifecycle()) == expected, f"killed {when} write {at}"
    assert ended >= 4  # the purge, the publication, its object, the note that it was put


@pytest.mark.parametrize("done", [False, True], ids=["not done", "answer lost"])
@pytest.mark.parametrize("where", [(Database, "writing"), (FolderStore, "put_once")], ids=["crm", "store"])
def test_a_publication_that_fails_is_finished_by_the_next(sqlite_world: World, monkeypatch, where, done: bool):
    world = busy(sqlite_world)
    run_night(world.lifecycle())
    expected = everything(world.lifecycle())
    owner, name = where
    real = getattr(owner, name)

    def failing(*given):
        if name == "put_once":
            _ = real(*given) if done else None
            raise StoreError("the answer is lost")
        return _failing_transaction(real(*given), done)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises((StoreError, DatabaseError)):
            publish(world, statistics_group=1)
    assert everything(world.lifecycle()) == expected
    publish(world, statistics_group=1)
    assert everything(world.lifecycle()) == expected
    assert all(part.sha256 for part in world.lifecycle().control.statistics.published())


class _failing_transaction:
    def __init__(self, manager, done: bool) -> None:
        self._manager, self._done = manager, done

    def __enter__(self):
        return self._manager.__enter__()

    def __exit__(self, *error):
        if not self._done and error[0] is None:
            lost = DatabaseError("the connection is lost")
            self._manager.__exit__(type(lost), lost, None)
            raise lost
        self._manager.__exit__(*error)
        raise DatabaseError("the answer is lost")


@pytest.mark.slow
def test_two_that_publish_at_once_publish_once(served_world: World):
    world = busy(served_world)
    run_night(world.lifecycle())
    table, expected = world.lifecycle().control.statistics, everything(world.lifecycle())
    parts = table.waiting()
    assert publish(world, statistics_group=1) == 60
    with pytest.raises(DatabaseError, match="another run publishes statistics at this moment"):
        table.publish(parts, b"twice", {}, CLOCK)
    assert everything(world.lifecycle()) == expected


def test_a_purge_that_rolls_back_counts_nothing(sqlite_world: World, monkeypatch):
    world = busy(sqlite_world)
    world.flush()
    insert = ControlTables.insert

    def broken(control, *given):
        insert(control, *given)
        raise DatabaseError("lost before COMMIT")

    monkeypatch.setattr(ControlTables, "insert", broken)
    with pytest.raises(DatabaseError, match="lost before COMMIT"):
        run_night(world.lifecycle(), night=NIGHT)
    assert everything(world.lifecycle()) == Counter()
    assert len(world.live()) == 61
