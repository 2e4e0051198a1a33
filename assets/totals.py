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
_RUNS_A_NIGHT = 100  # of one industry that are added up
Said = dict[str, Any]


@dataclass(frozen=True)
class IndustryTotals:
    """What the runs of one industry's night said, by step, the newest run first: a night may take several."""

    industry: str
    said: dict[str, list[Said]]

    def sum(self, step: str, name: str) -> int | float:
        """What all runs did together: purged, recorded, seconds."""
        return sum(_number(said, name) for said in self.said[step])

    def newest(self, step: str, name: str) -> int | float:
        """What the newest run said, of what is so at the night's end; 0 where none ran."""
        return _number(self.said[step][0], name) if self.said[step] else 0

    def of_plans(self, step: str, name: str) -> int | float:
        """What the newest run of each plan said, of what a run counts for its plan as a whole."""
        newest = {said.get("plan"): said for said in reversed(self.said[step])}
        return sum(_number(said, name) for said in newest.values())

    @property
    def purged(self) -> int | float:
        """Every purged call: what a run that died had purged, the next one of its plan found gone before."""
        said = self.sum("purge", "calls") + self.sum("purge", "parts")
        found = sum(self.of_plans("purge", name) for name in ("calls", "parts", "calls_purged_before"))
        return self.sum("purge", "calls") + max(0, found - said)

    @property
    def set_aside(self) -> int | float:
        """The calls that stayed in the end."""
        return self.newest("archive", "calls_set_aside") + self.newest("purge", "calls_set_aside")


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
    found: dict[str, dict[str, list[Said]]] = {}
    for step, asset in _STEPS.items():
        for key, said in _by_partition(instance, asset, night):
            found.setdefault(key, {name: [] for name in _STEPS})[step] = said
    yield from (IndustryTotals(industry, said) for industry, said in sorted(found.items()))


def _by_partition(instance: dg.DagsterInstance, asset: str, night: str) -> Iterator[tuple[str, list[Said]]]:
    """What each industry's step of a night said, run by run, the newest first."""
    known = instance.get_materialized_partitions(asset_key(asset))
    for partition in sorted(key for key in known if key.rpartition("|")[2] == night):
        wanted = dg.AssetRecordsFilter(asset_key(asset), asset_partitions=[partition])
        records = instance.fetch_materializations(wanted, limit=_RUNS_A_NIGHT).records
        yield partition.rpartition("|")[0], list(map(_values, records))


def _plan_of(instance: dg.DagsterInstance, night: str) -> Said:
    """What the newest plan run of a night said."""
    recent = instance.fetch_materializations(asset_key("disposition_plan"), limit=50).records
    return next((said for said in map(_values, recent) if said.get("night") == night), {})


def _values(record: dg.EventLogRecord) -> Said:
    event = record.asset_materialization
    return {name: getattr(value, "value", None) for name, value in event.metadata.items()} if event else {}


def _number(said: Said, name: str) -> int | float:
    found = said.get(name, 0)
    return found if isinstance(found, int | float) else 0


def _totals(done: list[IndustryTotals], plan: Said) -> Said:
    purged = sum(each.purged for each in done)
    seconds = {step: round(sum(each.sum(step, "seconds") for each in done), 2) for step in _STEPS}
    return {
        "calls_archived": sum(each.of_plans("archive", "calls") for each in done),
        "bytes_archived": sum(each.of_plans("archive", "bytes") for each in done),
        "calls_purged": purged,
        "parts_purged": sum(each.sum("purge", "parts") for each in done),
        "calls_recorded": sum(each.sum("record", "records") for each in done),
        "calls_set_aside": sum(each.set_aside for each in done),
        **{name: plan[name] for name in _PLAN if isinstance(plan.get(name), int)},
        **{f"seconds_{step}": taken for step, taken in seconds.items()},
        "calls_a_second": round(purged / seconds["purge"], 1) if seconds["purge"] else 0.0,
    }


def _each(done: list[IndustryTotals]) -> Said:
    """For each industry: a row of a table, and its purged calls as a number, which is drawn over the nights."""
    rows = [
        (
            each.industry,
            each.of_plans("archive", "calls"),
            each.of_plans("archive", "bytes"),
            each.purged,
            each.sum("record", "records"),
            each.set_aside,
            str(round(sum(each.sum(step, "seconds") for step in _STEPS), 1)),
        )
        for each in done
    ]
    columns = ("industry", "archived", "bytes", "purged", "recorded", "set aside", "seconds")
    numbers = {f"purged_{each.industry.replace('-', '_')}": each.purged for each in done}
    return {"industries": table(columns, rows), **numbers}
