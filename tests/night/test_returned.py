"""No resurrection: a call that was purged and is in the CRM again is found the next night, and what becomes of it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.sample import demo_schema
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.leaf import make_leaf
from lifecycle.night.plan import plan_night
from lifecycle.night.purged_before import PurgedBefore, PurgeHistory
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, CLOCK, NIGHT, RUN, World, run_night
from tests.night.test_statistics import everything

NEXT = NIGHT + timedelta(days=1)
SAID = f"returned: purged on {CLOCK.date()}, and in the CRM again by nobody's restore"


def some(world: World) -> World:
    bank = world.account("Banking")
    for n in range(3):
        world.call(f"id-{n}", bank, BANK_DAY, agent_id=7)
    return world


def comes_back(world: World, call: str = "id-1") -> None:
    """A telephone system synchronises again: the same id, the same times."""
    with world.engine.connect() as connection:
        account = connection.scalar(sa.select(demo_schema.accounts.c.id))
    world.call(call, account, BANK_DAY, agent_id=7)


def next_night(world: World, mapping: str | None = None) -> Lifecycle:
    given = {"source": mapping} if mapping else {}
    return replace(world.lifecycle(**given), now=lambda: CLOCK + timedelta(days=1))


def returned(lifecycle: Lifecycle) -> dict[str, PurgedBefore]:
    return plan_night(lifecycle, NEXT, RUN)[0].returned


def setting_aside(world: World) -> str:
    path = world.policies.parent / "careful.yaml"
    path.write_text("extends: demo\nreturned: set_aside\n")
    return str(path)


def test_a_call_that_came_back_is_found_and_purged_again_and_counted_once(world: World):
    run_night(some(world).lifecycle())
    counted = everything(world.lifecycle())
    comes_back(world)
    found = returned(next_night(world))
    assert {call: one.words for call, one in found.items()} == {"id-1": SAID}
    run_night(next_night(world), night=NEXT)
    assert world.live() == set()
    assert Counter(record["call_id"] for record in world.records()) == {"id-0": 1, "id-1": 2, "id-2": 1}
    assert everything(world.lifecycle()) == counted


def test_it_is_left_to_a_person_where_the_mapping_says_so(sqlite_world: World):
    world = some(sqlite_world)
    mapping = setting_aside(world)
    run_night(world.lifecycle(source=mapping))
    comes_back(world)
    world.call("id-new", None, None)
    bank = world.account("Banking")
    world.call("id-9", bank, BANK_DAY)
    night = run_night(next_night(world, mapping), night=NEXT)
    assert night.set_aside == {"id-1": SAID}
    assert world.live() == {"id-1", "id-new"}


def test_it_is_found_before_its_purge_was_sealed(sqlite_world: World):
    world = some(sqlite_world)
    run_night(world.lifecycle(), sealing=False)
    comes_back(world)
    assert set(returned(next_night(world))) == {"id-1"}


def test_one_that_is_not_due_is_found_too(sqlite_world: World):
    world = some(sqlite_world)
    run_night(world.lifecycle())
    comes_back(world)
    world.hold("{account_ids: ['1']}")
    assert set(returned(next_night(world))) == {"id-1"}


def test_a_call_that_a_restore_put_back_is_explained(sqlite_world: World):
    world = some(sqlite_world)
    run_night(world.lifecycle())
    comes_back(world)
    lifecycle = next_night(world)
    epoch, source = lifecycle.keys.epoch(), lifecycle.crm.source.source
    fields = {"source": source, "epoch": epoch.id, "call": epoch.commitment(source, "id-1"), "component": None}
    leaf = make_leaf("restored", {**fields, "noted_at": lifecycle.now().isoformat()})
    lifecycle.crm.control.places.note({"restored:1": leaf}, lifecycle.now())
    assert returned(lifecycle) == {}
    seal_ledger(lifecycle)
    assert returned(next_night(world)) == {}
    assert PurgeHistory(lifecycle).of(["id-1"])["id-1"].restored


def test_a_night_without_any_record_asks_nothing(sqlite_world: World, monkeypatch: pytest.MonkeyPatch):
    assert PurgeHistory(some(sqlite_world).lifecycle()).of(["id-1"]) == {}


def test_each_object_of_the_index_is_read_once_however_many_calls_are_asked(sqlite_world: World):
    """The cost follows what is asked: at most the index, and never a leaf that names none of the calls."""
    world = some(sqlite_world)
    run_night(world.lifecycle())
    history, read = PurgeHistory(next_night(world)), []
    real = FolderStore.get

    def get(store: FolderStore, key: str, *more: object, **given: object) -> bytes:
        read.append(key)
        return real(store, key, *more, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderStore, "get", get)
        assert history.of([f"other-{n}" for n in range(2000)]) == {}
        assert len(read) <= 3
        assert set(history.of(["id-1", *(f"other-{n}" for n in range(2000))])) == {"id-1"}
