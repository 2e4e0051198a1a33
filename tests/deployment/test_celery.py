"""Runs on Celery workers, by the commands and YAML of deploy/celery without containers: two workers, one killed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from tests.builders import DUE, World, account_for
from tests.deployment.gate import Gate, furnished
from tests.deployment.production import Production, production
from tests.deployment.run_process import process_of
from tests.servers import Redis

_WORKERS = ("worker-1", "worker-2")


@pytest.mark.slow
def test_a_night_on_two_workers_one_of_which_is_killed(
    new_world: Callable[..., World], tmp_path: Path, redis_server: Redis
) -> None:
    world = furnished(new_world("postgresql"))
    start = world.dump()
    with (
        Gate(world.url) as gate,
        production(tmp_path, {"code": world}, "daemon", *_WORKERS, broker=redis_server) as made,
    ):
        made.turn_on("sensor", "industry_nights")
        gate.close()
        made.plan("bank")
        gate.await_runs()
        (run,) = made.runs("industry_night")
        made.kill(_worker_of(made, run))
        gate.open()
        gate.await_runs(0)
        assert world.live() >= DUE
        made.await_(lambda: made.ended("industry_night", 1), 300, "the run of the killed worker was not closed")
        assert "died; what it committed stays" in made.last_words(made.runs("industry_night")[0])

        began = time.monotonic()
        made.plan()  # on the worker that is left
        made.await_(lambda: made.ended("industry_night", 3), 300, "the night did not end")
        print(f"a plan and two runs on one worker: {time.monotonic() - began:.0f} s")
    assert account_for(world, start) == DUE


def _worker_of(made: Production, run: dg.DagsterRun) -> str:
    """The worker whose process a run said it is."""
    group = os.getpgid(process_of(run))
    return next(name for name in _WORKERS if made.group(name) == group)
