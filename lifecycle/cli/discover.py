"""`discover`: which columns of the database hold a call's key. The looking is the inquiry's."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from lifecycle.cli.options import AsJson, CallId, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.inquiry.discovery import NamingColumn, discover_call

Seconds = Annotated[
    int, typer.Option("--seconds", min=1, metavar="N", help="Stop after so many seconds; what is left is named.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("discover")(discover_command)


def discover_command(call: CallId, seconds: Seconds = 120, json_output: AsJson = False) -> None:
    """Find every column of every table that holds a live call's key, or that of a row of it, mapped or not.

    Reads whole tables, 20 seconds each at most: run it on a copy or at a quiet hour. Keys that are numbers, or short,
    are found by chance too. Exit 1 where an unmapped column surely names the call, or a table could not be looked
    through.
    """
    with progress_bar(json_output) as draw:
        found = discover_call(open_lifecycle(draw), call, timedelta(seconds=seconds))
    if json_output:
        columns = [asdict(one) for one in found.columns]
        print_json({"columns": columns, "not_searched": found.not_searched, "tables": found.tables})
        raise typer.Exit(1 if found.needs_person else 0)
    rows = [(one.table, one.column, one.rows, one.names, *_words(one)) for one in found.columns]
    print_table(f"What names call {call}", ("table", "column", "rows", "a key of", "mapped", ""), rows)
    for table, problem in found.not_searched.items():
        print_sentence(f"{table} was not looked through: {problem}", "bold red")
    print_sentence(f"{found.tables} tables.")
    raise typer.Exit(1 if found.needs_person else 0)


def _words(one: NamingColumn) -> tuple[str, str]:
    return "yes" if one.mapped else "NO", "" if one.sure else "maybe by chance"
