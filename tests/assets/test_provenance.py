"""What somebody at the webserver can say, and what our own askers prove; and events that nobody of ours made."""

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from assets import provenance
from assets.definitions import defs
from assets.provenance import actor_tags, run_of
from assets.resources import LifecycleResource
from lifecycle.authority.approval import draft_approval
from lifecycle.errors import ApprovalRefused
from lifecycle.policy.approval import is_known_actor
from tests.assets.test_approval import asked, planned
from tests.assets.test_nightly import tick
from tests.builders import BANK, NIGHT, World
from tests.sshkeys import allow, keygen

CONFIG = {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}
PLAN = dg.AssetKey("disposition_plan")


def launched(instance: dg.DagsterInstance, tags: Mapping[str, str], config: Any = CONFIG) -> str:
    """Who asked for a run, as we say, when it is launched with these tags."""
    job = defs.resolve_job_def("nightly")
    run = instance.create_run_for_job(job, run_config={"ops": config}, tags=dict(tags))
    context: Any = SimpleNamespace(run=run, instance=instance)
    return run_of(context, LifecycleResource().open()).actor


def ours(**said: Any) -> dict[str, str]:
    return actor_tags(LifecycleResource().open(), **{"actor": "schedule nightly", "config": CONFIG, **said})


def test_our_own_askers_are_believed(world: World, instance: dg.DagsterInstance) -> None:
    assert launched(instance, ours()) == "schedule nightly"


def test_the_schedule_proves_itself(world: World, instance: dg.DagsterInstance) -> None:
    schedule = defs.resolve_schedule_def("nightly")
    (request,) = schedule.evaluate_tick(dg.build_schedule_context(instance=instance)).run_requests or []
    assert launched(instance, {**request.tags, "dagster/schedule_name": "nightly"}, {}) == "schedule nightly"


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"lifecycle/actor": "lifecycle run by bob <bob@example.com>"}, "lifecycle run by bob <bob@example.com>"),
        ({"dagster/schedule_name": "nightly"}, "schedule nightly"),
        ({"dagster/sensor_name": "industry_nights", "lifecycle/actor-proof": "0" * 64}, "sensor industry_nights"),
    ],
)
def test_what_a_tag_says_alone_is_said_by_a_ui_user(
    world: World, instance: dg.DagsterInstance, tags: dict[str, str], said: str
) -> None:
    found = launched(instance, tags)
    assert (found, is_known_actor(found)) == (f"said by a UI user: {said}", False)


def changed_actor(tags: dict[str, str]) -> tuple[dict[str, str], Any]:
    return {**tags, "lifecycle/actor": "schedule other"}, CONFIG


def changed_config(tags: dict[str, str]) -> tuple[dict[str, str], Any]:
    return tags, {"disposition_plan": {"config": {"as_of": NIGHT.isoformat(), "industry": "bank"}}}


def changed_partition(tags: dict[str, str]) -> tuple[dict[str, str], Any]:
    return {**tags, "dagster/partition": f"bank|{NIGHT}"}, CONFIG


def changed_time(tags: dict[str, str]) -> tuple[dict[str, str], Any]:
    return {**tags, "lifecycle/asked-at": "2026-11-21T02:00:00+00:00"}, CONFIG


@pytest.mark.parametrize("change", [changed_actor, changed_config, changed_partition, changed_time])
def test_a_proof_lent_to_another_run_proves_nothing(world: World, instance: dg.DagsterInstance, change: Any) -> None:
    tags, config = change(ours())
    assert launched(instance, tags, config).startswith("said by a UI user: ")


def test_nor_does_a_proof_of_an_earlier_hour(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = ours()
    monkeypatch.setattr(provenance, "_FRESH", timedelta(microseconds=1))
    assert launched(instance, tags).startswith("said by a UI user: ")


def test_who_is_only_said_to_have_asked_for_a_plan_is_no_other_person(
    world: World, instance: dg.DagsterInstance, tmp_path: Any
) -> None:
    key = keygen(tmp_path, "alice@example.com")
    allow(world.policies, key.line())
    world.schedule(BANK.replace("title: t,", "title: t, review: required,"))
    said = {"lifecycle/actor": "schedule nightly"}
    defs.resolve_job_def("nightly").execute_in_process(instance=instance, run_config={"ops": CONFIG}, tags=said)
    lifecycle = world.lifecycle()
    plan = lifecycle.crm.control.register.plans_of(NIGHT, "bank")[-1]
    with pytest.raises(ApprovalRefused, match="nobody knows who asked for the plan"):
        draft_approval(lifecycle, plan, key.owner)


REPORTED = [
    {},
    {"going": "none"},
    {"going": {}},
    {"night": NIGHT.isoformat()},
    {"night": "2027-02-30", "going": "none"},
    {"night": NIGHT.isoformat(), "going": 7},
    {"night": 7, "going": "bank"},
    {"night": NIGHT.isoformat(), "going": {"bank": 1}},
    {"night": NIGHT.isoformat(), "going": "nowhere"},
    {"night": NIGHT.isoformat(), "going": "bank"},
]


def test_a_reported_materialization_is_nobodys_plan_run(world: World, instance: dg.DagsterInstance) -> None:
    """Before, after and among our own: the sensor goes past it, and asks for what our runs planned."""
    report(instance)
    assert asked(tick(instance)) == []
    planned(instance)
    report(instance)
    first = tick(instance)
    assert len(asked(first)) == 2
    planned(instance)
    second = tick(instance, first.cursor)
    assert len(asked(second)) == 2
    assert asked(tick(instance, second.cursor)) == []
    for cursor in ("x", "x:y", "1:y:z", ":::", "-1:0", "\u0661:0", "9" * 30):  # what somebody wrote into the sensor
        assert len(asked(tick(instance, cursor))) == 2


def report(instance: dg.DagsterInstance) -> None:
    for metadata in REPORTED:
        instance.report_runless_asset_event(dg.AssetMaterialization(PLAN, metadata=metadata))
