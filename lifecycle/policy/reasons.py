"""The reasons behind an answer, for people: what each regime says of a call, and until when it should be gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from lifecycle.policy.cases import cases_of
from lifecycle.policy.hold import Holds
from lifecycle.policy.laws import Told, bounds
from lifecycle.policy.regime import Regime
from lifecycle.policy.schedule import Rule, Schedule, Schedules


@dataclass(frozen=True, slots=True)
class LawSays:
    """What one regime that a rule names says of one row of facts. Days are None where it says nothing.

    `applies`: nothing known rules it out (its scope, its time in force, a national law that implements it).
    `floor`: the last day a copy must be there; `ceiling`: the last one it may be. `waits`: why the floor is unknown.
    """

    industry: str
    rule_id: str
    regime: Regime
    applies: bool
    trigger_date: date | None
    floor: date | None
    ceiling: date | None
    yields: bool
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
                yield from _of_rule(told, schedule, rule, component)


def _of_rule(told: Told, schedule: Schedule, rule: Rule, component: str | None) -> Iterator[LawSays]:
    laws = told.named(rule.regimes, component)
    for law in laws:
        said = bounds(told, law, laws, component)
        ceiling = said.yielding if law.yields else said.ceiling
        days = (said.trigger_date, said.floor, ceiling)
        started, floor, last = (column[0].as_py() for column in days)
        yield LawSays(
            industry=schedule.industry,
            rule_id=rule.id,
            regime=law,
            applies=said.applies[0].as_py(),
            trigger_date=started,
            floor=floor,
            ceiling=last,
            yields=law.yields,
            waits=said.waits[0].as_py(),
            late=said.late[0].as_py(),
        )


def latest_day(earliest: date, ceiling: date | None, schedule: Schedule) -> date | None:
    """The last day by which what may go from `earliest` should be gone; None: nobody says.

    The law's own last day where it leaves one, the end of the schedule's grace where it does not.
    """
    if ceiling is not None and ceiling >= earliest:
        return ceiling
    return schedule.grace.last_day(earliest - timedelta(days=1)) if schedule.grace else None
