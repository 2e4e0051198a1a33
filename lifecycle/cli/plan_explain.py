"""`plan` and `explain`: what a night would do, and why, before anything is done. The deciding is the steps'."""

from typing import Annotated, Any

import typer

from lifecycle.cli.explanation_output import explanation_as_json, print_explanation
from lifecycle.cli.options import AsJson, AsOf, CallId, OneIndustry, open_lifecycle
from lifecycle.cli.output import format_bytes, print_json, print_sentence, print_table, progress_bar
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.deployment.policy_revision import read_policies_at
from lifecycle.inquiry.explanation import explain_call
from lifecycle.inquiry.preview import IndustryPreview, NightPreview, preview_night
from lifecycle.policy.evaluation.disposition import Disposition

PoliciesAt = Annotated[
    str | None,
    typer.Option(
        "--policies-at",
        metavar="GIT-REV",
        show_default=False,
        help="Under the policies as git has them at a commit, branch or tag. Default: the files on disk.",
    ),
]
_OTHERS = [str(answer) for answer in reversed(Disposition) if answer is not Disposition.DUE]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("plan")(plan_command)
    app.command("explain")(explain_command)


def plan_command(as_of: AsOf = None, industry: OneIndustry = None, json_output: AsJson = False) -> None:
    """Show what a night would purge, without doing it.

    Any day to come may be asked for. Reads the CRM only, so a database role that can only SELECT will do, also before
    `lifecycle init`. Exit 1 where a person must look first: a brake would trip, a rule asks for a review, a policy
    file cannot be used, the CRM has a foreign key or a table that lets nothing be purged.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = preview_night(lifecycle, as_of or resolve_night(lifecycle, None), industry)
    if json_output:
        print_json(_plain_plan(found))
    else:
        _tell_plan(found)
    raise typer.Exit(1 if found.needs_person else 0)


def explain_command(
    call: CallId, as_of: AsOf = None, policies_at_revision: PoliciesAt = None, json_output: AsJson = False
) -> None:
    """Explain why one call may go, or must stay, and until when.

    Shows its facts, every rule, legal hold and law behind its disposition, and the earliest and latest day of each of
    its components; on another day, and under the policies as they once were. For a purged call: its deletion record
    and what its archived row says. Shows what the CRM says of the call, its phone number included: this is the one
    command whose output is personal data.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        if policies_at_revision:
            lifecycle = lifecycle.under(read_policies_at(lifecycle.settings.policies, policies_at_revision))
        found = explain_call(lifecycle, call, as_of or resolve_night(lifecycle, None))
    if json_output:
        print_json(explanation_as_json(found))
    else:
        print_explanation(found)


def _tell_plan(found: NightPreview) -> None:
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
        samples = [(name, format_bytes(one.about_bytes), ", ".join(map(str, one.count.samples))) for name, one in due]
        print_table("To be archived", ("industry", "about, before compression", "some of the calls"), samples)
    for name, one in found.industries.items():
        for reason in one.waits_for:
            print_sentence(f"{name} would wait for a person: {reason}", "bold red")
    if found.unscheduled:
        rows = [(name, calls) for name, calls in sorted(found.unscheduled.items())]
        print_table("Kept, for no schedule speaks of them", ("industry as the CRM writes it", "calls"), rows)
    if found.blank_beside:
        said = "calls have a row without an industry beside others: it was judged under theirs, with all that it says"
        print_sentence(f"{found.blank_beside} {said}", "yellow")
    for said in found.missing:
        print_sentence(said, "bold red")
    for column in found.elsewhere if any(one.due for one in found.industries.values()) else ():
        print_sentence(f"{column} is a URL: it is archived with its row, and what lies there stays", "yellow")
    for what, why in found.left_out.items():
        print_sentence(f"left out: {what}: {why}", "bold red")
    for call, before in found.returned.items():
        print_sentence(f"call {call}: {before.words}", "bold red")
    for reason in found.broken.values():
        print_sentence(f"not used, its industry is kept: {reason}", "bold red")
    for name, reason in found.unfit.items():
        print_sentence(f"no {name} can be purged: {reason}", "bold red")


_BRAKE = ("oldest due", "share", "max_share", "brake")


def _brake(one: IndustryPreview) -> tuple[Any, ...]:
    share = f"{100 * one.due / one.count.live:.2f}%" if one.count.live else None
    return one.count.oldest, share, one.max_share, "TRIPS!" if one.brake else "-"


def _plain_plan(found: NightPreview) -> dict[str, Any]:
    industries = {
        name: {
            "live": one.count.live,
            "due": one.due,
            "dispositions": {str(answer): one.count.dispositions.get(str(answer), 0) for answer in Disposition},
            "components": dict(sorted(one.count.components.items())),
            "rules": {rule.id: one.count.rules[rule.id] for rule in one.schedule.rules},
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
        "left_out": found.left_out,
        "returned": {call: one.words for call, one in found.returned.items()},
        "broken": found.broken,
        "unfit": found.unfit,
        "blank_beside": found.blank_beside,
        "missing": found.missing,
        "elsewhere": found.elsewhere,
        "needs_person": found.needs_person,
    }
