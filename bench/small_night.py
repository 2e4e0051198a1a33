"""A small night through the daemon: 20 calls in five industries, from the sensor's tick to the last run's end.

Usage: small_night.py [--industries N] [--calls N] [--runs N]. The processes are deploy/'s, and what only tests install
(pandas, matplotlib: a second of each run's start) is hidden from them, for the image has none of it.
"""

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import dagster as dg

from bench.launchers import many_industries, served
from tests.deployment.production import Production, production
from tests.servers import Postgres


def measure(made: Production, count: int) -> dict[str, float]:
    """Plan, then let the sensor ask; how many seconds each part of it took."""
    made.turn_on("sensor", "industry_nights")
    made.plan()
    made.await_(lambda: made.ended("industry_night", count), 600, "the night did not end")
    with dg.DagsterInstance.from_config(str(made.home)) as instance:
        (plan,) = instance.get_run_records(dg.RunsFilter(job_name="nightly"))
        found = instance.get_run_records(dg.RunsFilter(job_name="industry_night"))
        steps = [step for record in found for step in instance.get_run_step_stats(record.dagster_run.run_id)]
    assert all(record.dagster_run.is_success for record in found), [made.last_words(r.dagster_run) for r in found]
    asked = min(record.create_timestamp.timestamp() for record in found)
    ended = max(record.end_time or 0 for record in found)
    return {
        "the plan's run, launched to ended": (plan.end_time or 0) - plan.create_timestamp.timestamp(),
        "plan ended to tick": asked - (plan.end_time or 0),
        "tick to last end": ended - asked,
        "a run's own": statistics.median((r.end_time or 0) - (r.start_time or 0) for r in found),
        "asked to started": statistics.median((r.start_time or 0) - r.create_timestamp.timestamp() for r in found),
        "steps of all runs": sum((step.end_time or 0) - (step.start_time or 0) for step in steps),
    }


def hide_what_the_image_lacks(folder: Path) -> None:
    """As in an environment of deploy/requirements.txt."""
    folder.mkdir()
    for name in ("pandas", "matplotlib"):
        (folder / f"{name}.py").write_text("raise ImportError('not in the image')")
    os.environ["PYTHONPATH"] = str(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--industries", type=int, default=5)
    parser.add_argument("--calls", type=int, default=4, help="of each industry")
    parser.add_argument("--runs", type=int, default=1)
    asked = parser.parse_args()
    every: list[dict[str, float]] = []
    for _ in range(asked.runs):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            hide_what_the_image_lacks(folder / "hidden")
            world = many_industries(stack.enter_context(served(Postgres)), folder, asked.industries, asked.calls)
            made = stack.enter_context(production(folder, {"code": world}, "daemon"))
            every.append(measure(made, asked.industries))
            load = f"load {os.getloadavg()[0]:.1f}, {time.strftime('%H:%M')}"
            print("; ".join(f"{name} {value:.1f} s" for name, value in every[-1].items()), load, flush=True)
    print("medians:", {name: round(statistics.median(one[name] for one in every), 1) for name in every[0]})


if __name__ == "__main__":
    main()
