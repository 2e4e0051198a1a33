"""What the ledger says beside purges: policies, holds, calls that stayed, the census; each thing once."""

from datetime import timedelta

import pytest

from lifecycle.night.ledger_events import queue_policy_events, redact_reason, take_census
from lifecycle.night.plan import plan_night
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK, BANK_DAY, NIGHT, RUN, World, run_night

NEXT = NIGHT + timedelta(days=1)


def of(world: World, *kinds: str) -> list[dict]:
    return [leaf for leaf in world.leaves() if leaf["kind"] in kinds]


def due(world: World, many: int = 2) -> World:
    account = world.account("Banking")
    for number in range(1, many + 1):
        world.call(f"id-{number}", account, BANK_DAY)
    return world


def test_a_policy_version_is_noted_when_first_seen_and_once(sqlite_world):
    world = sqlite_world
    for _ in range(2):
        seal_ledger(world.lifecycle())
    first = of(world, "policy")
    assert sorted(leaf["schedule"]["id"] for leaf in first) == ["bank", "shop"]
    world.schedule(BANK.replace("P7Y", "P8Y"))
    seal_ledger(world.lifecycle())
    third = of(world, "policy")[2:]
    assert [leaf["schedule"]["id"] for leaf in third] == ["bank"]
    assert third[0]["schedule"]["sha256"] not in {leaf["schedule"]["sha256"] for leaf in first}


def test_a_hold_is_noted_when_placed_and_when_released(sqlite_world):
    world = sqlite_world
    world.hold("{call_ids: [id-1]}")
    seal_ledger(world.lifecycle())
    path = world.policies / "holds" / "hold-1.yaml"
    path.write_text(path.read_text() + "released_at: 2026-11-01\nreleased_by: counsel@example.com\n")
    for _ in range(2):
        seal_ledger(world.lifecycle())
    found = [(leaf["kind"], leaf["hold"]) for leaf in of(world, "hold_placed", "hold_released")]
    assert found.count(("hold_released", "hold-1")) == 1
    assert ("hold_placed", "hold-1") in found
    assert of(world, "hold_released")[0]["released_by"] == "counsel@example.com"


def test_a_call_that_stayed_is_a_leaf_with_its_reason_and_without_its_id(sqlite_world):
    world = due(sqlite_world)
    run_night(world.lifecycle(), purge=False)
    world.execute("UPDATE calls SET subject = 'edited' WHERE id = 'id-1'")
    run_night(world.lifecycle())
    (leaf,) = of(world, "set_aside")
    (epoch,) = world.lifecycle().keys.epochs()
    assert (leaf["call"], leaf["night"]) == (epoch.commitment("demo", "id-1"), NIGHT.isoformat())
    assert leaf["reason"] == "changed: calls: the rows changed"
    assert {record["call_id"] for record in world.records()} == {"id-2"}


def test_a_call_somebody_deleted_after_the_plan_is_on_record_as_gone(sqlite_world):
    world = due(sqlite_world)
    plan_night(world.lifecycle(), NIGHT, RUN)
    world.execute("DELETE FROM calls WHERE id = 'id-1'")
    run_night(world.lifecycle())
    (leaf,) = of(world, "set_aside")
    assert leaf["reason"].startswith("gone: deleted from the CRM by somebody else")


def test_a_census_counts_what_is_due_what_was_left_and_what_vanished(sqlite_world):
    world = due(sqlite_world, 3)
    run_night(world.lifecycle(), purge=False)
    world.execute("UPDATE calls SET subject = 'edited' WHERE id = 'id-1'")
    run_night(world.lifecycle())
    world.execute("DELETE FROM calls WHERE id = 'id-1'")  # archived, set aside, on no record; and now gone
    world.call("id-9", world.account("Banking"), BANK_DAY)
    lifecycle = world.lifecycle()
    plan_night(lifecycle, NEXT, RUN)
    for _ in range(2):
        take_census(lifecycle, NEXT)
    seal_ledger(lifecycle)
    (census,) = of(world, "census")
    expected = {"night": NEXT.isoformat(), "live": 1, "due": 1, "due_left": 1, "last_night": NIGHT.isoformat()}
    assert expected.items() <= census.items()
    assert (census["archived"], census["recorded"], census["vanished"]) == (3, 2, 1)
    (epoch,) = lifecycle.keys.epochs()
    assert census["vanished_calls"] == [epoch.commitment("demo", "id-1")]


def test_the_first_census_has_no_night_before_it(sqlite_world):
    world = due(sqlite_world)
    plan_night(world.lifecycle(), NIGHT, RUN)
    take_census(world.lifecycle(), NIGHT)
    queue_policy_events(world.lifecycle())
    seal_ledger(world.lifecycle())
    (census,) = of(world, "census")
    assert (census["last_night"], census["archived"], census["due"]) == (None, 0, 2)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("on_hold: acme-v-bolt", "on_hold: acme-v-bolt"),
        ("changed: notes: the rows changed", "changed: notes: the rows changed"),
        ("unreadable: calls.phone: +49 30 1234", "unreadable"),
        ("recording: files: a file cannot be archived: 4930.wav", "recording: files"),
        ("still referenced: Key (id)=(1)", "still referenced"),
        ("gone", "gone"),
    ],
)
def test_a_leaf_quotes_no_value_and_no_path(reason, kept):
    assert redact_reason(reason) == kept
