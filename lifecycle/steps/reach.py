"""Which calls two states of the policies could judge otherwise on a day, and what their answers hang on.

Out comes a question to the CRM, as narrow as it can be without missing a call: of an industry whose rules only changed
their periods, the days between the old and the new cutoffs. Asking it is `crm.counted`'s, judging `weigh`'s.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from lifecycle.crm.facts import FactKinds
from lifecycle.crm.groups import Grouping, Reach, Span
from lifecycle.policy.disposition import EARLIEST_TRIGGER
from lifecycle.policy.hold import Hold, Holds, Scope
from lifecycle.policy.regime import Regime
from lifecycle.policy.schedule import Rule, Schedule, Schedules
from lifecycle.steps.context import fact_kinds

REQUEST = "erasure_requested_on"
_DAY = timedelta(days=1)
_NO_EFFECT = {"owner", "examples", "sha256", "grace", "max_share", "max_calls", "max_usual"}
_NO_EFFECT_RULE = {"title", "review"}


@dataclass(frozen=True, slots=True)
class Law:
    """One state of the policies."""

    schedules: Schedules
    holds: Holds

    def of_groups(self) -> "Law":
        """The same with those holds only that groups of calls can be judged under: whole industries'."""
        return Law(self.schedules, Holds({h.id: h for h in self.holds.by_id.values() if _of_industries(h)}))


def kinds_of(laws: Iterable[Law]) -> FactKinds:
    """How the facts are read under any of the laws."""
    found = [fact_kinds(law.schedules) for law in laws]
    return FactKinds(frozenset().union(*(k.times for k in found)), frozenset().union(*(k.flags for k in found)))


def reach(laws: Sequence[Law], written: Iterable[str], as_of: date, facts: Iterable[str] = ()) -> Grouping:
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
        past = cutoffs([s for s in found if s], as_of)
        spans = _changed_span(found, laws, as_of, held.industries)
        if spans != {}:
            singly = not all(simple(s, law.schedules.regimes) for s, law in zip(found, laws, strict=True) if s)
            reaches.append(Reach(tuple(spellings[key]), spans, singly=singly))
            asked += [s for s in found if s]
        if held.scopes and past:
            near = {name: ((None, day),) for name, day in past.items()}
            reaches.append(Reach(tuple(spellings[key]), near, held.scopes, singly=True))
    regimes = [law.schedules.regimes for law in laws]
    return _grouping(tuple(reaches), asked, regimes, scopes, as_of, frozenset({REQUEST} & set(facts)))


def cutoffs(schedules: Iterable[Schedule], as_of: date) -> dict[str, date]:
    """By time fact the latest day at which any of the rules may let a call go."""
    found: dict[str, date] = {}
    for schedule in schedules:
        for rule in schedule.rules:
            day = cutoff(schedule, rule, as_of)
            for name in triggers(rule) if day else ():
                found[name] = max(found.get(name, day), day)  # type: ignore[type-var]
    return found


def cutoff(schedule: Schedule, rule: Rule, as_of: date) -> date | None:
    """The latest trigger at which a rule lets a call go; None: never."""
    return rule.purge_after.latest_trigger(as_of) if rule.purge_after else None


def triggers(rule: Rule) -> tuple[str, ...]:
    """The facts that start a rule's clock."""
    return (rule.trigger,)


def simple(schedule: Schedule, regimes: Mapping[str, Regime]) -> bool:
    """Whether no two days of one stretch between cutoffs can differ: no maximum may turn a call into a conflict."""
    named = [regimes[name] for rule in schedule.rules for name in rule.regimes if name in regimes]
    return all(regime.maximum is None for regime in named)


def _changed_span(
    found: Sequence[Schedule | None], laws: Sequence[Law], as_of: date, whole_held: bool
) -> Mapping[str, tuple[Span, ...]] | None:
    """The days of each time fact that a row must have to be judged otherwise; {}: none can be, None: any row can."""
    there = [schedule for schedule in found if schedule]
    if not there:
        return {}
    if len(there) < len(found) or len({_selects(schedule) for schedule in there}) > 1:
        return None
    bare = {_meaning(s, law, periods=False) for s, law in zip(there, laws, strict=True)}
    near = {name: ((None, day),) for name, day in cutoffs(there, as_of).items()}
    if len(bare) > 1 or whole_held:
        return near
    if len({_meaning(s, law) for s, law in zip(there, laws, strict=True)}) == 1:
        return {}
    if not all(simple(s, law.schedules.regimes) for s, law in zip(there, laws, strict=True)):
        return near  # a copy's life may make a conflict, or end one
    return _moved(there, as_of)


