"""Alerts that reach somebody without a look at the UI: sensors for failed runs, for checks, and for silence.

Each goes through what happened since its last tick, in order, and moves on once every place took the alert: what an
outage of the mail server kept is sent when it is over. They ask for no run, and are on from the start.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorType

from assets.location import is_here
from assets.partitions import NIGHT_TAG
from assets.plan_events import newest_plan_event
from assets.resources import LifecycleResource, dagster_failures
from lifecycle.alerts.alert import Alert, Severity, failure_lines
from lifecycle.alerts.heartbeat import Heartbeat, write_heartbeat
from lifecycle.alerts.places import alert_places, send_alert
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import OutsideError

_LATE = timedelta(hours=30)
_EVENTS_A_TICK = 50
_NOT_SET = "no LIFECYCLE_ALERT_… names a place: nobody is told"
_Kind = Literal[dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS]
Alerts = Callable[[dg.DagsterInstance, dg.DagsterRun, Lifecycle], Iterator[Alert]]


class AlertNotSent(OutsideError):
    """A place did not take an alert. The next tick sends it again."""


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_failed_runs(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SensorResult:
    """Tell the places of LIFECYCLE_ALERT_… of each run that failed: what it means, and what to do."""
    return _tell(context, lifecycle, (dg.DagsterEventType.RUN_FAILURE,), _of_failure)


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_checks(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SensorResult:
    """Tell the places of LIFECYCLE_ALERT_… of checks that did not pass, all of one run in one alert."""
    return _tell(context, lifecycle, (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE), _of_checks)


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def heartbeat(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SensorResult:
    """Write LIFECYCLE_HEARTBEAT, a file that grows old when Dagster stops; tell daily that no night was planned."""
    with dagster_failures():
        opened = lifecycle.open()
        beat = _heartbeat(context.instance, opened)
        if opened.settings.heartbeat:
            write_heartbeat(opened.settings.heartbeat, beat)
        today, told = beat.at.date().isoformat(), context.cursor
        if beat.late and told != today and alert_places(opened.settings):
            _send(opened, _late_alert(beat))
            told = today
    schedule = "on" if beat.schedule_on else "off"
    return dg.SensorResult(
        skip_reason=f"the schedule is {schedule}, the last night planned is {beat.night or 'none'}", cursor=told
    )


def _tell(
    context: dg.SensorEvaluationContext,
    lifecycle: LifecycleResource,
    kinds: tuple[_Kind, ...],
    alerts: Alerts,
) -> dg.SensorResult:
    """Send what became of runs since the cursor. Raises where a place does not take one: the cursor stays before it."""
    with dagster_failures():
        opened = lifecycle.open()
        after = _storage_id(context.cursor)
        if not alert_places(opened.settings) or after is None:
            newest = max((_newest(context.instance, kind) for kind in kinds), default=0)
            said = _NOT_SET if after is not None or not alert_places(opened.settings) else "begins with the next run"
            return dg.SensorResult(skip_reason=said, cursor=str(newest))
        sent = 0
        for record in _since(context.instance, kinds, after):
            run = context.instance.get_run_by_id(record.run_id)
            if run is None or not _ours(run, context):
                after = record.storage_id
                continue
            for alert in alerts(context.instance, run, opened):
                _send(opened, alert)
                sent += 1
            after = record.storage_id
            context.update_cursor(str(after))
    return dg.SensorResult(skip_reason=f"{sent} alerts sent", cursor=str(after))


def _send(opened: Lifecycle, alert: Alert) -> None:
    failed = send_alert(opened.settings, alert)
    if failed:
        said = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise AlertNotSent(f"{alert.title}: {said}. It is sent again with the next tick, to every place")


def _since(instance: dg.DagsterInstance, kinds: tuple[_Kind, ...], after: int) -> list[dg.EventLogRecord]:
    found: list[dg.EventLogRecord] = []
    for kind in kinds:
        wanted = dg.RunStatusChangeRecordsFilter(kind, after_storage_id=after)
        found += instance.fetch_run_status_changes(wanted, limit=_EVENTS_A_TICK, ascending=True).records
    return sorted(found, key=lambda record: record.storage_id)[:_EVENTS_A_TICK]


def _newest(instance: dg.DagsterInstance, kind: _Kind) -> int:
    found = instance.fetch_run_status_changes(kind, limit=1).records
    return found[0].storage_id if found else 0


def _source(opened: Lifecycle) -> str:
    """Which CRM speaks, however broken its policies and mapping are."""
    return opened.settings.origin or f"call-lifecycle/{Path(opened.settings.source).stem}"


def _storage_id(cursor: str | None) -> int | None:
    return int(cursor) if cursor and cursor.isdigit() else None


def _ours(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Whether a run is of this code location: others of the instance have their own sensors."""
    origin, here = run.remote_job_origin, context.code_location_origin
    return origin is None or here is None or origin.location_name == here.location_name


