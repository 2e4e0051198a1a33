"""Which answer wins: among the rules that speak of a row, and among the rows of a call. The one that keeps longest.

A call has several rows where it is in several industries, or where the source joins more to it.
"""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.evaluation.condition_matching import shift_days
from lifecycle.policy.evaluation.evaluation_context import EvaluationContext
from lifecycle.policy.evaluation.rule_evaluation import NEVER, PRECEDENCE, Disposition, RuleResult
from lifecycle.policy.evaluation.rule_over_rows import RuleOverRows

_RULES_BITS = 16
_DAYS_BITS = 23
_DAYS_BEFORE_1970 = 200_000
_NO_RESULT_YET = pa.scalar(-1, pa.int64())
_NAMES = pa.array([str(disposition) for disposition in Disposition])
_NO_DAY = pa.scalar(None, pa.date32())


def strictest_result(context: EvaluationContext, evaluated: Sequence[RuleOverRows], nowhere: pa.Array) -> pa.Array:
    """For each row the place of its most keeping judgement among the outcomes: its rank, its date, the rule's name."""
    order = {rule_id: place for place, rule_id in enumerate(sorted((one.rule.id for one in evaluated), reverse=True))}
    unscheduled = pa.scalar(_RANK_OF_UNSCHEDULED, pa.int64())
    key = pc.if_else(nowhere, unscheduled, _NO_RESULT_YET)
    best, offset = pa.repeat(pa.scalar(0, pa.int64()), context.cases.count), 1
    for one in evaluated:
        mine = _strictness(one.result, order[one.rule.id]).take(one.place)
        better = pc.greater(mine, one.take_values(key))
        key = one.replace_values(key, pc.if_else(better, mine, one.take_values(key)))
        place = pc.add(one.place.cast(pa.int64()), offset)
        best = one.replace_values(best, pc.if_else(better, place, one.take_values(best)))
        offset += len(one.result.rank)
    return best


_RANK_OF_UNSCHEDULED = (len(Disposition) - PRECEDENCE[Disposition.UNSCHEDULED]) << (_RULES_BITS + _DAYS_BITS)


def _strictness(said: RuleResult, order: int) -> pa.Array:
    """A number that is greater the more keeping a judgement is."""
    rank = pc.shift_left(pc.subtract(pa.scalar(len(Disposition), pa.int64()), said.rank.cast(pa.int64())), _DAYS_BITS)
    days = pc.add(said.purge_from.cast(pa.int32()).cast(pa.int64()), _DAYS_BEFORE_1970)
    return pc.add(pc.shift_left(pc.add(rank, pc.fill_null(days, 0)), _RULES_BITS), order)


MERGED_DAYS = {
    "destroy_from": pc.max_element_wise,
    "floor": pc.max_element_wise,
    "ceiling": pc.min_element_wise,
}


def merge_days(context: EvaluationContext, evaluated: Sequence[RuleOverRows], name: str) -> pa.Array:
    """The latest or earliest day that any rule with a say gives a row; NULL where none does."""
    found = pa.nulls(context.cases.count, pa.date32())
    for one in evaluated:
        days = getattr(one.result, name)
        if days.null_count < len(days):
            found = one.replace_values(found, MERGED_DAYS[name](one.take_values(found), days.take(one.place)))
    return found


def resolve_precedence(call_ids: pa.Array, judged: pa.Table, as_of: date) -> pa.Table:
    """One row a call, in the order of first appearance: `disposition.dispose`'s columns, then `floor` and `ceiling`.

    `judged`: `row`, a place in `call_ids`, and a judgement. `ceiling` is the last day any copy may live.
    """
    call = judged["row"]
    if not _is_ascending(call_ids):
        encoded = call_ids.dictionary_encode()
        call, call_ids = encoded.indices.cast(pa.int64()).take(call), encoded.dictionary
    settled = _strictest_result_per_call(judged.set_column(0, "call", call))
    ceiling = settled["ceiling"]
    held = pc.and_(pc.is_valid(settled["hold"]), pc.greater_equal(settled["rank"], PRECEDENCE[Disposition.ON_HOLD]))
    rank = pc.if_else(held, pa.scalar(PRECEDENCE[Disposition.ON_HOLD], pa.int8()), settled["rank"])
    torn = _why_no_lawful_day(settled, ceiling)
    rank = pc.if_else(pc.is_valid(torn), pa.scalar(PRECEDENCE[Disposition.CONFLICT], pa.int8()), rank)
    held_by = pc.coalesce(_texts_where(held, settled["hold"].filter(held).to_pylist()), settled["detail"])
    detail = pc.coalesce(torn, _reviewed(held_by, rank, ceiling, as_of), held_by)
    never = pc.equal(settled["destroy_from"], pa.scalar(NEVER))
    return pa.table(
        {
            "call_id": call_ids.take(settled["call"]),
            "disposition": _NAMES.take(rank),
            "detail": detail,
            **{name: settled[name] for name in ("industry", "rule_id", "trigger_date", "purge_from")},
            "destroy_on": pc.if_else(never, _NO_DAY, settled["destroy_from"]),
            "floor": settled["floor"],
            "ceiling": ceiling,
        }
    )


