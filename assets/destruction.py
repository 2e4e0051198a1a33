"""Archived copies whose day has come, destroyed: an asset after the record, with a job and a schedule of its own.

The schedule is off until somebody turns it on, and the asset only looks until LIFECYCLE_DESTROY says that it may act.
"""

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from assets.location import JOB_TAGS, of_this_crm, shared_name
from assets.nightly import OWNERS, deletion_record
from assets.provenance import actor_tags_if_possible, run_of
from assets.resources import LifecycleResource, dagster_failures
from lifecycle.authority.destroy_approval import destroy_release_commands
from lifecycle.custody.destroy import DestroyResult, destroy_copies, survey_destruction
from lifecycle.deployment.lifecycle import Lifecycle, Run, resolve_night
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import read_settings

_CRON = "0 7 * * *"
_CHECK = "every_planned_copy_went"


class DestroyConfig(dg.Config):
    """What to ask by hand; the schedule asks nothing."""

    as_of: str | None = Field(default=None, description="The day, as a date; default: the latest that has begun.")
    accept_plan: list[str] = Field(
        default=[], description="Digests of plans whose brake tripped. Exactly these are let go: their copies will go."
    )


@of_this_crm
@dg.asset(
    deps=[deletion_record],
    check_specs=[dg.AssetCheckSpec(_CHECK, asset="destroyed_batches", description="No plan waits; nothing is left.")],
    group_name="custody",
    kinds={"s3"},
    owners=OWNERS,
    pool=shared_name("destruction"),
)
def destroyed_batches(
    context: dg.AssetExecutionContext, config: DestroyConfig, lifecycle: LifecycleResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Archived copies whose day has come: judged again, removed by version, shown to be gone, recorded."""
    with dagster_failures(context):
        opened = lifecycle.open()
        opened.require_running()
        night = resolve_night(opened, date.fromisoformat(config.as_of) if config.as_of else None)
        result = _work(opened, night, run_of(context, opened), config.accept_plan)
    open_points = _open_points(result, opened.settings.destroy)
    checked = dg.AssetCheckResult(
        passed=not result.needs_person,
        check_name=_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"count": len(open_points), "found": dg.MetadataValue.json(open_points)},
    )
    return dg.MaterializeResult(metadata=_metadata(opened, result), check_results=[checked])


def _work(lifecycle: Lifecycle, night: date, run: Run, accepted: list[str]) -> DestroyResult:
    """Destroy and seal; where that is not switched on, say what would go."""
    if lifecycle.settings.destroy:
        result = destroy_copies(lifecycle, night, run, accepted)
        seal_ledger(lifecycle)
        return result
    return survey_destruction(lifecycle, night)


def _open_points(result: DestroyResult, switched_on: bool) -> dict[str, Any]:
    plans = result.survey.plans
    waiting = {
        f"{name}, plan {plans[name].sha256}": [*why, *destroy_release_commands(plans[name], why, switched_on)]
        for name, why in result.waiting.items()
    }
    return {**waiting, **result.done.left, **result.done.set_aside, **result.survey.damaged}


def _metadata(lifecycle: Lifecycle, result: DestroyResult) -> dict[str, Any]:
    survey, done = result.survey, result.done
    return {
        "night": survey.as_of.isoformat(),
        "switched_on": lifecycle.settings.destroy,
        "batches": survey.batches,
        "looked_at": survey.looked_at,
        "may_go": sum(plan.going for plan in survey.plans.values()),
        "copies_destroyed": done.copies,
        "batches_gone": dg.MetadataValue.json(done.batches),
        "versions_removed": done.versions,
        "copies_moved": done.moved,
        "copies_kept": dg.MetadataValue.json(dict(survey.kept)),
    }


destruction = dg.define_asset_job(
    "destruction",
    tags=JOB_TAGS,
    selection=[destroyed_batches],
    executor_def=dg.in_process_executor,
    description="Destroy archived copies whose day has come.",
)


def destruction_schedule() -> dg.ScheduleDefinition:
    """At seven in the morning, in the zone of LIFECYCLE_NIGHTLY_TIMEZONE: after the night."""
    return dg.ScheduleDefinition(
        name="destruction",
        job=destruction,
        cron_schedule=_CRON,
        execution_timezone=read_settings().nightly_timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        tags_fn=lambda _context: actor_tags_if_possible(LifecycleResource().open(), "schedule destruction"),
    )
