"""`lifecycle run` and `lifecycle demo`: a night through Dagster's own jobs. The only place that asks `assets`."""

import getpass
import os
import shutil
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lifecycle.cli import output
from lifecycle.cli.signals import StopSignals
from lifecycle.crm.database import open_database, translated_errors
from lifecycle.crm.sample import demo_schema as demo_crm
from lifecycle.crm.sample import sample_calls
from lifecycle.deployment.initialisation import Initialisation, make_keys
from lifecycle.deployment.lifecycle import Lifecycle, resolve_night
from lifecycle.deployment.repository_location import mail_of_account
from lifecycle.deployment.shipped_files import write_policies, write_workspace
from lifecycle.errors import InputError
from lifecycle.policy.approval import command_line_actor
from lifecycle.settings import Settings, read_settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which of Dagster's parameters are beta is no news to a user
    import assets
    from assets.night import NightResult, dagster_instance, run_night

DEMO = Path("demo")
_MADE_HERE = "made-by-lifecycle-demo"
_SAMPLE_CALLS = 2000


def run(as_of: date | None, industry: str | None, accept_plan: list[str], json_output: bool) -> int:
    """Run one night in this process, with progress. Returns the exit code."""
    signals = StopSignals()
    wanted = {"as_of": as_of, "industry": industry, "accept_plan": accept_plan}
    night = signals.run(lambda: _night(wanted, json_output, signals))
    if json_output:
        output.print_json(_plain(night))
    else:
        _tell(night)
    return signals.exit_code or night.exit_code


def demo(json_output: bool) -> int:
    """Make a sample CRM afresh below ./demo and run tonight on it. Returns 0 where no run failed.

    Raises InputError where the settings name another CRM or store: the demo never touches yours.
    """
    settings = read_settings()
    _require_own_sample(settings)
    write_policies(settings.policies)
    write_workspace(Path.cwd())
    lifecycle = Lifecycle(settings, lambda: datetime.now(UTC))
    night = resolve_night(lifecycle, None)
    _make_sample(lifecycle, night)
    result = _night({"as_of": night}, json_output)
    if json_output:
        output.print_json(_plain(result))
    else:
        _tell(result)
        _where_to_look(result)
    return max((code for _, code in result.failures), default=0)


def _night(
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


def _require_own_sample(settings: Settings) -> None:
    usual = Settings.model_fields
    own = settings.crm_url == usual["crm_url"].default and settings.store == usual["store"].get_default(
        call_default_factory=True, validated_data={}
    )
    others = (settings.source, settings.recordings) != (
        usual["source"].default,
        (DEMO / "recordings").absolute().as_uri(),
    )
    if not own or others:
        raise InputError(
            "the demo makes and purges a sample CRM of its own, and LIFECYCLE_CRM_URL, LIFECYCLE_STORE, "
            "LIFECYCLE_RECORDINGS or LIFECYCLE_SOURCE names another.\n"
            "Nothing was done; unset them (see .env too), then run the demo again"
        )


def _make_sample(lifecycle: Lifecycle, night: date) -> None:
    """Begin afresh; only a folder that an earlier demo made is removed."""
    marker = DEMO / _MADE_HERE
    if DEMO.exists() and any(DEMO.iterdir()) and not marker.exists():
        raise InputError(f"expected {DEMO.absolute()} to be absent or made by an earlier demo; move it away first")
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    marker.write_text(night.isoformat())
    engine = open_database(lifecycle.settings.crm_url.get_secret_value()).engine
    with translated_errors():
        demo_crm.create_schema(engine)
        sample_calls.populate_sample(engine, night, _SAMPLE_CALLS, DEMO / "recordings")
    lifecycle.crm.control.create()
    make_keys(lifecycle, Initialisation())


def _tell(night: NightResult) -> None:
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
                f"{done['industry']}: {done['left']} calls are left for a later night; LIFECYCLE_WINDOW closed",
                "yellow",
            )
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


def _where_to_look(night: NightResult) -> None:
    purged = next((done["sample"][0] for done in night.done if done["sample"]), None)
    inside = ".venv/bin/" if Path(".venv/bin/lifecycle").exists() else ""
    ui = "make ui" if Path("Makefile").exists() else "DAGSTER_HOME=$PWD/.dagster dagster dev -w workspace.yaml"
    lines = [
        ("the sample CRM", DEMO / "crm.db"),
        ("the archive and the ledger", DEMO / "store"),
        ("one call's record in words", f"{inside}lifecycle record {purged}"),
        ("its proof, for an auditor", f"{inside}lifecycle prove {purged}"),
        ("the same night in Dagster's UI", f"{ui}    then open http://127.0.0.1:3000"),
    ]
    output.print_table("Where to look", ("what", "where"), lines if purged else [*lines[:2], lines[-1]])


def _plain(night: NightResult) -> dict[str, Any]:
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
