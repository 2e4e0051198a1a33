"""When things run: the nightly schedule, and the sensor that asks for one run a cohort once a night is planned.

Both are off until somebody turns them on: a clone of the project on a laptop must not purge anything by itself.
"""

import dagster as dg

from assets.export import export_finished
from assets.nightly import archived_calls, deletion_record, disposition_plan, purged_calls
from assets.partitions import cohort_key, industries
from assets.resources import ACTOR_TAG, NIGHT_TAG, LifecycleResource, said_plainly
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

    The cursor is `<storage id of the plan's event>:<cohorts asked for>`; a run key makes asking twice harmless.
    """
    with said_plainly():
        known = context.instance.get_dynamic_partitions(str(industries.name))
        new = sorted(set(lifecycle.open().policies.schedules.by_industry) - set(known))
    requests, cursor = _requests(context.instance, context.cursor)
    added = [industries.build_add_request(new)] if new else []
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=added, cursor=cursor)


@dg.sensor(name="run_export", minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.STOPPED)
def run_export(context: dg.SensorEvaluationContext, lifecycle: LifecycleResource) -> dg.SkipReason:
    """Put the events of finished runs beside the ledger. Asks for no run; what it missed it finds the next time."""
    with said_plainly():
        done = export_finished(context.instance, lifecycle.open().store)
    return dg.SkipReason(f"{len(done)} finished runs exported")


def _requests(instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    done, _, asked = (cursor or "").partition(":")
    wanted = dg.AssetRecordsFilter(dg.AssetKey("disposition_plan"), after_storage_id=int(done) if done else None)
    found = instance.fetch_materializations(wanted, limit=1, ascending=bool(done)).records
    if not found:
        return [], cursor
    event = found[0]
    assert event.asset_materialization is not None
    value = event.asset_materialization.metadata["cohorts"].value
    assert isinstance(value, dict)
    some = value["cohorts"][int(asked or 0) :][:RUNS_A_TICK]
    requests = [_request(event.run_id, value["night"], *pair) for pair in some]
    reached = int(asked or 0) + len(some)
    whole = reached >= len(value["cohorts"])
    return requests, f"{event.storage_id}:" if whole else f"{event.storage_id - 1}:{reached}"


def _request(plan_run_id: str, night: str, industry: str, cutoff: str) -> dg.RunRequest:
    tags = {NIGHT_TAG: night, ACTOR_TAG: f"sensor cohorts, plan run {plan_run_id}"}
    key = cohort_key(industry, cutoff)
    return dg.RunRequest(run_key=f"{plan_run_id}:{key}", partition_key=key, tags=tags)