def _of_failure(instance: dg.DagsterInstance, run: dg.DagsterRun, opened: Lifecycle) -> Iterator[Alert]:
    """What failed, by the name of its error alone: the message may name a call."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    step = next((event.dagster_event for event in events if event.dagster_event), None)
    what = f"{run.job_name}: {step.step_key} failed" if step else f"{run.job_name} ended without a word"
    name = _error_name(step) if step else ""
    yield Alert(
        "run_failed", Severity.ERROR, what, _source(opened), opened.now(), failure_lines(name), *_about(run, opened)
    )


def _error_name(step: dg.DagsterEvent) -> str:
    data = step.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description.partition(":")[0])
    return str(data.error.cls_name) if data.error else ""


def _of_checks(instance: dg.DagsterInstance, run: dg.DagsterRun, opened: Lifecycle) -> Iterator[Alert]:
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found: list[Any] = [event.dagster_event.event_specific_data for event in events if event.dagster_event]
    failed = [one for one in found if not one.passed]
    if not failed:
        return
    worst = any(one.severity is dg.AssetCheckSeverity.ERROR for one in failed)
    lines = tuple(f"{one.check_name} on {one.asset_key.to_user_string()}{_count(one)}" for one in failed)
    title = (
        f"{len(failed)} checks did not pass" if len(failed) > 1 else f"the check {failed[0].check_name} did not pass"
    )
    severity = Severity.ERROR if worst else Severity.WARNING
    yield Alert("checks_failed", severity, title, _source(opened), opened.now(), lines, *_about(run, opened))


def _count(check: Any) -> str:
    count = check.metadata.get("count")
    return f": {count.value}" if count is not None else ""


def _about(run: dg.DagsterRun, opened: Lifecycle) -> tuple[dict[str, str | int], str | None]:
    said = {"job": run.job_name, "night": run.tags.get(NIGHT_TAG), "part": run.tags.get("dagster/partition")}
    base = opened.settings.alert_link
    link = f"{base.rstrip('/')}/runs/{run.run_id}" if base else None
    return {name: value for name, value in {**said, "run": run.run_id}.items() if value}, link


def _heartbeat(instance: dg.DagsterInstance, opened: Lifecycle) -> Heartbeat:
    planned, now = newest_plan_event(instance), opened.now()
    run = instance.get_run_record_by_id(planned.run_id) if planned else None
    at = run.create_timestamp.astimezone(UTC) if run else None
    running = _schedule_on(instance)
    late = now - at > _LATE if at else False
    return Heartbeat(now, _source(opened), running, planned.night.isoformat() if planned else None, at, late)


def _schedule_on(instance: dg.DagsterInstance) -> bool:
    """Whether this CRM's schedule is turned on: it is off in code."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    named = [state for state in states if state.instigator_name == "nightly" and state.is_running]
    return any(is_here(state.origin.repository_origin.code_location_origin.location_name) for state in named)


def _late_alert(beat: Heartbeat) -> Alert:
    schedule = "on" if beat.schedule_on else "off: `dagster schedule start nightly`"
    since = beat.planned_at.isoformat(timespec="minutes") if beat.planned_at else "ever"
    lines = (f"The newest night, {beat.night}, was planned at {since}.", f"The schedule nightly is {schedule}.")
    about: dict[str, str | int] = {"day": beat.at.date().isoformat()}
    return Alert("night_late", Severity.ERROR, "no night was planned for 30 hours", beat.source, beat.at, lines, about)
