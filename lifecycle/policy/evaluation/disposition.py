"""Tonight's answer for every call: due, or kept and why. A column at a time, no I/O, no clock, no row loop.

The answer that keeps longest wins: a call goes when the last of its rules lets it go, its copy with the latest of
their destroy dates and after every statute's minimum. What is unknown can only keep: a rule that might match, because
a fact it asks for is missing, lengthens the stay and never permits the end.
"""

from collections.abc import Sequence
from datetime import date
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Schedule, Schedules, industry_names
from lifecycle.policy.evaluation.condition_matching import (
    holds_on_rows,
    join_texts,
    map_distinct_values,
    restores_on_rows,
)
from lifecycle.policy.evaluation.distinct_cases import encode_cases, presence_fact
from lifecycle.policy.evaluation.evaluation_context import EvaluationContext
from lifecycle.policy.evaluation.precedence import MERGED_DAYS, merge_days, resolve_precedence, strictest_result
from lifecycle.policy.evaluation.rule_evaluation import NEVER, PRECEDENCE, RESULT_DATES, Disposition, RuleResult
from lifecycle.policy.evaluation.rule_over_rows import RuleOverRows, evaluate_rule_over_rows

__all__ = [
    "NEVER",
    "RULE_RESULT_SCHEMA",
    "Disposition",
    "bounded_components",
    "dispose_calls",
    "dispose_components",
    "dispose_with_bounds",
    "evaluate_rules",
]

RULE_RESULT_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("rank", pa.int8()),
        ("industry", pa.string()),
        ("rule_id", pa.string()),
        ("detail", pa.string()),
        ("hold", pa.string()),
        *((name, pa.date32()) for name in RESULT_DATES),
    ]
)
_BOUNDS = ("floor", "ceiling")


