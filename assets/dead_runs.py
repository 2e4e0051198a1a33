"""Runs whose process died without a word: closed, and what they hold in Dagster's pools given back.

A killed run keeps its slot of a pool for ever, and every later run would wait for it (docs/dagster.md). Safety does not
hang on this: leases and row locks end with the dead process's sessions.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

PROCESS_TAG = "lifecycle/process"
_OPEN = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]


def this_process() -> str:
    """This process, told apart from every other of any machine and time: `<host>:<pid>:<start>`."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def close_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Close the runs of dead processes of this machine and free the slots of ended runs; gives a line for each."""
    said = list(_close(instance))
    for pool, run_id in list(_held_by_ended_runs(instance)):
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        said.append(f"the pool {pool} was held by run {run_id}, which has ended: its slot is free again")
    return said


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Close runs of this machine whose process died without a word, and free their pools: else the next would wait.

    Where runs are elsewhere (Celery, Kubernetes) nobody here can say; the launcher's own monitoring does.
    """
    said = close_dead_runs(context.instance)
    return dg.SkipReason("; ".join(said) or "every run that is under way has its process")


def _close(instance: dg.DagsterInstance) -> Iterator[str]:
    for run in instance.get_runs(dg.RunsFilter(statuses=_OPEN)):
        process = run.tags.get(PROCESS_TAG)
        if process and _is_dead(process):
            _, pid, _ = process.rsplit(":", 2)
            message = f"its process {pid} died; what it committed stays, and a rerun goes on with the rest"
            instance.report_run_failed(run, message)
            yield f"run {run.run_id} ({run.job_name}) is closed: {message}"


def _held_by_ended_runs(instance: dg.DagsterInstance) -> Iterator[tuple[str, str]]:
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    for pool in sorted(storage.get_concurrency_keys()):
        info = storage.get_concurrency_info(pool)
        for run_id in sorted(info.active_run_ids | info.pending_run_ids):
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                yield pool, run_id


def _is_dead(process: str) -> bool:
    """Whether a process of this machine is gone. Of other machines nobody here can say."""
    host, pid, started = process.rsplit(":", 2)
    return host == socket.gethostname() and _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; blank: there is none, or a dead one that nobody took note of, as
    in a container whose first process does not. proc(5), fields 3 and 22 of stat.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""
