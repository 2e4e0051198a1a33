"""The policies that are shipped: they read without error, and give the dates their worked examples promise."""

from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow as pa
import pytest

from lifecycle.policy.disposition import dispose
from lifecycle.policy.document import read_document
from lifecycle.policy.hold import read_hold
from lifecycle.policy.lawful import read_schedule
from lifecycle.policy.regime import read_regime
from lifecycle.policy.schedule import Schedules, collect
from tests.policy.build import NO_HOLDS

FOLDER = Path(__file__).resolve().parents[2] / "policies"
LATER = date(2400, 1, 1)


def documents(folder: Path) -> list:
    return [read_document(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.yaml"))]


REGIMES = {regime.id: regime for regime in map(read_regime, documents(FOLDER / "regimes"))}
SCHEDULES = {
    path.name: read_schedule(path.name, path.read_text("utf-8"), REGIMES) for path in sorted(FOLDER.glob("*.yaml"))
}
SHIPPED: Schedules = collect(SCHEDULES, {})
CASES = [(each.industry, example) for each in SCHEDULES.values() for example in each.examples]


def test_the_five_industries_are_there_and_claim_nothing_twice():
    assert sorted(SHIPPED.by_industry) == ["finance", "healthcare", "insurance", "retail", "telecom"]
    assert SHIPPED.broken == {}


def test_a_file_is_named_for_its_industry():
    assert {each.industry: name for name, each in SCHEDULES.items()} == {
        name: f"{name}.yaml" for name in SHIPPED.by_industry
    }


def test_every_regime_has_a_citation_and_a_day_to_look_again():
    assert REGIMES
    for regime in REGIMES.values():
        assert regime.citation
        assert regime.evidence
        assert regime.review_by > date(2026, 11, 20)


def test_every_regime_is_named_by_a_rule():
    named = {name for each in SCHEDULES.values() for rule in each.rules for name in rule.regimes}
    assert named == set(REGIMES)


def test_every_file_of_the_folder_is_one_of_these():
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.y*ml")}
    holds = {f"holds/{hold.id}.yaml" for hold in map(read_hold, documents(FOLDER / "holds"))}
    assert files == set(SCHEDULES) | {f"regimes/{name}.yaml" for name in REGIMES} | holds


def test_every_schedule_has_a_worked_example():
    assert {industry for industry, _ in CASES} == set(SHIPPED.by_industry)


@pytest.mark.parametrize(("industry", "example"), CASES, ids=lambda value: str(getattr(value, "facts", value)))
def test_a_worked_example_gives_its_dates(industry, example):
    facts = {"call_id": "c", "industry": industry, **example.facts}
    noon = {n: datetime.combine(v, time(12), UTC) if isinstance(v, date) else v for n, v in facts.items()}
    (answer,) = dispose(pa.table({n: [v] for n, v in noon.items()}), SHIPPED, NO_HOLDS, LATER).to_pylist()
    assert (answer["purge_from"], answer["destroy_on"]) == (example.purge_from, example.destroy_from)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_rule_says_what_keeps_its_calls(name):
    assert all({"open_deal", "open_task"} <= set(rule.keep_while) for rule in SCHEDULES[name].rules)
