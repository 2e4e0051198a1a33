"""Explain: everything behind one call's disposition on a day, under the law of that day or another. Reads only.

The deciding is the policy floor's; here it is asked rule by rule, law by law and component by component.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

import pyarrow as pa

from lifecycle.custody.archived_copy import ArchivedCopy, read_archived_copies
from lifecycle.custody.record_lookup import DeletionOnRecord, find_records
from lifecycle.deployment.lifecycle import Lifecycle, fact_kinds
from lifecycle.errors import InputError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.documents.hold import Extension, Hold
from lifecycle.policy.documents.schedule import Rule, Schedule, industry_names
from lifecycle.policy.evaluation.component_order import retain_for_components
from lifecycle.policy.evaluation.condition_matching import match_conditions, rows_in_scope
from lifecycle.policy.evaluation.disposition import (
    NEVER,
    Disposition,
    bounded_components,
    dispose_with_bounds,
    evaluate_rules,
)
from lifecycle.policy.evaluation.distinct_cases import ERASURE_FACT, presence_fact
from lifecycle.policy.evaluation.regime_explanation import RegimeStatement, explain_regimes, latest_lawful_day

_ANSWERS = tuple(Disposition)
NO_MATCH, LAWS_ONLY = "does not match", "its laws only"
T = TypeVar("T", Hold, Extension)
_UNSETTLED = (Disposition.UNSCHEDULED, Disposition.CONFLICT, Disposition.AWAITING_TRIGGER)


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """What one rule says of the call, or of one component. No rule: none speaks of such a call.

    `purge_from` and `destroy_from` are the first days, None where they cannot be known, date.max for never. `wins`:
    it is the one that keeps longest, so its answer is the call's.
    """

    industry: str | None
    component: str | None
    rule: Rule | None
    verdict: str
    detail: str
    trigger_date: date | None = None
    purge_from: date | None = None
    destroy_from: date | None = None
    wins: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedOutcome:
    """What comes of it for the whole call (`component` None) or for one component with rules of its own.

    `earliest`: the first day it may leave the CRM; `latest`: the day by which it should have, by a law's maximum or
    the schedule's grace. `floor`, `ceiling`: the last day a copy must, and may, be there by law. `destroy_from`: the
    first day the copy goes. None: not known, or nobody says; date.max: never.
    """

    component: str | None
    disposition: str
    detail: str
    industry: str | None
    rule_id: str | None
    trigger_date: date | None
    earliest: date | None
    latest: date | None
    floor: date | None
    ceiling: date | None
    destroy_from: date | None


@dataclass(frozen=True, slots=True)
class CallExplanation:
    """One call on one day: its facts (a row an industry), each rule, law and hold, and what comes of them.

    A call that is gone has no facts and no outcome, but at least one record, and a copy for each. Of a live call no
    record is sought; `lifecycle verify` finds the purged calls that are back. `absent`: its components
    with rules of their own that are not there; they may be on record.
    """

    call_id: str
    as_of: date
    git_commit: str | None
    git_dirty: bool | None
    facts: tuple[Mapping[str, Any], ...] = ()
    judgements: tuple[ExplainedRule, ...] = ()
    laws: tuple[RegimeStatement, ...] = ()
    holds: tuple[Hold, ...] = ()
    extensions: tuple[Extension, ...] = ()
    erasure_requested_on: date | None = None
    outcomes: tuple[ExplainedOutcome, ...] = ()
    records: tuple[DeletionOnRecord, ...] = ()
    copies: tuple[ArchivedCopy, ...] = ()
    absent: tuple[str, ...] = ()


def explain_call(lifecycle: Lifecycle, call: str, as_of: date) -> CallExplanation:
    """Explain a call by its key as a person types it, under the lifecycle's policies.

    The facts are as the CRM has them now, whatever the day. Raises InputError for a call that is nowhere.
    """
    policies = lifecycle.policies
    crm = lifecycle.crm_reading(fact_kinds(policies.schedules, shown=True))
    with crm.database.reading() as connection:
        _, facts = crm.facts.find(connection, call)
    told = CallExplanation(call, as_of, policies.git_commit, policies.git_dirty)
    if not facts.num_rows:
        return _gone(lifecycle, told)
    outcomes = tuple(_outcomes(lifecycle, facts, as_of))
    asked = (facts, policies.schedules, lifecycle.holds, as_of)
    return replace(
        told,
        call_id=call_id_text(facts["call_id"][0].as_py()),
        facts=tuple(facts.to_pylist()),
        judgements=tuple(_judgements(lifecycle, facts, as_of, outcomes)),
        laws=tuple(explain_regimes(*asked)),
        holds=tuple(_binding(lifecycle, facts, lifecycle.holds.active(as_of))),
        extensions=tuple(_binding(lifecycle, facts, policies.holds.active_extensions(as_of))),
        erasure_requested_on=_request(facts),
        outcomes=outcomes,
        absent=tuple(name for name in _components(lifecycle, facts) if name and _is_absent(facts, name)),
    )


def _gone(lifecycle: Lifecycle, told: CallExplanation) -> CallExplanation:
    call = told.call_id
    known = find_records(lifecycle, call)
    if known.live:
        raise InputError(f"call {call!r}: it is in the CRM, and the facts query of the source does not give it: kept")
    if not known.records:
        raise InputError(f"call {call!r}: expected a call of the CRM or of the record, found it in neither")
    copies = read_archived_copies(lifecycle, known)
    return replace(told, call_id=known.call_id, records=known.records, copies=copies)


def _request(facts: pa.Table) -> date | None:
    days = facts[ERASURE_FACT].to_pylist() if ERASURE_FACT in facts.column_names else []
    return min((day for day in days if day), default=None)


def _is_absent(facts: pa.Table, component: str) -> bool:
    return presence_fact(component) in facts.column_names and set(facts[presence_fact(component)].to_pylist()) == {
        False
    }


def _schedules(lifecycle: Lifecycle, facts: pa.Table) -> list[Schedule | None]:
    """The schedule of each row of facts."""
    return [lifecycle.policies.schedules.of(raw) for raw in facts["industry"].to_pylist()]


def _components(lifecycle: Lifecycle, facts: pa.Table) -> list[str | None]:
    found = {name for schedule in _schedules(lifecycle, facts) if schedule for name in schedule.components}
    return [None, *sorted(found)]


def _outcomes(lifecycle: Lifecycle, facts: pa.Table, as_of: date) -> Iterator[ExplainedOutcome]:
    policies = lifecycle.policies
    parts = bounded_components(facts, policies.schedules, lifecycle.holds, as_of)
    for component in _components(lifecycle, facts):
        answers = dispose_with_bounds(facts, policies.schedules, lifecycle.holds, as_of, component)
        for row in (answers if component else retain_for_components(answers, parts)).to_pylist():
            schedule = policies.schedules.by_industry.get(row["industry"] or "")
            earliest = row["purge_from"]
            known = earliest is not None and earliest != NEVER and schedule and row["disposition"] not in _UNSETTLED
            yield ExplainedOutcome(
                component,
                row["disposition"],
                row["detail"],
                row["industry"],
                row["rule_id"],
                row["trigger_date"],
                earliest,
                latest_lawful_day(earliest, row["ceiling"], schedule) if known and schedule else None,
                row["floor"],
                row["ceiling"],
                row["destroy_on"] or (NEVER if earliest is not None else None),
            )


def _judgements(
    lifecycle: Lifecycle, facts: pa.Table, as_of: date, outcomes: Sequence[ExplainedOutcome]
) -> Iterator[ExplainedRule]:
    """Every rule of every industry of the call: those that speak of it first, of each component after the call."""
    policies, silent = lifecycle.policies, list[ExplainedRule]()
    winners = {(one.component, one.industry, one.rule_id) for one in outcomes}
    for component in dict.fromkeys(one.component for one in outcomes):
        said = evaluate_rules(facts, policies.schedules, lifecycle.holds, as_of, component).to_pylist()
        for row in said:
            schedule = policies.schedules.by_industry.get(row["industry"] or "")
            wins = (component, row["industry"], row["rule_id"]) in winners
            yield from _judgement(row, component, schedule, wins)
        if component is None:
            silent += _silent(lifecycle, facts, said)
    yield from silent


def _judgement(
    row: Mapping[str, Any], component: str | None, schedule: Schedule | None, wins: bool
) -> Iterator[ExplainedRule]:
    """One rule's; none where a rule for the whole call names no law that says anything of the component."""
    rule = next((rule for rule in schedule.rules if rule.id == row["rule_id"]), None) if schedule else None
    dates = (row["trigger_date"], row["purge_from"], row["destroy_from"])
    verdict = str(_ANSWERS[row["rank"]])
    if component and rule and rule.component is None and verdict == Disposition.DUE:
        verdict = LAWS_ONLY
        if (row["floor"], row["ceiling"]) == (None, None):
            return
    yield ExplainedRule(row["industry"], component, rule, verdict, row["detail"], *dates, wins)


