"""`set-aside`: which planned calls of a night stayed, and why. Asked for at a terminal, for no log names a call."""

from collections import Counter
from dataclasses import asdict

import typer

from lifecycle.cli.options import AsJson, AsOf, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence, print_table, progress_bar
from lifecycle.deployment.lifecycle import resolve_night
from lifecycle.inquiry.set_aside_calls import set_aside_calls


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("set-aside")(set_aside_command)


def set_aside_command(as_of: AsOf = None, json_output: AsJson = False) -> None:
    """Name the planned calls of a night that stayed, and why.

    Reads the control tables and the night's plans, with the epoch's key. `lifecycle explain CALL` tells more of one.
    """
    with progress_bar(json_output) as draw:
        lifecycle = open_lifecycle(draw)
        night = as_of or resolve_night(lifecycle, None)
        found = set_aside_calls(lifecycle, night)
    if json_output:
        print_json({"night": night, "calls": [asdict(one) for one in found]})
        return
    rows = [(one.industry, one.call or f"{one.commitment[:16]}… (no key)", one.reason) for one in found]
    if rows:
        print_table(f"Set aside in the night of {night}", ("industry", "call", "why it stayed"), rows)
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(one.reason for one in found).most_common())
    print_sentence(reasons or f"The night of {night} set no call aside.")
