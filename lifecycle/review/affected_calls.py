"""Which calls two states of the policies could judge otherwise on a day, and what their answers hang on.

Out comes a question to the CRM, as narrow as it can be without missing a call: of an industry whose rules only changed
their periods, the days between the old and the new cutoffs. Asking it is `crm.counted`'s, judging `weigh`'s.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.crm.reading.group_statements import INDUSTRY_FACT, Grouping, RowsInReach, Span, Spans
from lifecycle.deployment.lifecycle import fact_kinds
from lifecycle.policy.clock import EARLIEST_BIRTH, EARLIEST_TRIGGER, Term
from lifecycle.policy.documents.hold import Extension, Hold, Holds, HoldScope
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule, Schedules, industry_names
from lifecycle.policy.evaluation.distinct_cases import CREATION_FACTS, ERASURE_FACT, regimes_of_schedule, required_facts

_DAY = timedelta(days=1)
_NO_EFFECT = {"owner", "examples", "sha256", "grace", "max_share", "max_calls", "max_usual"}
_NO_EFFECT_RULE = {"title", "review"}
_NO_EFFECT_REGIME = {"title", "jurisdiction", "citation", "evidence", "verified", "review_by"}


@dataclass(frozen=True, slots=True)
class PolicyState:
    """One state of the policies."""

    schedules: Schedules
    holds: Holds

    def of_groups(self) -> "PolicyState":
        """The same with those holds only that groups of calls can be judged under: whole industries'."""
        return PolicyState(self.schedules, Holds({h.id: h for h in self.holds.by_id.values() if _whole(h)}))


def fact_kinds_of(laws: Iterable[PolicyState]) -> FactKinds:
    """How the facts are read under any of the laws."""
    found = [fact_kinds(law.schedules) for law in laws]
    return FactKinds(frozenset().union(*(k.times for k in found)), frozenset().union(*(k.flags for k in found)))


def affected_calls_query(
    laws: Sequence[PolicyState], written: Iterable[str], as_of: date, facts: Iterable[str] = ()
) -> Grouping:
    """The question whose answers tell the laws apart, given the industries as the CRM writes them and its facts."""
    spellings: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    schedules: dict[tuple[int, ...], list[Schedule | None]] = {}
    for raw in written:
        found = [law.schedules.of(raw) for law in laws]
        spellings[tuple(map(id, found))].append(raw)
        schedules[tuple(map(id, found))] = found
    held, scopes = _changed_holds(laws, as_of), _scopes(laws, as_of)
    reaches, asked = [], []
    for key, found in schedules.items():
        near = _near([s for s in found if s], as_of)
        spans = _changed_span(found, laws, as_of, held.industries)
        if spans != {}:
            singly = not all(
                has_steady_conflicts(s, law.schedules.regimes) for s, law in zip(found, laws, strict=True) if s
            )
            reaches.append(RowsInReach(tuple(spellings[key]), spans, singly=singly))
            asked += [(s, law.schedules.regimes) for s, law in zip(found, laws, strict=True) if s]
        if held.scopes and near:
            reaches.append(RowsInReach(tuple(spellings[key]), near, held.scopes, singly=True))
    return _grouping(tuple(reaches), asked, scopes, as_of, facts)


def affected_days(laws: Sequence[PolicyState], as_of: date) -> Spans | None:
    """The days of each time fact that any row must have to be judged otherwise; {}: no row is, None: any row may be."""
    names = [{s.industry: industry_names(s) for s in law.schedules.by_industry.values()} for law in laws]
    if any(each != names[0] for each in names):
        return None
    found: defaultdict[str, tuple[Span, ...]] = defaultdict(tuple)
    for part in affected_calls_query(laws, names[0], as_of).reaches:
        if part.spans is None:
            return None
        for name, spans in part.spans.items():
            found[name] += spans
    return {name: tuple(dict.fromkeys(spans)) for name, spans in found.items()}


