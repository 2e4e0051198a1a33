"""Plan: what a night may purge. Reads facts, disposes, trips the brake, and writes each industry's plan once."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import pyarrow as pa

from lifecycle.archive.plans import CallsWriter, plan_folder, put_calls, put_plan
from lifecycle.authority.usual_night import NightBaseline, night_baselines
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.deployment.policy_folder import Policies
from lifecycle.errors import NightStopped, PolicyError, ProofError, SourceError
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.foreign_objects import foreign_plans, holds_without_file
from lifecycle.night.purged_before import PurgeHistory
from lifecycle.night.register_recovery import recover_register
from lifecycle.night.survey import Survey, survey_calls
from lifecycle.policy.approval import is_known_actor
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import WHOLE_CALLS, Plan, PlannedCalls, format_percent, reasons_to_wait


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
    earlier, backgrounds, unreadable = _before(lifecycle, as_of, wanted)
    wanted = [s for s in wanted if s.industry not in unreadable]
    result, due = survey_calls(lifecycle, as_of, PurgeHistory(lifecycle), kept=True)
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


def _before(
    lifecycle: Lifecycle, as_of: date, wanted: list[Schedule]
) -> tuple[dict[str, list[Plan]], dict[str, NightBaseline], dict[str, str]]:
    """By industry the night's earlier plans, and what its night is held against; and the industries whose register
    cannot be relied on, of this night or of those before, which are kept."""
    plans, baselines, unreadable = dict[str, list[Plan]](), dict[str, NightBaseline](), dict[str, str]()
    for schedule in wanted:
        try:
            found = lifecycle.crm.control.register.plans_of(as_of, schedule.industry)
            baselines |= night_baselines(lifecycle, as_of, [schedule])
        except ProofError as error:
            unreadable[schedule.industry] = str(error)
        else:
            plans[schedule.industry] = found
    return plans, baselines, unreadable


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
    return same and named and _can_be_read(plan, lifecycle) and lifecycle.policies.still(plan.schedule)


def _can_be_read(plan: Plan, lifecycle: Lifecycle) -> bool:
    """Whether the key is there under which the plan's list of calls was sealed."""
    epoch = plan.calls.epoch if plan.calls else None
    return epoch is None or epoch in {each.id for each in lifecycle.keys.epochs()}


def _put_calls(
    lifecycle: Lifecycle,
    as_of: date,
    revisions: Mapping[str, int],
    due: Iterable[tuple[str, pa.Table]],
) -> dict[str, PlannedCalls | None]:
    """Write the due calls as they stream by, one Parquet file an industry; each attempt has a name of its own."""
    schema, attempt = pa.schema([("call_id", lifecycle.crm.rows.key.type), *_PLANNED_TYPES]), uuid4().hex[:12]
    epoch = lifecycle.keys.epoch()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(CallsWriter(schema)) for name in revisions}
        for industry, table in due:
            if stopper := lifecycle.stop_requested():
                raise NightStopped(f"stopped by {stopper} while planning. Nothing was done; running again plans anew")
            if industry in writers and table.num_rows:
                writers[industry].add(table.cast(schema))
        names = {name: f"{plan_folder(as_of, name)}calls-{revision}-{attempt}" for name, revision in revisions.items()}
        return {name: put_calls(lifecycle.store, names[name], writer, epoch) for name, writer in writers.items()}


_PLANNED_TYPES = (
    ("component", pa.string()),
    ("rule_id", pa.string()),
    ("trigger_date", pa.date32()),
    ("purge_from", pa.date32()),
    ("destroy_on", pa.date32()),
    ("ceiling", pa.date32()),
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
    counted_before = {"counted_at": count.counted_at} if count.counted_at else {}
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
        waits_for=reasons_to_wait(schedule, count.taken, count.rules, count.live, against.usual),
        calls=calls,
        actor=run.actor,
        schedule_authors=against.authors,
        change_approved=against.change_approved,
        **counted_before,
    )


def wanted_schedules(policies: Policies, only: str | None) -> list[Schedule]:
    """Every schedule, or the one of an industry. Raises PolicyError for an unknown one, naming the broken files."""
    found = [s for s in policies.schedules.by_industry.values() if only in (None, s.industry)]
    if only is not None and not found:
        known = ", ".join(policies.schedules.by_industry) or "none"
        why = "".join(f"\n{reason}" for reason in policies.broken.values())
        raise PolicyError(f"--industry {only}: expected one of {known}{why}")
    return found
