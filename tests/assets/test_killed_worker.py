"""A worker that is killed in the middle of a purge, inside a pool of a running `dagster dev`: nobody waits for it."""

import os
import re
import signal
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from tests.assets.dagster_dev import PROJECT, DagsterDev
from tests.assets.test_stop import slow_down, until
from tests.builders import DUE, NIGHT, World

INSTANCES = ("assets/dagster.yaml", "deploy/dagster.yaml")
_PID = re.compile(r"\(pid: (\d+)\)")


@pytest.mark.parametrize("file", INSTANCES)
def test_both_sample_instances_free_the_slots_of_ended_runs(file: str) -> None:
    monitoring = yaml.safe_load((PROJECT / file).read_text())["run_monitoring"]
    assert monitoring["enabled"] is True
    assert 0 < monitoring["free_slots_after_run_end_seconds"] <= 300
    assert monitoring["max_resume_run_attempts"] == 0


def hurried(home: Path) -> None:
    """The sample instance, that looks every second; what it does is the same."""
    file = home / "dagster.yaml"
    found = yaml.safe_load(file.read_text())
    found["run_monitoring"] |= {"poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
    file.write_text(yaml.safe_dump(found))


def launched(dagster: DagsterDev, industry: str) -> str:
    night = NIGHT.isoformat()
    tags = {"dagster/partition": f"{industry}|{night}", "dagster/partition/industry": industry}
    return dagster.launch("industry_night", {}, {**tags, "dagster/partition/night": night})


@pytest.mark.slow
def test_a_worker_killed_inside_a_pool_keeps_nobody_waiting(world: World, tmp_path: Path) -> None:
    slow_down(world, 4)
    home, names = tmp_path / "home", ("CRM_URL", "STORE", "POLICIES", "SOURCE", "SIGNING_KEY")
    settings = {f"LIFECYCLE_{name}": os.environ[f"LIFECYCLE_{name}"] for name in names}
    with DagsterDev(home, settings, hurried) as dagster, dg.DagsterInstance.from_config(str(home)) as instance:
        config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
        assert dagster.finished(dagster.launch("nightly", config), 300) == "SUCCESS"
        storage = instance.event_log_storage
        runs = {launched(dagster, industry) for industry in ("bank", "shop")}
        until(lambda: storage.get_concurrency_info("crm_delete").active_run_ids)
        (killed,) = storage.get_concurrency_info("crm_delete").active_run_ids
        (waiting,) = runs - {killed}
        until(lambda: len(instance.all_logs(killed, of_type=dg.DagsterEventType.STEP_START)) >= 2)
        said = " ".join(entry.user_message for entry in instance.all_logs(killed))
        os.kill(int(_PID.findall(said)[-1]), signal.SIGKILL)
        until(lambda: killed not in storage.get_concurrency_info("crm_delete").active_run_ids)
        world.execute("DROP TRIGGER slow")
        assert dagster.finished(killed) == "FAILURE"
        assert dagster.finished(waiting, 300) == "SUCCESS"
        again = launched(dagster, "bank" if DUE & world.live() >= {"id-bank-1"} else "shop")
        assert dagster.finished(again, 300) == "SUCCESS"
    assert world.live().isdisjoint(DUE)
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
    assert audit_archive_and_ledger(world.lifecycle()).sound


@pytest.mark.slow
def test_terminate_in_the_ui_ends_a_run_and_a_queued_one_and_the_next_launch_goes_on(
    world: World, tmp_path: Path
) -> None:
    slow_down(world, 2)
    home, names = tmp_path / "home", ("CRM_URL", "STORE", "POLICIES", "SOURCE", "SIGNING_KEY")
    settings = {f"LIFECYCLE_{name}": os.environ[f"LIFECYCLE_{name}"] for name in names}
    with DagsterDev(home, settings, hurried) as dagster, dg.DagsterInstance.from_config(str(home)) as instance:
        config = {"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}}
        assert dagster.finished(dagster.launch("nightly", config), 300) == "SUCCESS"
        storage = instance.event_log_storage
        running = launched(dagster, "bank")
        until(lambda: running in storage.get_concurrency_info("crm_delete").active_run_ids)
        twice = launched(dagster, "bank")  # the same partition again: it waits in the queue
        until(lambda: instance.get_run_by_id(twice).status is dg.DagsterRunStatus.QUEUED)
        dagster.terminate(twice)
        assert dagster.finished(twice) == "CANCELED"
        told = time.monotonic()
        dagster.terminate(running)
        assert dagster.finished(running) == "CANCELED"
        assert time.monotonic() - told < 60  # its statement of some seconds ends first; the daemon looks now and then
        until(lambda: not storage.get_concurrency_info("crm_delete").active_run_ids)
        world.execute("DROP TRIGGER slow")
        runs = [launched(dagster, industry) for industry in ("bank", "bank", "shop")]
        assert [dagster.finished(run, 300) for run in runs] == ["SUCCESS"] * 3
    assert world.live().isdisjoint(DUE)
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
    assert audit_archive_and_ledger(world.lifecycle()).sound
