"""`lifecycle status`: what waits comes first, the rest is shown whatever is down, and nothing is written."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.alerts.heartbeat import Heartbeat, write_heartbeat
from lifecycle.cli import status
from lifecycle.deployment.lifecycle import Run
from lifecycle.night.plan import plan_night
from tests.cli.conftest import NIGHT, Place, Run_
from tests.servers import free_port

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOLD = """id: smith-v-us
matter: Smith against us
placed_at: 2026-11-01
placed_by: legal
scope: {account_ids: [nobody]}
"""


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the day of the night that the fixtures run."""
    opened = status.open_lifecycle
    monkeypatch.setattr(status, "open_lifecycle", lambda draw: replace(opened(draw), now=lambda: NOON))


def lines(said: Any, subject: str) -> list[str]:
    return [line["said"] for line in said.json["lines"] if line["subject"] == subject]


def test_after_a_night_the_numbers_are_what_sql_counts(lifecycle: Run_, purged: Place) -> None:
    said = lifecycle("status", "--json")
    counted = purged.sql("SELECT industry, sum(calls) FROM lifecycle_purges GROUP BY industry")
    assert counted
    assert {one["industry"]: one["purged"] for one in said.json["nights"] if one["purged"]} == dict(counted)
    done = [one for one in said.json["nights"] if one["planned"]]
    assert {one["state"] for one in done} == {"done"}
    assert {one["industry"] for one in done} == set(dict(counted))
    assert {one["night"] for one in done} == {NIGHT.isoformat()}
    text = lifecycle("status").out
    assert text.count("done") == len(done)
    assert "2026-11-20 is not planned" not in text


def test_it_writes_nothing_and_before_init_says_what_to_run(lifecycle: Run_, place: Place) -> None:
    before = (place.folder / "crm.db").read_bytes()
    said = lifecycle("status")
    assert said.code == 2
    assert "CRM: the CRM has no control tables. Run `lifecycle init` once" in said.out
    assert (place.folder / "crm.db").read_bytes() == before
    assert not place.store.exists()


def plan_with_a_brake(place: Place) -> str:
    """The night planned under schedules that let nothing go; gives the digest of one plan."""
    for path in place.policies.glob("*.yaml"):
        rest = [line for line in path.read_text().splitlines() if not line.startswith("max_share")]
        path.write_text("\n".join([*rest, "max_share: 0.01%", ""]))
    opened = place.lifecycle()
    plans = plan_night(opened, NIGHT, Run("run-2", "a tester"))[1]
    return next(plan.sha256 for plan in plans.values() if plan.waits_for)


def test_a_plan_that_waits_comes_first_with_who_and_what_to_type(
    lifecycle: Run_, purged_again: list[str], place: Place
) -> None:
    digest = plan_with_a_brake(place)
    said = lifecycle("status")
    assert said.code == 1
    first = said.out.splitlines()[1]
    assert "waits for whoever may run a night" in first
    assert f"--accept-plan {digest[:12]}" in said.out
    waiting = {one["sha256"]: one for one in lifecycle("status", "--json").json["waiting"]}
    assert waiting[digest]["reasons"][0].startswith("brake: ")
    assert waiting[digest]["to_type"] == [
        f"lifecycle run --as-of 2026-11-20 --industry {waiting[digest]['industry']} --accept-plan {digest[:12]}"
    ]


