"""The reasons behind an answer, for people: what each regime says of a call, and until when it should be gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from lifecycle.policy.clock import Clock
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.evaluation.condition_matching import local_dates
from lifecycle.policy.evaluation.distinct_cases import encode_cases, facts_deciding_rule
from lifecycle.policy.evaluation.evaluation_context import EvaluationContext
from lifecycle.policy.evaluation.regime_bounds import evaluate_regime


@dataclass(frozen=True, slots=True)
class RegimeStatement:
    """What one regime that a rule names says of one row of facts. Days are None where it says nothing.

    `applies`: nothing known rules it out (its scope, its time in force, a national law that implements it).
    `floor`: the last day a copy must be there; `ceiling`: the last one it may be; `soft_floor`, `soft_ceiling`: the
    same of what binds nobody. `waits`: why the floor is unknown. `late`: an extension that came too late.
    """

    industry: str
    rule_id: str
    regime: Regime
    applies: bool
    trigger_date: date | None
    floor: date | None
    ceiling: date | None
    soft_floor: date | None
    soft_ceiling: date | None
    waits: str | None
    late: str | None


def explain_regimes(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None = None
) -> Iterator[RegimeStatement]:
    """Every regime of every rule of the industries of one call. `facts`: its rows, as `dispose_calls` takes them."""
    for row, raw in enumerate(facts["industry"].to_pylist()):
        schedule = schedules.of(raw)
        if schedule is not None:
            alone = facts.slice(row, 1)
            cases = encode_cases(alone, schedule, schedules.regimes, holds, as_of)
            context = EvaluationContext(cases, schedule, schedules.regimes, holds.extensions, as_of)
            for rule in schedule.rules:
                yield from _statements_of_rule(context, alone, rule, component)


def _statements_of_rule(
    context: EvaluationContext, facts: pa.Table, rule: Rule, component: str | None
) -> Iterator[RegimeStatement]:
    laws = context.named(rule.regimes, component)
    cases, _ = context.cases.distinct(facts_deciding_rule(rule, laws, context.extensions.values()), None)
    about = context.about(cases)
    for law in laws:
        said = evaluate_regime(about, law, laws, component)
        yield RegimeStatement(
            industry=context.schedule.industry,
            rule_id=rule.id,
            regime=law,
            applies=said.applies[0].as_py(),
            trigger_date=_clock_start(context, facts, law.clock((*law.minimum, *law.maximum)[0])),
            floor=said.floor[0].as_py(),
            ceiling=said.ceiling[0].as_py(),
            soft_floor=max(_soft_limit_days(context, facts, law, () if law.floor else law.minimum), default=None),
            soft_ceiling=min(_soft_limit_days(context, facts, law, () if law.ceiling else law.maximum), default=None),
            waits=said.waits[0].as_py(),
            late=said.late[0].as_py(),
        )


def _clock_start(context: EvaluationContext, facts: pa.Table, clock: Clock) -> date | None:
    """The day a clock started for the call; None where that is not known."""
    days = [_fact_day(context, facts, name) for name in clock.triggers]
    known = [day for day in days if day and (len(days) == 1 or clock.earliest <= day <= context.as_of)]
    return max(known) if len(known) == len(days) else None


def _fact_day(context: EvaluationContext, facts: pa.Table, name: str) -> date | None:
    """A fact's day. None too where it was read as text: nothing that decides asks for it as a time."""
    if name in facts.column_names and pa.types.is_temporal(facts.schema.field(name).type):
        day: date | None = local_dates(facts, name, context.schedule.timezone)[0].as_py()
        return day
    return None


def _soft_limit_days(
    context: EvaluationContext, facts: pa.Table, law: Regime, limits: Sequence[RegimeLimit]
) -> Iterator[date]:
    """The last days of limits that bind nobody."""
    for limit in limits:
        clock = law.clock(limit)
        started = _clock_start(context, facts, clock)
        if started and clock.earliest <= started <= context.as_of:
            yield context.schedule.limit(law, limit).last_day(started)


def latest_lawful_day(earliest: date, ceiling: date | None, schedule: Schedule) -> date | None:
    """The last day by which what may go from `earliest` should be gone; None: nobody says.

    The law's own last day where it leaves one, the end of the schedule's grace where it does not.
    """
    if ceiling is not None and ceiling >= earliest:
        return ceiling
    return schedule.grace.last_day(earliest - timedelta(days=1)) if schedule.grace else None
