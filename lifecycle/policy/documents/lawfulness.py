"""Whether a schedule is lawful: its file read strictly, and held against every regime its rules name.

Only what is so on every night is said here. Where a rule and a regime are on different triggers, or a regime binds a
closed set of old records, no worked case can be made beforehand, and `judgement` holds the floor call by call.
"""

import calendar
import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import combinations_with_replacement

from lifecycle.errors import PolicyError
from lifecycle.policy.clock import Term
from lifecycle.policy.documents.hold import Extension
from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model, read_yaml_document

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


def read_schedule(name: str, text: str, regimes: Mapping[str, Regime]) -> Schedule:
    """Read one schedule file and hold it against the regimes it names. Raises PolicyError with file and line."""
    document = read_yaml_document(name, text)
    if isinstance(document.content, dict) and "sha256" in document.content:
        raise document.error(("sha256",), "sha256: unknown key")
    schedule = parse_model(Schedule, document)
    problems = [
        problem
        for index in range(len(schedule.rules))
        for problem in (*_wrong(document, schedule, index), *_unlawful(document, schedule, index, regimes))
    ]
    if problems:
        raise PolicyError("\n".join(problems))
    return schedule.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def _wrong(document: YamlDocument, schedule: Schedule, index: int) -> Iterator[str]:
    rule, place = schedule.rules[index], ("rules", index)
    if rule.id in (other.id for other in schedule.rules[:index]):
        yield str(document.error((*place, "id"), f"expected distinct rule ids, found {rule.id} more than once"))
    stay, life = rule.purge_after, rule.destroy_after
    if life is not None and (
        stay is None or first_trigger_ending_before(schedule.term(rule, life), schedule.term(rule, stay))
    ):
        problem = f"{rule.id}: destroy_after {life} ends before purge_after {stay or 'never'}"
        yield str(document.error((*place, "destroy_after"), problem))


def _unlawful(document: YamlDocument, schedule: Schedule, index: int, regimes: Mapping[str, Regime]) -> Iterator[str]:
    rule, place = schedule.rules[index], ("rules", index)
    for name in rule.regimes:
        if name not in regimes:
            known = ", ".join(sorted(regimes)) or "none"
            yield str(document.error((*place, "regimes"), f"{rule.id}: unknown regime {name!r}; known: {known}"))
        elif regimes[name].status == "disapplied":
            law = f"{name} ({regimes[name].citation}) is not applied: {regimes[name].evidence}"
            yield str(document.error((*place, "regimes"), f"{rule.id}: {law}. Take it out"))
        elif not _replaced(regimes[name], rule, regimes):
            for breach in regime_breaches(regimes[name], schedule, rule):
                yield str(document.error((*place, "destroy_after"), f"{rule.id}: {breach}"))


def _replaced(regime: Regime, rule: Rule, regimes: Mapping[str, Regime]) -> bool:
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
        yield from _broken(regime, schedule, rule, regime.floor, regime.ceiling)


def regime_advice(schedule: Schedule, regimes: Mapping[str, Regime]) -> Iterator[str]:
    """What of regimes that are no statute, or of maxima that give way, a schedule does not follow. No error."""
    for rule in schedule.rules:
        for law in (regimes[name] for name in rule.regimes if name in regimes):
            minimum = () if law.floor else law.minimum
            maximum = () if law.ceiling else law.maximum
            for breach in _broken(law, schedule, rule, minimum, maximum):
                soft = "gives way to statutes" if law.floor or law.kind == "statute" else f"is {law.kind}"
                yield f"{rule.id}: {breach}. It {soft}, so nothing is enforced"


def _broken(
    regime: Regime, schedule: Schedule, rule: Rule, minimum: tuple[RegimeLimit, ...], maximum: tuple[RegimeLimit, ...]
) -> Iterator[str]:
    life = schedule.term(rule, rule.destroy_after) if rule.destroy_after else None
    for limit in _comparable(regime, minimum, rule):
        yield from _undercut(regime, limit, schedule.limit(regime, limit), life)
    for limit in _comparable(regime, maximum, rule):
        yield from _outlived(regime, limit, schedule.limit(regime, limit), life)


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


def _comparable(regime: Regime, limits: tuple[RegimeLimit, ...], rule: Rule) -> list[RegimeLimit]:
    return [limit for limit in limits if regime.clock(limit).triggers == rule.clock.triggers]


def _undercut(regime: Regime, limit: RegimeLimit, minimum: Term, life: Term | None) -> Iterator[str]:
    day = first_trigger_ending_before(life, minimum) if life else None
    if life and day:
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
    """A hard maximum that the first rule names, against what the second asks for."""
    for law in (regimes[name] for name in one.regimes if name in regimes):
        for limit in law.ceiling:
            maximum = schedule.limit(law, limit)
            for what, term in _asked(schedule, regimes, law, one, other):
                day = (
                    first_trigger_ending_before(maximum, term)
                    if term.clock.triggers == maximum.clock.triggers
                    else None
                )
                if day:
                    yield (
                        f"{one.id} and {other.id} can meet on one call: triggered on {day}, the maximum of {law.id} "
                        f"({law.citation}) ends on {maximum.last_day(day)}, {what} lasts until {term.last_day(day)}. "
                        "Such a call is kept as a conflict"
                    )


def _asked(
    schedule: Schedule, regimes: Mapping[str, Regime], law: Regime, one: Rule, other: Rule
) -> Iterator[tuple[str, Term]]:
    for name in other.regimes:
        against = regimes.get(name)
        if against and against.id != law.id and against.id not in law.implements:
            for limit in against.floor:
                yield f"the minimum of {against.id} ({against.citation})", schedule.limit(against, limit)
    if one is not other and other.destroy_after:
        yield f"the copy under {other.id}", schedule.term(other, other.destroy_after)
