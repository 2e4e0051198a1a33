"""`plan` and `explain`: what a night would do, and why, before anything is done. The deciding is the steps'."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import typer

from lifecycle.cli.options import AsJson, AsOf, CallId, OneIndustry, opened
from lifecycle.cli.output import print_json, print_table, progress, say, size
from lifecycle.cli.proof import plain_record, tell_record
from lifecycle.policy.disposition import Disposition
from lifecycle.steps.context import night_of
from lifecycle.steps.explain import Explanation, Judgement, explain
from lifecycle.steps.preview import IndustryPreview, Preview, preview

_OTHERS = [str(answer) for answer in reversed(Disposition) if answer is not Disposition.DUE]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("plan")(plan)
    app.command("explain")(explain_call)


def plan(as_of: AsOf = None, industry: OneIndustry = None, json_output: AsJson = False) -> None:
    """Show what a night would purge, without doing it.

    Any day to come may be asked for. Reads the CRM only, so a database role that can only SELECT will do, also before
    `lifecycle init`. Exit 1 where a person must look first: a brake would trip, a rule asks for a review, a policy
    file cannot be used.
    """
    with progress(json_output) as draw:
        lifecycle = opened(draw)
        found = preview(lifecycle, as_of or night_of(lifecycle, None), industry)
    if json_output:
        print_json(_plain_plan(found))
    else:
        _tell_plan(found)
    raise typer.Exit(1 if found.needs_person else 0)


def explain_call(call: CallId, as_of: AsOf = None, json_output: AsJson = False) -> None:
    """Explain why one call may go, or must stay, and until when.

    Shows its facts, and every rule, legal hold and law behind its disposition. For a purged call: its deletion
    record. Shows what the CRM says of the call, its phone number included: this is the one command whose output is
    personal data.
    """
    with progress(json_output) as draw:
        lifecycle = opened(draw)
        found = explain(lifecycle, call, as_of or night_of(lifecycle, None))
    if json_output:
        print_json(_plain_explanation(found))
    else:
        _tell_explanation(found)


def _tell_plan(found: Preview) -> None:
    others = [name for name in _OTHERS if any(one.count.dispositions.get(name) for one in found.industries.values())]
    rows = [
        (name, one.count.live, one.due, *(one.count.dispositions.get(other, 0) for other in others), *_brake(one))
        for name, one in found.industries.items()
    ]
    print_table(f"The night of {found.as_of}: nothing was done", ("industry", "live", "due", *others, *_BRAKE), rows)
    rules = [
        (name, rule.id, rule.title, rule.component or "the call", one.count.rules[rule.id])
        for name, one in found.industries.items()
        for rule in one.schedule.rules
    ]
    print_table("Due by rule", ("industry", "rule", "title", "of", "due"), rules)
    due = [(name, one) for name, one in found.industries.items() if one.due]
    if due:
        samples = [(name, size(one.about_bytes), ", ".join(map(str, one.count.samples))) for name, one in due]
        print_table("To be archived", ("industry", "about, before compression", "some of the calls"), samples)
    for name, one in found.industries.items():
        for reason in one.waits_for:
            say(f"{name} would wait for a person: {reason}", "bold red")
    if found.unscheduled:
        rows = [(name, calls) for name, calls in sorted(found.unscheduled.items())]
        print_table("Kept, for no schedule speaks of them", ("industry as the CRM writes it", "calls"), rows)
    for reason in found.broken.values():
        say(f"not used, its industry is kept: {reason}", "bold red")


_BRAKE = ("oldest due", "share", "max_share", "brake")


def _brake(one: IndustryPreview) -> tuple[Any, ...]:
    share = f"{100 * one.due / one.count.live:.2f}%" if one.count.live else None
    return one.count.oldest, share, one.max_share, "TRIPS!" if one.brake else "-"


def _plain_plan(found: Preview) -> dict[str, Any]:
    industries = {
        name: {
            "live": one.count.live,
            "due": one.due,
            "dispositions": {str(answer): one.count.dispositions.get(str(answer), 0) for answer in Disposition},
            "components": dict(sorted(one.count.components.items())),
            "rules": {rule.id: one.count.rules[rule.id] for rule in one.schedule.rules},
            "cohorts": dict(sorted(one.count.cohorts.items())),
            "oldest_trigger": one.count.oldest,
            "overdue": one.count.overdue,
            "max_share": one.max_share,
            "brake": one.brake,
            "waits_for": one.waits_for,
            "about_bytes": one.about_bytes,
            "samples": one.count.samples,
        }
        for name, one in found.industries.items()
    }
    return {
        "as_of": found.as_of,
        "industries": industries,
        "unscheduled": found.unscheduled,
        "broken": found.broken,
        "needs_person": found.needs_person,
    }


def _tell_explanation(found: Explanation) -> None:
    if found.disposition is None:
        for one in found.records:
            tell_record(one)
        return
    names = list(found.facts[0])
    print_table(f"Facts of call {found.call_id}", ("fact", *["value"] * len(found.facts)), _facts(found, names))
    columns = ("industry", "rule", "says", "because", "clock started", "may go from", "copy goes on")
    print_table(f"Rules, as of {found.as_of}", columns, [_judged(judgement) for judgement in found.judgements])
    if found.regimes:
        laws = [(law.id, law.citation, law.minimum, law.maximum, law.review_by) for law in found.regimes.values()]
        print_table("Laws the rules name", ("regime", "citation", "minimum", "maximum", "review by"), laws)
    if found.holds:
        holds = [(hold.id, hold.matter, hold.placed_at, hold.placed_by, hold.released_at) for hold in found.holds]
        print_table("Legal holds on it", ("hold", "matter", "placed", "by", "to be released"), holds)
    asked = found.facts[0].get("erasure_requested_on")
    if asked:
        say(f"Erasure was asked for on {asked} ({found.facts[0]['erasure_request']}): its processing is restricted.")
    say(f"{found.disposition['disposition']}: {found.disposition['detail']}", "bold")
    say(f"May go: {earliest(found)}. Its copy goes: {copy_goes(found)}.")


def _facts(found: Explanation, names: list[str]) -> list[tuple[Any, ...]]:
    return [(name, *(row[name] for row in found.facts)) for name in names]


def _judged(one: Judgement) -> tuple[Any, ...]:
    rule = f"{one.rule.id}: {one.rule.title}" if one.rule else None
    return one.industry, rule, one.verdict, one.detail, one.trigger_date, _day(one.purge_from), _day(one.destroy_from)


def earliest(found: Explanation) -> str:
    """The first day the call may go, as far as it can be known."""
    disposition = found.disposition or {}
    day, answer = disposition.get("purge_from"), disposition.get("disposition")
    if day == date.max:
        return "never"
    if day is None or answer in (Disposition.UNSCHEDULED, Disposition.CONFLICT, Disposition.AWAITING_TRIGGER):
        return "not before a person or the CRM settles what is said above"
    also = {Disposition.ON_HOLD: ", once every hold is released", Disposition.KEPT: ", once nothing keeps it any more"}
    return f"from {day}{also.get(Disposition(answer or Disposition.DUE), '')}"


def copy_goes(found: Explanation) -> str:
    """The first day the archived copy may go."""
    day = _copy_day(found.disposition) if found.disposition else None
    return day if day == "never" else f"on {day}" if day else "unknown"


def _copy_day(disposition: Mapping[str, Any]) -> str | None:
    """A day, never, or None where it cannot be known."""
    known = disposition["purge_from"] is not None
    return _day(disposition["destroy_on"] or (date.max if known else None))


def _day(day: date | None) -> str | None:
    return "never" if day == date.max else day.isoformat() if day else None


def _plain_explanation(found: Explanation) -> dict[str, Any]:
    keep = ("disposition", "detail", "industry", "rule_id", "trigger_date")
    disposition = {name: found.disposition[name] for name in keep} if found.disposition else None
    if disposition and found.disposition:
        disposition |= {"purge_from": _day(found.disposition["purge_from"]), "destroy_on": _copy_day(found.disposition)}
    return {
        "call_id": found.call_id,
        "as_of": found.as_of,
        "facts": found.facts,
        "rules": [_plain_judgement(judgement) for judgement in found.judgements],
        "holds": [{"id": hold.id, "matter": hold.matter, "placed_at": hold.placed_at} for hold in found.holds],
        "regimes": {
            name: {"citation": law.citation, "minimum": law.minimum, "maximum": law.maximum, "review_by": law.review_by}
            for name, law in found.regimes.items()
        },
        "disposition": disposition,
        "records": [plain_record(one) for one in found.records],
    }


def _plain_judgement(one: Judgement) -> dict[str, Any]:
    return {
        "industry": one.industry,
        "rule_id": one.rule.id if one.rule else None,
        "verdict": one.verdict,
        "detail": one.detail,
        "trigger_date": one.trigger_date,
        "purge_from": _day(one.purge_from),
        "destroy_on": _day(one.destroy_from),
        "regimes": list(one.rule.regimes) if one.rule else [],
    }
