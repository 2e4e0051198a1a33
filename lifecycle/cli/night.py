"""`run` and `demo`: what they take from the line. What they do brings Dagster, and is imported when it is done."""

from typing import Annotated

import typer

from lifecycle.cli.options import AcceptedPlans, AsJson, AsOf, OneIndustry

Nights = Annotated[int, typer.Option("--nights", min=1, max=30, help="How many nights, up to tonight's.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("run")(run_command)
    app.command("demo")(demo_command)


def run_command(
    as_of: AsOf = None, industry: OneIndustry = None, accept_plan: AcceptedPlans = None, json_output: AsJson = False
) -> None:
    """Run the night: plan, archive, prove, purge, record.

    Through Dagster's job, in this process. An industry whose plan trips its brake, or asks for a review, is stopped
    before its first row (exit 1).
    """
    from lifecycle.cli import run_demo

    raise typer.Exit(run_demo.run(as_of, industry, accept_plan or [], json_output))


def demo_command(json_output: AsJson = False, nights: Nights = 10) -> None:
    """Make a sample CRM, run ten nights on it, say what happened.

    The calls are made up, and so is everybody in them. Nothing of yours is touched.
    """
    from lifecycle.cli import demo as sample

    raise typer.Exit(sample.demo(json_output, nights))
