"""A night by the processes of deploy/, on PostgreSQL storage, each process killed in turn and started again."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.builders import DUE, NIGHT, World, account_for
from tests.deployment.production import Production, production
from tests.roles import as_administrator, as_role

_SLOW_DELETION = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN OLD; END';
CREATE TRIGGER slow BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION slow();
"""
_NIGHT = json.dumps({"ops": {"disposition_plan": {"config": {"as_of": NIGHT.isoformat()}}}})
_SELECTOR = '{repositoryLocationName: "call_lifecycle", repositoryName: "__repository__", jobName: "nightly"}'
_LAUNCH = {"query": f"mutation {{ launchRun(executionParams: {{selector: {_SELECTOR}}}) {{ __typename }} }}"}


def plan(made: Production) -> None:
    made.do("dagster", "job", "launch", "-w", "/etc/lifecycle/workspace.yaml", "-j", "nightly", "--config-json", _NIGHT)


def deleting(url: str) -> bool:
    """Whether a run of ours deletes at this moment."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'DELETE FROM%calls%'"
    with psycopg.connect(as_administrator(url).replace("+psycopg", "")) as connection:
        return bool(connection.execute(asked).fetchone()[0])


@pytest.mark.slow
def test_whatever_process_is_killed_nothing_is_lost_and_nothing_goes_twice(
    new_world: Callable[..., World], tmp_path: Path
) -> None:
    world = new_world("postgresql").furnish()
    start = world.dump()
    with psycopg.connect(as_administrator(world.url).replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(_SLOW_DELETION)
    settings = {
        "LIFECYCLE_SOURCE": "demo",
        "LIFECYCLE_STORE": world.store_url,
        "LIFECYCLE_POLICIES": str(world.policies),
        "LIFECYCLE_SIGNING_KEY": str(world.given()["signing_key"]),
    }
    with production(tmp_path, as_role(world.url), settings) as made:
        made.do("dagster", "sensor", "start", "-w", "/etc/lifecycle/workspace.yaml", "industry_nights")

        plan(made)
        made.await_(lambda: deleting(world.url), 180, "no run deletes")
        made.kill("code")  # and the run in it, in the middle of a transaction
        assert world.live() >= DUE
        made.start("code")
        made.await_(lambda: not under_way(made, "industry_night"), 420, "the dead run was not closed")

        plan(made)
        made.await_(lambda: deleting(world.url), 240, "no run deletes")
        made.kill("daemon")  # the run goes on without it
        made.kill("webserver")
        made.start("daemon")
        made.start("webserver")
        answer = json.loads(made.ask(json.dumps(_LAUNCH).encode()))
        assert answer["data"]["launchRun"]["__typename"] == "UnauthorizedError"

        made.await_(lambda: deleting(world.url), 240, "no run deletes")
        made.storage.stop()
        made.storage.start()

        def done() -> bool:
            return not DUE & set(world.live()) and not under_way(made)

        made.await_(lambda: not under_way(made), 300, "runs did not end")
        plan(made)
        made.await_(done, 300, "the night was not finished")
    assert account_for(world, start) == DUE


def under_way(made: Production, job: str | None = None) -> bool:
    over = {"SUCCESS", "FAILURE", "CANCELED"}
    return any(not set(found) <= over for name, found in made.statuses().items() if job in (None, name))
