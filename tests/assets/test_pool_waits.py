"""A run that waits for a slot of a pool sleeps, and does not wait for the dead."""

import os
import signal
import subprocess
import threading
import time

import dagster as dg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from assets.dead_runs import PROCESS_TAG, _started, this_process
from assets.pool_waits import AS_DAGSTER_HAS_IT, mend_pool_waits


@dg.op(pool="crm_delete")
def one_step() -> None:
    """Nothing."""


@dg.job(executor_def=dg.in_process_executor)
def one_job() -> None:
    one_step()


@pytest.fixture
def limited():
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"granularity": "op"}}}) as instance:
        instance.event_log_storage.set_concurrency_slots("crm_delete", 1)
        yield instance


def holder(instance: dg.DagsterInstance, process: str) -> str:
    """A started run of a process that holds the pool."""
    run = instance.create_run_for_job(one_job, tags={PROCESS_TAG: process})
    instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", job_name="one_job"), run_id=run.run_id)
    assert instance.event_log_storage.claim_concurrency_slot("crm_delete", run.run_id, "one_step").is_claimed
    return run.run_id


def test_who_waits_for_a_slot_takes_no_processor_time_meanwhile(limited: dg.DagsterInstance) -> None:
    mend_pool_waits()
    held = holder(limited, this_process())
    freeing = threading.Timer(2, limited.event_log_storage.free_concurrency_slots_for_run, [held])
    freeing.start()
    began, spent = time.monotonic(), time.thread_time()
    assert one_job.execute_in_process(instance=limited).success
    assert time.monotonic() - began >= 1.5
    assert time.thread_time() - spent < 1.0


def test_who_waits_goes_on_when_the_holder_is_killed_meanwhile(limited: dg.DagsterInstance) -> None:
    mend_pool_waits()
    other = subprocess.Popen(["sleep", "60"])  # never waited for: it stays a zombie
    held = holder(limited, f"{this_process().split(':')[0]}:{other.pid}:{_started(other.pid)}")
    threading.Timer(1, os.kill, [other.pid, signal.SIGKILL]).start()
    began = time.monotonic()
    assert one_job.execute_in_process(instance=limited).success
    assert time.monotonic() - began < 20
    assert limited.get_run_by_id(held).status is dg.DagsterRunStatus.FAILURE
    other.wait()


def test_dagster_does_not_mend_it_yet(limited: dg.DagsterInstance) -> None:
    """The day this fails, Dagster has mended it, and assets/pool_waits needs only to close dead runs."""
    mend_pool_waits()
    waiting = InstanceConcurrencyContext(limited, limited.create_run_for_job(one_job))
    waiting._pending_claims.add("one_step")
    waiting._pending_timeouts["one_step"] = time.time() + 10
    assert AS_DAGSTER_HAS_IT(waiting) <= 0
    assert 0 < waiting.interval_to_next_pending_claim_check() <= 2
