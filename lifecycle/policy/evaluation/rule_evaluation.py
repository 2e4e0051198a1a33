"""What one rule says of some cases: its dates, and what keeps them. Which rule wins is `disposition`'s to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.clock import Clock
from lifecycle.policy.documents.schedule import Rule
from lifecycle.policy.evaluation.condition_matching import join_texts
from lifecycle.policy.evaluation.distinct_cases import ERASURE_FACT
from lifecycle.policy.evaluation.regime_bounds import (
    NO_DAY,
    EvaluationContext,
    RegimeBounds,
    evaluate_regime,
    following_days,
)
from lifecycle.policy.period import RetentionPeriod

NEVER = date.max
_SPACE = pa.scalar(" ")


class Disposition(StrEnum):
    """The answers, the most keeping first: the order in which they win over one another."""

    CONFLICT = "conflict"
    UNSCHEDULED = "unscheduled"
    AWAITING_TRIGGER = "awaiting_trigger"
    PERMANENT = "permanent"
    RETAINED = "retained"
    ON_HOLD = "on_hold"
    KEPT = "kept"
    DUE = "due"


RESULT_DATES = ("trigger_date", "purge_from", "destroy_from", "floor", "ceiling")
PRECEDENCE = {disposition: rank for rank, disposition in enumerate(Disposition)}


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule says of each case it may speak of.

    `purge_from`, `destroy_from`: first days, date.max for never, NULL where they cannot be known. `floor`, `ceiling`:
    see `laws.Bounds`.
    """

    rank: pa.Array
    trigger_date: pa.Array
    purge_from: pa.Array
    destroy_from: pa.Array
    detail: pa.Array
    floor: pa.Array
    ceiling: pa.Array


def evaluate_rule(context: EvaluationContext, rule: Rule, component: str | None) -> RuleResult:
    """What a rule says of the whole call (None) or of one component.

    A rule for another component says of the whole call that the component in it must stay, where it is there; a rule
    for the whole call says of a component only what its regimes do.
    """
    laws = context.named(rule.regimes, component)
    said = [evaluate_regime(context, law, laws, component) for law in laws]
    if component is not None and rule.component is None:
        return _result_of_regimes_only(context, said)
    return _result_for_call(context, rule, said)


def _result_for_call(context: EvaluationContext, rule: Rule, said: Sequence[RegimeBounds]) -> RuleResult:
    day, usable = context.clocked(rule.clock)
    known = pc.if_else(usable, day, NO_DAY)
    floor = _latest_days(context, [law.floor for law in said])
    after_floor = following_days(floor)
    purge_from = _first_free_days(context, rule, rule.purge_after, known)
    destroy_from = pc.max_element_wise(_first_free_days(context, rule, rule.destroy_after, known), after_floor)
    if rule.on_erasure == "floor":
        lawful = _free_by_erasure_request(context, pc.max_element_wise(after_floor, following_days(known)))
        purge_from = _earlier_of(purge_from, lawful)
        destroy_from = pc.max_element_wise(_earlier_of(destroy_from, lawful), purge_from)
    waits = pc.coalesce(_why_clocks_unusable(context, rule.clock, day, usable), *(law.waits for law in said))
    late = _first_reason(context, [law.late for law in said])
    keeping = _facts_that_keep(context, rule.keep_while)
    rank, detail = _rank_and_detail(context, rule, purge_from, waits, late, keeping)
    nowhere = pc.is_valid(waits)
    return RuleResult(
        rank=rank,
        trigger_date=day,
        purge_from=pc.if_else(nowhere, NO_DAY, purge_from),
        destroy_from=pc.if_else(nowhere, NO_DAY, destroy_from),
        detail=detail,
        floor=floor,
        ceiling=_earliest_days(context, [law.ceiling for law in said]),
    )


def _result_of_regimes_only(context: EvaluationContext, said: Sequence[RegimeBounds]) -> RuleResult:
    floor = _latest_days(context, [law.floor for law in said])
    waits = _first_reason(context, [law.waits for law in said])
    late = _first_reason(context, [law.late for law in said])
    none = pa.nulls(context.cases.count, pa.date32())
    rank = _first_reason_rank(context, (late, Disposition.CONFLICT), (waits, Disposition.AWAITING_TRIGGER))
    return RuleResult(
        rank=rank,
        trigger_date=none,
        purge_from=none,
        destroy_from=following_days(floor),
        detail=pc.coalesce(late, waits),
        floor=floor,
        ceiling=_earliest_days(context, [law.ceiling for law in said]),
    )


