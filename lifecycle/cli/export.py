"""`export` on the command line: which calls, where to, in which form, why."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from lifecycle.cli.find import (
    Accounts,
    Agents,
    Batches,
    Calls,
    Contacts,
    Directions,
    From,
    Industries,
    Longest,
    Phones,
    Rules,
    Shortest,
    Until,
    question,
)
from lifecycle.cli.options import REASON, AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, progress_bar
from lifecycle.cli.restore import FromFind, calls_meant
from lifecycle.custody.export import ExportOrder, export_calls
from lifecycle.custody.export_formats import FORMATS
from lifecycle.custody.find import find_calls


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("export")(export)


def export(
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE|FOLDER", show_default=False, help="A free name."),
    ],
    reason: Annotated[str, REASON],
    calls: Calls = None,
    phone: Phones = None,
    account: Accounts = None,
    contact: Contacts = None,
    agent: Agents = None,
    direction: Directions = None,
    industry: Industries = None,
    rule: Rules = None,
    batch: Batches = None,
    first: From = None,
    last: Until = None,
    shortest: Shortest = None,
    longest: Longest = None,
    from_find: FromFind = None,
    form: Annotated[str, typer.Option("--format", metavar="csv|xlsx|parquet", help="Of the tables.")] = "csv",
    recordings: Annotated[bool, typer.Option("--recordings", help="With the recordings, in a folder beside.")] = False,
    json_output: AsJson = False,
) -> None:
    """Write archived calls out, with everything below them. It is on record who did, why, and what for a digest.

    Live calls are in the CRM and are not written. Exit 1 where some call could not be.
    """
    if form not in FORMATS:
        raise typer.BadParameter(f"--format: expected one of {', '.join(FORMATS)}; found {form!r}")
    asked = {
        name
        for name, value in {
            "call": calls,
            "phone": phone,
            "account": account,
            "contact": contact,
            "agent": agent,
            "direction": direction,
            "industry": industry,
            "rule": rule,
            "batch": batch,
            "from": first,
            "until": last,
            "shortest": shortest,
            "longest": longest,
            "from-find": from_find,
        }.items()
        if value
    }
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        if asked <= {"call", "from-find"}:
            wanted = calls_meant(lifecycle, calls, None, from_find)
        else:
            meant = question(
                calls, phone, account, contact, agent, direction, industry, rule, batch, first, last, shortest, longest
            )
            wanted = [one.call_id for one in find_calls(lifecycle, meant).calls if one.copies]
        order = ExportOrder(getpass.getuser(), reason, tuple(asked), form, recordings)
        result = export_calls(lifecycle, wanted, to, order)
    if json_output:
        print_json({name: getattr(result, name) for name in result.__dataclass_fields__})
    else:
        rows = ", ".join(f"{count} rows of {name}" for name, count in result.rows.items())
        print_sentence(f"Written to {to}: {result.calls} calls ({rows}), {result.files} recordings.")
        print_sentence(f"On record with the digest {result.digest}.")
        for call, why in list(result.left_out.items())[:50]:
            print_sentence(f"Call {call}: {why}.", "bold red")
    raise typer.Exit(1 if result.left_out else 0)
