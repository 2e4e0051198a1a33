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

from lifecycle.policy.cases import cases_of, has
from lifecycle.policy.hold import Holds
from lifecycle.policy.judgement import NEVER, RANK, Disposition, Ruling, ruling
from lifecycle.policy.laws import Told
from lifecycle.policy.schedule import Schedule, Schedules
from lifecycle.policy.settling import answers

__all__ = ["JUDGEMENT", "NEVER", "Disposition", "dispose", "dispose_components", "judge"]

_DATES = ("trigger_date", "purge_from", "destroy_from", "floor", "ceiling", "yielding")
JUDGEMENT = pa.schema(
    [
        ("row", pa.int64()),
        ("rank", pa.int8()),
        ("industry", pa.string()),
        ("rule_id", pa.string()),
        ("detail", pa.string()),
        ("hold", pa.string()),
        *((name, pa.date32()) for name in _DATES),
    ]
)
_RULES_BITS = 16
_DAYS_BITS = 23
_DAYS_BEFORE_1970 = 200_000


def dispose(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """One row a call, in the order of first appearance.

    In: `facts`, a row a call and industry: call_id, industry (text), times (date32, or timestamps with a zone),
    booleans for keep_while and has_<component>, text for the rest. Out: call_id, disposition, detail, industry,
    rule_id, trigger_date, purge_from, destroy_on; the last five are those of the rule that keeps longest, destroy_on
    NULL means never.
    """
    return answers(facts["call_id"].combine_chunks(), _judged(facts, schedules, holds, as_of, None), as_of)


def dispose_components(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """One row a call and component that has rules of its own and is certainly there: as `dispose`, and `component`.

    A component without rules of its own follows the call. The floors of the call's regimes hold its copy too.
    """
    names = sorted({name for schedule in schedules.by_industry.values() for name in schedule.components})
    call_ids, found = facts["call_id"].combine_chunks(), []
    for name in names:
        answered = answers(call_ids, _judged(facts, schedules, holds, as_of, name), as_of)
        found.append(answered.append_column("component", pa.repeat(pa.scalar(name), answered.num_rows)))
    empty = dispose(facts.slice(0, 0), schedules, holds, as_of)
    return pa.concat_tables([empty.append_column("component", pa.array([], pa.string())), *found])


def judge(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None = None) -> pa.Table:
    """What each rule says of each row of facts (JUDGEMENT): at least one judgement a row of the whole call."""
    parts = [JUDGEMENT.empty_table()]
    for schedule, rows in _by_schedule(facts, schedules):
        told = _told(facts.take(rows), schedule, schedules, holds, as_of)
        for one in _rulings(told, component):
            asked = pc.indices_nonzero(one.asked)
            parts.append(_judgement(rows.take(asked), schedule, one.rule.id, told, asked, one))
        if component is None:
            nowhere = pc.indices_nonzero(_nowhere(told, _rulings(told, None)))
            parts.append(_without_rule(rows.take(nowhere), schedule.industry, _no_rule(schedule)))
    return pa.concat_tables([*parts, *(_unscheduled(facts, schedules) if component is None else [])])


def _told(facts: pa.Table, schedule: Schedule, schedules: Schedules, holds: Holds, as_of: date) -> Told:
    cases = cases_of(facts, schedule, schedules.regimes, holds, as_of)
    return Told(cases, schedule, schedules.regimes, holds.extensions, as_of)


def _by_schedule(facts: pa.Table, schedules: Schedules) -> list[tuple[Schedule, pa.Array]]:
    """Each schedule that speaks of any row, with the places of these rows."""
    found = {raw: schedules.of(raw) for raw in facts["industry"].unique().to_pylist()}
    named = {schedule.industry: schedule for schedule in found.values() if schedule}
    return [
        (schedule, _places(facts, [raw for raw, its in found.items() if its is schedule]))
        for schedule in named.values()
    ]


def _places(facts: pa.Table, industries: Sequence[str | None]) -> pa.Array:
    return pc.indices_nonzero(pc.is_in(facts["industry"], pa.array(industries, pa.string())))


def _rulings(told: Told, component: str | None) -> list[Ruling]:
    """Every rule that has a say: all of them of the whole call; of a component its own and those of the call."""
    rules = [rule for rule in told.schedule.rules if component is None or rule.component in (None, component)]
    return [ruling(told, rule, component) for rule in rules]


def _judged(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None) -> pa.Table:
    """One judgement a row of facts, in their order: what the rules of its industry come to."""
    parts = _unscheduled(facts, schedules) if component is None else []
    for schedule, rows in _by_schedule(facts, schedules):
        if component is not None and component not in schedule.components:
            continue
        part = facts if len(rows) == facts.num_rows else facts.take(rows)
        parts.append(_settled_rows(part, rows, _told(part, schedule, schedules, holds, as_of), component))
    judged = pa.concat_tables([JUDGEMENT.empty_table(), *parts])
    return judged if len(parts) < 2 else judged.sort_by("row")


def _settled_rows(facts: pa.Table, rows: pa.Array, told: Told, component: str | None) -> pa.Table:
    cases, place = told.cases.distinct()
    told = Told(cases, told.schedule, told.regimes, told.extensions, told.as_of)
    settled = _settled_cases(told, component)
    if component is None:
        return settled.take(place).set_column(0, "row", rows.cast(pa.int64()))
    mine = [one.certain for one in _rulings(told, component) if one.rule.component == component]
    there = pc.and_(reduce(pc.or_, mine), pc.fill_null(cases.flags[has(component)], False))
    spoken = pc.indices_nonzero(there.take(place))
    return settled.take(place.take(spoken)).set_column(0, "row", rows.take(spoken).cast(pa.int64()))


def _settled_cases(told: Told, component: str | None) -> pa.Table:
    """One judgement a case: the most keeping of its rules', with the latest copy and every bound."""
    rulings = _rulings(told, component)
    order = {rule_id: place for place, rule_id in enumerate(sorted((one.rule.id for one in rulings), reverse=True))}
    best = _nobody(told, rulings)
    for one in rulings:
        key = pc.if_else(one.asked, _key(one, order[one.rule.id]), pa.scalar(None, pa.int64()))
        better = pc.fill_null(pc.greater(key, best["key"]), False)
        best["key"] = pc.if_else(better, key, best["key"])
        best["rule_id"] = pc.if_else(better, pa.scalar(one.rule.id), best["rule_id"])
        for name in ("rank", "trigger_date", "purge_from", "detail"):
            best[name] = pc.if_else(better, getattr(one, name), best[name])
        for name, merge in _MERGED.items():
            best[name] = merge(best[name], pc.if_else(one.asked, getattr(one, name), pa.scalar(None, pa.date32())))
    given = {"row": 0, "industry": told.schedule.industry, "hold": told.cases.hold, **best}
    return pa.table([_column(given[f.name], f.type, told.cases.count) for f in JUDGEMENT], schema=JUDGEMENT)


_MERGED = {
    "destroy_from": pc.max_element_wise,
    "floor": pc.max_element_wise,
    "ceiling": pc.min_element_wise,
    "yielding": pc.min_element_wise,
}


def _nobody(told: Told, rulings: Sequence[Ruling]) -> dict[str, pa.Array]:
    """Before any rule is heard: unscheduled where no rule for the whole call certainly matches."""
    count = told.cases.count
    unscheduled = pa.scalar((len(Disposition) - RANK[Disposition.UNSCHEDULED]) << (_RULES_BITS + _DAYS_BITS))
    return {
        "key": pc.if_else(_nowhere(told, rulings), unscheduled, pa.scalar(-1, pa.int64())),
        "rank": pa.repeat(pa.scalar(RANK[Disposition.UNSCHEDULED], pa.int8()), count),
        "rule_id": pa.nulls(count, pa.string()),
        "detail": pa.repeat(pa.scalar(_no_rule(told.schedule)), count),
        **{name: pa.nulls(count, pa.date32()) for name in _DATES},
    }


def _nowhere(told: Told, rulings: Sequence[Ruling]) -> pa.Array:
    certainly = [one.certain for one in rulings if one.rule.component is None]
    return pc.invert(reduce(pc.or_, certainly, pa.repeat(pa.scalar(False), told.cases.count)))


def _no_rule(schedule: Schedule) -> str:
    return f"no rule of {schedule.industry} matches"


def _key(one: Ruling, order: int) -> pa.Array:
    """A number that is greater the more keeping a judgement is: its rank, then its date, then the rule's name."""
    rank = pc.shift_left(pc.subtract(pa.scalar(len(Disposition), pa.int64()), one.rank.cast(pa.int64())), _DAYS_BITS)
    days = pc.add(one.purge_from.cast(pa.int32()).cast(pa.int64()), _DAYS_BEFORE_1970)
    return pc.add(pc.shift_left(pc.add(rank, pc.fill_null(days, 0)), _RULES_BITS), order)


def _unscheduled(facts: pa.Table, schedules: Schedules) -> list[pa.Table]:
    """The rows that no schedule speaks of."""
    parts = []
    for raw in (raw for raw in facts["industry"].unique().to_pylist() if schedules.of(raw) is None):
        detail = "no industry" if raw is None or not raw.strip() else f"no schedule matches industry {raw!r}"
        parts.append(_without_rule(_places(facts, [raw]), None, detail))
    return parts


def _without_rule(rows: pa.Array, industry: str | None, detail: str) -> pa.Table:
    given = {"row": rows, "rank": RANK[Disposition.UNSCHEDULED], "industry": industry, "detail": detail}
    return pa.table([_column(given.get(f.name), f.type, len(rows)) for f in JUDGEMENT], schema=JUDGEMENT)


def _judgement(rows: pa.Array, schedule: Schedule, rule_id: str, told: Told, asked: pa.Array, one: Ruling) -> pa.Table:
    given = {name: getattr(one, name).take(asked) for name in ("rank", "detail", *_DATES)}
    given |= {"row": rows, "industry": schedule.industry, "rule_id": rule_id, "hold": told.cases.hold.take(asked)}
    return pa.table([_column(given[f.name], f.type, len(rows)) for f in JUDGEMENT], schema=JUDGEMENT)


def _column(value: Any, kind: pa.DataType, length: int) -> Any:
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value.cast(kind)
    return pa.repeat(pa.scalar(value, kind), length)
