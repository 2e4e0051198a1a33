"""`lifecycle run`: a night through Dagster's own jobs, and what it says. The only place that asks `assets`."""

import getpass
import os
import shutil
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from lifecycle.cli import output
from lifecycle.cli.signals import StopSignals
from lifecycle.deployment.repository_location import mail_of_account
from lifecycle.policy.approval import command_line_actor
from lifecycle.settings import read_settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which of Dagster's parameters are beta is no news to a user
    import assets
    from assets.night import NightResult, dagster_instance, run_night


def run(as_of: date | None, industry: str | None, accept_plan: list[str], json_output: bool) -> int:
    """Run one night in this process, with progress. Returns the exit code."""
    signals = StopSignals()
    wanted = {"as_of": as_of, "industry": industry, "accept_plan": accept_plan}
    night = signals.run(lambda: run_one_night(wanted, json_output, signals))
    if json_output:
        output.print_json(night_as_json(night))
    else:
        tell_night(night)
    return signals.exit_code or night.exit_code


def run_one_night(
    wanted: dict[str, Any], json_output: bool, stop_requested: Callable[[], str | None] = lambda: None
) -> NightResult:
    _dagster_home()
    actor = command_line_actor(getpass.getuser(), mail_of_account(read_settings().policies))
    config = {name: str(value) if name == "as_of" else value for name, value in wanted.items() if value}
    with output.progress_bar(json_output) as progress, warnings.catch_warnings(), dagster_instance() as instance:
        warnings.simplefilter("ignore")
        return run_night(instance, config, actor, progress, stop_requested)


def _dagster_home() -> Path:
    """DAGSTER_HOME, or ./.dagster, with the sample dagster.yaml where there is none yet. Never a temporary folder."""
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(Path.cwd() / ".dagster")))
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(Path(str(assets.__file__)).parent / "dagster.yaml", home / "dagster.yaml")
    return home


def tell_night(night: NightResult) -> None:
    """What happened, for a person."""
    for notice in night.notices:
        output.print_sentence(notice, style="yellow")
    if night.planned:
        plans = list(night.planned["plans_by_industry"].values())
        output.print_table(
            f"The night of {night.night}",
            ("industry", "live calls", "due", "oldest due", "kept otherwise", "waits for"),
            [_plan_row(plan) for plan in plans],
        )
        for plan in plans:
            _tell_waiting(plan)
        unscheduled = list(night.planned["unscheduled_by_industry"].items())
        if unscheduled:
            output.print_table("Kept, for no schedule speaks of them", ("industry in the CRM", "calls"), unscheduled)
        for what, why in night.planned["left_out"].items():
            output.print_sentence(f"left out: {what}: {why}", "bold red")
    if night.done:
        shown = ("industry", "archived", "batches", "purged", "parts", "records", "calls_set_aside")
        rows = [tuple({**done, "parts": _parts(done)}[name] for name in shown) for done in night.done]
        columns = ("industry", "archived", "batches", "purged", "parts of calls", "records", "set aside")
        output.print_table("Done", columns, rows)
    for done in night.done:
        if done["left"]:
            output.print_sentence(
                f"{done['industry']}: {done['left']} calls are left for a later night; LIFECYCLE_WINDOW closed, or "
                "others were waited for half an hour",
                "yellow",
            )
        for what, seconds in done["waited"].items():
            output.print_sentence(f"{done['industry']}: waited {seconds} s for {what}", "yellow")
        for host, count in done["files_elsewhere"].items():
            said = f"{done['industry']}: {count} URLs at {host} were archived with their rows; what lies there stays"
            output.print_sentence(said, "yellow")
    aside = [(done["industry"], call, reason) for done in night.done for call, reason in done["set_aside"].items()]
    if aside:
        output.print_table("Set aside: these calls stayed", ("industry", "call", "why"), aside)
    left = [(key, reason) for done in night.done for key, reason in done["files_left"].items()]
    if left:
        output.print_table("Files that are there still", ("the archived copy", "why"), left)
    if night.stopped:
        output.print_sentence(night.stopped, style="yellow")
    if night.waiting:
        output.print_sentence(f"{night.waiting} purges are committed and not in the ledger yet; run again", style="red")
    for message, _ in night.failures:
        output.print_sentence(f"failed: {message}", style="red")
    for check in dict.fromkeys(night.failed_checks):
        output.print_sentence(
            f"look at: the check {check} did not pass; Dagster's UI shows what it found", style="yellow"
        )


def _parts(done: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in done["components"].items()) or "-"


def _tell_waiting(plan: dict[str, Any]) -> None:
    """Why a plan waits, and what to type: lines rather than cells, for a digest must come out whole."""
    for reason in plan["waits"]:
        output.print_sentence(f"{plan['industry']} waits for a person. {reason}", style="yellow")
    for command in plan["to_type"]:
        output.print_sentence(command)


def _plan_row(plan: dict[str, Any]) -> tuple[Any, ...]:
    others = {name: count for name, count in plan["dispositions"].items() if name not in ("due", "retained")}
    kept = ", ".join(f"{count} {name}" for name, count in others.items()) or "-"
    kinds = dict.fromkeys(reason.partition(":")[0] for reason in plan["waits_for"] if reason in plan["waits"])
    return plan["industry"], plan["live"], plan["due"], plan["oldest_trigger"] or "-", kept, ", ".join(kinds) or "-"


def night_as_json(night: NightResult) -> dict[str, Any]:
    """The night for programs."""
    return {
        "night": night.night,
        "industries": night.planned.get("plans_by_industry", {}),
        "unscheduled": night.planned.get("unscheduled_by_industry", {}),
        "left_out": night.planned.get("left_out", {}),
        "done": night.done,
        "failures": [{"message": message, "exit_code": code} for message, code in night.failures],
        "failed_checks": night.failed_checks,
        "notices": night.notices,
        "stopped": night.stopped,
        "waiting": night.waiting,
        "exit_code": night.exit_code,
    }
