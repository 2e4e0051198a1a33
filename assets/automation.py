"""When things run: the nightly schedule, and the sensor that asks for one run an industry once a night is planned.

Both are off until somebody turns them on: a clone of the project on a laptop must not purge anything by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice

import dagster as dg

from assets.export import export_finished
from assets.location import INDUSTRY_TAG, JOB_TAGS, is_of_this_crm, shared_name
from assets.nightly import archived_calls, deletion_record, disposition_plan, purged_calls
from assets.partitions import industries, industry_night_key, industry_nights
from assets.plan_events import PlanEvent, newest_plan_event, plan_events_from
from assets.provenance import actor_tags, actor_tags_if_possible
from assets.resources import LifecycleResource, dagster_failures
from assets.schedules_in_force import retention_schedules
from assets.statistics import call_statistics
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.industry_night import plans_released_since
from lifecycle.night.seal import records_waiting
from lifecycle.policy.plan import Plan
from lifecycle.settings import read_settings

RUNS_A_TICK = 100
RUNS_UNDER_WAY = [dg.DagsterRunStatus[name] for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")]
_NUMBER = re.compile(r"[0-9]{1,18}")


def _queue_tags(partition: str) -> dict[str, str]:
    """What the queue knows a run's industry by: deploy/dagster.yaml lets no two runs of one begin."""
    return {INDUSTRY_TAG: shared_name(partition.rpartition("|")[0])}


nightly = dg.define_asset_job(
    "nightly",
    tags=JOB_TAGS,
    selection=[disposition_plan, retention_schedules],
    executor_def=dg.in_process_executor,
    description="Plan the night, and write down the law it is planned under.",
)
industry_night = dg.define_asset_job(
    "industry_night",
    tags=JOB_TAGS,
    selection=dg.AssetSelection.assets(archived_calls, purged_calls, deletion_record, call_statistics),
    config=dg.PartitionedConfig(
        industry_nights, run_config_for_partition_key_fn=lambda _key: {}, tags_for_partition_key_fn=_queue_tags
    ),
    executor_def=dg.in_process_executor,
    description="Archive, prove, purge and record one industry's planned night.",
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
        tags_fn=lambda _context: actor_tags_if_possible(LifecycleResource().open(), "schedule nightly"),
    )


@dg.sensor(
    name="industry_nights",
    job=industry_night,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def industry_nights_sensor(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SensorResult:
    """Ask for one run an industry of each plan run since the last tick, and make new industries known.

    Then for those of the newest night's plans that waited, once a person has let them through: that is seen in
    the store alone. At last for the record, where records wait. A run key makes asking twice harmless.
    """
    with dagster_failures():
        opened = lifecycle.open()
        known = context.instance.get_dynamic_partitions(str(industries.name))
        new = sorted(set(opened.policies.schedules.by_industry) - set(known))
        requests, cursor = _requests(context.instance, context.cursor, opened)
    added = [industries.build_add_request(new)] if new else []
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=added, cursor=cursor)


@dg.sensor(name="run_export", minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def run_export(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SkipReason:
    """Put the events of finished runs beside the ledger. Asks for no run; what it missed it finds the next time."""
    with dagster_failures():
        done = export_finished(context.instance, lifecycle.open().store)
    return dg.SkipReason(f"{len(done)} finished runs exported")


@dataclass(frozen=True)
class _Cursor:
    """How far the sensor is: `<storage id of the plan's event>:<industries asked for>:<waiting plans asked for>`."""

    event: int
    asked: int = 0
    let_through: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "_Cursor | None":
        """None: there is none, or somebody at the webserver wrote something else into it. Asking twice is harmless."""
        event, asked, digests = (*(text or "").split(":"), "", "")[:3]
        if not _NUMBER.fullmatch(event) or not _NUMBER.fullmatch(asked or "0"):
            return None
        return cls(int(event), int(asked or 0), tuple(filter(None, digests.split(","))))

    def __str__(self) -> str:
        return f"{self.event}:{self.asked}:{','.join(self.let_through)}"


def _requests(
    instance: dg.DagsterInstance, cursor: str | None, lifecycle: Lifecycle
) -> tuple[list[dg.RunRequest], str | None]:
    """Up to RUNS_A_TICK industries of the plan run the sensor is at; after them, that of one plan let through since."""
    at = _Cursor.parse(cursor)
    events = list(islice(plan_events_from(instance, at.event), 2)) if at else [newest_plan_event(instance)]
    planned = events[0] if events else None
    if planned is None:
        return [], cursor
    if at is None or at.event != planned.storage_id:  # the first tick; or somebody wiped the event we were at
        at = _Cursor(planned.storage_id)
    following = events[1] if len(events) > 1 else None
    if following is not None and at.asked >= len(planned.industries):
        at, planned = _Cursor(following.storage_id), following
    some = planned.industries[at.asked : at.asked + RUNS_A_TICK]
    if some:
        run_id = planned.run_id
        requests = [_request(lifecycle, run_id, f"plan run {run_id}", planned.night, name) for name in some]
        return requests, str(replace(at, asked=at.asked + len(some)))
    plan = _let_through(lifecycle, planned, at.let_through)
    if plan is None:
        return _record_request(instance, lifecycle, planned), str(at)
    request = _request(lifecycle, plan.sha256, f"plan {plan.sha256[:12]}", plan.night, plan.industry)
    return [request], str(replace(at, let_through=(*at.let_through, plan.sha256)))


def _let_through(lifecycle: Lifecycle, planned: PlanEvent, before: Sequence[str]) -> Plan | None:
    """A plan of the night that waited and does no more, and was not asked for yet."""
    return next(iter(plans_released_since(lifecycle, planned.night, planned.industries, before)), None)


def _record_request(instance: dg.DagsterInstance, lifecycle: Lifecycle, planned: PlanEvent) -> list[dg.RunRequest]:
    """A run of the record alone, once a plan run: for what a dead run committed and could not seal. Nobody else would
    seal it on a night on which nothing is due.
    """
    if not _last_run_failed(instance):  # asked first: what waits takes the database seconds to find
        return []
    industry, run_id = min(lifecycle.policies.schedules.by_industry), planned.run_id
    request = _request(lifecycle, f"record after {run_id}", f"records wait since {run_id}", planned.night, industry)
    asked = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": str(request.run_key)}), limit=1)
    if asked or not records_waiting(lifecycle):
        return []
    return [request.with_replaced_attrs(asset_selection=[deletion_record.key])]


def _last_run_failed(instance: dg.DagsterInstance) -> bool:
    """Whether no run is under way and the last to end did not end well: one that did sealed whatever waited."""
    found = instance.get_run_records(dg.RunsFilter(job_name=industry_night.name), limit=RUNS_A_TICK)
    ours = [record for record in found if is_of_this_crm(record.dagster_run)]
    if not ours or any(record.dagster_run.status in RUNS_UNDER_WAY for record in ours):
        return False
    return max(ours, key=lambda record: record.end_time or 0).dagster_run.status != dg.DagsterRunStatus.SUCCESS


def _request(lifecycle: Lifecycle, asked_by: str, said: str, night: date, industry: str) -> dg.RunRequest:
    key = industry_night_key(industry, night)
    tags = actor_tags(lifecycle, f"sensor industry_nights, {said}", str(key))
    return dg.RunRequest(run_key=f"{asked_by}:{key}", partition_key=key, tags=tags)
