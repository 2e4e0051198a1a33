"""Whether the life of a rule's copies keeps within the regimes it names, on every day of the calendar.

Only what is so on every night is said here. Where a rule and a regime are on different triggers, or a regime binds a
closed set of old records, no worked case can be made beforehand, and `rule_evaluation` holds the floor call by call.
"""

import calendar
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations_with_replacement

from lifecycle.policy.clock import Term
from lifecycle.policy.documents.hold import Extension
from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.documents.regime import METADATA, Regime, RegimeLimit
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules

# The calendar repeats every 400 years (2100 has no 29 February), and a month treats its first 28 days alike. Today's
# years come first, for they make the better example.
_YEARS = (*range(2020, 2028), *range(1970, 2370))
_EVERY_KIND_OF_DAY = tuple(
    date(year, month, day)
    for year in _YEARS
    for month in range(1, 13)
    for day in (1, 29, 30, 31)
    if day <= calendar.monthrange(year, month)[1]
)


def ends_within(schedule: Schedule, rule: Rule, maximum: Term) -> bool:
    """Whether the copies under a rule are gone by a maximum on every day, as far as that can be compared."""
    lives = [term for term in _lives(schedule, rule) if term.clock.triggers == maximum.clock.triggers]
    return any(first_trigger_ending_before(maximum, life) is None for life in lives)


def is_replaced(regime: Regime, rule: Rule, regimes: Mapping[str, Regime]) -> bool:
    """Whether the rule names a national law that implements the regime for every call of the rule."""
    beside = [regimes[name] for name in rule.regimes if name in regimes and regime.id in regimes[name].implements]
    return any(not law.asks_when_created and _covers(law, rule) for law in beside)


def _covers(law: Regime, rule: Rule) -> bool:
    asked = {name: {fold_name(value) for value in values} for name, values in rule.when.items()}
    return all(
        name in asked and asked[name] <= {fold_name(value) for value in values} for name, values in law.applies.items()
    )


def regime_breaches(regime: Regime, schedule: Schedule, rule: Rule) -> Iterator[str]:
    """What of a regime the life of a rule's copies breaks, each said with the dates of a worked case."""
    if not _binds_old_records_only(regime):
        yield from _broken(regime, schedule, rule, regime.floor, regime.ceiling if _bounded(regime, rule) else ())


