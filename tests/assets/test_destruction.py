"""The asset of destroyed copies: it looks until it is switched on, waits for a person at the brake, then destroys."""

from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import defs
from tests.builders import DUE_BANK, World, run_night

DAY = "2026-11-20"


def materialized(instance: dg.DagsterInstance, **config: object) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("destruction")
    given = {"ops": {"destroyed_batches": {"config": {"as_of": DAY, **config}}}}
    return job.execute_in_process(instance=instance, run_config=given)


def said(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node("destroyed_batches")
    return {name: value.value for name, value in event.metadata.items()}


def test_it_looks_waits_and_destroys(world: World, instance, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = world.policies / "bank.yaml"
    text = schedule.read_text()
    text = text.replace("destroy_after: P7Y", "destroy_after: P5Y").replace("destroy_after: P6Y", "destroy_after: P5Y")
    schedule.write_text(text)
    run_night(world.lifecycle())
    schedule.write_text(text.replace("max_share: 100%", "max_share: 10%"))
    looked = materialized(instance)
    found = said(looked)
    assert (found["switched_on"], found["may_go"], found["copies_destroyed"]) == (False, len(DUE_BANK), 0)
    (check,) = looked.get_asset_check_evaluations()
    assert not check.passed
    monkeypatch.setenv("LIFECYCLE_DESTROY", "true")
    assert said(materialized(instance))["copies_destroyed"] == 0
    ((waiting, why),) = check.metadata["found"].value.items()
    assert why[-1].startswith(f"To let its brake go: lifecycle destroy --as-of {DAY} --run --accept-plan ")
    done = materialized(instance, accept_plan=[waiting.rpartition(" ")[2]])
    assert said(done)["copies_destroyed"] == len(DUE_BANK)
    (check,) = done.get_asset_check_evaluations()
    assert check.passed
    bank = Path(world.store_url.removeprefix("file://")) / "archive" / "industry=bank"
    left = {path.relative_to(bank).parts[1] for path in bank.rglob("*") if path.is_file()}
    assert left == {"destroy=never"}  # a call that is of the shop as well


def test_the_schedule_is_off_until_somebody_turns_it_on() -> None:
    schedule = defs.resolve_schedule_def("destruction")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