def _why_no_lawful_day(settled: pa.Table, ceiling: pa.Array) -> pa.Array:
    """Why no date is lawful, so that a person must decide; NULL where one is."""
    goes = settled["destroy_from"]
    last = shift_days(goes, -1)
    longer = pc.fill_null(pc.or_kleene(pc.greater(settled["floor"], ceiling), pc.greater(last, ceiling)), False)
    rows = zip(*(column.filter(longer).to_pylist() for column in (ceiling, settled["floor"], goes)), strict=True)
    return _texts_where(longer, [_conflict_text(*row) for row in rows])


def _conflict_text(ceiling: date, floor: date | None, goes: date | None) -> str:
    begins = f"{ceiling}: a maximum's last day, "
    if floor and floor > ceiling:
        return f"{begins}a minimum lasts until {floor}"
    return f"{begins}the copy goes {'never' if goes in (None, NEVER) else f'on {goes}'}"


def _reviewed(said: pa.Array, rank: pa.Array, ceiling: pa.Array, as_of: date) -> pa.Array:
    """What keeps a call, and that a maximum has run out under it; NULL where none has.

    Only a hold or a `keep_while` fact can keep a call beyond a maximum without a conflict.
    """
    past = pc.fill_null(pc.less(ceiling, pa.scalar(as_of)), False)
    past = pc.and_(past, pc.greater_equal(rank, PRECEDENCE[Disposition.ON_HOLD]))
    past = pc.and_(past, pc.less_equal(rank, PRECEDENCE[Disposition.KEPT]))
    rows = zip(said.filter(past).to_pylist(), ceiling.filter(past).to_pylist(), strict=True)
    return _texts_where(past, [f"{text}; needs legal review: a maximum ended on {last}" for text, last in rows])


def _texts_where(where: pa.Array, texts: list[str]) -> pa.Array:
    """A column that has the texts where the mask is true, and NULL elsewhere."""
    mask = where.combine_chunks() if isinstance(where, pa.ChunkedArray) else where
    return pc.replace_with_mask(pa.nulls(len(mask), pa.string()), mask, pa.array(texts, pa.string()))


def _is_ascending(column: pa.Array | pa.ChunkedArray) -> bool:
    """Whether each value is greater than the one before, so that none comes twice."""
    if len(column) < 2:
        return True
    return bool(pc.all(pc.less(column.slice(0, len(column) - 1), column.slice(1)), skip_nulls=False).as_py())


def _strictest_result_per_call(judged: pa.Table) -> pa.Table:
    """One judgement a call, in the order of calls: the most keeping one, with every row's holds and bounds."""
    if not _is_ascending(judged["call"]):
        judged = judged.sort_by("call")
    if _is_ascending(judged["call"]):
        return judged
    counts = judged.group_by("call").aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1))["call"].combine_chunks()
    among = pc.is_in(judged["call"], several)
    alone = judged.filter(pc.invert(among))
    order = [(n, "ascending") for n in ("call", "rank")] + [("purge_from", "descending"), ("industry", "ascending")]
    # The last three leave no tie: the answer must not hang on the order in which a database gives the rows of a call.
    order += [("rule_id", "ascending"), ("trigger_date", "descending"), ("detail", "ascending")]
    strictest = judged.filter(among).sort_by(order)
    merged = {"destroy_from": "max", "hold": "max", "floor": "max", "ceiling": "min"}
    firsts = [name for name in judged.column_names if name not in ("call", *merged)]
    keep_nulls = pc.ScalarAggregateOptions(skip_nulls=False)
    grouped = strictest.group_by("call", use_threads=False).aggregate(
        [*((name, "first", keep_nulls) for name in firsts), *merged.items()]
    )
    names = {f"{name}_first": name for name in firsts} | {f"{name}_{how}": name for name, how in merged.items()}
    renamed = grouped.rename_columns([names.get(name, name) for name in grouped.column_names])
    return pa.concat_tables([alone, renamed.select(alone.column_names)]).sort_by("call")
