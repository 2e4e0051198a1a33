"""Matters: what each hold keeps tonight, and which of its scopes reach no call. Reads only; matching is policy's."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.reading.fact_selection import Narrowing
from lifecycle.crm.reading.facts import Facts
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.survey import require_hold_facts
from lifecycle.policy.documents.hold import Hold, HoldScope, facts_of_scopes
from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.documents.schedule import Schedules, industry_names
from lifecycle.policy.erasure import LEGAL_REVIEW
from lifecycle.policy.evaluation.condition_matching import in_scope, unknown_rows
from lifecycle.policy.evaluation.disposition import dispose_calls

SAMPLES = 3


@dataclass
class HoldReport:
    """One hold on one night: the calls in it (of a released one too); those a lawyer must look at.

    `by_scope` counts the calls that each scope holds, `known_by_scope` those that are certainly in it. `unknown` are
    held only because a fact that a scope asks for is missing or blank; `unknown_facts` counts them by fact.
    """

    hold: Hold
    active: bool
    by_scope: list[int]
    calls: int = 0
    known_by_scope: list[int] = field(default_factory=list)
    unknown: int = 0
    unknown_facts: Counter[str] = field(default_factory=Counter)
    legal_review: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def needs_person(self) -> bool:
        """Whether an active hold keeps what the law forbids to keep, or a scope of it reaches nothing."""
        return self.active and (self.legal_review > 0 or not all(self.known_by_scope))


def hold_reports(lifecycle: Lifecycle, as_of: date) -> list[HoldReport]:
    """Every hold on file, the active ones first, with its calls counted one by one.

    Raises PolicyError where a hold asks for a fact that the source does not give.
    """
    return report_holds(lifecycle, lifecycle.policies.holds.by_id.values(), as_of)


def report_holds(lifecycle: Lifecycle, holds: Iterable[Hold], as_of: date) -> list[HoldReport]:
    """The same of some holds. Every call of the CRM is looked at only where one of them names an industry."""
    require_hold_facts(lifecycle)
    every = [
        HoldReport(hold, hold.active(as_of), [0] * len(hold.scope), known_by_scope=[0] * len(hold.scope))
        for hold in holds
    ]
    spellings: list[str] = []
    if any(scope.industries for matter in every for scope in matter.hold.scope):
        with lifecycle.crm.database.reading() as connection:
            spellings = lifecycle.crm.facts.counts.industries(connection)
    for matter in every:
        wanted = [narrow_to_scope(scope, spellings, lifecycle.policies.schedules) for scope in matter.hold.scope]
        with lifecycle.crm.database.reading() as connection:
            for facts in lifecycle.crm.facts.in_scopes(connection, wanted):
                _count(lifecycle, matter, facts, as_of)
    return sorted(every, key=lambda matter: (not matter.active, matter.hold.id))


def scopes_without_calls(
    facts: Facts, connection: Any, hold: Hold, spellings: Sequence[str], of: Schedules
) -> Iterator[int]:
    """The numbers, from 1, of the scopes of a hold that no call of the CRM is in as far as its facts are known."""
    for number, scope in enumerate(hold.scope, 1):
        wanted = narrow_to_scope(scope, spellings, of)
        if not all(wanted.wanted.values()) or not facts.any_in(connection, wanted, unknown=False):
            yield number


def narrow_to_scope(scope: HoldScope, spellings: Sequence[str], schedules: Schedules) -> Narrowing:
    """What a scope wants of each fact, industries as the CRM spells them."""
    wanted = scope.wanted()
    if "industry" in wanted:
        names = {fold_name(value) for value in wanted["industry"]}
        of = {raw: schedules.of(raw) for raw in spellings}
        meant = {raw: {fold_name(raw)} | (industry_names(found) if found else set()) for raw, found in of.items()}
        wanted["industry"] = frozenset(raw.strip() for raw in spellings if meant[raw] & names)
    return Narrowing(wanted, scope.first_day, scope.last_day)


def scope_rows(lifecycle: Lifecycle, facts: pa.Table, hold: Hold, scope: HoldScope) -> tuple[pa.Array, pa.Array]:
    """Masks of the rows certainly, and possibly, in a scope: whatever their industry, in its schedule's zone."""
    schedules, usual = lifecycle.policies.schedules, lifecycle.crm.source.timezone
    written = facts["industry"].combine_chunks()
    found: tuple[list[pa.Array], list[pa.Array]] = [], []
    for raw in written.unique().to_pylist():
        of = schedules.of(raw)
        its = (of.timezone, industry_names(of)) if of else (usual, frozenset[str]())
        here = pc.indices_nonzero(pc.is_null(written) if raw is None else pc.fill_null(pc.equal(written, raw), False))
        for rows, mask in zip(found, in_scope(facts.take(here), hold, scope, *its), strict=True):
            rows.append(here.filter(mask))
    places = pa.array(range(facts.num_rows), pa.uint64())
    certain, possible = (
        pc.is_in(places, pa.concat_arrays(rows)) if rows else pa.array([], pa.bool_()) for rows in found
    )
    return certain, possible


def _count(lifecycle: Lifecycle, matter: HoldReport, facts: pa.Table, as_of: date) -> None:
    masks = [scope_rows(lifecycle, facts, matter.hold, scope) for scope in matter.hold.scope]
    for number, (certain, possible) in enumerate(masks):
        matter.known_by_scope[number] += _calls(facts.filter(certain))
        matter.by_scope[number] += _calls(facts.filter(possible))
    held = facts.filter(reduce(pc.or_, [possible for _, possible in masks]))
    known = facts.filter(reduce(pc.or_, [certain for certain, _ in masks]))
    guessed = held.filter(pc.invert(pc.is_in(held["call_id"], known["call_id"].combine_chunks())))
    matter.calls += _calls(held)
    matter.unknown += _calls(guessed)
    for name in sorted(facts_of_scopes(matter.hold.scope)):
        blank = guessed.filter(unknown_rows(guessed, name))
        matter.unknown_facts += Counter({name: _calls(blank)} if blank.num_rows else {})
    if matter.active and held.num_rows:
        whole = facts.filter(pc.is_in(facts["call_id"], held["call_id"].combine_chunks()))
        disposed = dispose_calls(whole, lifecycle.policies.schedules, lifecycle.policies.holds, as_of)
        found = disposed.filter(pc.match_substring(pc.fill_null(disposed["detail"], ""), LEGAL_REVIEW))
        matter.legal_review += found.num_rows
        for row in found.slice(0, SAMPLES - len(matter.reasons)).to_pylist():
            matter.reasons[str(row["call_id"])] = row["detail"]


def _calls(facts: pa.Table) -> int:
    return len(facts["call_id"].unique())
