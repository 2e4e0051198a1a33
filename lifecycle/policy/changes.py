"""What an edit of the policies changes in words: rule by rule, hold by hold, law by law. No call is looked at here.

A change needs a person unless it can only keep longer, or means nothing to any call. What a field means is said once,
in the tables below; a field that none of them names needs a person.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.policy.clock import EarlierOf
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.model_types import StrictModel
from lifecycle.policy.documents.regime_compliance import first_trigger_ending_before
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules

HarmlessChange = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One difference. `subject`: industry, hold or regime; `place`: rule and field; `look`: not only keeping."""

    subject: str
    place: str
    before: str
    after: str
    look: bool


_SILENT = {"id", "title", "owner", "examples", "sha256", "grace", "rules", "industry"}
_HOLD_SILENT = {
    "id",
    "matter",
    "placed_at",
    "placed_by",
    "released_by",
    "release_confirmed_by",
    "authority",
    "reference",
    "registered_by",
}
_REGIME_SILENT = {"id", "title", "jurisdiction", "citation", "evidence", "verified", "review_by"}


def policy_changes(before: Schedules, after: Schedules, held: tuple[Holds, Holds]) -> Iterator[PolicyChange]:
    """Every difference between two states of the policies, those of schedules first."""
    for industry in sorted(before.by_industry.keys() | after.by_industry.keys()):
        yield from _of_schedule(industry, before.by_industry.get(industry), after.by_industry.get(industry))
    yield from _each("regime", before.regimes, after.regimes, _REGIME, _REGIME_SILENT)
    yield from _each("hold", held[0].by_id, held[1].by_id, _HOLD, _HOLD_SILENT)
    yield from _each("extension", held[0].extensions, held[1].extensions, _HOLD, _HOLD_SILENT)


def _of_schedule(industry: str, before: Schedule | None, after: Schedule | None) -> Iterator[PolicyChange]:
    if before is None or after is None:
        yield PolicyChange(industry, "schedule", _there(before), _there(after), True)
        return
    yield from _fields(industry, "", before, after, _SCHEDULE, _SILENT)
    old, new = ({rule.id: rule for rule in schedule.rules} for schedule in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name in old and name in new:
            yield from _of_rule(before, after, old[name], new[name])
        else:
            yield PolicyChange(industry, name, _rule(old.get(name)), _rule(new.get(name)), True)


def _of_rule(before: Schedule, after: Schedule, old: Rule, new: Rule) -> Iterator[PolicyChange]:
    for change in _fields(after.industry, f"{new.id}: ", old, new, _RULE, _SILENT):
        name = change.place.rpartition(" ")[2]
        if name in ("purge_after", "destroy_after"):
            look = _shorter(before, after, old, new, name)
            yield PolicyChange(change.subject, change.place, change.before, change.after, look)
        else:
            yield change


def _shorter(before: Schedule, after: Schedule, old: Rule, new: Rule, name: str) -> bool:
    """Whether a period ends earlier on any day; never is the longest."""
    was, now = getattr(old, name), getattr(new, name)
    if was is None or now is None:
        return was is None and now is not None
    if old.clock.triggers != new.clock.triggers:
        return True
    return first_trigger_ending_before(after.term(new, now), before.term(old, was)) is not None


def _each(
    kind: str,
    before: Mapping[str, StrictModel],
    after: Mapping[str, StrictModel],
    harmless: Mapping[str, HarmlessChange],
    silent: set[str],
) -> Iterator[PolicyChange]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield PolicyChange(f"{kind} {name}", kind, _there(old), _there(new), new is None)
        else:
            yield from _fields(f"{kind} {name}", "", old, new, harmless, silent)


def _fields(
    subject: str,
    place: str,
    before: StrictModel,
    after: StrictModel,
    harmless: Mapping[str, HarmlessChange],
    silent: set[str],
) -> Iterator[PolicyChange]:
    for name in type(after).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if name not in silent and old != new:
            look = not harmless.get(name, _never)(old, new)
            yield PolicyChange(subject, f"{place}{name}", format_value(old), format_value(new), look)


def format_value(value: Any) -> str:
    """A policy's value as people read it."""
    if isinstance(value, EarlierOf):
        return str(value)
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {format_value(item)}" for name, item in value.items()) or "every call"
    if isinstance(value, list | tuple | set | frozenset):
        return (
            ", ".join(
                sorted(map(format_value, value)) if isinstance(value, set | frozenset) else map(format_value, value)
            )
            or "none"
        )
    if isinstance(value, StrictModel):
        given = {name: getattr(value, name) for name in value.model_fields_set}
        return format_value({name: item for name, item in given.items() if item}) if given else "none"
    return str(value)


def _there(value: StrictModel | None) -> str:
    return "none in use" if value is None else "in use"


def _rule(rule: Rule | None) -> str:
    if rule is None:
        return "absent"
    only = f" only if {rule.only_if}" if rule.only_if else ""
    latest = (
        f", at the latest {rule.at_the_latest.clock.text} + {rule.at_the_latest.period}" if rule.at_the_latest else ""
    )
    return f"{format_value(rule.when)}{only}; {rule.clock.text} + {rule.purge_after or 'never'}{latest}"


def _never(_before: Any, _after: Any) -> bool:
    return False


def _always(_before: Any, _after: Any) -> bool:
    return True


def _more(before: Any, after: Any) -> bool:
    return set(before) <= set(after)


def _fewer(before: Any, after: Any) -> bool:
    return set(after) <= set(before)


def _tighter(before: Any, after: Any) -> bool:
    """A limit that is new or lower; None is no limit."""
    return after is not None and (before is None or after <= before)


def _stricter(before: str, after: str) -> bool:
    return after in ("required", "wait")


def _taken_back(_before: Any, after: Any) -> bool:
    return after is None


def _longer_minima(before: Any, after: Any) -> bool:
    """Each of the old limits is still asked for, or a longer one on the same clock."""
    return all(
        any(
            (new.trigger, new.count, new.only_if, new.at_the_latest)
            == (old.trigger, old.count, old.only_if, old.at_the_latest)
            and new.period.months >= old.period.months
            and new.period.days >= old.period.days
            for new in after
        )
        for old in before
    )


def _wider_scopes(before: Any, after: Any) -> bool:
    """Each of the old scopes is in one of the new: every key still given lists at least what it did."""
    return all(any(_within(old, new) for new in after) for old in before)


def _within(old: Any, new: Any) -> bool:
    asked, now = old.wanted(), new.wanted()
    days = (new.first_day is None or (old.first_day is not None and new.first_day <= old.first_day)) and (
        new.last_day is None or (old.last_day is not None and new.last_day >= old.last_day)
    )
    return days and all(name in asked and asked[name] <= values for name, values in now.items())


_SCHEDULE: Mapping[str, HarmlessChange] = {"max_share": _tighter, "max_calls": _tighter, "max_usual": _tighter}
_RULE: Mapping[str, HarmlessChange] = {
    "at_the_latest": _taken_back,
    "keep_while": _more,
    "regimes": _more,
    "review": _stricter,
    "on_erasure": _stricter,
}
_REGIME: Mapping[str, HarmlessChange] = {"minimum": _longer_minima, "without": _fewer, "replaced_by": _always}
_HOLD: Mapping[str, HarmlessChange] = {
    "scope": _wider_scopes,
    "released_at": _taken_back,
    "withdrawn_at": _taken_back,
}
