"""`export` on the command line: which calls, where to, in which form, why."""

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lifecycle.cli.options import REASON, AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, progress_bar
from lifecycle.cli.restore import FromFind, calls_meant
from lifecycle.cli.search_options import question, takes_search
from lifecycle.custody.export import ExportOrder, export_calls
from lifecycle.custody.export_formats import FORMATS
from lifecycle.custody.find import find_calls


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("export")(export)


@takes_search(last="--until")
def export(
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE|FOLDER", show_default=False, help="A free name."),
    ],
    reason: Annotated[str, REASON],
    search: Mapping[str, Any],
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
    asked = [*search, *(["from-find"] if from_find else [])]
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        if {*asked} <= {"call", "from-find"}:
            wanted = calls_meant(lifecycle, search.get("call"), None, from_find)
        else:
            found = find_calls(lifecycle, question(search, "--until")).calls
            wanted = [one.call_id for one in found if one.copies]
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
