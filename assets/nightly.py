"""The night as assets: disposition_plan, then archived_calls → purged_calls → deletion_record an industry."""

import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets import report
from assets.partitions import industries, industry_night_of, industry_nights, one_night_a_run
from assets.progress import pace_metadata
from assets.provenance import run_of
from assets.resources import LifecycleResource, dagster_failures, name_calls_to_watcher
from lifecycle.deployment.lifecycle import Lifecycle, resolve_night
from lifecycle.errors import ClockError, NightError
from lifecycle.night.anchor import anchor_checkpoint
from lifecycle.night.archive import archive_night
from lifecycle.night.clocks import clock_message, odd_clocks, require_agreeing_clocks
from lifecycle.night.industry_night import (
    accept_plans,
    open_industry_night,
    runnable_industries,
    waiting_message,
    waiting_plans,
)
from lifecycle.night.ledger_events import take_census
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.seal import seal_ledger
from lifecycle.night.survey import Survey
from lifecycle.policy.plan import Plan

AGAIN = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL)
OWNERS = ["team:records"]
_PLAN_CHECKS = {
    "policies_are_lawful": "Every policy file can be relied on; the industries of those that cannot are kept.",
    "no_unscheduled_industry": "Every industry the CRM writes has a schedule.",
    "clocks_agree": "The clocks of this machine, the CRM database and the store agree, and none is behind the ledger.",
    "nothing_left_out": "Every call has a key that names it, and every request to erase a day of receipt.",
    "brake_not_tripped": "No plan waits for a person: no brake tripped, no rule's review is without an approval.",
    "plans_are_our_own": "Nothing calls itself a plan of the night, or an acceptance, that no run of ours made.",
    "nothing_came_back": "No call that was purged is in the CRM again, but by a restore that is on record.",
    "nothing_overdue": "No call has been due for more than a week.",
}


_RECORD_CHECKS = {
    "anchored": "Every anchor that is set took the newest checkpoint.",
    "every_record_was_signed": "Each purge row that waited was what its purge committed, and went into the ledger.",
    "database_is_not_older_than_ledger": "The CRM's database knows every leaf of the ledger: it is no restored backup.",
}
_EVERY = "Every planned call went, or went before."
_ASIDE = {
    name: dg.AssetCheckSpec("nothing_set_aside", asset=name, partitions_def=industry_nights, description=_EVERY)
    for name in ("archived_calls", "purged_calls")
}


class NightConfig(dg.Config):
    """What to ask of a night by hand; the schedule asks nothing."""

    as_of: str | None = Field(default=None, description="The night, as a date; default: the latest that has begun.")
    industry: str | None = Field(default=None, description="Plan one industry only.")
    accept_plan: list[str] = Field(
        default=[],
        description="Digests of plans whose brake tripped. Exactly these are let go: their calls will be deleted.",
    )


@dg.asset(
    group_name="nightly",
    kinds={"python"},
    owners=OWNERS,
    retry_policy=AGAIN,
    check_specs=[dg.AssetCheckSpec(name, asset="disposition_plan", description=d) for name, d in _PLAN_CHECKS.items()],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26)),
)
def disposition_plan(
    context: dg.AssetExecutionContext, config: NightConfig, lifecycle: LifecycleResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
    """What may go tonight, industry by industry: every call's disposition, the plan, and whether its brake tripped."""
    with dagster_failures():
        opened = lifecycle.open(context.log)
        run, odd = run_of(context, opened), odd_clocks(opened)
    yield dg.AssetCheckResult(passed=not odd, check_name="clocks_agree", metadata=dict(odd))
    with dagster_failures():
        if odd:
            raise ClockError(clock_message(odd))
        night = resolve_night(opened, date.fromisoformat(config.as_of) if config.as_of else None)
        _require_partition(opened, night)
        opened.require_running()
        with opened.crm.control.lease("plan"):  # two nights at once would plan each other's calls
            survey, plans = plan_night(opened, night, run, config.industry)
            accept_plans(opened, plans, config.accept_plan, run)
            take_census(opened, night, config.industry)
        waiting = waiting_plans(opened, plans)
        going = runnable_industries(plans, waiting)
    context.instance.add_dynamic_partitions(str(industries.name), list(plans))
    name_calls_to_watcher("disposition_plan", left_out=dict(survey.left_out))
    yield dg.MaterializeResult(
        metadata=report.plan_metadata(survey, plans, waiting, going), check_results=_plan_checks(survey, plans, waiting)
    )


def _require_partition(lifecycle: Lifecycle, night: date) -> None:
    """Raise NightError for a night before the first that Dagster knows as a partition."""
    first = lifecycle.settings.first_night
    if night < first:
        raise NightError(f"--as-of {night}: the first night of this instance is {first}. Set LIFECYCLE_FIRST_NIGHT")


def _plan_checks(
    survey: Survey, plans: dict[str, Plan], waiting: dict[str, tuple[str, ...]]
) -> list[dg.AssetCheckResult]:
    found: dict[str, dict[str, Any]] = {
        "policies_are_lawful": dict(survey.broken),
        "no_unscheduled_industry": dict(survey.unscheduled),
        "nothing_left_out": report.kinds_left_out(survey.left_out),
        "brake_not_tripped": {name: waiting_message(plans[name], reasons) for name, reasons in waiting.items()},
        "plans_are_our_own": {key: "no run of ours made it; it decides nothing" for key in survey.foreign},
        "nothing_came_back": report.counted_by_night(survey.returned),
        "nothing_overdue": {p.industry: p.overdue for p in plans.values() if p.overdue},
    }
    return [
        dg.AssetCheckResult(
            passed=not problems,
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"found": dg.MetadataValue.json(problems)},
        )
        for name, problems in found.items()
    ]


