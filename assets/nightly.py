"""The night as assets: disposition_plan, then archived_calls → purged_calls → deletion_record an industry."""

import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets import report
from assets.location import of_this_crm, shared_name
from assets.outside import CRM_KIND, RECORDS_IN_CRM, STORE_KIND
from assets.partitions import industries, industry_night_of, industry_nights, one_night_a_run
from assets.progress import pace_metadata
from assets.provenance import run_of
from assets.resources import LifecycleResource, dagster_failures, name_calls_to_watcher
from assets.tables import table
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
    "database_is_not_older_than_ledger": "The CRM's database knows every leaf of the ledger: it is no restored backup "
    "(`lifecycle replay` names what one brought back).",
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


@of_this_crm
@dg.asset(
    deps=[RECORDS_IN_CRM],
    group_name="decide",
    kinds={"python", "yaml"},
    owners=OWNERS,
    retry_policy=AGAIN,
    check_specs=[dg.AssetCheckSpec(name, asset="disposition_plan", description=d) for name, d in _PLAN_CHECKS.items()],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=30), warn_window=timedelta(hours=26)),
)
def disposition_plan(
    context: dg.AssetExecutionContext, config: NightConfig, lifecycle: LifecycleResource
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:  # type: ignore[type-arg]
    """What may go tonight, industry by industry: every call's disposition, the plan, and whether its brake tripped."""
    started = time.monotonic()
    with dagster_failures(context):
        opened = lifecycle.open(context.log)
        run, odd = run_of(context, opened), odd_clocks(opened)
    yield _check("clocks_agree", ("clock", "is"), odd, dg.AssetCheckSeverity.ERROR)
    with dagster_failures(context):
        if odd:
            raise ClockError(clock_message(odd))
        night = resolve_night(opened, _day(config.as_of) if config.as_of else None)
        _require_partition(opened, night)
        opened.require_running()
        with opened.crm.control.lease("plan"):  # two nights at once would plan each other's calls
            survey, plans = plan_night(opened, night, run, config.industry)
            accept_plans(opened, plans, config.accept_plan, run)
            take_census(opened, night, config.industry)
        waiting = waiting_plans(opened, plans)
        going = runnable_industries(plans, waiting)
    context.instance.add_dynamic_partitions(str(industries.name), list(plans))
    pace = pace_metadata(sum(plan.due for plan in plans.values()), time.monotonic() - started)
    name_calls_to_watcher("disposition_plan", left_out=dict(survey.left_out))
    yield dg.MaterializeResult(
        metadata={**report.plan_metadata(survey, plans, waiting, going, run.id), **pace},
        check_results=_plan_checks(survey, plans, waiting),
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NightError(f"as_of: expected a day such as 2026-11-20, found {text[:40]!r}. Nothing was done") from None


def _require_partition(lifecycle: Lifecycle, night: date) -> None:
    """Raise NightError for a night before the first that Dagster knows as a partition."""
    first = lifecycle.settings.first_night
    if night < first:
        raise NightError(f"--as-of {night}: the first night of this instance is {first}. Set LIFECYCLE_FIRST_NIGHT")


def _plan_checks(
    survey: Survey, plans: dict[str, Plan], waiting: dict[str, tuple[str, ...]]
) -> list[dg.AssetCheckResult]:
    held = {name: waiting_message(plans[name], reasons) for name, reasons in waiting.items()}
    foreign = dict.fromkeys(survey.foreign, "no run of ours made it; it decides nothing")
    return [
        _check("policies_are_lawful", ("file", "reason"), survey.broken),
        _check("no_unscheduled_industry", ("industry in the CRM", "calls"), survey.unscheduled),
        _check("nothing_left_out", ("what", "how many"), report.kinds_left_out(survey.left_out)),
        _check("brake_not_tripped", ("industry", "waits for"), held),
        _check("plans_are_our_own", ("object", "why"), foreign),
        _check("nothing_came_back", ("purged", "calls"), report.counted_by_night(survey.returned)),
        _check("nothing_overdue", ("industry", "calls"), {p.industry: p.overdue for p in plans.values() if p.overdue}),
    ]


def _check(
    name: str,
    columns: tuple[str, str],
    problems: Mapping[Any, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
) -> dg.AssetCheckResult:
    """Passed where there are no problems; else how many, and each in a row."""
    found: dict[str, Any] = {"count": len(problems), "found": table(columns, problems.items())}
    return dg.AssetCheckResult(passed=not problems, check_name=name, severity=severity, metadata=found)


def _aside(calls: Mapping[Any, str]) -> dg.AssetCheckResult:
    """A call that stayed is safe, and somebody should know why it stayed."""
    return dg.AssetCheckResult(
        passed=not calls,
        check_name="nothing_set_aside",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"count": len(calls)},
    )


@of_this_crm
@dg.asset(
    check_specs=[_ASIDE["archived_calls"]],
    deps=[disposition_plan, RECORDS_IN_CRM],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="custody",
    kinds={"parquet", STORE_KIND},
    owners=OWNERS,
    retry_policy=AGAIN,
)
def archived_calls(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The due calls of a night, copied to Parquet with every row that belongs to them, each object read back."""
    started = time.monotonic()
    with dagster_failures(context):
        opened = lifecycle.open(context.log)
        work = open_industry_night(opened, *industry_night_of(context))
        result = archive_night(opened, work, run_of(context, opened))
        schema = report.archived_columns(opened.store, result)
    name_calls_to_watcher("archived_calls", set_aside=result.set_aside)
    pace = pace_metadata(result.calls, time.monotonic() - started)
    return dg.MaterializeResult(
        metadata={**report.archive_metadata(work, result, opened.store.url), **pace, **schema},
        check_results=[_aside(result.set_aside)],
    )


@of_this_crm
@dg.asset(
    check_specs=[_ASIDE["purged_calls"]],
    deps=[archived_calls],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="custody",
    kinds={CRM_KIND},
    owners=OWNERS,
    pool=shared_name("crm_delete"),
)
def purged_calls(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Calls deleted from the CRM, each still due and equal to its archived copy at that moment. Never retried alone."""
    started = time.monotonic()
    with dagster_failures(context):
        opened = lifecycle.open(context.log)
        require_agreeing_clocks(opened)
        work = open_industry_night(opened, *industry_night_of(context))
        resolve_night(opened, work.plan.night)  # one that has begun: a plan made under a clock ahead waits for its day
        result = purge_night(opened, work, run_of(context, opened))
    name_calls_to_watcher("purged_calls", set_aside=result.set_aside, sample=result.sample)
    pace = pace_metadata(result.calls, time.monotonic() - started)
    return dg.MaterializeResult(
        metadata={**report.purge_metadata(work, result), **pace},
        check_results=[_aside({**result.set_aside, **result.files_left})],
    )


@of_this_crm
@dg.asset(
    check_specs=[
        dg.AssetCheckSpec(name, asset="deletion_record", partitions_def=industry_nights, description=said)
        for name, said in _RECORD_CHECKS.items()
    ],
    deps=[purged_calls],
    partitions_def=industry_nights,
    backfill_policy=one_night_a_run,
    group_name="record",
    kinds={"json", STORE_KIND},
    owners=OWNERS,
    retry_policy=AGAIN,
    pool=shared_name("deletion_record"),
)
def deletion_record(context: dg.AssetExecutionContext, lifecycle: LifecycleResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One leaf of the ledger for each purged call: which, when, by which rule, by which run, archived where."""
    started = time.monotonic()
    with dagster_failures(context):
        opened = lifecycle.open(context.log)
        sealed, anchors = seal_ledger(opened), anchor_checkpoint(opened)
    pace, error = pace_metadata(sealed.records, time.monotonic() - started), dg.AssetCheckSeverity.ERROR
    unknown = {"leaves": sealed.unknown} if sealed.unknown else {}
    return dg.MaterializeResult(
        metadata={**report.record_metadata(sealed, anchors), **pace},
        check_results=[
            _check("anchored", ("place", "why not"), anchors.failed),
            _check("every_record_was_signed", ("purge row", "contradicts"), sealed.refused, error),
            _check("database_is_not_older_than_ledger", ("unknown", "how many"), unknown, error),
        ],
    )
