"""When things run: the nightly schedule, and the sensor that asks for one run a cohort once a night is planned.

Both are off until somebody turns them on: a clone of the project on a laptop must not purge anything by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import dagster as dg

from assets.export import export_finished
from assets.nightly import archived_calls, deletion_record, disposition_plan, purged_calls
from assets.partitions import cohort_key, industries
from assets.resources import ACTOR_TAG, NIGHT_TAG, LifecycleResource, dagster_failures
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.cohort import cohorts_of, plans_released_since
from lifecycle.policy.plan import Plan
from lifecycle.settings import read_settings

RUNS_A_TICK = 100

nightly = dg.define_asset_job(
    "nightly", selection=[disposition_plan], executor_def=dg.in_process_executor, description="Plan the night."
)
cohort = dg.define_asset_job(
    "cohort",
    selection=dg.AssetSelection.assets(archived_calls, purged_calls, deletion_record),
    executor_def=dg.in_process_executor,
    description="Archive, prove, purge and record one cohort of a planned night.",
)


def nightly_schedule() -> dg.ScheduleDefinition:
    """At two in the morning, in the zone of LIFECYCLE_NIGHTLY_TIMEZONE."""
    settings = read_settings()
    return dg.ScheduleDefinition(
        name="nightly",
        job=nightly,
        cron_schedule=settings.nightly_cron,
        execution_timezone=settings.nightly_timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


@dg.sensor(name="cohorts", job=cohort, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.STOPPED)
def cohorts_sensor(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SensorResult:
    """Ask for one run a cohort of each plan materialized since the last tick, and make new industries known.

    Then for the cohorts of the newest night's plans that waited, once a person has let them through: that is seen in
    the store alone. A run key makes asking twice harmless.
    """
    with dagster_failures():
        opened = lifecycle.open()
        known = context.instance.get_dynamic_partitions(str(industries.name))
        new = sorted(set(opened.policies.schedules.by_industry) - set(known))
        requests, cursor = _requests(context.instance, context.cursor, opened)
    added = [industries.build_add_request(new)] if new else []
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=added, cursor=cursor)


@dg.sensor(name="run_export", minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.STOPPED)
def run_export(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SkipReason:
    """Put the events of finished runs beside the ledger. Asks for no run; what it missed it finds the next time."""
    with dagster_failures():
        done = export_finished(context.instance, lifecycle.open().store)
    return dg.SkipReason(f"{len(done)} finished runs exported")


@dataclass(frozen=True)
class _Cursor:
    """How far the sensor is: `<storage id of the plan's event>:<cohorts asked for>:<waiting plans asked for>`."""

    event: int
    asked: int = 0
    let_through: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "_Cursor":
        event, asked, digests = (*text.split(":"), "", "")[:3]
        return cls(int(event), int(asked or 0), tuple(filter(None, digests.split(","))))

    def __str__(self) -> str:
        return f"{self.event}:{self.asked}:{','.join(self.let_through)}"


def _requests(
    instance: dg.DagsterInstance, cursor: str | None, lifecycle: Lifecycle
) -> tuple[list[dg.RunRequest], str | None]:
    """Up to RUNS_A_TICK cohorts of the plan run the sensor is at; after them, all of one plan let through since."""
    at = _Cursor.parse(cursor) if cursor else None
    events = _events(instance, at)
    if not events:
        return [], cursor
    if at is None or at.event != events[0].storage_id:  # the first tick; or somebody wiped the event we were at
        at = _Cursor(events[0].storage_id)
    planned = _planned(events[0])
    if len(events) > 1 and at.asked >= len(planned["cohorts"]):
        events = events[1:]
        at, planned = _Cursor(events[0].storage_id), _planned(events[0])
    some = planned["cohorts"][at.asked : at.asked + RUNS_A_TICK]
    if some:
        run_id = events[0].run_id
        requests = [_request(run_id, f"plan run {run_id}", planned["night"], *pair) for pair in some]
        return requests, str(replace(at, asked=at.asked + len(some)))
    plan = _let_through(lifecycle, planned, at.let_through)
    if plan is None:
        return [], str(at)
    digest = plan.sha256
    requests = [_request(digest, f"plan {digest[:12]}", planned["night"], *pair) for pair in cohorts_of([plan])]
    return requests, str(replace(at, let_through=(*at.let_through, digest)))


def _events(instance: dg.DagsterInstance, at: _Cursor | None) -> Sequence[dg.EventLogRecord]:
    """The plan run the sensor is at and the one after it; without a cursor, the newest one."""
    wanted = dg.AssetRecordsFilter(dg.AssetKey("disposition_plan"), after_storage_id=at.event - 1 if at else None)
    return instance.fetch_materializations(wanted, limit=2 if at else 1, ascending=at is not None).records


def _planned(event: dg.EventLogRecord) -> dict[str, Any]:
    """The night of a plan run, and the cohorts that could go at once."""
    assert event.asset_materialization is not None
    value = event.asset_materialization.metadata["cohorts"].value
    assert isinstance(value, dict)
    return value


def _let_through(lifecycle: Lifecycle, planned: dict[str, Any], before: Sequence[str]) -> Plan | None:
    """A plan of the night that waited and does no more, and was not asked for yet."""
    at_once = {industry for industry, _ in planned["cohorts"]}
    found = plans_released_since(lifecycle, date.fromisoformat(planned["night"]), at_once, before)
    return next(iter(found), None)


def _request(asked_by: str, said: str, night: str, industry: str, cutoff: str) -> dg.RunRequest:
    tags = {NIGHT_TAG: night, ACTOR_TAG: f"sensor cohorts, {said}"}
    key = cohort_key(industry, cutoff)
    return dg.RunRequest(run_key=f"{asked_by}:{key}", partition_key=key, tags=tags)