def test_a_stop_a_night_that_is_late_and_a_hold_on_nobody_need_a_person(
    lifecycle: Run_, purged: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    purged.lifecycle().control.stops.stop("alice", NOON, "an incident")
    (purged.policies / "holds" / "smith-v-us.yaml").write_text(HOLD)
    later = NOON + timedelta(days=3)
    opened = status.open_lifecycle
    monkeypatch.setattr(status, "open_lifecycle", lambda draw: replace(opened(draw), now=lambda: later))
    said = lifecycle("status", "--json")
    assert said.code == 1
    assert lines(said, "stop") == ["stopped by alice at 2026-11-20T12:00:00+00:00: an incident"]
    assert lines(said, "tonight") == ["2026-11-23 is not planned yet; the last was 2026-11-20"]
    assert lines(said, "holds") == ["1 active; 3 calls in those that name calls", "smith-v-us needs a person's review"]
    types = {line["to_type"] for line in said.json["lines"]}
    assert {"lifecycle stop --lift", "lifecycle holds"} <= types


def test_a_hold_on_an_industry_is_named_and_not_counted(lifecycle: Run_, purged: Place) -> None:
    wide = HOLD.replace("{account_ids: [nobody]}", "{industries: [retail]}")
    (purged.policies / "holds" / "smith-v-us.yaml").write_text(wide)
    assert "not counted here, for they are wide: smith-v-us" in lines(lifecycle("status", "--json"), "holds")


@pytest.mark.parametrize("down", ["database", "store", "both"])
def test_what_is_down_is_said_and_the_rest_is_shown(
    lifecycle: Run_, purged: Place, down: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if down in ("database", "both"):
        (purged.folder / "crm.db").write_bytes(b"no database")
    if down in ("store", "both"):
        monkeypatch.setenv("LIFECYCLE_STORE", "s3://nowhere/calls")
        monkeypatch.setenv("LIFECYCLE_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    said = lifecycle("status", "--json")
    failed = {line["subject"] for line in said.json["lines"] if line["exit_code"] == 3}
    assert said.code == 3
    assert failed == {"database": {"CRM"}, "store": {"anchors"}, "both": {"CRM", "anchors"}}[down]
    assert len(lines(said, "policies")) == len(lines(said, "schedule")) == 1
    assert bool(said.json["nights"]) == (down == "store")


def test_a_store_without_the_checkpoint_of_nights_that_ran_is_said(lifecycle: Run_, purged: Place) -> None:
    shutil.rmtree(purged.store)
    said = lifecycle("status", "--json")
    assert (said.code, lines(said, "anchors")) == (1, ["the store has no checkpoint, and nights have run"])


def test_a_broken_hold_is_exit_2_and_hides_neither_anchors_nor_schedule(lifecycle: Run_, purged: Place) -> None:
    (purged.policies / "holds" / "broken.yaml").write_text("id: [")
    said = lifecycle("status", "--json")
    assert said.code == 2
    assert "holds/broken.yaml:" in lines(said, "policies")[0]
    assert len(lines(said, "schedule")) == 1
    assert lines(said, "anchors")[0].startswith("copy did not take the newest checkpoint")


@pytest.mark.parametrize(
    ("age", "on", "expected", "code"),
    [
        (1, True, {"schedule": ["on"], "heartbeat": ["2026-11-20 11:59Z"]}, 0),
        (1, False, {"schedule": ["off"], "heartbeat": ["2026-11-20 11:59Z"]}, 1),
        (
            9,
            True,
            {
                "schedule": ["on"],
                "heartbeat": ["2026-11-20 11:51Z: Dagster's daemon, or the sensor heartbeat, does not run"],
            },
            1,
        ),
    ],
)
def test_the_heartbeat_says_whether_the_schedule_is_on(
    lifecycle: Run_,
    purged: Place,
    monkeypatch: pytest.MonkeyPatch,
    age: int,
    on: bool,
    expected: dict[str, Any],
    code: int,
) -> None:
    file = purged.folder / "heartbeat.json"
    at = NOON - timedelta(minutes=age)
    write_heartbeat(file, Heartbeat(at, "here", on, NIGHT.isoformat(), at, False))
    monkeypatch.setenv("LIFECYCLE_HEARTBEAT", str(file))
    said = lifecycle("status", "--json")
    assert {subject: lines(said, subject) for subject in expected} == expected
    assert max(line["exit_code"] for line in said.json["lines"] if line["subject"] in expected) == code


def test_calls_set_aside_and_purges_not_in_the_ledger_are_counted(lifecycle: Run_, purged: Place) -> None:
    purged.sql("UPDATE lifecycle_purges SET sealed_at = NULL, sealed_key = NULL")
    waiting = purged.sql("SELECT count(*) FROM lifecycle_purges")[0][0]
    said = lifecycle("status", "--json")
    assert said.code == 1
    assert lines(said, "ledger")[0] == f"{waiting} committed purges are not in it yet"
    assert {one["state"] for one in said.json["nights"] if one["purged"]} == {"gone, and not in the ledger yet"}
    leaf = {"v": 2, "kind": "set_aside", "industry": "finance", "night": "2026-11-20", "call": "c", "reason": "changed"}
    purged.sql(
        "INSERT INTO lifecycle_leaves (id, noted_at, body) VALUES (?, ?, ?)",
        ("set_aside:2026-11-20:c", "2026-11-20T02:00:00+00:00", json.dumps(leaf, sort_keys=True).encode()),
    )
    assert lines(lifecycle("status", "--json"), "set aside") == ["1 calls stayed on 2026-11-20"]


def test_the_newest_checkpoint_that_an_anchor_took_is_said(lifecycle: Run_, purged: Place) -> None:
    assert lifecycle("anchor").code == 0
    size = purged.lifecycle().log().published()
    assert size is not None
    said = lifecycle("status", "--json")
    assert lines(said, "anchors") == [f"copy took the newest checkpoint, of {size.size:,} leaves"]
    assert Path(purged.folder / "copy").exists()
