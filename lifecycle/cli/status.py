"""`status`: one screen, what waits for somebody first. How things stand is the steps' to find."""

from dataclasses import asdict
from typing import Any

import typer

from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.inquiry.status import Status, read_status


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("status")(status_command)


def status_command(json_output: AsJson = False) -> None:
    """Show on one screen how everything stands: the last nights, what waits for whom, holds, anchors, schedule.

    Reads the control tables, the newest checkpoint, and the calls that holds name; counts nothing else, writes nothing.
    Where database or store are down it says so and shows the rest. Exit 1 where a person must look, 2 where policies
    or settings are wrong, 3 where something could not be asked.
    """
    with progress_bar(json_output) as draw:
        found = read_status(open_lifecycle(draw))
    if json_output:
        print_json(_plain(found))
    else:
        _tell(found)
    raise typer.Exit(found.exit_code)


def _tell(found: Status) -> None:
    print_sentence(f"{found.source}, {found.at:%Y-%m-%d %H:%M}Z; tonight is {found.tonight or 'not known'}", "bold")
    for waiting in found.nights.waiting:
        reasons = "; ".join(waiting.reasons)
        print_sentence(f"{waiting.industry}, {waiting.what} of {waiting.night}, waits for {waiting.who}:", "yellow")
        print_sentence(f"  {reasons}")
        for command in waiting.to_type:
            print_sentence(f"  {command}")
    for line in found.lines:
        if line.exit_code:
            print_sentence(f"{line.subject}: {line.said}" + (f". {line.to_type}" if line.to_type else ""), "bold red")
    rows = [
        (one.night, one.industry, one.live, one.planned, one.purged, one.set_aside, one.overdue, one.state)
        for one in found.nights.nights
        if one.planned
    ]
    if rows:
        columns = ("night", "industry", "live", "planned", "purged", "set aside", "overdue", "state")
        print_table("The last nights", columns, rows)
    print_table(
        "How the rest stands", ("what", "how", "more"), [_row(line) for line in found.lines if not line.exit_code]
    )


def _row(line: Any) -> tuple[str, str, str]:
    return line.subject, line.said, line.to_type or "-"


def _plain(found: Status) -> dict[str, Any]:
    nights = [{**asdict(one), "state": one.state} for one in found.nights.nights]
    return {
        "at": found.at,
        "source": found.source,
        "tonight": found.tonight,
        "waiting": [asdict(one) for one in found.nights.waiting],
        "nights": nights,
        "lines": [asdict(one) for one in found.lines],
        "exit_code": found.exit_code,
    }
