"""`request erase`, `request withdraw`, `requests`: what one who asks for erasure is told. The doing is the steps'."""

import getpass
from datetime import date
from typing import Annotated, Any

import typer

from lifecycle.cli.options import AsJson, AsOf, open_lifecycle, parse_day
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.inquiry.erasure_requests import AnsweredRequest, malformed_requests, open_requests, withdraw_request
from lifecycle.inquiry.erasure_requests import register_requests as put_on_file
from lifecycle.policy.erasure import ErasureOutcome

Calls = Annotated[list[str], typer.Argument(metavar="CALL…", help="The calls' keys in the CRM.", show_default=False)]
RequestId = Annotated[str, typer.Argument(metavar="ID", help="As `lifecycle requests` names it.", show_default=False)]
Received = Annotated[
    date | None,
    typer.Option(
        "--received",
        parser=parse_day,
        metavar="YYYY-MM-DD",
        show_default=False,
        help="When it was received. Default: today.",
    ),
]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", show_default=False, help="Who does this. Default: your account.")
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference", metavar="TEXT", show_default=False, help="Your file number. No name: it stays on record."
    ),
]
_STYLES = {ErasureOutcome.UNDECIDED: "bold red", ErasureOutcome.GRANTED: "green"}

group = typer.Typer(help="Register or withdraw a person's request to erase calls.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    group.command("erase")(erase_command)
    group.command("withdraw")(withdraw_command)
    app.add_typer(group, name="request")
    app.command("requests")(requests_command)


def erase_command(
    calls: Calls, received: Received = None, by: By = None, reference: Reference = None, json_output: AsJson = False
) -> None:
    """Register a request to erase calls, and say what it comes to.

    Deletes nothing: the nightly does, as soon as the law lets a call go, without a new request. Until then its
    processing is restricted. Running it again registers nothing twice. Exit 1 where a call is kept without a ground to
    refuse: a person must decide.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = put_on_file(
            lifecycle, calls, by or getpass.getuser(), resolve_night(lifecycle, None), received, reference
        )
    if json_output:
        print_json({"requests": [_plain(one) for one in found]})
    else:
        for one in found:
            _tell(one)
    raise typer.Exit(1 if any(one.verdict.needs_person for one in found) else 0)


def withdraw_command(request: RequestId, by: By = None, json_output: AsJson = False) -> None:
    """Withdraw a request: its call stays as long as the schedule says."""
    with progress_bar(json_output) as draw:
        done = withdraw_request(open_lifecycle(draw), request, by or getpass.getuser())
    if json_output:
        print_json({"id": done.id, "call_id": done.call_id, "withdrawn_at": done.withdrawn_at, "by": done.withdrawn_by})
    else:
        print_sentence(f"Request {done.id} for call {done.call_id} is withdrawn.")


def requests_command(as_of: AsOf = None, json_output: AsJson = False) -> None:
    """List the open erasure requests: what each comes to tonight, and until when the person must be answered.

    Exit 1 where a call is kept without a ground to refuse, or a request cannot be read.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        found = open_requests(lifecycle, as_of or resolve_night(lifecycle, None))
        malformed = malformed_requests(lifecycle)
    if json_output:
        print_json({"requests": [_plain(one) for one in found], "malformed": malformed})
    elif not found and not malformed:
        print_sentence("No erasure request is open.")
    else:
        columns = ("request", "call", "received", "answer by", "comes to", "goes on", "why")
        print_table("Open erasure requests; their calls are restricted", columns, [_row(one) for one in found])
        for what, why in malformed.items():
            print_sentence(f"{what}: {why}", "bold red")
    raise typer.Exit(1 if malformed or any(one.verdict.needs_person for one in found) else 0)


def _row(one: AnsweredRequest) -> tuple[Any, ...]:
    received = one.request.received_on if one.request else None
    said, name = one.verdict, one.request.id if one.request else None
    outcome = f"{said.outcome}{'!' * said.needs_person}"
    return (
        name,
        one.call_id,
        received,
        one.answer_by,
        outcome,
        said.goes_on or said.copy_goes_on,
        "; ".join(said.reasons),
    )


def _tell(one: AnsweredRequest) -> None:
    said = one.verdict
    print_sentence(f"Call {one.call_id}: {said.outcome}{_how_long(one)}", _STYLES.get(said.outcome, "bold"))
    for reason in said.reasons:
        print_sentence(f"  {reason}")
    if one.request is not None:
        how = "registered" if one.registered else "on file already"
        print_sentence(f"  Request {one.request.id}, {how}. Answer the person by {one.answer_by}.")
    if said.needs_person:
        print_sentence("  A person must decide.", "bold red")


def _how_long(one: AnsweredRequest) -> str:
    said = one.verdict
    if said.outcome in (ErasureOutcome.GONE, ErasureOutcome.ARCHIVED):
        return "."
    if said.outcome is ErasureOutcome.GRANTED:
        return ": it goes with the next night."
    when = f"it goes by itself on {said.goes_on}" if said.goes_on else "it goes by itself once nothing keeps it"
    return f" for now: its processing is restricted, and {when}."


def _plain(one: AnsweredRequest) -> dict[str, Any]:
    asked, said = one.request, one.verdict
    return {
        "call_id": one.call_id,
        "id": asked.id if asked else None,
        "received_on": asked.received_on if asked else None,
        "registered_at": asked.registered_at if asked else None,
        "registered_by": asked.registered_by if asked else None,
        "reference": asked.reference if asked else None,
        "registered": one.registered,
        "outcome": str(said.outcome),
        "reasons": said.reasons,
        "restricted": asked is not None,
        "goes_on": said.goes_on,
        "copy_goes_on": said.copy_goes_on,
        "answer_by": one.answer_by,
        "needs_person": said.needs_person,
    }
