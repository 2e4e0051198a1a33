"""Plan: what a night may purge. Reads facts, disposes, trips the brake, and writes each industry's plan once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.plans import CallsWriter, plan_folder, put_calls, put_plan
from lifecycle.authority.usual_night import NightBaseline, night_baselines
from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.deployment.policy_folder import Policies
from lifecycle.errors import NightStopped, PolicyError, ProofError, SourceError
from lifecycle.night.destroy_batches import same
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.foreign_objects import foreign_plans, holds_without_file
from lifecycle.night.register_recovery import recover_register
from lifecycle.policy.approval import is_known_actor
from lifecycle.policy.documents.schedule import Schedule, Schedules
from lifecycle.policy.evaluation.disposition import Disposition, bounded_components, dispose_with_bounds
from lifecycle.policy.plan import WHOLE_CALLS, Cohort, Plan, PlannedCalls, format_percent, reasons_to_wait

PLANNED_COLUMNS = ("call_id", "component", "rule_id", "trigger_date", "purge_from", "destroy_on", "ceiling", "cutoff")
OVERDUE_AFTER = timedelta(days=7)
SAMPLES = 5
_FIRST_COHORT = date(1970, 1, 1)


@dataclass
class IndustryCount:
    """One industry's calls of a night, counted while the facts stream by.

    `dispositions`, `due` and `samples` are of whole calls, `components` the calls of which one component is due;
    `rules`, `cohorts`, `oldest` and `overdue` are of both.
    """

    live: int = 0
    due: int = 0
    components: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    cohorts: Counter[str] = field(default_factory=Counter)
    samples: list[object] = field(default_factory=list)
    oldest: date | None = None
    overdue: int = 0

    def add(self, disposed: pa.Table, parts: pa.Table, as_of: date) -> pa.Table:
        """Count some calls of the industry, and components of its calls; gives back what is due, with its month."""
        self.dispositions.update(_counts(disposed["disposition"]))
        whole, part = _due(disposed), _due(parts)
        self.due += whole.num_rows
        self.components.update(_counts(part["component"]))
        self.samples += whole["call_id"].slice(0, SAMPLES - len(self.samples)).to_pylist()
        whole = whole.append_column("component", pa.nulls(whole.num_rows, pa.string()))
        due = pa.concat_tables([whole, part.select(whole.column_names)])
        # A birth date may lie before the first cohort there is.
        month = pc.max_element_wise(due["trigger_date"], pa.scalar(_FIRST_COHORT))
        due = due.append_column("cutoff", pc.strftime(month, format="%Y-%m"))
        if due.num_rows:
            self.rules.update(_counts(due["rule_id"]))
            self.cohorts.update(_counts(due["cutoff"]))
            self.oldest = min(filter(None, (self.oldest, pc.min(due["trigger_date"]).as_py())))
            late = pc.less_equal(due["purge_from"], pa.scalar(as_of - OVERDUE_AFTER))
            self.overdue += pc.sum(late).as_py() or 0
        return due.select(list(PLANNED_COLUMNS))

    @property
    def taken(self) -> dict[str, int]:
        """What the brake is held against: whole calls, and each component."""
        return {WHOLE_CALLS: self.due, **self.components}

    def complete(self) -> None:
        """Calls that were not even candidates are retained: no clock of theirs has run out."""
        rest = self.live - sum(self.dispositions.values())
        self.dispositions[str(Disposition.RETAINED)] += max(rest, 0)


@dataclass(frozen=True)
class Survey:
    """What a night found. `unscheduled` counts calls by the industry the CRM writes where no schedule speaks of it.

    `foreign`: objects beside the night's plans that call themselves plans or acceptances, and that no run of ours made.
    `unfit`: why the CRM lets no whole calls (WHOLE_CALLS) be purged, or not a component, by its name.
    `left_out`: what nobody can act on, a call's key or a request, and why. It stays, and the others go on.
    """

    as_of: date
    industries: Mapping[str, IndustryCount]
    unscheduled: Mapping[str, int]
    broken: Mapping[str, str]
    unfit: Mapping[str, str]
    foreign: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


def survey_calls(lifecycle: Lifecycle, as_of: date) -> tuple[Survey, Iterator[tuple[str, pa.Table]]]:
    """Start a look at the whole CRM: the counts, complete once the returned stream of due calls has run dry."""
    schedules = lifecycle.policies.schedules
    require_hold_facts(lifecycle)
    found = {industry: IndustryCount() for industry in schedules.by_industry}
    unscheduled: dict[str, int] = {}
    result = Survey(as_of, found, unscheduled, lifecycle.policies.broken, _unfit(lifecycle))
    return result, _stream(lifecycle, result, unscheduled)


def _stream(lifecycle: Lifecycle, result: Survey, unscheduled: dict[str, int]) -> Iterator[tuple[str, pa.Table]]:
    policies, facts = lifecycle.policies, lifecycle.crm.facts
    with lifecycle.crm.database.reading() as connection:
        for raw, calls in facts.census(connection):
            schedule = policies.schedules.of(raw)
            if schedule is None:
                unscheduled[(raw or "").strip() or "(no industry)"] = calls
            else:
                result.industries[schedule.industry].live += calls
        done, latest = 0, night_cutoffs(policies.schedules, result.as_of)
        for table in facts.candidates(connection, latest, lifecycle.holds.facts()):
            disposed = dispose_with_bounds(table, policies.schedules, lifecycle.holds, result.as_of)
            parts = _components(lifecycle, table, disposed, result)
            for industry, count in result.industries.items():
                ours, of_ours = (found.filter(same(found["industry"], industry)) for found in (disposed, parts))
                yield industry, count.add(ours, of_ours, result.as_of)
            done += disposed.num_rows
            lifecycle.progress("candidates judged", done, 0)
        result.left_out.update(left_out(lifecycle, connection))
    for count in result.industries.values():
        count.complete()


def left_out(lifecycle: Lifecycle, connection: Any) -> Iterator[tuple[str, str]]:
    """What was met on the way and nobody can act on: keys that name no call, requests of no day."""
    for key in sorted(lifecycle.crm.facts.unnameable):
        yield f"call {key}", f"its key is no {lifecycle.crm.rows.key.type}: nobody can name it, so it stays"
    for name, call, found in lifecycle.crm.control.requests.malformed(connection):
        problem = f"received_on: expected a date, found {found!r}; it is not acted on"
        yield f"request {name} for call {call}", problem


def _unfit(lifecycle: Lifecycle) -> dict[str, str]:
    return {name or WHOLE_CALLS: reason for name, reason in lifecycle.crm.unfit_parts().items()}


def _components(lifecycle: Lifecycle, facts: pa.Table, disposed: pa.Table, result: Survey) -> pa.Table:
    """What the law says of components that a purge can reach, of calls that are not due as a whole."""
    policies = lifecycle.policies
    found = bounded_components(facts, policies.schedules, lifecycle.holds, result.as_of)
    reached = [name for name in lifecycle.crm.source.components if name not in result.unfit]
    mapped = pc.is_in(found["component"], pa.array(reached, pa.string()))
    whole = _due(disposed)["call_id"].combine_chunks()
    return found.filter(pc.and_(mapped, pc.invert(pc.is_in(found["call_id"], whole))))


def _due(disposed: pa.Table) -> pa.Table:
    return disposed.filter(pc.equal(disposed["disposition"], pa.scalar(str(Disposition.DUE))))


def night_cutoffs(schedules: Schedules, as_of: date) -> Cutoffs:
    """The latest trigger date, by fact, at which any rule of any schedule may let a call, or a component, go."""
    found = Cutoffs(as_of)
    for schedule, rule in ((each, rule) for each in schedules.by_industry.values() for rule in each.rules):
        latest = found.components.setdefault(rule.component, {}) if rule.component else found.latest
        days = dict(schedule.cutoffs(rule, as_of))
        for clock in rule.clocks:
            for fact in clock.triggers:  # the later of several is past its day only where each of them is
                latest[fact] = max(filter(None, (latest.get(fact), days.get(clock))), default=None)
    return found


def plan_night(lifecycle: Lifecycle, as_of: date, run: Run, only: str | None = None) -> tuple[Survey, dict[str, Plan]]:
    """Plan every industry (or one) for a night.

    A plan already made under the same schedule and holds is used again; not where the schedule's change was approved,
    or its author became known, since then. Raises SourceError where nothing could be purged: nothing is planned then.
    """
    policies = lifecycle.policies
    lifecycle.crm.control.require()
    wanted = wanted_schedules(policies, only)
    register = lifecycle.crm.control.register
    recover_register(lifecycle)
    earlier, unreadable = _earlier(lifecycle, as_of, wanted)
    wanted = [s for s in wanted if s.industry in earlier]
    backgrounds = night_baselines(lifecycle, as_of, wanted)
    result, due = survey_calls(lifecycle, as_of)
    lifecycle.crm.control.holds.remember(lifecycle.policies.holds.by_id.values(), lifecycle.now())
    result = replace(result, broken={**result.broken, **unreadable, **holds_without_file(lifecycle)})
    if WHOLE_CALLS in result.unfit:
        raise SourceError(result.unfit[WHOLE_CALLS])
    fresh = [s for s in wanted if not _still_good(earlier[s.industry], lifecycle, backgrounds[s.industry], run)]
    revisions = {s.industry: len(earlier[s.industry]) + 1 for s in fresh}
    calls = _put_calls(lifecycle, as_of, revisions, due)
    plans = {industry: found[-1] for industry, found in earlier.items() if industry not in revisions}
    for schedule in fresh:
        name = schedule.industry
        plan = _plan(lifecycle, result, schedule, revisions[name], run, calls[name], backgrounds[name])
        register.add_plan(plan, lifecycle.now())
        plans[name] = plan
    result = replace(result, foreign=foreign_plans(lifecycle, as_of))
    for plan in plans.values():  # also one that was used again: whoever registered it may have died before this
        put_plan(lifecycle.store, plan)
    queue_event_leaves(lifecycle, "plan", {plan.sha256: _registered(plan) for plan in plans.values()})
    return result, dict(sorted(plans.items()))


def _earlier(lifecycle: Lifecycle, as_of: date, wanted: list[Schedule]) -> tuple[dict[str, list[Plan]], dict[str, str]]:
    """The plans of the night by industry; and the industries whose register cannot be relied on, which are kept."""
    found: dict[str, list[Plan]] = {}
    unreadable: dict[str, str] = {}
    for schedule in wanted:
        try:
            found[schedule.industry] = lifecycle.crm.control.register.plans_of(as_of, schedule.industry)
        except ProofError as error:
            unreadable[schedule.industry] = str(error)
    return found, unreadable


def _registered(plan: Plan) -> dict[str, Any]:
    """What the ledger says of a plan."""
    return {
        "night": plan.night.isoformat(),
        "industry": plan.industry,
        "plan_sha256": plan.sha256,
        "run_id": plan.run_id,
        "due": plan.due,
        "waits_for": len(plan.waits_for),
    }


def _still_good(plans: list[Plan], lifecycle: Lifecycle, now: NightBaseline, run: Run) -> bool:
    if not plans:
        return False
    plan, holds = plans[-1], lifecycle.policies.holds.sha256
    of_plan = (plan.source, plan.holds_sha256, plan.schedule_authors, plan.change_approved)
    same = of_plan == (lifecycle.crm.source.source, holds, now.authors, now.change_approved)
    named = not plan.reviews or is_known_actor(plan.actor) or not is_known_actor(run.actor)
    return same and named and lifecycle.policies.still(plan.schedule)


def _put_calls(
    lifecycle: Lifecycle,
    as_of: date,
    revisions: Mapping[str, int],
    due: Iterable[tuple[str, pa.Table]],
) -> dict[str, PlannedCalls | None]:
    """Write the due calls as they stream by, one Parquet file an industry; each attempt has a name of its own."""
    schema, attempt = pa.schema([("call_id", lifecycle.crm.rows.key.type), *_PLANNED_TYPES]), uuid4().hex[:12]
    with ExitStack() as stack:
        writers = {name: stack.enter_context(CallsWriter(schema)) for name in revisions}
        for industry, table in due:
            if stopper := lifecycle.stop_requested():
                raise NightStopped(f"stopped by {stopper} while planning. Nothing was done; running again plans anew")
            if industry in writers and table.num_rows:
                writers[industry].add(table.cast(schema))
        return {
            name: put_calls(lifecycle.store, f"{plan_folder(as_of, name)}calls-{revisions[name]}-{attempt}", writer)
            for name, writer in writers.items()
        }


_PLANNED_TYPES = (
    ("component", pa.string()),
    ("rule_id", pa.string()),
    ("trigger_date", pa.date32()),
    ("purge_from", pa.date32()),
    ("destroy_on", pa.date32()),
    ("ceiling", pa.date32()),
    ("cutoff", pa.string()),
)


def _plan(
    lifecycle: Lifecycle,
    result: Survey,
    schedule: Schedule,
    revision: int,
    run: Run,
    calls: PlannedCalls | None,
    against: NightBaseline,
) -> Plan:
    count = result.industries[schedule.industry]
    return Plan(
        night=result.as_of,
        industry=schedule.industry,
        revision=revision,
        source=lifecycle.crm.source.source,
        schedule=lifecycle.policies.version(schedule),
        holds_sha256=lifecycle.policies.holds.sha256,
        run_id=run.id,
        created_at=lifecycle.now(),
        live=count.live,
        due=count.due,
        max_share=format_percent(schedule.max_share),
        dispositions={name: number for name, number in sorted(count.dispositions.items()) if number},
        rules=dict(sorted(count.rules.items())),
        components=dict(sorted(count.components.items())),
        oldest_trigger=count.oldest,
        overdue=count.overdue,
        cohorts=tuple(Cohort(cutoff=month, calls=number) for month, number in sorted(count.cohorts.items())),
        waits_for=reasons_to_wait(schedule, count.taken, count.rules, count.live, against.usual),
        calls=calls,
        actor=run.actor,
        schedule_authors=against.authors,
        change_approved=against.change_approved,
    )


def require_hold_facts(lifecycle: Lifecycle) -> None:
    """Raise PolicyError where a hold asks for a fact or a link that the source does not give."""
    missing = sorted(lifecycle.holds.facts() - lifecycle.crm.facts.given)
    if missing:
        raise PolicyError(
            f"holds/: a hold asks for {', '.join(missing)}, which source {lifecycle.crm.source.source} does not give. "
            "Nothing is planned or purged until it does"
        )


def wanted_schedules(policies: Policies, only: str | None) -> list[Schedule]:
    """Every schedule, or the one of an industry. Raises PolicyError for an unknown one, naming the broken files."""
    found = [s for s in policies.schedules.by_industry.values() if only in (None, s.industry)]
    if only is not None and not found:
        known = ", ".join(policies.schedules.by_industry) or "none"
        why = "".join(f"\n{reason}" for reason in policies.broken.values())
        raise PolicyError(f"--industry {only}: expected one of {known}{why}")
    return found


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