def _rank_and_detail(
    context: EvaluationContext, rule: Rule, purge_from: pa.Array, waits: pa.Array, late: pa.Array, keeping: pa.Array
) -> tuple[pa.Array, pa.Array]:
    """The rank and its reason: too late an extension, an unknown clock, for ever, not yet, kept, due."""
    dated = purge_from.dictionary_encode()
    by_date = _detail_with_date(rule, dated.dictionary).take(dated.indices)
    for_ever = pc.fill_null(pc.equal(purge_from, pa.scalar(NEVER)), False)
    later = pc.fill_null(pc.greater(purge_from, pa.scalar(context.as_of)), True)  # what has no day has not come
    rank = _first_reason_rank(
        context,
        (late, Disposition.CONFLICT),
        (waits, Disposition.AWAITING_TRIGGER),
        (_mask(for_ever), Disposition.PERMANENT),
        (_mask(later), Disposition.RETAINED),
        (keeping, Disposition.KEPT),
    )
    keeps = pc.if_else(later, pa.scalar(None, pa.string()), keeping)
    return rank, pc.coalesce(late, waits, keeps, by_date)


def _first_reason_rank(context: EvaluationContext, *reasons: tuple[pa.Array, Disposition]) -> pa.Array:
    """The first reason that holds, DUE where none does. A reason holds where it is not NULL."""
    rank = pa.repeat(pa.scalar(PRECEDENCE[Disposition.DUE], pa.int8()), context.cases.count)
    for reason, disposition in reversed(reasons):
        rank = pc.if_else(pc.is_valid(reason), pa.scalar(PRECEDENCE[disposition], pa.int8()), rank)
    return rank


def _mask(where: pa.Array) -> pa.Array:
    return pc.if_else(where, where, pa.scalar(None, pa.bool_()))


def _detail_with_date(rule: Rule, free: pa.Array) -> pa.Array:
    dated = pc.binary_join_element_wise(pa.scalar(f"{rule.id} from"), free.cast(pa.string()), _SPACE)
    return pc.if_else(pc.equal(free, pa.scalar(NEVER)), pa.scalar(f"{rule.id} keeps for ever"), dated)


def _first_free_days(
    context: EvaluationContext, rule: Rule, period: RetentionPeriod | None, known: pa.Array
) -> pa.Array:
    if period is None:
        return pc.if_else(pc.is_valid(known), pa.scalar(NEVER), NO_DAY)
    return following_days(context.last_days(context.schedule.term(rule, period)))


def _free_by_erasure_request(context: EvaluationContext, earliest: pa.Array) -> pa.Array:
    """The first day on which a request lets a call go, `earliest` at the soonest; NULL without one by this night."""
    asked = context.cases.days[ERASURE_FACT]
    asked = pc.if_else(pc.fill_null(pc.less_equal(asked, pa.scalar(context.as_of)), False), asked, NO_DAY)
    return pc.if_else(pc.is_valid(asked), pc.max_element_wise(asked, earliest), NO_DAY)


def _earlier_of(day: pa.Array, lawful: pa.Array) -> pa.Array:
    """The earlier of both; NULL where the day itself is unknown: a request starts no clock."""
    return pc.if_else(pc.is_valid(day), pc.min_element_wise(day, lawful), NO_DAY)


def _why_clocks_unusable(context: EvaluationContext, clock: Clock, day: pa.Array, usable: pa.Array) -> pa.Array:
    """Why a clock cannot be used; NULL where it can."""
    cannot = pc.invert(usable)
    said = [_why_clock_unusable(context, clock, each) for each in day.filter(cannot).to_pylist()]
    return pc.replace_with_mask(pa.nulls(len(day), pa.string()), cannot, pa.array(said, pa.string()))


def _why_clock_unusable(context: EvaluationContext, clock: Clock, day: date | None) -> str:
    if len(clock.triggers) > 1:
        return f"{clock.text}: not each of them is known and usable"
    if day is None:
        return f"{clock.triggers[0]} is missing or no date"
    return f"{clock.triggers[0]} {day} is " + ("in the future" if day > context.as_of else f"before {clock.earliest}")


def _facts_that_keep(context: EvaluationContext, names: Sequence[str]) -> pa.Array:
    """For each case the facts that keep it, `?` behind those that are unknown; NULL where nothing does."""
    found = [pa.nulls(context.cases.count, pa.string())]
    for name in names:
        fact = context.cases.flags[name]
        said = pc.if_else(fact, pa.scalar(name, pa.string()), pa.scalar(None, pa.string()))
        found.append(pc.if_else(pc.is_null(fact), pa.scalar(f"{name}?", pa.string()), said))
    return join_texts(found)


def _latest_days(context: EvaluationContext, days: Sequence[pa.Array]) -> pa.Array:
    return pc.max_element_wise(*days) if days else pa.nulls(context.cases.count, pa.date32())


def _earliest_days(context: EvaluationContext, days: Sequence[pa.Array]) -> pa.Array:
    return pc.min_element_wise(*days) if days else pa.nulls(context.cases.count, pa.date32())


def _first_reason(context: EvaluationContext, texts: Sequence[pa.Array]) -> pa.Array:
    return reduce(pc.coalesce, texts, pa.nulls(context.cases.count, pa.string()))
