"""Matters: what each hold keeps tonight, and which of its scopes reach no call. Reads only; matching is policy's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.reading.facts import Facts, Narrowing
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.plan import require_hold_facts
from lifecycle.policy.documents.hold import Hold, HoldScope
from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.documents.schedule import Schedules, industry_names
from lifecycle.policy.erasure import LEGAL_REVIEW
from lifecycle.policy.evaluation.condition_matching import holds_on_rows
from lifecycle.policy.evaluation.disposition import dispose_calls

SAMPLES = 3


@dataclass
class HoldReport:
    """One hold on one night: the calls in it (of a released one too), by scope; those a lawyer must look at."""

    hold: Hold
    active: bool
    by_scope: list[int]
    calls: int = 0
    legal_review: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def needs_person(self) -> bool:
        """Whether an active hold keeps what the law forbids to keep, or a scope of it reaches nothing."""
        return self.active and (self.legal_review > 0 or not all(self.by_scope))


def hold_reports(lifecycle: Lifecycle, as_of: date) -> list[HoldReport]:
    """Every hold on file, the active ones first, with its calls counted one by one.

    Raises PolicyError where a hold asks for a fact that the source does not give.
    """
    require_hold_facts(lifecycle)
    every = [
        HoldReport(hold, hold.active(as_of), [0] * len(hold.scope)) for hold in lifecycle.policies.holds.by_id.values()
    ]
    with lifecycle.crm.database.reading() as connection:
        spellings = [raw for raw, _ in lifecycle.crm.facts.census(connection) if raw is not None]
    for matter in every:
        wanted = [narrow_to_scope(scope, spellings, lifecycle.policies.schedules) for scope in matter.hold.scope]
        with lifecycle.crm.database.reading() as connection:
            for facts in lifecycle.crm.facts.in_scopes(connection, wanted):
                _count(lifecycle, matter, facts, as_of)
    return sorted(every, key=lambda matter: (not matter.active, matter.hold.id))


def scopes_without_calls(
    facts: Facts, connection: Any, hold: Hold, spellings: Sequence[str], of: Schedules
) -> Iterator[int]:
    """The numbers, from 1, of the scopes of a hold that no call of the CRM can be in."""
    for number, scope in enumerate(hold.scope, 1):
        wanted = narrow_to_scope(scope, spellings, of)
        if not all(wanted.wanted.values()) or not facts.any_in(connection, wanted):
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


def rows_under_hold(lifecycle: Lifecycle, facts: pa.Table, hold: Hold) -> pa.Array:
    """A mask of the rows of facts that are in a hold's scope, whatever their industry, in its schedule's zone."""
    schedules, usual = lifecycle.policies.schedules, lifecycle.crm.source.timezone
    written = facts["industry"].combine_chunks()
    rows = []
    for raw in written.unique().to_pylist():
        of = schedules.of(raw)
        its = (of.timezone, industry_names(of)) if of else (usual, frozenset[str]())
        here = pc.indices_nonzero(pc.is_null(written) if raw is None else pc.fill_null(pc.equal(written, raw), False))
        rows.append(here.filter(pc.is_valid(holds_on_rows(facts.take(here), [hold], *its))))
    places = pa.array(range(facts.num_rows), pa.uint64())
    return pc.is_in(places, pa.concat_arrays(rows)) if rows else pa.array([], pa.bool_())


def _count(lifecycle: Lifecycle, matter: HoldReport, facts: pa.Table, as_of: date) -> None:
    masks = [rows_under_hold(lifecycle, facts, _only(matter.hold, scope)) for scope in matter.hold.scope]
    for number, mask in enumerate(masks):
        matter.by_scope[number] += _calls(facts.filter(mask))
    held = facts.filter(rows_under_hold(lifecycle, facts, matter.hold))
    matter.calls += _calls(held)
    if matter.active and held.num_rows:
        whole = facts.filter(pc.is_in(facts["call_id"], held["call_id"].combine_chunks()))
        disposed = dispose_calls(whole, lifecycle.policies.schedules, lifecycle.policies.holds, as_of)
        found = disposed.filter(pc.match_substring(pc.fill_null(disposed["detail"], ""), LEGAL_REVIEW))
        matter.legal_review += found.num_rows
        for row in found.slice(0, SAMPLES - len(matter.reasons)).to_pylist():
            matter.reasons[str(row["call_id"])] = row["detail"]


def _only(hold: Hold, scope: HoldScope) -> Hold:
    return hold.model_copy(update={"scope": (scope,)})


def _calls(facts: pa.Table) -> int:
    return len(facts["call_id"].unique())
