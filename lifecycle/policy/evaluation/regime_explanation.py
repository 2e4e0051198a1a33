"""The reasons behind an answer, for people: what each regime says of a call, and until when it should be gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from lifecycle.policy.clock import Clock
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Limit, Regime
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.evaluation.condition_matching import local_dates
from lifecycle.policy.evaluation.distinct_cases import asked_of_cases, cases_of
from lifecycle.policy.evaluation.regime_bounds import Told, bounds


@dataclass(frozen=True, slots=True)
class LawSays:
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


def law_by_law(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None = None
) -> Iterator[LawSays]:
    """Every regime of every rule of the industries of one call. `facts`: its rows, as `dispose` takes them."""
    for row, raw in enumerate(facts["industry"].to_pylist()):
        schedule = schedules.of(raw)
        if schedule is not None:
            alone = facts.slice(row, 1)
            cases = cases_of(alone, schedule, schedules.regimes, holds, as_of)
            told = Told(cases, schedule, schedules.regimes, holds.extensions, as_of)
            for rule in schedule.rules:
                yield from _of_rule(told, alone, rule, component)


def _of_rule(told: Told, facts: pa.Table, rule: Rule, component: str | None) -> Iterator[LawSays]:
    laws = told.named(rule.regimes, component)
    cases, _ = told.cases.distinct(asked_of_cases(rule, laws, told.extensions.values()), None)
    about = told.about(cases)
    for law in laws:
        said = bounds(about, law, laws, component)
        yield LawSays(
            industry=told.schedule.industry,
            rule_id=rule.id,
            regime=law,
            applies=said.applies[0].as_py(),
            trigger_date=_started(told, facts, law.clock((*law.minimum, *law.maximum)[0])),
            floor=said.floor[0].as_py(),
            ceiling=said.ceiling[0].as_py(),
            soft_floor=max(_ends(told, facts, law, () if law.floor else law.minimum), default=None),
            soft_ceiling=min(_ends(told, facts, law, () if law.ceiling else law.maximum), default=None),
            waits=said.waits[0].as_py(),
            late=said.late[0].as_py(),
        )


def _started(told: Told, facts: pa.Table, clock: Clock) -> date | None:
    """The day a clock started for the call; None where that is not known."""
    days = [_day(told, facts, name) for name in clock.triggers]
    known = [day for day in days if day and (len(days) == 1 or clock.earliest <= day <= told.as_of)]
    return max(known) if len(known) == len(days) else None


def _day(told: Told, facts: pa.Table, name: str) -> date | None:
    """A fact's day. None too where it was read as text: nothing that decides asks for it as a time."""
    if name in facts.column_names and pa.types.is_temporal(facts.schema.field(name).type):
        day: date | None = local_dates(facts, name, told.schedule.timezone)[0].as_py()
        return day
    return None


def _ends(told: Told, facts: pa.Table, law: Regime, limits: Sequence[Limit]) -> Iterator[date]:
    """The last days of limits that bind nobody."""
    for limit in limits:
        clock = law.clock(limit)
        started = _started(told, facts, clock)
        if started and clock.earliest <= started <= told.as_of:
            yield told.schedule.limit(law, limit).last_day(started)


def latest_day(earliest: date, ceiling: date | None, schedule: Schedule) -> date | None:
    """The last day by which what may go from `earliest` should be gone; None: nobody says.

    The law's own last day where it leaves one, the end of the schedule's grace where it does not.
    """
    if ceiling is not None and ceiling >= earliest:
        return ceiling
    return schedule.grace.last_day(earliest - timedelta(days=1)) if schedule.grace else None
