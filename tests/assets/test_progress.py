"""How far a step is: said now and then, with the rate since it began, and as numbers at its end."""

import dagster as dg
import pytest

from assets.progress import LoggedProgress, pace_metadata, progress_line
from tests.assets.test_nightly import night
from tests.builders import DUE, World


class Log:
    """A log that keeps what it is told, and a stopwatch."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.now = 0.0

    def info(self, message: str) -> None:
        self.said.append(message)

    def stopwatch(self) -> float:
        return self.now


def test_it_is_said_every_half_minute_and_not_in_between() -> None:
    log = Log()
    progress = LoggedProgress(log, log.stopwatch)
    for second in range(0, 100, 10):
        log.now = float(second)
        progress("purged bank", 1_000 + 250 * second, 41_000)
    assert log.said == [
        "purged bank: 8,500 of 41,000, 250 a second, 130 s left",
        "purged bank: 16,000 of 41,000, 250 a second, 100 s left",
        "purged bank: 23,500 of 41,000, 250 a second, 70 s left",
    ]


def test_a_quick_step_says_nothing_and_one_without_an_end_says_no_time() -> None:
    log = Log()
    progress = LoggedProgress(log, log.stopwatch)
    progress("sealed", 1, 2)
    log.now = 29.9
    progress("sealed", 2, 2)
    assert log.said == []
    assert progress_line("candidates judged", 50_000, 0, 1_250.4) == "candidates judged: 50,000, 1,250 a second"
    assert progress_line("sealed", 2, 2, 0.0) == "sealed: 2 of 2, 0 a second"
    assert pace_metadata(10, 4.0) == {"seconds": 4.0, "calls_a_second": 2.5}


@pytest.mark.slow
def test_each_step_of_a_night_says_how_long_it_took_and_logs_as_itself(
    world: World, instance: dg.DagsterInstance, monkeypatch
) -> None:
    monkeypatch.setattr("assets.progress.EVERY_SECONDS", 0.0)
    assert sum(done["purged"] for done in night(instance).done) == len(DUE)
    for asset in ("disposition_plan", "archived_calls", "purged_calls", "deletion_record"):
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        found = event.asset_materialization.metadata
        assert found["seconds"].value > 0
        assert found["calls_a_second"].value > 0
    told = {
        (entry.step_key, entry.user_message.partition(":")[0])
        for run in instance.get_runs()
        for entry in instance.all_logs(run.run_id)
        if " a second" in entry.user_message
    }
    assert {("purged_calls", "purged bank"), ("deletion_record", "sealed")} <= told