def _moved(schedules: Sequence[Schedule], as_of: date) -> Mapping[str, tuple[Span, ...]]:
    """Between the earliest and the latest cutoff of each rule, where they are not the same."""
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for rules in zip(*(schedule.rules for schedule in schedules), strict=True):
        days = [cutoff(schedule, rule, as_of) for schedule, rule in zip(schedules, rules, strict=True)]
        ends = [day for day in days if day]
        if len(set(days)) > 1:
            first = None if None in days else min(ends) + _DAY
            for name in triggers(rules[0]):
                spans[name].append((first, max(ends)))
    return {name: tuple(given) for name, given in spans.items()}


def _meaning(schedule: Schedule, law: Law, periods: bool = True) -> str:
    """All of a schedule that a disposition can hang on."""
    hidden = _NO_EFFECT_RULE if periods else {*_NO_EFFECT_RULE, "purge_after", "destroy_after"}
    rules = [_plain(rule, hidden) for rule in schedule.rules]
    named = sorted({name for rule in schedule.rules for name in rule.regimes})
    laws = [_plain(law.schedules.regimes[name], {"title"}) for name in named if name in law.schedules.regimes]
    return repr((_plain(schedule, {*_NO_EFFECT, "rules"}), rules, laws))


def _selects(schedule: Schedule) -> str:
    """Which calls its rules speak of."""
    return repr(sorted(repr((getattr(rule, "component", None), _sorted(rule.when))) for rule in schedule.rules))


def _sorted(when: Mapping[str, Iterable[str]]) -> list[Any]:
    return sorted((name, sorted(values)) for name, values in when.items())


def _plain(model: Any, hidden: set[str]) -> list[tuple[str, Any]]:
    return [(name, getattr(model, name)) for name in type(model).model_fields if name not in hidden]


@dataclass(frozen=True, slots=True)
class _ChangedHolds:
    """The scopes of holds that bind under some of the laws only; `industries`: one of them binds whole industries."""

    scopes: tuple[Scope, ...]
    industries: bool


def _changed_holds(laws: Sequence[Law], as_of: date) -> _ChangedHolds:
    binding = [{(each.id, each.scope) for each in _binding(law, as_of)} for law in laws]
    changed = set[Any]().union(*binding) - set[Any].intersection(*binding)
    some = [scope for _, scopes in changed for scope in scopes if not _whole(scopes)]
    return _ChangedHolds(tuple(some), any(_whole(scopes) for _, scopes in changed))


def _scopes(laws: Sequence[Law], as_of: date) -> tuple[Scope, ...]:
    """Every scope that binds under any of the laws, but for those of whole industries."""
    found = {s: None for law in laws for each in _binding(law, as_of) if not _whole(each.scope) for s in each.scope}
    return tuple(found)


def _binding(law: Law, as_of: date) -> list[Any]:
    extensions = getattr(law.holds, "extensions", {}).values()
    return [*law.holds.active(as_of), *(each for each in extensions if each.active(as_of))]


def _of_industries(hold: Hold) -> bool:
    return _whole(hold.scope)


def _whole(scopes: Iterable[Scope]) -> bool:
    return all(set(s.wanted()) == {"industry"} and not s.first_day and not s.last_day for s in scopes)


def _grouping(
    reaches: tuple[Reach, ...],
    schedules: Sequence[Schedule],
    regimes: Sequence[Mapping[str, Regime]],
    scopes: tuple[Scope, ...],
    as_of: date,
    present: frozenset[str],
) -> Grouping:
    rules = [(schedule, rule) for schedule in schedules for rule in schedule.rules]
    words = frozenset(name for _, rule in rules for name in rule.when)
    usable = {EARLIEST_TRIGGER - _DAY, as_of}
    marks: defaultdict[str, set[date]] = defaultdict(set)
    for schedule, rule in rules:
        day = cutoff(schedule, rule, as_of)
        for name in triggers(rule):
            marks[name] |= usable | ({day} if day else set())
    flags = frozenset(name for _, rule in rules for name in rule.keep_while) - words
    return Grouping(
        reaches,
        {name: frozenset(days) for name, days in marks.items()},
        words,
        flags,
        cutoffs(schedules, as_of),
        scopes,
        present,
    )
