"""Runs a minute of each launcher: a night of many industries by the processes of deploy/, asked for by the sensor.

Usage: launchers.py [default|celery …] [--industries N]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema
from tests.builders import SHOP, SHOP_DAY, World
from tests.deployment.production import Production, production
from tests.servers import Postgres, Redis, Server

_WORKERS = ("worker-1", "worker-2")


@contextmanager
def served(kind: Callable[[], Server]) -> Iterator[Server]:
    """A server, removed afterwards."""
    server = kind()
    try:
        yield server
    finally:
        server.remove()


def many_industries(server: Postgres, folder: Path, count: int, calls: int = 2) -> World:
    """A CRM with a few due calls in each of many industries."""
    url = server.new_database()
    demo_schema.create_schema(sa.create_engine(url))
    world = World(url, (folder / "store").as_uri(), folder / "policies").initialised()
    for file in world.policies.glob("*.yaml"):
        file.unlink()
    for number in range(count):
        world.schedule(SHOP.replace("industry: shop", f"industry: shop-{number}").replace("Retail", f"Retail {number}"))
        account = world.account(f"Retail {number}")
        for call in range(calls):
            world.call(f"call-{number}-{call}", account, SHOP_DAY)
    world.flush()
    return world


def measure(made: Production, count: int) -> str:
    """Plan once the sensor is on; the time from the first run's request to the last run's end."""
    made.turn_on("sensor", "industry_nights")
    made.plan()
    made.await_(lambda: made.ended("industry_night", count), 1200, "the night did not end")
    with dg.DagsterInstance.from_config(str(made.home)) as instance:
        found = instance.get_run_records(dg.RunsFilter(job_name="industry_night"))
    begun = min(record.create_timestamp.timestamp() for record in found)
    seconds = max(record.end_time or 0 for record in found) - begun
    each = sorted((record.end_time or 0) - (record.start_time or 0) for record in found)
    good = sum(record.dagster_run.status is dg.DagsterRunStatus.SUCCESS for record in found)
    return (
        f"{good} runs in {seconds:.0f} s: {60 * good / seconds:.1f} a minute; a run itself {each[len(each) // 2]:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("launchers", nargs="*", default=["default", "celery"])
    parser.add_argument("--industries", type=int, default=16)
    asked = parser.parse_args()
    for launcher in asked.launchers:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            broker = stack.enter_context(served(Redis)) if launcher == "celery" else None
            server = stack.enter_context(served(Postgres))
            world = many_industries(server, folder, asked.industries)
            services = ("daemon", *(_WORKERS if broker else ()))
            made = stack.enter_context(production(folder, {"code": world}, *services, broker=broker))
            said = measure(made, asked.industries)
            print(f"{launcher:8} {said}; load {os.getloadavg()[0]:.0f}, {time.strftime('%H:%M')}", flush=True)


if __name__ == "__main__":
    main()
