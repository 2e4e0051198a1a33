"""`stop`: stops every run of this CRM, wherever it runs, and keeps new ones out until it is lifted."""

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from lifecycle.cli.options import AsJson, open_lifecycle
from lifecycle.cli.output import print_json, print_sentence

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why; every run says it.")]
Lift = Annotated[bool, typer.Option("--lift", help="Let the nights run again.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("stop")(stop_command)


def stop_command(reason: Reason = "", lift: Lift = False, json_output: AsJson = False) -> None:
    """Stop every run of this CRM after its current transaction, and keep new ones out. Deletes nothing."""
    lifecycle = open_lifecycle(lambda _what, _done, _of: None)
    lifecycle.crm.control.create()  # an installation of before has no table for it
    stops = lifecycle.crm.control.stops
    order = stops.lift() if lift else stops.stop(getpass.getuser(), lifecycle.now(), reason)
    if json_output:
        print_json({"stopped": not lift, "order": asdict(order) if order else None})
    elif lift:
        print_sentence("The nights run again." if order else "No stop stood; the nights run.", style="green")
    elif order:
        print_sentence(f"Stopped by {order.by} at {order.at}. Runs end after their transaction.", style="yellow")
        print_sentence("What is committed stays, and is sealed by the next night. To go on: lifecycle stop --lift")
