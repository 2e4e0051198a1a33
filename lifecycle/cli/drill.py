"""`drill` on the command line: some batches restored into a scratch database, as a trial."""

import getpass
from typing import Annotated

import typer

from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, progress_bar
from lifecycle.custody.drill import BATCHES, drill_archive


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("drill")(drill)


def drill(
    batches: Annotated[int, typer.Option("--batches", min=1, help="How many, chosen at random.")] = BATCHES,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", show_default=False, help="The scratch database, else LIFECYCLE_DRILL_URL."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Restore some batches into a scratch database, and compare every row and file with the archive.

    The scratch database is made after the CRM's schema each time; of SQLite it is a temporary file. The result is on
    record. Exit 1 where anything did not come back equal.
    """
    with progress_bar(json_output) as draw:
        result = drill_archive(open_lifecycle(draw), batches, to, getpass.getuser())
    if json_output:
        print_json({**{name: getattr(result, name) for name in result.__dataclass_fields__}, "passed": result.passed})
    else:
        print_sentence(
            f"{len(result.batches)} batches restored: {result.calls} calls, {result.rows} rows, {result.files} files."
        )
        for what, why in result.failed.items():
            print_sentence(f"{what}: {why}", "bold red")
        passed = result.passed
        print_sentence("The drill passed." if passed else "The drill FAILED.", "green" if passed else "bold red")
    raise typer.Exit(0 if result.passed else 1)
