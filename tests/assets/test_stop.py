"""A night stops when it is told to, and is never stuck on a dead one: signals, the stop switch, pools, leftovers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from assets.dead_runs import PROCESS_TAG, close_dead_runs, this_process
from assets.night import NightResult, run_night
from assets.resources import LifecycleResource
from lifecycle.crm.purging import purge_transaction
from lifecycle.errors import DatabaseError
from tests.builders import DUE, DUE_BANK, NIGHT, World

NIGHT_ASKED = {"as_of": NIGHT.isoformat()}


def night(instance: dg.DagsterInstance, **more: object) -> NightResult:
    return run_night(instance, NIGHT_ASKED, "a test", lambda *_: None, **more)  # type: ignore[arg-type]


def command(world: World, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """`lifecycle …` in a process of its own, with an instance that outlives it."""
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "DAGSTER_HOME": str(home), "LIFECYCLE_STORE": world.store_url}
    return subprocess.Popen(
        [sys.executable, "-m", "lifecycle", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def slow_down(world: World, seconds: float = 0.2) -> None:
    """A delete of a call takes so long: what a trigger of the CRM may do."""
    spin = int(seconds * 4_000_000)
    world.execute(
        "CREATE TRIGGER slow BEFORE DELETE ON calls BEGIN SELECT count(*) FROM ("
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {spin}) SELECT i FROM n); END"
    )


def until(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_signal_ends_the_night_soon_and_a_rerun_goes_on(world: World, tmp_path: Path, number, code) -> None:
    slow_down(world)
    whole = len(world.live())
    running = command(world, tmp_path / "home", "run", "--as-of", NIGHT.isoformat(), "--json")
    until(lambda: len(world.live()) < whole or running.poll() is not None)
    running.send_signal(number)
    told = time.monotonic()
    out, err = running.communicate(timeout=120)
    assert (running.returncode, time.monotonic() - told < 10) == (code, True), err
    assert world.live() & DUE, "nothing was left to be stopped"
    world.execute("DROP TRIGGER slow")
    again = command(world, tmp_path / "home", "run", "--as-of", NIGHT.isoformat(), "--json")
    out, err = again.communicate(timeout=120)
    assert json.loads(out)["failures"] == [], err
    assert world.live().isdisjoint(DUE)
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)


def test_the_stop_switch_keeps_every_run_out_until_it_is_lifted(world: World, instance: dg.DagsterInstance) -> None:
    stops = LifecycleResource().open().crm.control.stops
    stops.stop("a person", LifecycleResource().open().now(), "the auditors are here")
    before = world.dump()
    stopped = night(instance)
    assert (stopped.exit_code, stopped.failures, stopped.done) == (1, [], [])
    assert "stopped by a person" in stopped.stopped
    assert "the auditors are here" in stopped.stopped
    assert world.dump() == before
    assert stops.lift() is not None
    assert night(instance).failures == []
    assert world.live().isdisjoint(DUE)


def test_the_stop_switch_ends_a_run_between_two_transactions(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.night.purge.SLICE_CALLS", 1)
    real = purge_transaction.PurgeTransaction.purge_groups

    def then_stop(self, *arguments, **named):
        done = real(self, *arguments, **named)
        opened = LifecycleResource().open()
        opened.crm.control.stops.stop("a person", opened.now(), "")
        return done

    monkeypatch.setattr(purge_transaction.PurgeTransaction, "purge_groups", then_stop)
    stopped = night(instance)
    assert (stopped.exit_code, stopped.failures, stopped.waiting) == (1, [], 0)
    assert len(set(DUE) - world.live()) == 1
    assert [record["call_id"] for record in world.records()] == sorted(set(DUE) - world.live())


def test_a_run_whose_process_died_is_closed_and_its_slot_of_a_pool_is_free(
    world: World, instance: dg.DagsterInstance
) -> None:
    host, pid, start = this_process().rsplit(":", 2)
    dead = instance.create_run_for_job(_job(), tags={PROCESS_TAG: f"{host}:{pid}:{int(start) - 1}"})
    living = instance.create_run_for_job(_job(), tags={PROCESS_TAG: this_process()})
    elsewhere = instance.create_run_for_job(_job(), tags={PROCESS_TAG: f"another-host:{pid}:1"})
    for run in (dead, living, elsewhere):
        instance.report_dagster_event(
            dg.DagsterEvent("PIPELINE_START", job_name=run.job_name), run_id=run.run_id
        )  # started, and nothing since
    storage = instance.event_log_storage
    storage.set_concurrency_slots("crm_delete", 1)
    assert storage.claim_concurrency_slot("crm_delete", dead.run_id, "purged_calls").is_claimed
    said = close_dead_runs(instance)
    assert [run_id in " ".join(said) for run_id in (dead.run_id, living.run_id, elsewhere.run_id)] == [
        True,
        False,
        False,
    ]
    assert [line.partition(" ")[0] for line in said] == ["run", "the"]
    states = [instance.get_run_by_id(run.run_id).status.value for run in (dead, living, elsewhere)]
    assert states == ["FAILURE", "STARTED", "STARTED"]
    assert storage.get_concurrency_info("crm_delete").active_slot_count == 0
    result = night(instance)
    assert (result.failures, world.live() & DUE) == ([], set())


def test_what_a_run_left_unsealed_is_sealed_by_a_night_with_nothing_due(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise DatabaseError("not now")

    monkeypatch.setattr("assets.nightly.seal_ledger", lost)
    monkeypatch.setattr("assets.night.seal_ledger", lost)
    left = night(instance)
    assert left.exit_code == 3
    assert left.waiting > 0
    assert world.records() == []
    monkeypatch.undo()
    for name, value in _environment(world).items():
        monkeypatch.setenv(name, value)
    for path in world.policies.glob("*.yaml"):
        path.write_text(path.read_text().replace("purge_after: P", "purge_after: P1"))  # nothing is due any more
    after = night(instance)
    assert ([c["purged"] for c in after.done], after.waiting) == ([], 0)
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)


def test_a_second_night_at_once_says_that_another_is_at_work(world: World, instance: dg.DagsterInstance) -> None:
    opened = LifecycleResource().open()
    with opened.crm.control.lease("plan"):
        second = night(instance)
    assert (second.exit_code, len(second.failures)) == (3, 1)
    assert "another run holds the lease of plan" in second.failures[0][0]
    assert set(DUE_BANK) <= world.live()


def _job() -> dg.JobDefinition:
    @dg.job
    def some_job() -> None:
        """Nothing."""

    return some_job


def _environment(world: World) -> dict[str, str]:
    names = {"CRM_URL": world.url, "STORE": world.store_url, "POLICIES": str(world.policies), "SOURCE": "demo"}
    names["SIGNING_KEY"] = str(world.given()["signing_key"])
    return {f"LIFECYCLE_{name}": value for name, value in names.items()}


@pytest.mark.slow
def test_two_nights_started_at_once_record_each_call_once_and_one_says_that_another_is_at_work(
    world: World, tmp_path: Path
) -> None:
    slow_down(world, 0.1)
    nights = [command(world, tmp_path / f"home-{n}", "run", "--as-of", NIGHT.isoformat(), "--json") for n in range(2)]
    said = [night.communicate(timeout=300)[0] for night in nights]
    assert {night.returncode for night in nights} <= {0, 1, 3}
    for night, out in zip(nights, said, strict=True):
        failures = [failure["message"] for failure in json.loads(out)["failures"]]
        assert bool(failures) == (night.returncode == 3)
        assert all("another run holds the lease" in failure for failure in failures)
    assert 3 in {night.returncode for night in nights}
    world.execute("DROP TRIGGER slow")
    last = command(world, tmp_path / "home-0", "run", "--as-of", NIGHT.isoformat(), "--json")
    assert json.loads(last.communicate(timeout=300)[0])["failures"] == []
    assert world.live().isdisjoint(DUE)
    assert sorted(record["call_id"] for record in world.records()) == sorted(DUE)