def latest_cutoffs(schedules: Iterable[Schedule], as_of: date) -> dict[str, date]:
    """By time fact the latest day at which any of the rules may let a call go."""
    found: dict[str, date] = {}
    for schedule in schedules:
        for rule in schedule.rules:
            for clock, day in schedule.cutoffs(rule, as_of):
                found |= {name: max(found.get(name, day), day) for name in clock.triggers}
    return found


def has_steady_conflicts(schedule: Schedule, regimes: Mapping[str, Regime]) -> bool:
    """Whether a conflict hangs on no particular day: then a group of days can be judged by one of them.

    Only a maximum makes conflicts. It must come before each other end of a copy on every day, or on none.
    """
    laws = regimes_of_schedule(schedule, regimes)
    ceilings = [schedule.limit(law, limit) for law in laws for limit in law.ceiling]
    ends = [schedule.term(rule, rule.destroy_after) for rule in schedule.rules if rule.destroy_after]
    ends += [schedule.limit(law, limit) for law in laws for limit in law.floor]
    moving = any(law.in_force.records == "unexpired" for law in laws)
    moving |= any(limit.at_the_latest for law in laws for limit in law.floor)
    moving |= any(rule.at_the_latest for rule in schedule.rules)
    return not ceilings or (not moving and all(_steady(ceiling, end) for ceiling in ceilings for end in ends))


def _steady(ceiling: Term, end: Term) -> bool:
    months, days = ceiling.period.months - end.period.months, ceiling.period.days - end.period.days
    return ceiling.clock == end.clock and months * days >= 0


def _changed_span(
    found: Sequence[Schedule | None], laws: Sequence[PolicyState], as_of: date, whole_held: bool
) -> Spans | None:
    """The days of each time fact that a row must have to be judged otherwise; {}: none can be, None: any row can."""
    there = [schedule for schedule in found if schedule]
    if not there:
        return {}
    if len(there) < len(found) or len({_selects(schedule) for schedule in there}) > 1:
        return None
    bare = {_meaning(s, law, periods=False) for s, law in zip(there, laws, strict=True)}
    if len(bare) > 1 or whole_held:
        return _near(there, as_of)
    if len({_meaning(s, law) for s, law in zip(there, laws, strict=True)}) == 1:
        return {}
    lives = {tuple(rule.destroy_after for rule in schedule.rules) for schedule in there}
    if len(lives) > 1 and any(law.ceiling for law in regimes_of_schedule(there[0], laws[0].schedules.regimes)):
        return _near(there, as_of)  # a copy's life may make a conflict, or end one
    return _moved(there, as_of)


def _near(schedules: Sequence[Schedule], as_of: date) -> dict[str, tuple[Span, ...]]:
    """All that may be due: past the cutoff of a rule, or asked to be erased."""
    found: dict[str, tuple[Span, ...]] = {
        name: ((None, day),) for name, day in latest_cutoffs(schedules, as_of).items()
    }
    if any(rule.on_erasure == "floor" for schedule in schedules for rule in schedule.rules):
        found[ERASURE_FACT] = ((None, as_of),)
    return found


def _moved(schedules: Sequence[Schedule], as_of: date) -> Spans:
    """Between the earliest and the latest cutoff of each rule, where they are not the same."""
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for rules in zip(*(schedule.rules for schedule in schedules), strict=True):
        each = [dict(schedule.cutoffs(rule, as_of)) for schedule, rule in zip(schedules, rules, strict=True)]
        days = [found.get(rules[0].clock) for found in each]
        ends = [day for day in days if day]
        if len(set(days)) > 1:
            first = None if None in days else min(ends) + _DAY
            for name in rules[0].trigger:
                spans[name].append((first, max(ends)))
    return {name: tuple(given) for name, given in spans.items()}


