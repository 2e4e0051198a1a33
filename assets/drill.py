"""The drill in Dagster: an asset of its own, weekly; and the check that turns red when a drill fails or is overdue."""

from typing import Any

import dagster as dg

from assets.location import JOB_TAGS, of_this_crm
from assets.provenance import actor_tags_if_possible, run_of
from assets.resources import LifecycleResource, dagster_failures
from lifecycle.custody.drill import drill_archive
from lifecycle.night.drill_gate import drill_problem
from lifecycle.policy.period import RetentionPeriod
from lifecycle.settings import read_settings

_OVERDUE = "P14D"


@of_this_crm
@dg.asset(group_name="custody", kinds={"sql"}, owners=["team:records"])
def restored_trial(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Random batches, restored into a scratch database and compared row by row and file by file."""
    with dagster_failures(context):
        opened = lifecycle.open()
        result = drill_archive(opened, by=run_of(context, opened).actor)
    return dg.MaterializeResult(
        metadata={
            "batches": len(result.batches),
            "calls": result.calls,
            "rows": result.rows,
            "files": result.files,
            "failed": dg.MetadataValue.json(result.failed),
        }
    )


@dg.asset_check(asset=restored_trial)
def archive_was_restored_lately(lifecycle: LifecycleResource) -> dg.AssetCheckResult:
    """The newest drill passed, and is not older than LIFECYCLE_PURGE_NEEDS_DRILL, or two weeks."""
    with dagster_failures():
        opened = lifecycle.open()
        problem = drill_problem(opened, RetentionPeriod.parse(opened.settings.purge_needs_drill or _OVERDUE))
    return dg.AssetCheckResult(
        passed=problem is None, description=problem, metadata={"count": int(problem is not None)}
    )


drill_check = dg.define_asset_job(
    "drill_check",
    selection=dg.AssetSelection.checks(archive_was_restored_lately),
    executor_def=dg.in_process_executor,
    description="Look whether a drill passed lately, whoever ran it: one that is overdue makes no run of its own.",
)
drill = dg.define_asset_job(
    "drill",
    tags=JOB_TAGS,
    selection=[restored_trial],
    executor_def=dg.in_process_executor,
    description="Restore some batches, as a trial.",
)


def drill_schedules() -> list[dg.ScheduleDefinition]:
    """Early on Sundays a drill, every morning a look; in the zone of LIFECYCLE_NIGHTLY_TIMEZONE."""
    common: dict[str, Any] = {
        "execution_timezone": read_settings().nightly_timezone,
        "default_status": dg.DefaultScheduleStatus.STOPPED,
    }
    weekly = dg.ScheduleDefinition(
        name="weekly_drill",
        job=drill,
        cron_schedule="0 5 * * 0",
        tags_fn=lambda _context: actor_tags_if_possible(LifecycleResource().open(), "schedule weekly_drill"),
        **common,
    )
    return [weekly, dg.ScheduleDefinition(name="drill_check", job=drill_check, cron_schedule="0 6 * * *", **common)]
