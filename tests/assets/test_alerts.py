"""The sensors that tell somebody: in order, at least once, and nothing of any call."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.alerts import AlertNotSent, alert_checks, alert_failed_runs, heartbeat
from assets.definitions import defs
from assets.night import run_night
from assets.resources import LifecycleResource
from tests.alerts.receivers import Webhook, webhook
from tests.builders import BANK_DAY, DUE, NIGHT, World


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch):
    with webhook() as server:
        monkeypatch.setenv("LIFECYCLE_ALERT_WEBHOOK", server.url)
        monkeypatch.setenv("LIFECYCLE_ALERT_LINK", "https://dagster.example.com/")
        monkeypatch.setenv("LIFECYCLE_ORIGIN", "records.example.com/calls")
        yield server


def tick(sensor: Any, instance: dg.DagsterInstance, cursor: str | None) -> tuple[str, str | None]:
    """What a tick says, and its cursor; the context's where it raised."""
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=defs, resources={"lifecycle": LifecycleResource()}
    )
    found = sensor(context)
    return found.skip_reason.skip_message, found.cursor


def night(instance: dg.DagsterInstance) -> None:
    run_night(instance, {"as_of": NIGHT.isoformat()}, "a test", lambda *_: None)


def test_checks_that_do_not_pass_are_told_once_a_run_and_name_no_call(
    world: World, instance: dg.DagsterInstance, hook: Webhook
) -> None:
    _, cursor = tick(alert_checks, instance, None)
    world.call("odd", world.account("Bankng"), BANK_DAY)
    world.flush()
    night(instance)
    said, cursor = tick(alert_checks, instance, cursor)
    assert said.endswith("alerts sent")
    planned = next(alert for alert in hook.posted if alert["about"]["job"] == "nightly")
    assert "no_unscheduled_industry on disposition_plan" in " ".join(planned["lines"])
    assert planned["link"] == f"https://dagster.example.com/runs/{planned['about']['run']}"
    body = json.dumps(hook.posted)
    assert not [call for call in [*DUE, "odd", "Bankng"] if call in body]
    before = len(hook.posted)
    assert tick(alert_checks, instance, cursor) == ("0 alerts sent", cursor)
    assert len(hook.posted) == before


@pytest.mark.slow
def test_whatever_a_person_must_know_reaches_the_place_and_names_no_call(
    world: World, instance: dg.DagsterInstance, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brake, calls set aside, overdue ones, an anchor that failed, a drill that nobody ran."""
    cursor = tick(alert_checks, instance, None)[1]
    (world.policies / "bank.yaml").write_text((world.policies / "bank.yaml").read_text().replace("100%", "1%"))
    world.execute(
        "CREATE TRIGGER refuses BEFORE DELETE ON calls WHEN OLD.id LIKE 'id-shop%' "
        "BEGIN SELECT RAISE(ABORT, 'no, says id-shop-1'); END"
    )
    monkeypatch.setenv("LIFECYCLE_ANCHOR_WITNESS", "http://127.0.0.1:9")
    night(instance)
    defs.resolve_job_def("drill_check").execute_in_process(instance=instance)
    assert tick(alert_checks, instance, cursor)[0].endswith("alerts sent")
    told = [line for alert in hook.posted for line in alert["lines"]]
    for check in (
        "brake_not_tripped on disposition_plan: 1",
        "nothing_overdue on disposition_plan: 2",
        f"nothing_set_aside on purged_calls: {sum(call.startswith('id-shop') for call in DUE)}",
        "anchored on deletion_record: 1",
        "archive_was_restored_lately on restored_trial: 1",
    ):
        assert check in told
    body = json.dumps(hook.posted)
    assert not [call for call in DUE if call in body]


def test_a_failed_run_is_told_by_what_it_means_and_again_until_it_was_taken(
    world: World, instance: dg.DagsterInstance, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cursor = tick(alert_failed_runs, instance, None)
    (world.policies / "holds" / "broken.yaml").write_text("id: [")
    night(instance)
    hook.answer = None
    with pytest.raises(dg.Failure, match=AlertNotSent.__name__):
        tick(alert_failed_runs, instance, cursor)
    hook.answer = 200
    assert tick(alert_failed_runs, instance, cursor)[0] == "1 alerts sent"
    first, second = hook.posted
    assert first["id"] == second["id"]
    assert second["title"] == "nightly: disposition_plan failed"
    assert second["source"] == "records.example.com/calls"
    assert second["lines"][0].startswith("PolicyError: A policy file is not lawful or not readable")
    assert "Nothing is lost" in second["lines"][1]


def test_a_sensor_that_begins_tells_nothing_of_the_past(
    world: World, instance: dg.DagsterInstance, hook: Webhook
) -> None:
    (world.policies / "holds" / "broken.yaml").write_text("id: [")
    night(instance)
    said, cursor = tick(alert_failed_runs, instance, None)
    assert said == "begins with the next run"
    assert tick(alert_failed_runs, instance, cursor)[0] == "0 alerts sent"
    assert hook.posted == []


def test_without_a_place_nobody_is_told_and_the_tick_says_so(world: World, instance: dg.DagsterInstance) -> None:
    assert "nobody is told" in tick(alert_failed_runs, instance, None)[0]


@pytest.mark.slow
def test_the_heartbeat_says_what_is_alive_and_a_late_night_is_told_once_a_day(
    world: World, instance: dg.DagsterInstance, hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "heartbeat.json"
    monkeypatch.setenv("LIFECYCLE_HEARTBEAT", str(file))
    said, cursor = tick(heartbeat, instance, None)
    assert said == "the schedule is off, the last night planned is none"
    night(instance)
    _, cursor = tick(heartbeat, instance, cursor)
    beat = json.loads(file.read_text())
    assert (beat["night"], beat["late"], beat["schedule_on"]) == (NIGHT.isoformat(), False, False)
    assert hook.posted == []

    monkeypatch.setattr("assets.alerts._LATE", timedelta(0))
    _, cursor = tick(heartbeat, instance, cursor)
    assert tick(heartbeat, instance, cursor)[1] == cursor
    assert [alert["title"] for alert in hook.posted] == ["no night was planned for 30 hours"]
    assert json.loads(file.read_text())["late"] is True
