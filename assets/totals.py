"""A night's totals: one point a night in every plot, over all industries and for each.

Worked out from what the night's runs said of themselves, once they have ended. Decides nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.automation import RUNS_UNDER_WAY, industry_night
from assets.location import JOB_TAGS, asset_key, is_of_this_crm, of_this_crm
from assets.nightly import deletion_record, disposition_plan
from assets.partitions import NIGHT_TAG, nights, one_night_a_run
from assets.plan_events import newest_plan_event
from assets.tables import table

_STEPS = {"archive": "archived_calls", "purge": "purged_calls", "record": "deletion_record"}
_PLAN = ("calls_live", "calls_due", "calls_waiting", "calls_held", "calls_overdue", "calls_unscheduled")
Said = dict[str, Any]


@dataclass(frozen=True)
class IndustryTotals:
    """What the runs of one industry's night said last, by step."""

    industry: str
    said: dict[str, Said]

    def number(self, step: str, name: str) -> int | float:
        """One of a step's numbers; 0 where it did not run."""
        found = self.said[step].get(name, 0)
        return found if isinstance(found, int | float) else 0


@of_this_crm
@dg.asset(
    partitions_def=nights,
    deps=[
        disposition_plan,
        dg.AssetDep(deletion_record, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("night")),
    ],
    backfill_policy=one_night_a_run,
    group_name="record",
    kinds={"python"},
    owners=["team:records"],
)
def nightly_totals(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """A night in numbers: calls archived, purged, recorded, set aside, waiting, held, overdue; and how long it took."""
    night = context.partition_key
    done = list(_industries(context.instance, night))
    plan = _plan_of(context.instance, night)
    return dg.MaterializeResult(metadata={**_totals(done, plan), **_each(done)})


totals_job = dg.define_asset_job(
    "totals",
    tags=JOB_TAGS,
    selection=[nightly_totals],
    executor_def=dg.in_process_executor,
    description="Add a night up.",
)


@dg.sensor(job=totals_job, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.STOPPED)
def night_totals(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Add the newest night up whenever its runs have ended and one of them is newer than the totals."""
    planned = newest_plan_event(context.instance)
    if planned is None:
        return dg.SkipReason("no night was planned yet")
    night = planned.night.isoformat()
    runs = _runs_of(context.instance, night)
    if any(run.status in RUNS_UNDER_WAY for run in runs):
        return dg.SkipReason(f"runs of {night} are under way")
    newest = runs[0].run_id if runs else planned.run_id
    key = f"{night}:{newest}"
    if context.cursor == key:
        return dg.SkipReason(f"{night} is added up")
    context.update_cursor(key)
    return dg.RunRequest(run_key=key, partition_key=night)


def _runs_of(instance: dg.DagsterInstance, night: str) -> list[dg.DagsterRun]:
    wanted = dg.RunsFilter(job_name=industry_night.name, tags={NIGHT_TAG: night})
    return [run for run in instance.get_runs(wanted) if is_of_this_crm(run)]


def _industries(instance: dg.DagsterInstance, night: str) -> Iterator[IndustryTotals]:
    found: dict[str, dict[str, Said]] = {}
    for step, asset in _STEPS.items():
        for key, said in _newest_by_partition(instance, asset, night):
            found.setdefault(key, {name: {} for name in _STEPS})[step] = said
    yield from (IndustryTotals(industry, said) for industry, said in sorted(found.items()))


def _newest_by_partition(instance: dg.DagsterInstance, asset: str, night: str) -> Iterator[tuple[str, Said]]:
    """What each industry's step of a night said last."""
    known = instance.get_materialized_partitions(asset_key(asset))
    for partition in sorted(key for key in known if key.rpartition("|")[2] == night):
        wanted = dg.AssetRecordsFilter(asset_key(asset), asset_partitions=[partition])
        for record in instance.fetch_materializations(wanted, limit=1).records:
            yield partition.rpartition("|")[0], _values(record)


def _plan_of(instance: dg.DagsterInstance, night: str) -> Said:
    """What the newest plan run of a night said."""
    recent = instance.fetch_materializations(asset_key("disposition_plan"), limit=50).records
    return next((said for said in map(_values, recent) if said.get("night") == night), {})


def _values(record: dg.EventLogRecord) -> Said:
    event = record.asset_materialization
    return {name: getattr(value, "value", None) for name, value in event.metadata.items()} if event else {}


def _totals(done: list[IndustryTotals], plan: Said) -> Said:
    def total(step: str, name: str) -> int | float:
        return sum(each.number(step, name) for each in done)

    purging = total("purge", "seconds")
    purged = total("purge", "calls")
    return {
        "calls_archived": total("archive", "calls"),
        "bytes_archived": total("archive", "bytes"),
        "calls_purged": purged,
        "parts_purged": total("purge", "parts"),
        "calls_recorded": total("record", "records"),
        "calls_set_aside": total("archive", "calls_set_aside") + total("purge", "calls_set_aside"),
        **{name: plan[name] for name in _PLAN if isinstance(plan.get(name), int)},
        **{f"seconds_{step}": round(total(step, "seconds"), 2) for step in _STEPS},
        "calls_a_second": round(purged / purging, 1) if purging else 0.0,
    }


def _each(done: list[IndustryTotals]) -> Said:
    """For each industry: a row of a table, and its purged calls as a number, which is drawn over the nights."""
    rows = [
        (
            each.industry,
            each.number("archive", "calls"),
            each.number("archive", "bytes"),
            each.number("purge", "calls"),
            each.number("record", "records"),
            each.number("archive", "calls_set_aside") + each.number("purge", "calls_set_aside"),
            str(round(sum(each.number(step, "seconds") for step in _STEPS), 1)),
        )
        for each in done
    ]
    columns = ("industry", "archived", "bytes", "purged", "recorded", "set aside", "seconds")
    numbers = {f"purged_{each.industry.replace('-', '_')}": each.number("purge", "calls") for each in done}
    return {"industries": table(columns, rows), **numbers}
