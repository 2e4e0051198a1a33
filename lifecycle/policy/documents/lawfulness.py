"""Whether a schedule is lawful: its file read strictly, with everything that is wrong in it, line by line.

What a rule owes to the regimes it names is `regime_compliance`'s to say.
"""

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lifecycle.errors import PolicyError
from lifecycle.policy.clock import CALENDAR_YEAR, FiscalYearEnd
from lifecycle.policy.documents.component_compliance import component_rules_beyond, has_component_rule
from lifecycle.policy.documents.model_types import YearEnd, fold_name
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.regime_compliance import (
    ends_within,
    first_trigger_ending_before,
    is_replaced,
    regime_breaches,
)
from lifecycle.policy.documents.schedule import Rule, Schedule
from lifecycle.policy.documents.yaml_document import KeyPath, YamlDocument, check_model, scan_document

_YEAR_END: TypeAdapter[FiscalYearEnd] = TypeAdapter(YearEnd)
_MOST_LISTED = 5


def read_schedule(name: str, text: str, regimes: Mapping[str, Regime]) -> Schedule:
    """Read one schedule file and hold it against the regimes it names.

    Raises PolicyError with file and line, naming everything that is wrong: what a sound rule breaks beside an unsound
    one, too.
    """
    document = scan_document(name, text)
    problems = list(document.problems)
    if isinstance(document.content, dict) and "sha256" in document.content:
        problems.append(str(document.error(("sha256",), "sha256: unknown key")))
    schedule, complaints = check_model(Schedule, document)
    rules = list(enumerate(schedule.rules)) if schedule else list(_sound_rules(document))
    shown = schedule or _of_rules(document, [rule for _, rule in rules])
    for index, rule in rules:
        complaints += [*_wrong(document, shown, index, rule), *_unlawful(document, shown, index, rule, regimes)]
        complaints += _left_in_the_call(document, shown, index, rule, regimes) if schedule else []
    complaints += _unknown_regimes(document, regimes)  # of unsound rules; what is said already is said once
    if schedule is None or problems or complaints:
        raise PolicyError("\n".join(dict.fromkeys((*problems, *complaints))))
    return schedule.model_copy(update={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def claim_line(name: str, text: str, industry: str) -> int:
    """The line at which a schedule file matches an industry, given folded."""
    document = scan_document(name, text)
    listed = document.content.get("matches")
    for index, each in enumerate(listed if isinstance(listed, list) else [listed]):
        if fold_name(str(each)) == industry:
            return document.line(("matches", index))
    return document.line(("industry",))


def _written_rules(document: YamlDocument) -> list[Any]:
    rules = document.content.get("rules") if isinstance(document.content, dict) else None
    return rules if isinstance(rules, list) else []


def _unknown_regimes(document: YamlDocument, regimes: Mapping[str, Regime]) -> Iterator[str]:
    """The regimes that any rule names and nobody knows, whatever else is wrong with it."""
    for index, content in enumerate(_written_rules(document)):
        named = content.get("regimes") if isinstance(content, dict) else None
        for number, name in enumerate(named if isinstance(named, list) else []):
            if isinstance(name, str) and name not in regimes:
                yield _unknown_regime(document, ("rules", index, "regimes", number), content.get("id"), regimes)


def _unknown_regime(document: YamlDocument, where: KeyPath, rule: Any, regimes: Mapping[str, Regime]) -> str:
    name = document.content["rules"][where[1]]["regimes"][where[3]]
    return str(document.error(where, f"{rule}: unknown regime {name!r}; {_suggested(name, regimes)}"))


def _sound_rules(document: YamlDocument) -> Iterator[tuple[int, Rule]]:
    """The rules of a schedule that can be read, with their places: other things may be wrong with them."""
    for index, content in enumerate(_written_rules(document)):
        with suppress(ValidationError):
            yield index, Rule.model_validate(content)


def _of_rules(document: YamlDocument, rules: Sequence[Rule]) -> Schedule:
    """Rules as a schedule, to hold against the law. It decides nothing."""
    known: dict[str, Any] = {"rules": tuple(rules), "fiscal_year_ends": CALENDAR_YEAR}
    if isinstance(document.content, dict) and "fiscal_year_ends" in document.content:
        with suppress(ValidationError):
            known["fiscal_year_ends"] = _YEAR_END.validate_python(document.content["fiscal_year_ends"])
    return Schedule.model_construct(**known)


def _wrong(document: YamlDocument, schedule: Schedule, index: int, rule: Rule) -> Iterator[str]:
    place = ("rules", index)
    earlier = document.content["rules"][:index]
    if rule.id in [other.get("id") for other in earlier if isinstance(other, dict)]:
        yield str(document.error((*place, "id"), f"expected distinct rule ids, found {rule.id} more than once"))
    stay, life = rule.purge_after, rule.destroy_after
    if life is not None and (
        stay is None or first_trigger_ending_before(schedule.term(rule, life), schedule.term(rule, stay))
    ):
        problem = f"{rule.id}: destroy_after {life} ends before purge_after {stay or 'never'}"
        yield str(document.error((*place, "destroy_after"), problem))
    if rule.at_the_latest and (stay is None or life is None):
        problem = f"{rule.id}: at_the_latest ends what never ends: expected purge_after and destroy_after to be periods"
        yield str(document.error((*place, "at_the_latest"), problem))


def _unlawful(
    document: YamlDocument, schedule: Schedule, index: int, rule: Rule, regimes: Mapping[str, Regime]
) -> Iterator[str]:
    place = ("rules", index)
    for number, name in enumerate(rule.regimes):
        where = (*place, "regimes", number)
        if name not in regimes:
            yield _unknown_regime(document, where, rule.id, regimes)
            continue
        regime = regimes[name]
        if regime.status == "disapplied":
            law = f"{name} ({regime.citation}) is not applied: {regime.evidence}"
            yield str(document.error(where, f"{rule.id}: {law}. Take it out"))
        elif not is_replaced(regime, rule, regimes):
            for breach in regime_breaches(regime, schedule, rule):
                yield str(document.error((*place, "destroy_after"), f"{rule.id}: {breach}"))
        for successor in regime.replaced_by:
            if successor in regimes and successor not in rule.regimes:
                ends = f"{name} ({regime.citation}) ends on {regime.in_force.last_day}"
                yield str(document.error(where, f"{rule.id}: {ends}: name {successor} as well, which takes its place"))


def _suggested(name: str, regimes: Mapping[str, Regime]) -> str:
    """What else somebody may have meant."""
    close = difflib.get_close_matches(name.casefold(), regimes, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    few = len(regimes) <= _MOST_LISTED
    return (
        f"known: {', '.join(sorted(regimes)) or 'none'}" if few else f"none of the {len(regimes)} there are is like it"
    )


def _left_in_the_call(
    document: YamlDocument, schedule: Schedule, index: int, rule: Rule, regimes: Mapping[str, Regime]
) -> Iterator[str]:
    """Maxima of components that a rule for the whole call names and that no rule could keep."""
    for law in (regimes[name] for name in rule.regimes if name in regimes):
        left = [name for name in law.components if not has_component_rule(schedule, rule, name)]
        if rule.component or law.bounds_whole_calls or not law.ceiling:
            continue
        terms = [schedule.limit(law, limit) for limit in law.ceiling]
        said = f"{rule.id}: the maximum of {law.id} ({law.citation}) is one of the"
        if left and not all(ends_within(schedule, rule, term) for term in terms):
            of = "of these calls " if left[0] in schedule.components else ""
            problem = f"{said} {left[0]}, which no rule {of}lets go by itself. Write a rule with component: {left[0]}"
            yield str(document.error(("rules", index, "regimes"), problem))
        for part in component_rules_beyond(schedule, rule, law):
            problem = f"{said} {part.component}, whose rule {part.id} outlives it"
            yield str(document.error(("rules", index, "regimes"), problem))
