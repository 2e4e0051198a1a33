"""What one rule says of some cases: its dates, and what keeps them. Which rule wins is `precedence`'s to say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.clock import Clock, EarlierOf
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Rule
from lifecycle.policy.evaluation.condition_matching import join_texts
from lifecycle.policy.evaluation.distinct_cases import ERASURE_FACT
from lifecycle.policy.evaluation.evaluation_context import NO_DAY, EvaluationContext
from lifecycle.policy.evaluation.regime_bounds import RegimeBounds, evaluate_regime, following_days
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
    ceilings = [law.ceiling for law, each in zip(said, laws, strict=True) if _bounds(rule, each, component)]
    ceiling = _earliest_days(context, ceilings)
    if component is not None and rule.component is None:
        return _result_of_regimes_only(context, said, ceiling)
    return _result_for_call(context, rule, said, ceiling)


def _bounds(rule: Rule, law: Regime, component: str | None) -> bool:
    """Whether a law's maximum is one of what is asked about: that of a component ends at the component."""
    return component is not None or (rule.component is None and law.bounds_whole_calls)


def _result_for_call(
    context: EvaluationContext, rule: Rule, said: Sequence[RegimeBounds], ceiling: pa.Array
) -> RuleResult:
    stay, life = _Ends(context, rule, rule.purge_after), _Ends(context, rule, rule.destroy_after)
    day, usable, purge_from = stay.day, stay.usable, stay.first_free
    floor = _latest_days(context, [law.floor for law in said])
    after_floor = following_days(floor)
    destroy_from = pc.max_element_wise(life.first_free, after_floor)
    if rule.on_erasure == "floor":
        own, starts = context.clocked(rule.clock)  # a request starts no clock, and a cap is none
        lawful = _free_by_erasure_request(context, pc.max_element_wise(after_floor, following_days(own)))
        lawful = pc.if_else(starts, lawful, NO_DAY)
        day = pc.if_else(pc.fill_null(pc.less(lawful, purge_from), False), own, day)
        purge_from = _earlier_of(purge_from, lawful)
        destroy_from = pc.max_element_wise(_earlier_of(destroy_from, lawful), purge_from)
    waits = pc.coalesce(_why_clocks_unusable(context, rule, day, usable), *(law.waits for law in said))
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
        ceiling=ceiling,
    )


class _Ends:
    """A rule's period, case by case: the day it counts from, whether it can be used, the first day after it.

    A cap takes the place of the rule's own clock where it ends sooner, or where that cannot be used.
    """

    def __init__(self, context: EvaluationContext, rule: Rule, period: RetentionPeriod | None) -> None:
        self.day, self.usable = context.clocked(rule.clock)
        self.first_free = _first_free_days(context, rule, period, pc.if_else(self.usable, self.day, NO_DAY))
        if rule.at_the_latest is None:
            return
        day, usable = context.clocked(rule.at_the_latest.clock)
        latest = following_days(context.last_days(context.schedule.cap(rule.at_the_latest)))
        sooner = pc.and_(usable, pc.fill_null(pc.less(latest, self.first_free), True))
        self.day, self.usable = pc.if_else(sooner, day, self.day), pc.or_(self.usable, usable)
        self.first_free = pc.min_element_wise(self.first_free, latest)


def _result_of_regimes_only(context: EvaluationContext, said: Sequence[RegimeBounds], ceiling: pa.Array) -> RuleResult:
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
        ceiling=ceiling,
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


def _why_clocks_unusable(context: EvaluationContext, rule: Rule, day: pa.Array, usable: pa.Array) -> pa.Array:
    """Why a rule's clock cannot be used, and no cap stands in for it; NULL where one can."""
    cannot = pc.invert(usable)
    also = f", and {rule.at_the_latest.clock.text} as well" if rule.at_the_latest else ""
    said = [f"{_why_clock_unusable(context, rule.clock, each)}{also}" for each in day.filter(cannot).to_pylist()]
    return pc.replace_with_mask(pa.nulls(len(day), pa.string()), cannot, pa.array(said, pa.string()))


def _why_clock_unusable(context: EvaluationContext, clock: Clock, day: date | None) -> str:
    if isinstance(clock.triggers, EarlierOf):
        return f"{clock.text}: none of them is known and usable"
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
