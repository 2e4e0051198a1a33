"""The sensor and the plan's check, where a person has to let a plan through first."""

from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import defs
from assets.provenance import actor_tags
from assets.resources import LifecycleResource
from lifecycle.authority.approval import draft_approval, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from tests.assets.test_nightly import night, tick
from tests.builders import BANK, DUE_BANK, NIGHT, SHOP, World
from tests.sshkeys import Key, allow, keygen


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return keygen(tmp_path_factory.mktemp("keys"), "alice@example.com")


@pytest.fixture
def reviewed(world: World, alice: Key) -> World:
    """Both industries ask for a review."""
    allow(world.policies, alice.line())
    for text in (BANK, SHOP):
        world.schedule(text.replace("title: t,", "title: t, review: required,"))
    return world


def approve(world: World, alice: Key, digest: str) -> None:
    lifecycle = world.lifecycle()
    body = draft_approval(lifecycle, find_approval_subject(lifecycle, digest), alice.owner).to_bytes()
    store_approval(lifecycle, find_approval_subject(lifecycle, digest), body, alice.sign(body))


def planned(instance: dg.DagsterInstance) -> dict[str, str]:
    """Plan the night as the daemon does; the digests by industry."""
    run_config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
    tags = actor_tags(LifecycleResource().open(), "bob@example.com", config=run_config["ops"])
    done = defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config=run_config, tags=tags)
    assert done.success
    register = LifecycleResource().open().crm.control.register
    return {name: register.plans_of(NIGHT, name)[-1].sha256 for name in register.industries(NIGHT)}


def asked(found: dg.SensorResult) -> list[tuple[str, str]]:
    return [(str(request.partition_key), str(request.run_key)) for request in found.run_requests or []]


def test_the_sensor_asks_for_the_industry_of_a_plan_approved_since_once(
    reviewed: World, instance: dg.DagsterInstance, alice: Key
) -> None:
    digests = planned(instance)
    waiting = tick(instance)
    assert asked(waiting) == []
    approve(reviewed, alice, digests["bank"])
    first = tick(instance, waiting.cursor)
    assert asked(first) == [("bank|2026-11-20", f"{digests['bank']}:bank|2026-11-20")]
    approve(reviewed, alice, digests["shop"])
    second = tick(instance, first.cursor)
    assert asked(second) == [("shop|2026-11-20", f"{digests['shop']}:shop|2026-11-20")]
    third = tick(instance, second.cursor)
    assert (asked(third), third.cursor) == ([], second.cursor)


def test_a_plan_made_again_is_asked_for_by_its_plan_run_and_not_once_more(
    reviewed: World, instance: dg.DagsterInstance, alice: Key
) -> None:
    digests = planned(instance)
    cursor = tick(instance).cursor
    approve(reviewed, alice, digests["bank"])
    assert planned(instance) == digests
    first = tick(instance, cursor)
    assert [partition for partition, _ in asked(first)] == ["bank|2026-11-20"]
    assert asked(tick(instance, first.cursor)) == []


def test_the_sensor_looks_at_the_store_once_a_tick_while_nobody_approves(
    reviewed: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lifecycle.archive.folder_store import FolderStore

    planned(instance)
    cursor = tick(instance).cursor
    looks: list[str] = []
    real = FolderStore.list
    monkeypatch.setattr(FolderStore, "list", lambda store, prefix: looks.append(prefix) or real(store, prefix))
    monkeypatch.setattr(FolderStore, "get", lambda *_: pytest.fail("nothing is to be read"))
    tick(instance, cursor)
    assert looks == [f"plans/{NIGHT}/"]


def test_a_cursor_of_an_earlier_release_or_of_a_wiped_plan_run_loses_no_industry(
    world: World, instance: dg.DagsterInstance
) -> None:
    planned(instance)
    first = tick(instance)
    event, _, rest = str(first.cursor).partition(":")
    assert (len(asked(first)), rest) == (2, "2:")
    for other in (f"{event}:", f"{int(event) - 1}:1", f"{int(event) - 1}:100:{'0' * 64}"):
        again = tick(instance, other)
        assert (asked(again), again.cursor) == (asked(first), first.cursor)
    assert (asked(tick(instance, f"{int(event) + 1}:")), asked(tick(instance, first.cursor))) == ([], [])


@pytest.mark.slow
def test_a_newer_plan_run_comes_first_and_the_one_before_it_is_finished_before_that(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.automation.RUNS_A_TICK", 1)
    planned(instance)
    cursor, seen = tick(instance).cursor, []
    planned(instance)
    for _ in range(5):
        found = tick(instance, cursor)
        cursor = found.cursor
        seen += [partition for partition, _ in asked(found)]
    assert seen == ["shop|2026-11-20", "bank|2026-11-20", "shop|2026-11-20"]


def test_the_check_says_what_waits_and_what_to_type_and_the_night_goes_on_after_the_approval(
    reviewed: World, instance: dg.DagsterInstance, alice: Key
) -> None:
    digests = planned(instance)
    waited = night(instance)
    plans = waited.planned["plans_by_industry"]
    assert (waited.exit_code, waited.done, "brake_not_tripped" in waited.failed_checks) == (1, [], True)
    assert plans["bank"]["waits"] == [
        "review: BANK-ORDER asks for one (4 calls)",
        "review: BANK-TALK asks for one (2 calls)",
    ]
    assert plans["bank"]["to_type"] == [f"To approve it: lifecycle approve {digests['bank']} --key FILE"]
    key = dg.AssetCheckKey(dg.AssetKey("disposition_plan"), "brake_not_tripped")
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key].event
    assert found is not None
    assert found.dagster_event is not None
    said = found.dagster_event.asset_check_evaluation_data.metadata["found"].value
    said = {record.data["industry"]: record.data["waits for"] for record in said.records}
    assert f"lifecycle approve {digests['shop']} --key FILE" in said["shop"]
    approve(reviewed, alice, digests["bank"])
    gone = night(instance)
    assert [done["industry"] for done in gone.done] == ["bank"]
    assert (gone.planned["plans_by_industry"]["bank"]["waits"], gone.exit_code) == ([], 1)
    assert reviewed.live().isdisjoint(DUE_BANK)
    assert list(Path(reviewed.store_url.removeprefix("file://")).glob("plans/*/bank/approval-*.sig"))
