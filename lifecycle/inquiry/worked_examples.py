"""Examples: run the worked cases of the schedules through the very code that decides at night."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifecycle.crm.reading.fact_values import parse_times
from lifecycle.errors import PolicyError
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Example, Schedule, Schedules
from lifecycle.policy.documents.yaml_document import YamlDocument, read_yaml_document
from lifecycle.policy.evaluation.disposition import NEVER, Disposition, dispose_calls, dispose_components
from lifecycle.policy.evaluation.distinct_cases import CREATION_FACTS, RequiredFacts, presence_fact, required_facts

# Late enough that every trigger has come; early enough that no period leaves the calendar.
_AS_OF = date(2999, 12, 31)
_UNKNOWN = (Disposition.AWAITING_TRIGGER, Disposition.UNSCHEDULED, Disposition.CONFLICT)


def failing_worked_examples(folder: Path, schedules: Schedules) -> Iterator[str]:
    """Each worked case whose dates the rules do not give, as `file:line: expected, found`."""
    documents = _documents(folder) if schedules.by_industry else {}
    for schedule in schedules.by_industry.values():
        for index, example in enumerate(schedule.examples):
            problem = _problem(schedule, example, schedules.regimes)
            if problem:
                document = documents.get(schedule.sha256)
                place = f"{document.name}:{document.line(('examples', index))}" if document else schedule.industry
                yield f"{place}: example {index + 1}: {problem}"


def _problem(schedule: Schedule, example: Example, regimes: Mapping[str, Regime]) -> str | None:
    """What one worked case says otherwise than the rules."""
    facts, alone = _facts(schedule, example, regimes), Schedules({schedule.industry: schedule}, {}, regimes)
    answers = dispose_calls(facts, alone, Holds({}), _AS_OF).to_pylist()
    if example.component:
        told = dispose_components(facts, alone, Holds({}), _AS_OF).to_pylist()
        answers = [each for each in told if each["component"] == example.component]
    if not answers:
        return f"no rule speaks of a component {example.component} in it"
    found = answers[0]
    if found["disposition"] in _UNKNOWN:
        return f"expected dates, the rules give none: {found['disposition']}: {found['detail']}"
    purge_from = None if found["purge_from"] == NEVER else found["purge_from"]
    for name, wanted, given in (
        ("purge_from", example.purge_from, purge_from),
        ("destroy_from", example.destroy_from, found["destroy_on"]),
    ):
        if wanted != given:
            return f"expected {name} {wanted or 'never'}, {found['rule_id']} gives {given or 'never'}"
    return None


def _facts(schedule: Schedule, example: Example, regimes: Mapping[str, Regime]) -> pa.Table:
    """One call with the facts of the case. A yes or no that is not spoken of is no, any other fact is unknown."""
    asked = required_facts(schedule, regimes)
    there = {presence_fact(example.component): True} if example.component else {}
    given: Mapping[str, Any] = {"industry": schedule.industry, **dict.fromkeys(asked.flags, False), **there}
    columns = {name: _column(name, value, asked, schedule) for name, value in {**given, **example.facts}.items()}
    return pa.table({"call_id": pa.array(["example"]), **columns})


def _column(name: str, value: Any, asked: RequiredFacts, schedule: Schedule) -> pa.Array:
    if name in asked.times.union(CREATION_FACTS):
        return parse_times([value], schedule.timezone.key)
    if name in asked.flags:
        return pa.array([value if isinstance(value, bool) else None], pa.bool_())
    return pa.array([None if value is None else str(value)], pa.string())


def _documents(folder: Path) -> dict[str, YamlDocument]:
    """The schedules' files by digest: a schedule remembers no lines."""
    found = {}
    for path in sorted(folder.glob("*.y*ml")):
        text = path.read_text("utf-8", errors="replace")
        digest = hashlib.sha256(text.encode()).hexdigest()
        try:
            found[digest] = read_yaml_document(path.name, text)
        except PolicyError:
            continue
    return found