def _aside(calls: Mapping[Any, str]) -> dg.AssetCheckResult:
    """A call that stayed is safe, and somebody should know why it stayed."""
    return dg.AssetCheckResult(
        passed=not calls,
        check_name="nothing_set_aside",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"calls": len(calls)},
    )


@dg.asset(
    check_specs=[_ASIDE["archived_calls"]],
    deps=[disposition_plan],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="nightly",
    kinds={"parquet"},
    owners=OWNERS,
    retry_policy=AGAIN,
)
def archived_calls(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The due calls of a night, copied to Parquet with every row that belongs to them, each object read back."""
    started = time.monotonic()
    with dagster_failures():
        opened = lifecycle.open(context.log)
        work = open_industry_night(opened, *industry_night_of(context))
        result = archive_night(opened, work, run_of(context, opened))
    name_calls_to_watcher("archived_calls", set_aside=result.set_aside)
    pace = pace_metadata(result.calls, time.monotonic() - started)
    return dg.MaterializeResult(
        metadata={**report.archive_metadata(work, result), **pace}, check_results=[_aside(result.set_aside)]
    )


@dg.asset(
    check_specs=[_ASIDE["purged_calls"]],
    deps=[archived_calls],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="nightly",
    kinds={"sql"},
    owners=OWNERS,
    pool="crm_delete",
)
def purged_calls(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Calls deleted from the CRM, each still due and equal to its archived copy at that moment. Never retried alone."""
    started = time.monotonic()
    with dagster_failures():
        opened = lifecycle.open(context.log)
        require_agreeing_clocks(opened)
        work = open_industry_night(opened, *industry_night_of(context))
        # one that has begun: a plan made under a clock ahead waits for its day
        resolve_night(opened, work.plan.night)
        result = purge_night(opened, work, run_of(context, opened))
        stayed = {**result.set_aside, **result.files_left}
    name_calls_to_watcher("purged_calls", set_aside=result.set_aside, sample=result.sample)
    pace = pace_metadata(result.calls, time.monotonic() - started)
    return dg.MaterializeResult(
        metadata={**report.purge_metadata(work, result), **pace}, check_results=[_aside(stayed)]
    )


@dg.asset(
    check_specs=[
        dg.AssetCheckSpec(name, asset="deletion_record", partitions_def=industry_nights, description=said)
        for name, said in _RECORD_CHECKS.items()
    ],
    deps=[purged_calls],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="nightly",
    kinds={"json"},
    owners=OWNERS,
    retry_policy=AGAIN,
    pool="deletion_record",
)
def deletion_record(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One leaf of the ledger for each purged call: which, when, by which rule, by which run, archived where."""
    started = time.monotonic()
    with dagster_failures():
        opened = lifecycle.open(context.log)
        sealed, anchors = seal_ledger(opened), anchor_checkpoint(opened)
    pace = pace_metadata(sealed.records, time.monotonic() - started)
    seen = dg.AssetCheckResult(
        passed=not anchors.failed, check_name="anchored", severity=dg.AssetCheckSeverity.WARN, metadata=anchors.failed
    )
    restored = dg.AssetCheckResult(
        passed=not sealed.unknown,
        check_name="database_is_not_older_than_ledger",
        metadata={"unknown_leaves": sealed.unknown, "do": "`lifecycle replay` names what a restore brought back"},
    )
    signed = dg.AssetCheckResult(
        passed=not sealed.refused,
        check_name="every_record_was_signed",
        metadata={"refused": dg.MetadataValue.json(sealed.refused)},
    )
    return dg.MaterializeResult(
        metadata={**report.record_metadata(sealed, anchors), **pace}, check_results=[seen, signed, restored]
    )