def _meaning(schedule: Schedule, law: PolicyState, periods: bool = True) -> str:
    """All of a schedule that a disposition can hang on."""
    hidden = _NO_EFFECT_RULE if periods else {*_NO_EFFECT_RULE, "purge_after", "destroy_after"}
    rules = [_plain(rule, hidden) for rule in schedule.rules]
    laws = [_plain(each, _NO_EFFECT_REGIME) for each in regimes_of_schedule(schedule, law.schedules.regimes)]
    return repr((_plain(schedule, {*_NO_EFFECT, "rules"}), rules, laws))


def _selects(schedule: Schedule) -> str:
    """Which calls its rules speak of."""
    return repr(sorted(repr((rule.component, rule.only_if, _sorted(rule.when))) for rule in schedule.rules))


def _sorted(when: Mapping[str, Iterable[str]]) -> list[Any]:
    return sorted((name, sorted(values)) for name, values in when.items())


def _plain(model: Any, hidden: set[str]) -> list[tuple[str, Any]]:
    return [(name, getattr(model, name)) for name in type(model).model_fields if name not in hidden]


@dataclass(frozen=True, slots=True)
class _ChangedHolds:
    """The scopes of holds that bind under some of the laws only; `industries`: one of them binds whole industries."""

    scopes: tuple[HoldScope, ...]
    industries: bool


def _changed_holds(laws: Sequence[PolicyState], as_of: date) -> _ChangedHolds:
    binding = [{(each.id, type(each), repr(each.scope)): each for each in _binding(law, as_of)} for law in laws]
    everywhere = set[Any].intersection(*map(set, binding))
    changed = [each for found in binding for key, each in found.items() if key not in everywhere]
    some = [scope for each in changed for scope in each.scope if not _whole(each)]
    return _ChangedHolds(tuple(some), any(map(_whole, changed)))


def _scopes(laws: Sequence[PolicyState], as_of: date) -> tuple[HoldScope, ...]:
    """Every scope that binds under any of the laws, but for those of whole industries."""
    found = {repr(s): s for law in laws for each in _binding(law, as_of) if not _whole(each) for s in each.scope}
    return tuple(found.values())


def _binding(law: PolicyState, as_of: date) -> list[Hold | Extension]:
    return [*law.holds.active(as_of), *law.holds.active_extensions(as_of)]


def _whole(each: Hold | Extension) -> bool:
    """A hold on whole industries. An extension's answer hangs on days, and so is no group's to give."""
    plain = all(set(s.wanted()) == {INDUSTRY_FACT} and not s.first_day and not s.last_day for s in each.scope)
    return plain and isinstance(each, Hold)


def _grouping(
    reaches: tuple[RowsInReach, ...],
    asking: Sequence[tuple[Schedule, Mapping[str, Regime]]],
    scopes: tuple[HoldScope, ...],
    as_of: date,
    facts: Iterable[str],
) -> Grouping:
    asked = [required_facts(schedule, laws) for schedule, laws in asking]
    usable = {EARLIEST_TRIGGER - _DAY, EARLIEST_BIRTH - _DAY, as_of}
    marks: defaultdict[str, set[date]] = defaultdict(set, {n: set(usable) for each in asked for n in each.times})
    for schedule, laws in asking:
        for rule in schedule.rules:
            for clock, day in schedule.cutoffs(rule, as_of):
                for name in clock.triggers:
                    marks[name].add(day)
        for name in CREATION_FACTS:
            marks[name] |= set(_in_force(schedule, laws))
    words = frozenset[str]().union(*(each.words for each in asked))
    return Grouping(
        reaches,
        {name: frozenset(days) for name, days in marks.items() if days},
        words,
        frozenset[str]().union(*(each.flags for each in asked)) - words,
        latest_cutoffs([schedule for schedule, _ in asking], as_of),
        scopes,
        frozenset({ERASURE_FACT} & set(facts)),
    )


def _in_force(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterable[date]:
    """The days before which, or after which, another law binds a record."""
    for law in regimes_of_schedule(schedule, regimes):
        yield from (law.in_force.first_day - _DAY,) if law.in_force.first_day else ()
        yield from (law.in_force.last_day,) if law.in_force.last_day else ()
