"""The drill in Dagster, on a real instance: on record, and a check that turns red when it fails or is overdue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import defs
from lifecycle.custody.drill import drill_archive
from lifecycle.night.drill_gate import newest_drill
from tests.assets.test_nightly import messages, night
from tests.builders import DUE, World, run_night


def ran(instance: dg.DagsterInstance, job: str, **how: bool) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def(job).execute_in_process(instance=instance, **how)


def check(result: dg.ExecuteInProcessResult) -> tuple[bool, str | None]:
    (found,) = result.get_asset_check_evaluations()
    return found.passed, found.description


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node("restored_trial")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_drill_that_passes_is_green_and_one_that_fails_is_red(world: World, instance: dg.DagsterInstance) -> None:
    assert check(ran(instance, "drill_check")) == (False, "no drill was ever run")
    run_night(world.lifecycle())
    passed = ran(instance, "drill")
    said = metadata(passed)
    assert (said["batches"], said["failed"]) == (3, {})
    assert 0 < int(str(said["calls"])) <= len(DUE)
    assert check(passed) == check(ran(instance, "drill_check")) == (True, None)
    for path in Path(world.store_url.removeprefix("file://")).glob("archive/**/calls.parquet"):
        path.write_bytes(b"rotten")
    failed = ran(instance, "drill")
    assert len(metadata(failed)["failed"]) == 3  # type: ignore[arg-type]
    green, why = check(failed)
    assert (green, why) == (False, f"the newest drill, of {datetime.now(UTC).date()}, failed")


def test_it_turns_red_when_the_last_one_is_too_old(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the drill's own run, which would make it new: by a job of its own, daily."""
    run_night(world.lifecycle())
    before = world.lifecycle()
    days = {"ago": 14}
    object.__setattr__(before, "now", lambda: datetime.now(UTC) - timedelta(days=days["ago"]))
    assert drill_archive(before, 1).passed
    assert check(ran(instance, "drill_check")) == (True, None)
    monkeypatch.setenv("LIFECYCLE_PURGE_NEEDS_DRILL", "P7D")
    old = newest_drill(world.lifecycle())
    assert old is not None
    assert check(ran(instance, "drill_check")) == (False, f"the newest drill is of {old.at.date()}, older than P7D")
    monkeypatch.delenv("LIFECYCLE_PURGE_NEEDS_DRILL")
    world.execute("DELETE FROM lifecycle_leaves WHERE id LIKE 'drilled:%'")
    days["ago"] = 15
    assert drill_archive(before, 1).passed
    green, why = check(ran(instance, "drill_check"))
    assert (green, str(why).endswith("older than P14D")) == (False, True)


def test_an_empty_archive_fails_the_run(world: World, instance: dg.DagsterInstance) -> None:
    result = ran(instance, "drill", raise_on_error=False)
    assert not result.success
    assert newest_drill(world.lifecycle()) is None


def test_the_schedule_asks_for_a_drill(world: World, instance: dg.DagsterInstance) -> None:
    schedule = defs.resolve_schedule_def("weekly_drill")
    sunday = datetime(2026, 11, 22, 5, tzinfo=UTC)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=sunday)
    (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert schedule.job_name == "drill"
    assert "schedule weekly_drill" in request.tags.values()


@pytest.mark.slow
def test_a_night_that_needs_a_drill_says_so_in_dagster(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_PURGE_NEEDS_DRILL", "P14D")
    refused = night(instance)
    assert "no drill was ever run" in messages(refused)
    assert world.live() >= DUE
    assert ran(instance, "drill").success
    assert night(instance).failures == []
    assert DUE.isdisjoint(world.live())