def regime_advice(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterator[str]:
    """What of regimes that are no statute, or of maxima that give way, a schedule does not follow. No error."""
    for rule in schedule.rules:
        for law in (regimes[name] for name in rule.regimes if name in regimes):
            minimum = () if law.floor else law.minimum
            maximum = () if law.ceiling or not _bounded(law, rule) else law.maximum
            for breach in _broken(law, schedule, rule, minimum, maximum):
                soft = "gives way to statutes" if law.floor or law.kind == "statute" else f"is {law.kind}"
                yield f"{rule.id}: {breach}. It {soft}, so nothing is enforced"


def _bounded(regime: Regime, rule: Rule) -> bool:
    """Whether a regime's maximum is one of what a rule is about: that of a component ends at the component."""
    return regime.speaks_of(rule.component) if rule.component else regime.bounds_whole_calls


def _broken(
    regime: Regime, schedule: Schedule, rule: Rule, minimum: tuple[RegimeLimit, ...], maximum: tuple[RegimeLimit, ...]
) -> Iterator[str]:
    for limit in (limit for limit in minimum if not hangs_on_more(limit)):
        asked = schedule.limit(regime, limit)
        for life in _comparable(_lives(schedule, rule), asked):
            yield from _undercut(regime, limit, asked, life)
    for limit in (limit for limit in maximum if not hangs_on_more(limit)):
        allowed = schedule.limit(regime, limit)
        lives = _comparable(_lives(schedule, rule), allowed)
        if rule.destroy_after is None and rule.clock.triggers == allowed.clock.triggers:
            yield from _outlived(regime, limit, allowed, None)
        elif lives and not ends_within(schedule, rule, allowed):
            yield from _outlived(regime, limit, allowed, lives[0])


def _lives(schedule: Schedule, rule: Rule) -> list[Term]:
    """The terms by which the copies under a rule go, the first that ends: its own, and its cap."""
    own = [schedule.term(rule, rule.destroy_after)] if rule.destroy_after else []
    return own + ([schedule.cap(rule.at_the_latest)] if rule.at_the_latest else [])


def hangs_on_more(limit: RegimeLimit) -> bool:
    """Whether a limit has no end that can be told from its trigger: it is left to the night."""
    return limit.at_the_latest is not None or limit.only_if is not None


def rule_conflicts(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterator[str]:
    """Pairs of rules that can meet on one call which no date can satisfy, each with a worked case.

    One names a regime's maximum that ends before the other's minimum, or before the other's copy does.
    """
    for one, other in combinations_with_replacement(schedule.rules, 2):
        if rules_can_meet(one, other):
            pairs = [(one, other)] if one is other else [(one, other), (other, one)]
            for first, second in pairs:
                yield from _torn(schedule, regimes, first, second)


def extensions_without_effect(schedules: Schedules, extensions: Mapping[str, Extension]) -> Iterator[str]:
    """Registered extensions that would lengthen nothing: an authority relies on each, so none may be a slip."""
    named = {name for schedule in schedules.by_industry.values() for rule in schedule.rules for name in rule.regimes}
    for each in extensions.values():
        law = schedules.regimes.get(each.regime)
        place = f"extensions/{each.id}"
        if law is None:
            yield f"{place}: expected a regime that can be used, found {each.regime!r}"
        elif law.extension is None or not law.floor:
            yield f"{place}: the regime {law.id} ({law.citation}) has no statutory minimum that could be extended"
        elif law.id not in named:
            yield f"{place}: no rule of a usable schedule names the regime {law.id}, so nothing would be lengthened"


def rules_can_meet(one: Rule, other: Rule) -> bool:
    """Whether one call may fall under both rules: no fact that both ask for rules it out."""
    shared = one.when.keys() & other.when.keys()
    return all({fold_name(v) for v in one.when[name]} & {fold_name(v) for v in other.when[name]} for name in shared)


def first_trigger_ending_before(first: Term, second: Term) -> date | None:
    """A trigger day on which the first term ends before the second; None: there is none. Both have one trigger."""
    same_clock = (first.clock, first.fiscal_year_ends) == (second.clock, second.fiscal_year_ends)
    if same_clock and first.period.months >= second.period.months and first.period.days >= second.period.days:
        return None
    return next((day for day in _EVERY_KIND_OF_DAY if first.last_day(day) < second.last_day(day)), None)


def _binds_old_records_only(regime: Regime) -> bool:
    return regime.in_force.records == "created" and regime.in_force.last_day is not None


def _comparable(lives: Sequence[Term], limit: Term) -> list[Term]:
    return [life for life in lives if life.clock.triggers == limit.clock.triggers]


def _undercut(regime: Regime, limit: RegimeLimit, minimum: Term, life: Term) -> Iterator[str]:
    day = first_trigger_ending_before(life, minimum)
    if day:
        yield (
            f"undercuts the minimum {limit.period} of {regime.id} ({regime.citation}): triggered on {day}, "
            f"the last copy may go from {life.first_free_day(day)}, the law asks for it until {minimum.last_day(day)}"
        )


def _outlived(regime: Regime, limit: RegimeLimit, maximum: Term, life: Term | None) -> Iterator[str]:
    day = first_trigger_ending_before(maximum, life) if life else _EVERY_KIND_OF_DAY[0]
    if day:
        end = f"on {life.first_free_day(day)}" if life else "never"
        yield (
            f"outlives the maximum {limit.period} of {regime.id} ({regime.citation}): triggered on {day}, "
            f"the last copy goes {end}, the law allows it until {maximum.last_day(day)}"
        )


def _torn(schedule: Schedule, regimes: Mapping[str, Regime], one: Rule, other: Rule) -> Iterator[str]:
    """A hard maximum that the first rule names, against what the second asks for of the same part of the call."""
    for law in (regimes[name] for name in one.regimes if name in regimes):
        levels = [one.component] if one.component else _levels(law)
        for limit in (limit for limit in law.ceiling if not hangs_on_more(limit)):
            maximum = schedule.limit(law, limit)
            asked = [each for level in levels for each in _asked(schedule, regimes, law, (one, other), level)]
            for what, term in dict.fromkeys(asked):
                if term.clock.triggers != maximum.clock.triggers:
                    continue
                day = first_trigger_ending_before(maximum, term)
                if day:
                    yield (
                        f"{one.id} and {other.id} can meet on one call: triggered on {day}, the maximum of {law.id} "
                        f"({law.citation}) ends on {maximum.last_day(day)}, {what} lasts until {term.last_day(day)}. "
                        "Such a call is kept as a conflict"
                    )


def _levels(law: Regime) -> list[str | None]:
    """What a law's maximum bounds where a rule for the whole call names it: the call (None), or components."""
    return [None if name == METADATA else name for name in law.components] or [None]


def _asked(
    schedule: Schedule, regimes: Mapping[str, Regime], law: Regime, rules: tuple[Rule, Rule], level: str | None
) -> Iterator[tuple[str, Term]]:
    one, other = rules
    if level is not None and other.component not in (None, level):
        return
    for name in other.regimes:
        against = regimes.get(name)
        if against and against.id != law.id and against.id not in law.implements and against.speaks_of(level):
            for limit in (limit for limit in against.floor if not hangs_on_more(limit)):
                yield f"the minimum of {against.id} ({against.citation})", schedule.limit(against, limit)
    of_its_copy = level is None or other.component == level
    if one is not other and other.destroy_after and not other.at_the_latest and of_its_copy:
        yield f"the copy under {other.id}", schedule.term(other, other.destroy_after)
