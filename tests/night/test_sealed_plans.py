"""A plan's list of calls is read by who has its epoch's key, and by nobody once that key was destroyed."""

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.errors import SettingsError
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from tests.builders import DUE, NIGHT, RUN, World, account_for, archive, plan, run_night
from tests.plain_readers import planned_calls


@pytest.fixture
def world(new_world) -> World:
    return new_world("sqlite").furnish()


def key_file(world: World) -> Path:
    (found,) = world.policies.parent.glob("lifecycle.epochs/*.key")
    return found


def objects(world: World, prefix: str = "") -> dict[str, bytes]:
    store = world.lifecycle().store
    return {key: store.get(key) for key in store.list(prefix)}


def in_words(body: bytes) -> str:
    """What anybody reads in an object: Parquet as its rows."""
    try:
        return repr(pq.read_table(BytesIO(body)).to_pylist())
    except (pa.ArrowException, OSError):
        return body.decode(errors="replace")


def test_nothing_but_the_archive_names_a_call_and_the_key_opens_the_plans(world):
    archive(world)
    world.execute("UPDATE calls SET subject = 'edited' WHERE id = 'id-shop-1'")
    night = run_night(world.lifecycle())
    assert [dict(purged.set_aside) for purged in night.purged.values()] == [
        {},
        {"id-shop-1": "changed: calls: the rows changed"},
    ]
    calls = [row["id"] for row in world.dump()["calls"]] + sorted(DUE)
    for key, body in objects(world).items():
        if not key.startswith("archive/"):
            assert [call for call in calls if f"'{call}'" in in_words(body) or f'"{call}"' in in_words(body)] == [], key
    sealed = {key: body for key, body in objects(world, "plans/").items() if key.endswith(".sealed")}
    opened = [planned_calls(body, key_file(world)) for body in sealed.values()]
    assert {call for table in opened for call in table["call_id"].to_pylist()} >= DUE


def test_once_the_key_is_destroyed_verify_compares_the_digest_and_says_no_more(world):
    run_night(world.lifecycle())
    before = audit_archive_and_ledger(world.lifecycle())
    key = key_file(world)
    world.lifecycle().keys.make_epoch(2030)
    key.rename(key.with_suffix(".elsewhere"))
    missing = audit_archive_and_ledger(world.lifecycle())
    assert (missing.sound, list(missing.uncompared)) == (False, [f"epoch {key.stem}"])
    key.with_suffix(".destroyed").touch()
    after = audit_archive_and_ledger(world.lifecycle())
    assert (after.sound, after.compared["plans"], after.compared["planned"]) == (True, before.compared["plans"], 0)
    assert before.compared["planned"] == len(DUE)
    (sealed,) = (Path(world.store_url.removeprefix("file://"))).glob("plans/*/shop/calls-*.sealed")
    body = sealed.read_bytes()
    sealed.chmod(0o600)
    sealed.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert not audit_archive_and_ledger(world.lifecycle()).sound


def test_a_worker_without_the_key_of_the_plan_says_which_and_does_nothing(world):
    start, _ = world.dump(), archive(world)
    key = key_file(world)
    key.rename(key.with_suffix(".elsewhere"))
    world.lifecycle().keys.make_epoch(2030)
    with pytest.raises(SettingsError, match=f"expected the epoch key {key.stem}, under which plans/"):
        archive_night(world.lifecycle(), open_industry_night(world.lifecycle(), "bank", NIGHT), RUN)
    assert world.dump() == start


def test_a_night_whose_list_nobody_can_read_any_more_is_planned_anew(world):
    start, first = world.dump(), plan(world)
    key = key_file(world)
    key.unlink()
    key.with_suffix(".destroyed").touch()
    world.lifecycle().keys.make_epoch(2030)
    second = run_night(world.lifecycle()).plans
    assert {name: made.revision for name, made in second.items()} == {name: 2 for name in first}
    assert account_for(world, start) == DUE
