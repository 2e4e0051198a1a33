"""A night by the processes of deploy/, on PostgreSQL storage, each process killed in turn and started again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import DUE, DUE_BANK, DUE_SHOP, World, account_for
from tests.deployment.gate import Gate, furnished
from tests.deployment.production import production
from tests.deployment.run_process import is_running

_SELECTOR = '{repositoryLocationName: "call_lifecycle", repositoryName: "__repository__", jobName: "nightly"}'
_LAUNCH = {"query": f"mutation {{ launchRun(executionParams: {{selector: {_SELECTOR}}}) {{ __typename }} }}"}


@pytest.mark.slow
def test_whatever_process_is_killed_nothing_is_lost_and_nothing_goes_twice(
    new_world: Callable[..., World], tmp_path: Path
) -> None:
    world = furnished(new_world("postgresql"))
    start = world.dump()
    with Gate(world.url) as gate, production(tmp_path, {"code": world}) as made:
        made.turn_on("sensor", "industry_nights")

        gate.close()
        made.plan("bank")
        gate.await_runs()
        made.kill("code")  # and the run in it, in the middle of its transaction
        gate.open()
        gate.await_runs(0)
        assert world.live() >= DUE
        made.start("code")
        made.await_(lambda: made.ended("industry_night", 1), 300, "the dead run was not closed")
        (killed,) = made.runs("industry_night")
        assert killed.status.value == "FAILURE"
        assert "died; what it committed stays" in made.last_words(killed)

        gate.close()
        made.plan("bank")
        gate.await_runs()
        made.kill("daemon")
        made.kill("webserver")
        gate.open()
        made.await_(lambda: made.ended("industry_night", 2), 300, "the run did not go on without them")
        assert world.live() & {*DUE_BANK, *DUE_SHOP} == set(DUE_SHOP)
        made.start("daemon", "webserver")
        answer = json.loads(made.ask(json.dumps(_LAUNCH).encode()))
        assert answer["data"]["launchRun"]["__typename"] == "UnauthorizedError"

        gate.close()
        made.plan("shop")
        gate.await_runs()
        (run, *_) = made.runs("industry_night")
        made.storage.stop()
        gate.open()  # the purge commits, and cannot say so
        made.await_(lambda: not is_running(run), 120, "the run did not end without its storage")
        made.storage.start()
        made.start_what_ended()
        made.await_(lambda: made.ended("industry_night", 3), 300, "the run that lost its storage was not closed")
        made.plan()
        made.await_(lambda: made.ended("nightly", 4), 300, "the last plan did not end")
        assert made.runs("nightly")[0].status.value == "SUCCESS"
        # nothing is due any more, and what was committed without a word is sealed all the same
        made.await_(lambda: made.ended("industry_night", 4), 300, "nobody asked for the record")
    assert account_for(world, start) == DUE