def _silent(lifecycle: Lifecycle, facts: pa.Table, said: Sequence[Mapping[str, Any]]) -> Iterator[ExplainedRule]:
    """The rules that do not speak of the call, and why."""
    for index, schedule in enumerate(_schedules(lifecycle, facts)):
        spoke = {row["rule_id"] for row in said if row["row"] == index}
        for rule in schedule.rules if schedule else ():
            if schedule and rule.id not in spoke:
                why = _why_not(facts.slice(index, 1), rule)
                yield ExplainedRule(schedule.industry, rule.component, rule, NO_MATCH, why)


def _why_not(facts: pa.Table, rule: Rule) -> str:
    """The first condition of a rule that one row of facts does not meet."""
    for name, values in rule.when.items():
        if not match_conditions(facts, {name: values})[1][0].as_py():
            return f"{name} is {facts[name][0].as_py()}; the rule asks for {', '.join(values)}"
    if rule.only_if and facts[rule.only_if][0].as_py() is False:
        return f"{rule.only_if} is false"
    return f"{presence_fact(rule.component)} is false" if rule.component else "another rule speaks of it"


def _binding(lifecycle: Lifecycle, facts: pa.Table, active: Sequence[T]) -> Iterator[T]:
    """The active holds or extensions that the call is in the scope of, whatever its rules say."""
    usual = lifecycle.crm.source.timezone
    where = [(s.timezone, industry_names(s)) if s else (usual, frozenset[str]()) for s in _schedules(lifecycle, facts)]
    for each in active:
        if any(rows_in_scope(facts.slice(row, 1), each, *its)[0].as_py() for row, its in enumerate(where)):
            yield each
