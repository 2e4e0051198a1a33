"""`lifecycle demo`: a sample CRM made afresh, and the last nights on it, with what happens to a CRM in between."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.cli import output
from lifecycle.crm.database import Database, open_database, translated_errors
from lifecycle.crm.sample import demo_schema as demo_crm
from lifecycle.crm.sample import sample_calls
from lifecycle.crm.sample.sample_events import bring_recordings_back, import_old_calls, take_recordings_away
from lifecycle.deployment.initialisation import Initialisation, make_keys
from lifecycle.deployment.lifecycle import Lifecycle, resolve_night
from lifecycle.deployment.shipped_files import write_policies, write_workspace
from lifecycle.errors import InputError
from lifecycle.settings import Settings, read_settings

if TYPE_CHECKING:
    from assets.night import NightResult

DEMO = Path("demo")
_MADE_HERE = "made-by-lifecycle-demo"
_SAMPLE_CALLS = 2000
_RECORDINGS_AWAY, _BRAKE = 6, 4  # so many nights before tonight


def demo(json_output: bool, nights: int) -> int:
    """Make a sample CRM afresh below ./demo and run the last nights on it, up to tonight's. Returns 0: none failed.

    On the way something happens to the CRM: recordings are missing for a night, an import trips a brake, which
    is let go the night after. Raises InputError where the settings name another CRM or store: the demo never touches
    yours.
    """
    settings = read_settings()
    _require_own_sample(settings)
    write_policies(settings.policies)
    write_workspace(Path.cwd())
    lifecycle = Lifecycle(settings, lambda: datetime.now(UTC))
    tonight = resolve_night(lifecycle, None)
    crm = _make_sample(lifecycle, tonight, nights)
    from lifecycle.cli.run_demo import night_as_json, run_one_night, tell_night  # definitions load the first night now

    before = [_demo_night(crm, tonight, back, json_output) for back in range(nights - 1, 0, -1)]
    result = run_one_night({"as_of": tonight}, json_output)
    if json_output:
        output.print_json(night_as_json(result))
    else:
        tell_night(result)
        _tell_nights_before(before)
        _where_to_look(result)
    return max((code for night in (*before, result) for code in [c for _, c in night.failures]), default=0)


def _demo_night(crm: Database, tonight: date, back: int, json_output: bool) -> "NightResult":
    """One of the nights before: what happens to the CRM that day, and the night."""
    night = tonight - timedelta(days=back)
    away = take_recordings_away(crm.engine, night, DEMO / "recordings") if back == _RECORDINGS_AWAY else []
    if back == _BRAKE:
        import_old_calls(crm.engine, night)
    from lifecycle.cli.run_demo import run_one_night  # as in `demo`

    result = run_one_night({"as_of": night}, json_output)
    bring_recordings_back(away)
    waiting = [plan["sha256"] for plan in result.planned.get("plans_by_industry", {}).values() if plan["waits"]]
    if back == _BRAKE and waiting:  # looked at the day after, and let go
        accepted = run_one_night({"as_of": night, "accept_plan": waiting}, json_output)
        result.done = accepted.done  # what went the night before it counts as gone before
        result.failures += accepted.failures
    return result


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


def _make_sample(lifecycle: Lifecycle, night: date, nights: int) -> Database:
    """Begin afresh; only a folder that an earlier demo made is removed."""
    marker = DEMO / _MADE_HERE
    if DEMO.exists() and any(DEMO.iterdir()) and not marker.exists():
        raise InputError(f"expected {DEMO.absolute()} to be absent or made by an earlier demo; move it away first")
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    marker.write_text((night - timedelta(days=nights - 1)).isoformat())
    crm = open_database(lifecycle.settings.crm_url.get_secret_value())
    with translated_errors():
        demo_crm.create_schema(crm.engine)
        sample_calls.populate_sample(crm.engine, night, _SAMPLE_CALLS, DEMO / "recordings", max(5, nights))
    lifecycle.crm.control.create()
    make_keys(lifecycle, Initialisation())
    return crm


def _tell_nights_before(nights: list["NightResult"]) -> None:
    """A line a night."""
    rows = [
        (
            night.night,
            sum(done["archived"] for done in night.done),
            sum(done["purged"] + done["purged_before"] for done in night.done),
            sum(done["calls_set_aside"] for done in night.done),
            ", ".join(name for name, plan in night.planned["plans_by_industry"].items() if plan["waits"]) or "-",
        )
        for night in nights
        if night.planned
    ]
    for night in nights:
        for message, _ in night.failures:
            output.print_sentence(f"{night.night} failed: {message}", style="red")
    if rows:
        output.print_table("The nights before", ("night", "archived", "purged", "set aside", "waited"), rows)


def _where_to_look(night: "NightResult") -> None:
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
