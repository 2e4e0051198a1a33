"""What each regime that a rule names says of some cases: from when to when it binds a copy. No disposition here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.evaluation.condition_matching import match_encoded_conditions, shift_days
from lifecycle.policy.evaluation.distinct_cases import CREATION_FACTS, presence_fact
from lifecycle.policy.evaluation.evaluation_context import NO_DAY, EvaluationContext
from lifecycle.policy.period import RetentionPeriod

_NO_TEXT = pa.scalar(None, pa.string())
_NEVER_BEGUN = pa.scalar(date.min, pa.date32())
"""The end of a minimum that has no say: before any other."""


@dataclass(frozen=True, slots=True)
class RegimeBounds:
    """What a regime says of each case. Days are NULL where it says nothing.

    `floor`: the last day a copy must be there; `ceiling`: the last day one may be. `waits`: why its minimum cannot be
    known. `late`: an extension asked for too late. An unknown maximum is none: no deletion is too early for it.
    """

    applies: pa.Array
    floor: pa.Array
    ceiling: pa.Array
    waits: pa.Array
    late: pa.Array


def _by_day(convert: Any, days: pa.Array) -> pa.Array:
    """A date for each date, worked out once per distinct one; NULL for NULL."""
    encoded = days.dictionary_encode()
    return pa.array([convert(day) for day in encoded.dictionary.to_pylist()], pa.date32()).take(encoded.indices)


def evaluate_regime(
    context: EvaluationContext, law: Regime, others: Sequence[Regime], component: str | None
) -> RegimeBounds:
    """What a regime says of the cases. `others`: the regimes named beside it, of which one may implement it."""
    applies = _applies(context, law, others, component)
    floor, known = _minimum(context, law, law.floor)
    before = _minimum(context, law, law.in_force.before)[0] if law.in_force.before else floor
    floor, late = _extended(context, law, floor)
    applies = _unexpired(law, applies, before if law.in_force.before else floor)
    if law.in_force.records == "unexpired" and law.in_force.last_day:
        floor = pc.min_element_wise(floor, pa.scalar(law.in_force.last_day), skip_nulls=False)
    maxima = [
        _where(context, limit, _last_days_of_limit(context, law, limit), NO_DAY, unknown=False) for limit in law.ceiling
    ]
    ceiling = pc.min_element_wise(*maxima) if maxima else _no_day(context)
    # What an authority may lengthen may live as long.
    ceiling = pc.if_else(pc.is_valid(ceiling), pc.max_element_wise(ceiling, _ceiling_lengthened_to(law, floor)), NO_DAY)
    return RegimeBounds(
        applies=applies,
        floor=pc.if_else(applies, floor, NO_DAY),
        ceiling=pc.if_else(applies, ceiling, NO_DAY),
        waits=_text_where(pc.and_(applies, pc.invert(known)), _unknown_clock(law)),
        late=pc.if_else(applies, late, _NO_TEXT),
    )


def _ceiling_lengthened_to(law: Regime, floor: pa.Array) -> pa.Array:
    return floor if law.extension else pa.nulls(len(floor), pa.date32())


def _minimum(context: EvaluationContext, law: Regime, limits: Sequence[RegimeLimit]) -> tuple[pa.Array, pa.Array]:
    """The latest end of some minima, and whether it can be known: NULL where it cannot, or where none has a say."""
    ends = [
        _where(context, limit, _last_days_of_limit(context, law, limit), _NEVER_BEGUN, unknown=True) for limit in limits
    ]
    known = reduce(pc.and_, [pc.is_valid(day) for day in ends], pa.repeat(pa.scalar(True), context.cases.count))
    latest = pc.max_element_wise(*ends, skip_nulls=False) if ends else _no_day(context)
    silent = any(limit.only_if for limit in limits)
    return pc.if_else(pc.equal(latest, _NEVER_BEGUN), NO_DAY, latest) if silent else latest, known


def _last_days_of_limit(context: EvaluationContext, law: Regime, limit: RegimeLimit) -> pa.Array:
    ends = context.last_days(context.schedule.limit(law, limit))
    if limit.at_the_latest is None:
        return ends
    return pc.min_element_wise(ends, context.last_days(context.schedule.cap(limit.at_the_latest)))


def _where(
    context: EvaluationContext, limit: RegimeLimit, ends: pa.Array, silent: pa.Scalar, unknown: bool
) -> pa.Array:
    """The ends of a limit, `silent` where it has no say. `unknown`: whether it has one where nobody knows."""
    if limit.only_if is None:
        return ends
    return pc.if_else(pc.fill_null(context.cases.flags[limit.only_if], unknown), ends, silent)


def _no_day(context: EvaluationContext) -> pa.Array:
    return pa.nulls(context.cases.count, pa.date32())


def _unknown_clock(law: Regime) -> str:
    clocks = dict.fromkeys(clock.text for clock in law.clocks(law.floor))
    return f"{law.id} counts from {' and '.join(clocks)}, which is missing or cannot be used"


def _text_where(where: pa.Array, text: str) -> pa.Array:
    return pc.if_else(where, pa.scalar(text), _NO_TEXT)


def _applies(context: EvaluationContext, law: Regime, others: Sequence[Regime], component: str | None) -> pa.Array:
    """Whether it may bind a case: nothing known rules it out. A certain national transposition does."""
    found = _may_bind(context, law)[1]
    for other in others:
        if law.id in other.implements:
            found = pc.and_(found, pc.invert(_may_bind(context, other)[0]))
    if component is None and law.components:
        there = [pc.fill_null(context.cases.flags[presence_fact(name)], True) for name in law.components]
        found = pc.and_(found, reduce(pc.or_, there))
    return found


def _may_bind(context: EvaluationContext, law: Regime) -> tuple[pa.Array, pa.Array]:
    """By the facts it asks for and by when the record was made: certainly, and possibly."""
    certain, possible = match_encoded_conditions(context.cases.words, context.cases.count, law.applies)
    if not law.asks_when_created:
        return certain, possible
    made = pc.coalesce(*(context.cases.days[name] for name in CREATION_FACTS))
    first, last = law.in_force.first_day or date.min, law.in_force.last_day or date.max
    inside = pc.and_(pc.greater_equal(made, pa.scalar(first)), pc.less_equal(made, pa.scalar(last)))
    return pc.and_(certain, pc.fill_null(inside, False)), pc.and_(possible, pc.fill_null(inside, True))


def _unexpired(law: Regime, applies: pa.Array, floor: pa.Array) -> pa.Array:
    """A law for what had not expired when it came does not reach what had."""
    if law.in_force.records != "unexpired" or law.in_force.first_day is None:
        return applies
    return pc.and_(applies, pc.fill_null(pc.greater_equal(floor, pa.scalar(law.in_force.first_day)), True))


def _extended(context: EvaluationContext, law: Regime, floor: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The minimum with every registered extension, and what is wrong with those that came too late."""
    late: pa.Array = pa.nulls(context.cases.count, pa.string())
    how, original = law.extension, floor
    for each in context.extensions.values():
        if how is None or not law.floor or each.regime != law.id or each.id not in context.cases.extensions:
            continue
        asked = context.cases.extensions[each.id]
        if how.before_expiry:
            in_time = pc.fill_null(pc.greater_equal(original, pa.scalar(each.dated)), True)
            too_late = f"extension {each.id} of {each.dated} came after the minimum of {law.id} had ended"
            late = pc.coalesce(late, _text_where(pc.and_(asked, pc.invert(in_time)), too_late))
            asked = pc.and_(asked, in_time)
        longer = _lengthened_minimum(context, law, original)
        floor = pc.if_else(asked, pc.max_element_wise(floor, longer, skip_nulls=False), floor)
    return floor, late


def _lengthened_minimum(context: EvaluationContext, law: Regime, floor: pa.Array) -> pa.Array:
    how = law.extension
    assert how is not None
    if how.by is not None:  # counted from expiry (BGB section 190)
        return _by_day(how.by.last_day, floor)
    assert how.to is not None
    total: RetentionPeriod = how.to
    return _minimum(context, law, [limit.model_copy(update={"period": total}) for limit in law.floor])[0]


def following_days(days: pa.Array) -> pa.Array:
    """The day after each day."""
    return shift_days(days, 1)
