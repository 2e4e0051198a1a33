"""`holds`: the matters on file and what each keeps tonight. The counting is the steps'."""

from typing import Any

import typer

from lifecycle.cli.options import AsJson, AsOf, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.inquiry.hold_report import HoldReport, hold_reports
from lifecycle.policy.documents.hold import Hold, HoldScope, ReleaseRule


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("holds")(list_holds)


def list_holds(as_of: AsOf = None, json_output: AsJson = False) -> None:
    """List the legal holds, active and released, and the calls in each.

    Reads the CRM only. Exit 1 where a person must look: an active hold with a scope that no call is in, or that keeps
    a call past a maximum that the law sets.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = hold_reports(lifecycle, as_of or resolve_night(lifecycle, None))
    if json_output:
        print_json({"holds": [_plain(matter) for matter in found]})
    else:
        _tell(found)
    raise typer.Exit(1 if any(matter.needs_person for matter in found) else 0)


def _tell(found: list[HoldReport]) -> None:
    if not found:
        print_sentence("No legal hold is on file.")
        return
    columns = ("hold", "matter", "state", "placed", "by", "scope", "calls")
    print_table("Legal holds", columns, [_row(matter) for matter in found])
    for matter in found:
        for problem in _problems(matter):
            print_sentence(f"{matter.hold.id}: {problem}", "bold red")


def _row(matter: HoldReport) -> tuple[Any, ...]:
    hold = matter.hold
    scope = " or ".join(_words(each) for each in hold.scope)
    return hold.id, hold.matter, _state(hold, matter.active), hold.placed_at, hold.placed_by, scope, matter.calls


def _state(hold: Hold, active: bool) -> str:
    two = ", two people release it" if hold.release is ReleaseRule.TWO_PEOPLE else ""
    if hold.released_at is None:
        return f"active{two}"
    who = " and ".join(filter(None, (hold.released_by, hold.release_confirmed_by)))
    return f"{'active, to be ' if active else ''}released {hold.released_at} by {who}"


def _words(scope: HoldScope) -> str:
    parts = [f"{fact} {', '.join(sorted(values))}" for fact, values in scope.wanted().items()]
    parts += [f"from {scope.first_day}"] if scope.first_day else []
    parts += [f"to {scope.last_day}"] if scope.last_day else []
    return "; ".join(parts)


def _problems(matter: HoldReport) -> list[str]:
    if not matter.active:
        return []
    of = f" {len(matter.by_scope)}" if len(matter.by_scope) > 1 else ""
    idle = [number for number, calls in enumerate(matter.known_by_scope, 1) if not calls]
    found = [f"its scope{f' {number} of{of}' if of else ''} matches no call at present" for number in idle]
    if matter.unknown:
        facts = ", ".join(f"{name} ({count})" for name, count in matter.unknown_facts.items()) or "when it was"
        found.append(f"{matter.unknown} of its calls are held because nobody knows their {facts}")
    if matter.legal_review:
        samples = "; ".join(f"call {call}: {reason}" for call, reason in matter.reasons.items())
        found.append(f"{matter.legal_review} calls past a maximum of the law. {samples}")
    return found


def _plain(matter: HoldReport) -> dict[str, Any]:
    hold = matter.hold
    return {
        "id": hold.id,
        "matter": hold.matter,
        "active": matter.active,
        "placed_at": hold.placed_at,
        "placed_by": hold.placed_by,
        "release": str(hold.release),
        "released_at": hold.released_at,
        "released_by": hold.released_by,
        "release_confirmed_by": hold.release_confirmed_by,
        "scopes": [
            {"wanted": {k: sorted(v) for k, v in s.wanted().items()}, "from": s.first_day, "to": s.last_day, "calls": n}
            for s, n in zip(hold.scope, matter.by_scope, strict=True)
        ],
        "calls": matter.calls,
        "unknown": matter.unknown,
        "unknown_facts": dict(matter.unknown_facts),
        "needs_legal_review": matter.legal_review,
        "problems": _problems(matter),
        "needs_person": matter.needs_person,
    }
