"""The policies that are shipped: they read without error, and give the dates their worked examples promise."""

from pathlib import Path

import pytest

from lifecycle.inquiry.worked_examples import failing_worked_examples
from lifecycle.policy.documents.hold import read_extension, read_hold
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import RegimeKind, read_regime
from lifecycle.policy.documents.regime_compliance import rule_conflicts
from lifecycle.policy.documents.schedule import Schedules, collect_schedules
from lifecycle.policy.documents.yaml_document import read_yaml_document

FOLDER = Path(__file__).resolve().parents[3] / "policies"


def documents(folder: Path) -> list:
    return [read_yaml_document(path.name, path.read_text("utf-8")) for path in sorted(folder.glob("*.yaml"))]


def schedules(folder: Path) -> dict:
    files = sorted(folder.glob("*.yaml"))
    return {path.name: read_schedule(path.name, path.read_text("utf-8"), REGIMES) for path in files}


REGIMES = {regime.id: regime for regime in map(read_regime, documents(FOLDER / "regimes"))}
SCHEDULES = schedules(FOLDER)
SHIPPED: Schedules = collect_schedules(SCHEDULES, {}, REGIMES)
RICHER = schedules(FOLDER / "examples")
EVERY = {**{name: (FOLDER, each) for name, each in SCHEDULES.items()}} | {
    f"examples/{name}": (FOLDER / "examples", each) for name, each in RICHER.items()
}


def test_five_industries_and_a_default_are_there_and_claim_nothing_twice():
    wanted = ["company-default", "finance", "healthcare", "insurance", "retail", "telecom"]
    assert sorted(SHIPPED.by_industry) == wanted
    assert SHIPPED.broken == {}


def test_a_file_is_named_for_its_industry():
    assert {name: f"{each.industry}.yaml" for name, each in {**SCHEDULES, **RICHER}.items()} == {
        name: name for name in {**SCHEDULES, **RICHER}
    }


def test_a_rule_is_bound_by_statutes_and_named_regimes_only_where_the_crm_can_tell():
    """The shipped schedules ask for what any CRM has: a fact it lacks would keep every call for ever."""
    rules = [rule for each in SCHEDULES.values() for rule in each.rules]
    named = [REGIMES[name] for rule in rules for name in rule.regimes]
    asked = [rule.trigger for rule in rules] + [law.clock(limit).triggers for law in named for limit in law.floor]
    assert set(asked) == {("ended_at",)}
    assert [rule.component for rule in rules] == [None] * len(rules)
    assert {law.kind for law in named} == {RegimeKind.STATUTE}


def test_every_file_of_the_folder_is_one_of_these():
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.y*ml")}
    holds = {f"holds/{hold.id}.yaml" for hold in map(read_hold, documents(FOLDER / "holds"))}
    extensions = {f"extensions/{each.id}.yaml" for each in map(read_extension, documents(FOLDER / "extensions"))}
    assert files == set(EVERY) | {f"regimes/{name}.yaml" for name in REGIMES} | holds | extensions


@pytest.mark.parametrize("name", EVERY)
def test_a_schedule_has_worked_examples_and_gives_their_dates(name):
    folder, schedule = EVERY[name]
    assert schedule.examples
    assert list(failing_worked_examples(folder, collect_schedules({name: schedule}, {}, REGIMES))) == []


@pytest.mark.parametrize("name", RICHER)
def test_every_rule_of_a_richer_example_has_a_worked_case_of_its_own(name):
    """As many cases as rules, or more, and one of each component: a rule nobody worked out is a rule nobody checked."""
    assert len(RICHER[name].examples) >= len(RICHER[name].rules)
    assert {example.component for example in RICHER[name].examples} == {rule.component for rule in RICHER[name].rules}


@pytest.mark.parametrize("name", EVERY)
def test_no_two_rules_of_a_schedule_ask_for_what_no_date_can_give(name):
    assert list(rule_conflicts(EVERY[name][1], REGIMES)) == []


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_rule_says_what_keeps_its_calls(name):
    assert all({"open_deal", "open_task"} <= set(rule.keep_while) for rule in SCHEDULES[name].rules)
