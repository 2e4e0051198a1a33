"""How an explanation is told: tables and sentences for a person, plain values for programs. Knowing is the steps'."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from lifecycle.cli.output import print_sentence, print_table
from lifecycle.cli.record_output import print_record, record_as_json
from lifecycle.custody.archived_copy import ArchivedCopy
from lifecycle.inquiry.explanation import CallExplanation, ExplainedOutcome, ExplainedRule
from lifecycle.policy.documents.hold import Extension
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.evaluation.disposition import NEVER, Disposition
from lifecycle.policy.evaluation.regime_explanation import RegimeStatement

_WHOLE = "the call"
_RULES = ("of", "industry", "rule", "says", "because", "clock started", "may go from", "copy goes on", "wins")
_LAWS = ("rule", "regime", "citation", "applies", "clock", "started", "floor until", "allowed until", "says")
_OUTCOMES = ("of", "answer", "by rule", "earliest", "latest", "law: at least until", "law: at most until", "copy goes")
_UNSETTLED = (Disposition.UNSCHEDULED, Disposition.CONFLICT, Disposition.AWAITING_TRIGGER)
_ALSO = {Disposition.ON_HOLD: ", once every hold is released", Disposition.KEPT: ", once nothing keeps it any more"}


def print_explanation(found: CallExplanation) -> None:
    """An explanation for a person."""
    for one, copy in zip(found.records, found.copies, strict=True):
        print_record(one)
        for line in _copy(copy):
            print_sentence(line, "bold red" if copy.problem else "")
    if not found.outcomes:
        return
    names = list(found.facts[0])
    facts = [(name, *(row[name] for row in found.facts)) for name in names]
    print_table(
        f"Facts of call {found.call_id}, as the CRM has them now", ("fact", *["value"] * len(found.facts)), facts
    )
    print_table(f"Rules, as of {found.as_of}{_version(found)}", _RULES, map(_judged, found.judgements))
    if found.laws:
        print_table("Laws the rules name", _LAWS, map(_law, found.laws))
    if found.holds:
        holds = [(hold.id, hold.matter, hold.placed_at, hold.placed_by, hold.released_at) for hold in found.holds]
        print_table("Legal holds on it", ("hold", "matter", "placed", "by", "to be released"), holds)
    for extension in found.extensions:
        print_sentence(_extension(extension))
    if found.erasure_requested_on:
        request = found.facts[0].get("erasure_request")
        print_sentence(
            f"Erasure was asked for on {found.erasure_requested_on} ({request}): its processing is restricted."
        )
    for component in found.absent:
        print_sentence(
            f"Its {component} is not in the CRM; `lifecycle record {found.call_id}` says whether it was purged."
        )
    print_table("What comes of it", _OUTCOMES, map(_outcome, found.outcomes))
    whole = found.outcomes[0]
    print_sentence(f"{whole.disposition}: {whole.detail}", "bold")
    print_sentence(f"May go: {_earliest(whole)}. Its copy goes: {_copy_goes(whole)}.")


def explanation_as_json(found: CallExplanation) -> dict[str, Any]:
    """An explanation for programs."""
    return {
        "call_id": found.call_id,
        "as_of": found.as_of,
        "policies": {"git_commit": found.git_commit, "git_dirty": found.git_dirty},
        "facts": found.facts,
        "rules": [_plain_judgement(judgement) for judgement in found.judgements],
        "laws": [_plain_law(law) for law in found.laws],
        "regimes": {one.regime.id: _plain_regime(one.regime) for one in found.laws},
        "holds": [{"id": hold.id, "matter": hold.matter, "placed_at": hold.placed_at} for hold in found.holds],
        "extensions": [{"id": e.id, "regime": e.regime, "dated": e.dated} for e in found.extensions],
        "erasure_requested_on": found.erasure_requested_on,
        "disposition": _plain_disposition(found.outcomes[0]) if found.outcomes else None,
        "absent": found.absent,
        "outcomes": [_plain_outcome(outcome) for outcome in found.outcomes],
        "records": [record_as_json(one) for one in found.records],
        "archived": [
            {"key": copy.object_key, "deciding": copy.deciding or None, "problem": copy.problem or None}
            for copy in found.copies
        ],
    }


def _version(found: CallExplanation) -> str:
    if found.git_commit is None:
        return ""
    return f", policies of commit {found.git_commit[:12]}" + (" with changes" if found.git_dirty else "")


def _judged(one: ExplainedRule) -> tuple[Any, ...]:
    rule = f"{one.rule.id}: {one.rule.title}" if one.rule else None
    days = (one.trigger_date, _day(one.purge_from), _day(one.destroy_from))
    return one.component or _WHOLE, one.industry, rule, one.verdict, one.detail, *days, "yes" if one.wins else None


def _law(one: RegimeStatement) -> tuple[Any, ...]:
    law = one.regime
    days = (one.trigger_date, one.floor, one.ceiling)
    clock = law.clock((*law.minimum, *law.maximum)[0]).text
    return one.rule_id, law.id, law.citation, one.applies, clock, *days, "; ".join(_remarks(one)) or None


def _remarks(one: RegimeStatement) -> Iterator[str]:
    law: Regime = one.regime
    if not one.applies:
        yield f"another law is in its place, or it does not reach this call ({law.kind})"
    soft = f"a {law.kind}, so it binds nobody" if law.kind != "statute" else "it gives way to a statute's minimum"
    if one.soft_floor:
        yield f"asks until {one.soft_floor}: {soft}"
    if one.soft_ceiling:
        yield f"allows until {one.soft_ceiling}: {soft}"
    if one.ceiling and not law.bounds_whole_calls:
        yield f"its maximum is one of the {' and '.join(law.components)}"
    if law.extension:
        yield f"may be extended {'to ' + str(law.extension.to) if law.extension.to else 'by ' + str(law.extension.by)}"
    yield from (text for text in (one.waits, one.late) if text)


def _extension(one: Extension) -> str:
    return f"Extension {one.id} of {one.regime}: {one.authority}, {one.reference}, asked on {one.dated}."


def _outcome(one: ExplainedOutcome) -> tuple[Any, ...]:
    floor, ceiling = _day(one.floor), _day(one.ceiling)
    rule = f"{one.industry}: {one.rule_id}" if one.rule_id else one.industry
    answer = f"{one.disposition}: {one.detail}"
    return one.component or _WHOLE, answer, rule, _earliest(one), _day(one.latest), floor, ceiling, _copy_goes(one)


def _earliest(one: ExplainedOutcome) -> str:
    """The first day it may go, as far as it can be known."""
    if one.earliest == NEVER:
        return "never"
    if one.earliest is None or one.disposition in _UNSETTLED:
        return "not before a person or the CRM settles what is said above"
    return f"from {one.earliest}{_ALSO.get(Disposition(one.disposition), '')}"


def _copy_goes(one: ExplainedOutcome) -> str:
    day = _day(one.destroy_from)
    return day if day == "never" else f"on {day}" if day else "unknown"


def _copy(copy: ArchivedCopy) -> Iterator[str]:
    if copy.problem:
        yield f"What was decided cannot be read: {copy.problem}"
        return
    said = ", ".join(f"{name} {value if value is not None else 'never'}" for name, value in copy.deciding.items())
    yield f"Its archived row, read back now and proved, says: {said}."


def _day(day: date | None) -> str | None:
    return "never" if day == NEVER else day.isoformat() if day else None


def _plain_judgement(one: ExplainedRule) -> dict[str, Any]:
    return {
        "component": one.component,
        "industry": one.industry,
        "rule_id": one.rule.id if one.rule else None,
        "verdict": one.verdict,
        "detail": one.detail,
        "trigger_date": one.trigger_date,
        "purge_from": _day(one.purge_from),
        "destroy_on": _day(one.destroy_from),
        "regimes": list(one.rule.regimes) if one.rule else [],
        "wins": one.wins,
    }


def _plain_law(one: RegimeStatement) -> dict[str, Any]:
    law = one.regime
    return {
        "rule_id": one.rule_id,
        "regime": law.id,
        "kind": str(law.kind),
        "citation": law.citation,
        "review_by": law.review_by,
        "applies": one.applies,
        "trigger_date": one.trigger_date,
        "floor": one.floor,
        "ceiling": one.ceiling,
        "soft_floor": one.soft_floor,
        "soft_ceiling": one.soft_ceiling,
        "waits": one.waits,
        "late": one.late,
    }


def _plain_regime(law: Regime) -> dict[str, Any]:
    minimum, maximum = (", ".join(str(limit.period) for limit in limits) for limits in (law.minimum, law.maximum))
    return {
        "citation": law.citation,
        "minimum": minimum or None,
        "maximum": maximum or None,
        "review_by": law.review_by,
    }


def _plain_disposition(whole: ExplainedOutcome) -> dict[str, Any]:
    keep = ("disposition", "detail", "industry", "rule_id", "trigger_date")
    days = {"purge_from": _day(whole.earliest), "destroy_on": _day(whole.destroy_from)}
    return {name: getattr(whole, name) for name in keep} | days


def _plain_outcome(one: ExplainedOutcome) -> dict[str, Any]:
    return {
        "component": one.component,
        "disposition": one.disposition,
        "detail": one.detail,
        "industry": one.industry,
        "rule_id": one.rule_id,
        "trigger_date": one.trigger_date,
        "earliest": _day(one.earliest),
        "latest": _day(one.latest),
        "floor": one.floor,
        "ceiling": one.ceiling,
        "destroy_on": _day(one.destroy_from),
    }
