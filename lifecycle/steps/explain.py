"""Explain: everything behind one call's disposition on a day. Reads only; the deciding is disposition's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from lifecycle.errors import InputError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.disposition import Disposition, dispose, judge
from lifecycle.policy.hold import Hold
from lifecycle.policy.matching import held_by, matches
from lifecycle.policy.regime import Regime
from lifecycle.policy.schedule import Rule, Schedule, names_of
from lifecycle.steps.context import Lifecycle
from lifecycle.steps.lookup import Recorded, lookup

_ANSWERS = tuple(Disposition)
NO_MATCH = "does not match"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says of the call. No rule: no schedule, or none of its rules, speaks of such a call.

    `purge_from` and `destroy_from` are the first days, None where they cannot be known, date.max for never.
    """

    industry: str | None
    rule: Rule | None
    verdict: str
    detail: str
    trigger_date: date | None = None
    purge_from: date | None = None
    destroy_from: date | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One call on one day: its facts (a row an industry), each rule, each hold, each law, and what comes of them.

    A call that is gone has no facts and no disposition, but at least one record. Of a live call no record is sought:
    that would read them all; `audit` finds the purged calls that are back.
    """

    call_id: str
    as_of: date
    facts: tuple[Mapping[str, Any], ...]
    judgements: tuple[Judgement, ...]
    holds: tuple[Hold, ...]
    regimes: Mapping[str, Regime]
    disposition: Mapping[str, Any] | None
    records: tuple[Recorded, ...]


def explain(lifecycle: Lifecycle, call: str, as_of: date) -> Explanation:
    """Explain a call by its key as a person types it. Raises InputError for a call that is nowhere."""
    policies = lifecycle.policies
    with lifecycle.crm.database.reading() as connection:
        _, facts = lifecycle.crm.facts.find(connection, call)
    if not facts.num_rows:
        known = lookup(lifecycle, call)
        if known.live:
            raise InputError(
                f"call {call!r}: it is in the CRM, and the facts query of the source does not give it: kept"
            )
        if not known.records:
            raise InputError(f"call {call!r}: expected a call of the CRM or of the record, found it in neither")
        return Explanation(known.call_id, as_of, (), (), (), {}, None, known.records)
    judgements = _judgements(lifecycle, facts, as_of)
    named = [name for judgement in judgements if judgement.rule for name in judgement.rule.regimes]
    return Explanation(
        call_id=call_id_text(facts["call_id"][0].as_py()),
        as_of=as_of,
        facts=tuple(facts.to_pylist()),
        judgements=judgements,
        holds=_holds(lifecycle, facts, as_of),
        regimes={name: policies.regimes[name] for name in dict.fromkeys(named)},
        disposition=dispose(facts, policies.schedules, policies.holds, as_of).to_pylist()[0],
        records=(),
    )


def _judgements(lifecycle: Lifecycle, facts: pa.Table, as_of: date) -> tuple[Judgement, ...]:
    """Every rule of every industry of the call: those that speak of it first."""
    policies = lifecycle.policies
    judged, silent = [], []
    said = judge(facts, policies.schedules, policies.holds, as_of).to_pylist()
    for row in said:
        schedule = policies.schedules.by_industry.get(row["industry"] or "")
        judged.append(_judgement(row, schedule))
    for index, raw in enumerate(facts["industry"].to_pylist()):
        spoke = {row["rule_id"] for row in said if row["row"] == index}
        schedule = policies.schedules.of(raw)
        for rule in schedule.rules if schedule else ():
            if schedule and rule.id not in spoke:
                detail = _why_not(facts.slice(index, 1), rule)
                silent.append(Judgement(schedule.industry, rule, NO_MATCH, detail))
    return (*judged, *silent)


def _judgement(row: Mapping[str, Any], schedule: Schedule | None) -> Judgement:
    rule = next((rule for rule in schedule.rules if rule.id == row["rule_id"]), None) if schedule else None
    dates = (row["trigger_date"], row["purge_from"], row["destroy_from"])
    return Judgement(row["industry"], rule, str(_ANSWERS[row["rank"]]), row["detail"], *dates)


def _why_not(facts: pa.Table, rule: Rule) -> str:
    """The first condition of a rule that one row of facts does not meet."""
    for name, values in rule.when.items():
        if not matches(facts, {name: values})[1][0].as_py():
            return f"{name} is {facts[name][0].as_py()}; the rule asks for {', '.join(values)}"
    return "another rule speaks of it"


def _holds(lifecycle: Lifecycle, facts: pa.Table, as_of: date) -> tuple[Hold, ...]:
    """The active holds that the call is in the scope of, whatever its rules say."""
    policies = lifecycle.policies
    schedules = [policies.schedules.of(raw) for raw in facts["industry"].to_pylist()]
    usual = lifecycle.crm.source.timezone
    where = [(s.timezone, names_of(s)) if s else (usual, frozenset[str]()) for s in schedules]
    active: Sequence[Hold] = policies.holds.active(as_of)
    return tuple(
        hold
        for hold in active
        if any(held_by(facts.slice(row, 1), [hold], *its)[0].is_valid for row, its in enumerate(where))
    )
