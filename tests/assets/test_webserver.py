"""A night launched over GraphQL at a running `dagster dev`, as the UI launches it; the sensor asks for the rest."""

from pathlib import Path

import pytest

from tests.assets.dagster_dev import DagsterDev
from tests.builders import DUE, NIGHT, World

INDUSTRIES = {"bank", "shop"}


@pytest.mark.slow
def test_a_night_launched_in_the_ui_is_done_by_daemon_and_sensor(world: World, tmp_path: Path) -> None:
    with DagsterDev(tmp_path / "home", {}) as dagster:
        dagster.start_sensor("industry_nights")
        config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
        assert dagster.finished(dagster.launch("nightly", config)) == "SUCCESS"
        assert dagster.await_runs("industry_night", 2, 180) == ["SUCCESS", "SUCCESS"]
        done = {(entry["industry"], entry["night"]) for entry in dagster.metadata("purged_calls")}
        assert done == {(industry, NIGHT.isoformat()) for industry in INDUSTRIES}
    assert DUE.isdisjoint(world.live())
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
