"""A night launched over GraphQL at a running `dagster dev`, as the UI launches it; the sensor asks for the cohorts."""

from pathlib import Path

import pytest

from tests.assets.dagster_dev import DagsterDev
from tests.builders import DUE, NIGHT, World

COHORTS = {"2021-03|bank", "2025-04|shop"}


@pytest.mark.slow
def test_a_night_launched_in_the_ui_is_done_by_daemon_and_sensor(world: World, tmp_path: Path) -> None:
    with DagsterDev(tmp_path / "home", {}) as dagster:
        dagster.start_sensor("cohorts")
        config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
        assert dagster.finished(dagster.launch("nightly", config)) == "SUCCESS"
        assert dagster.await_runs("cohort", len(COHORTS), 180) == ["SUCCESS"] * len(COHORTS)
        assert {entry["cutoff"] + "|" + entry["industry"] for entry in dagster.metadata("purged_calls")} == COHORTS
    assert DUE.isdisjoint(world.live())
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