def dispose_calls(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """One row a call, in the order of first appearance.

    In: `facts`, a row a call and industry: call_id, industry (text), times (date32, or timestamps with a zone),
    booleans for keep_while and has_<component>, text for the rest. Out: call_id, disposition, detail, industry,
    rule_id, trigger_date, purge_from, destroy_on; the last five are those of the rule that keeps longest, destroy_on
    NULL means never.
    """
    return dispose_with_bounds(facts, schedules, holds, as_of).drop_columns(list(_BOUNDS))


def dispose_with_bounds(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None = None
) -> pa.Table:
    """`dispose_calls`, or one component's answers, with `floor` and `ceiling`: the days the law sets, or NULL."""
    judged = _row_results(facts, schedules, holds, as_of, component)
    if component is not None:
        judged = pa.concat_tables([judged, _results_of_whole_call(facts, judged, schedules, holds, as_of)])
    return resolve_precedence(facts["call_id"].combine_chunks(), judged, as_of)


def _results_of_whole_call(facts: pa.Table, own: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """What the whole call's rules say in the industries where a component has no rule of its own: it follows the call.

    `own`: the rows in which it has one; only their calls are asked about.
    """
    calls = facts["call_id"].take(own["row"]).combine_chunks()
    rest = pc.and_not(pc.is_in(facts["call_id"], calls), _is_place(own["row"], facts.num_rows))
    rows = pc.indices_nonzero(rest)
    judged = _row_results(facts.take(rows), schedules, holds, as_of, None)
    return judged.set_column(0, "row", rows.cast(pa.int64()).take(judged["row"]))


def _is_place(places: pa.ChunkedArray, count: int) -> pa.Array:
    return pc.is_in(pc.indices_nonzero(pa.repeat(pa.scalar(True), count)).cast(pa.int64()), places.combine_chunks())


def dispose_components(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """A row a call and component with rules of its own, certainly there: as `dispose_calls`, with `component`.

    Where it has none, in any industry of the call, it follows the call. The floors of the call's regimes hold its
    copy too.
    """
    return bounded_components(facts, schedules, holds, as_of).drop_columns(list(_BOUNDS))


def bounded_components(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """`dispose_components`, with `floor` and `ceiling`."""
    names = sorted({name for schedule in schedules.by_industry.values() for name in schedule.components})
    found = []
    for name in names:
        answered = dispose_with_bounds(facts, schedules, holds, as_of, name)
        found.append(answered.append_column("component", pa.repeat(pa.scalar(name), answered.num_rows)))
    nobody = facts["call_id"].slice(0, 0).combine_chunks()
    empty = resolve_precedence(nobody, RULE_RESULT_SCHEMA.empty_table(), as_of)
    return pa.concat_tables([empty.append_column("component", pa.array([], pa.string())), *found])


def evaluate_rules(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None = None
) -> pa.Table:
    """What each rule says of each row of facts (JUDGEMENT): at least one judgement a row of the whole call."""
    parts = [RULE_RESULT_SCHEMA.empty_table(), *(_unscheduled_rows(facts, schedules) if component is None else [])]
    for schedule, rows in _rows_by_schedule(facts, schedules):
        part = facts.take(rows)
        context, hold = (
            _evaluation_context(part, schedule, schedules, holds, as_of),
            _holds_of_rows(part, schedule, holds, as_of),
        )
        evaluated = _evaluate_all_rules(context, component)
        for one in evaluated:
            given = {name: column.take(one.place) for name, column in _result_columns(one.result).items()}
            given |= {"industry": schedule.industry, "rule_id": one.rule.id, "hold": hold.take(one.rows)}
            parts.append(_results_table({**given, "row": rows.take(one.rows)}, len(one.rows)))
        if component is None:
            nowhere = pc.indices_nonzero(_rows_without_rule(context, evaluated, None))
            parts.append(_unscheduled_table(rows.take(nowhere), schedule.industry, _no_rule(schedule)))
    return pa.concat_tables(parts)


def _evaluation_context(
    facts: pa.Table, schedule: Schedule, schedules: Schedules, holds: Holds, as_of: date
) -> EvaluationContext:
    cases = encode_cases(facts, schedule, schedules.regimes, holds, as_of)
    return EvaluationContext(cases, schedule, schedules.regimes, holds.extensions, as_of)


def _holds_of_rows(facts: pa.Table, schedule: Schedule, holds: Holds, as_of: date) -> pa.Array:
    held = holds_on_rows(facts, holds.active(as_of), schedule.timezone, industry_names(schedule))
    return join_texts([held, restores_on_rows(facts, as_of)])


def _rows_by_schedule(facts: pa.Table, schedules: Schedules) -> list[tuple[Schedule, pa.Array]]:
    """Each schedule that speaks of any row, with the places of these rows."""
    found = {raw: schedules.of(raw) for raw in facts["industry"].unique().to_pylist()}
    named = {schedule.industry: schedule for schedule in found.values() if schedule}
    return [
        (schedule, _rows_of_industries(facts, [raw for raw, its in found.items() if its is schedule]))
        for schedule in named.values()
    ]


def _rows_of_industries(facts: pa.Table, industries: Sequence[str | None]) -> pa.Array:
    return pc.indices_nonzero(pc.is_in(facts["industry"], pa.array(industries, pa.string())))


def _evaluate_all_rules(context: EvaluationContext, component: str | None) -> list[RuleOverRows]:
    """Every rule that has a say: all of them of the whole call; of a component its own and those of the call."""
    rules = [rule for rule in context.schedule.rules if component is None or rule.component in (None, component)]
    return [evaluate_rule_over_rows(context, rule, component) for rule in rules]


def _row_results(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None) -> pa.Table:
    """One judgement a row of facts, in no order: what the rules of its industry come to."""
    parts = _unscheduled_rows(facts, schedules) if component is None else []
    for schedule, rows in _rows_by_schedule(facts, schedules):
        if component is not None and component not in schedule.components:
            continue
        part = facts if len(rows) == facts.num_rows else facts.take(rows)
        context, hold = (
            _evaluation_context(part, schedule, schedules, holds, as_of),
            _holds_of_rows(part, schedule, holds, as_of),
        )
        parts.append(_strictest_result_per_row(context, rows, hold, component))
    return pa.concat_tables([RULE_RESULT_SCHEMA.empty_table(), *parts])


def _strictest_result_per_row(
    context: EvaluationContext, rows: pa.Array, hold: pa.Array, component: str | None
) -> pa.Table:
    """One judgement a row: the most keeping of its rules', with the latest copy and every bound."""
    evaluated = _evaluate_all_rules(context, component)
    nowhere = _rows_without_rule(context, evaluated, component)
    said, best = _all_results(context, evaluated), strictest_result(context, evaluated, nowhere)
    given = {name: said[name].take(best) for name in ("rank", "rule_id", "detail", "trigger_date", "purge_from")}
    given |= {name: merge_days(context, evaluated, name) for name in MERGED_DAYS}
    settled = _results_table(
        {**given, "row": rows, "industry": context.schedule.industry, "hold": hold}, context.cases.count
    )
    if component is None:
        return settled
    there = map_distinct_values(context.cases.flags[presence_fact(component)], lambda flag: pc.fill_null(flag, False))
    return settled.filter(pc.and_not(there, nowhere))


def _all_results(context: EvaluationContext, evaluated: Sequence[RuleOverRows]) -> pa.Table:
    """Everything any rule says of any of its cases; before it, that no rule matches."""
    nobody = _unscheduled_table(pa.array([0]), None, _no_rule(context.schedule))
    parts = [
        _results_table({**_result_columns(one.result), "rule_id": one.rule.id, "row": 0}, len(one.result.rank))
        for one in evaluated
    ]
    return pa.concat_tables([nobody, *parts]).combine_chunks()


def _result_columns(said: RuleResult) -> dict[str, pa.Array]:
    return {name: getattr(said, name) for name in ("rank", "detail", *RESULT_DATES)}


def _rows_without_rule(
    context: EvaluationContext, evaluated: Sequence[RuleOverRows], component: str | None
) -> pa.Array:
    """The rows of which no rule about the call (or about the component) certainly speaks."""
    certainly = [one.certain for one in evaluated if one.rule.component == component]
    return pc.invert(reduce(pc.or_, certainly, pa.repeat(pa.scalar(False), context.cases.count)))


def _no_rule(schedule: Schedule) -> str:
    return f"no rule of {schedule.industry} matches"


def _unscheduled_rows(facts: pa.Table, schedules: Schedules) -> list[pa.Table]:
    """The rows that no schedule speaks of."""
    parts = []
    for raw in (raw for raw in facts["industry"].unique().to_pylist() if schedules.of(raw) is None):
        detail = "no industry" if raw is None or not raw.strip() else f"no schedule matches industry {raw!r}"
        parts.append(_unscheduled_table(_rows_of_industries(facts, [raw]), None, detail))
    return parts


def _unscheduled_table(rows: pa.Array, industry: str | None, detail: str) -> pa.Table:
    given = {"row": rows, "rank": PRECEDENCE[Disposition.UNSCHEDULED], "industry": industry, "detail": detail}
    return _results_table(given, len(rows))


def _results_table(given: dict[str, Any], length: int) -> pa.Table:
    """Judgements: columns, or one value for all of them; what is not given is NULL."""
    columns = [_column(given.get(field.name), field.type, length) for field in RULE_RESULT_SCHEMA]
    return pa.table(columns, schema=RULE_RESULT_SCHEMA)


def _column(value: Any, kind: pa.DataType, length: int) -> Any:
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value.cast(kind)
    return pa.repeat(pa.scalar(value, kind), length)
