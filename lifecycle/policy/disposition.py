"""Tonight's answer for every call: due, or kept and why. A column at a time, no I/O, no clock, no row loop.

`judge` asks every rule about every row of facts; `dispose` settles the judgements into one disposition a call. The
answer that keeps longest wins: a call goes when the last of its rules lets it go, its copy with the latest of their
destroy dates. What is unknown can only keep: a rule that might match, because a fact it asks for is missing, lengthens
the stay and never permits the end.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.hold import Holds
from lifecycle.policy.matching import held_by, listed, local_dates, matches
from lifecycle.policy.regime import Regime
from lifecycle.policy.schedule import Rule, Schedule, Schedules, names_of

EARLIEST_TRIGGER = date(1970, 1, 2)
_NEVER = date.max


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


_RANK = {disposition: rank for rank, disposition in enumerate(Disposition)}
_NAMES = pa.array([str(disposition) for disposition in Disposition])
JUDGEMENT = pa.schema(
    [
        ("row", pa.int64()),
        ("rank", pa.int8()),
        ("industry", pa.string()),
        ("rule_id", pa.string()),
        ("trigger_date", pa.date32()),
        ("purge_from", pa.date32()),
        ("destroy_from", pa.date32()),
        ("detail", pa.string()),
        ("hold", pa.string()),
        ("floor", pa.date32()),
        ("ceiling", pa.date32()),
    ]
)


def dispose(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """One row a call, in the order of first appearance.

    In: `facts`, a row a call and industry: call_id, industry (text), times (date32, or timestamps with a zone),
    booleans for keep_while, text for the rest. Out: call_id, disposition, detail, industry, rule_id, trigger_date,
    purge_from, destroy_on; the last five are those of the rule that keeps longest, destroy_on NULL means never.
    """
    encoded = facts["call_id"].combine_chunks().dictionary_encode()
    judged = judge(facts, schedules, holds, as_of)
    judged = judged.append_column("call", encoded.indices.cast(pa.int64()).take(judged["row"]))
    settled = _settle(judged).sort_by("call")
    held = pc.and_(pc.is_valid(settled["hold"]), pc.greater_equal(settled["rank"], _RANK[Disposition.ON_HOLD]))
    # A regime that forbids a copy by the day another still asks for one: no date is lawful, so a person must decide.
    torn = pc.fill_null(pc.greater(settled["floor"], settled["ceiling"]), False)
    rank = pc.if_else(held, pa.scalar(_RANK[Disposition.ON_HOLD], pa.int8()), settled["rank"])
    rank = pc.if_else(torn, pa.scalar(_RANK[Disposition.CONFLICT], pa.int8()), rank)
    detail = pc.if_else(held, settled["hold"], settled["detail"])
    never = pc.equal(settled["destroy_from"], pa.scalar(_NEVER))
    return pa.table(
        {
            "call_id": encoded.dictionary.take(settled["call"]),
            "disposition": _NAMES.take(rank),
            "detail": pc.if_else(torn, _conflict(settled), detail),
            **{name: settled[name] for name in ("industry", "rule_id", "trigger_date", "purge_from")},
            "destroy_on": pc.if_else(never, pa.scalar(None, pa.date32()), settled["destroy_from"]),
        }
    )


def judge(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> pa.Table:
    """What each rule says of each row of facts (JUDGEMENT): at least one judgement a row."""
    parts = [JUDGEMENT.empty_table()]
    found = {raw: schedules.of(raw) for raw in facts["industry"].unique().to_pylist()}
    for schedule in {id(s): s for s in found.values() if s is not None}.values():
        names = pa.array([raw for raw, of in found.items() if of is schedule], pa.string())
        rows = pc.indices_nonzero(pc.is_in(facts["industry"], names))
        parts += _judge_industry(facts.take(rows), rows, schedule, schedules.regimes, holds, as_of)
    for raw in (raw for raw, schedule in found.items() if schedule is None):
        here = pc.is_null(facts["industry"]) if raw is None else pc.equal(facts["industry"], pa.scalar(raw))
        detail = "no industry" if raw is None or not raw.strip() else f"no schedule matches industry {raw!r}"
        parts.append(_unscheduled(pc.indices_nonzero(pc.fill_null(here, False)), None, detail))
    return pa.concat_tables(parts)


def _judge_industry(
    facts: pa.Table, rows: pa.Array, schedule: Schedule, regimes: Mapping[str, Regime], holds: Holds, as_of: date
) -> list[pa.Table]:
    hold = held_by(facts, holds.active(as_of), schedule.timezone, names_of(schedule))
    certainly, parts = [], []
    for rule in schedule.rules:
        certain, possible = matches(facts, rule.when)
        certainly.append(certain)
        asked = pc.indices_nonzero(possible)
        if len(asked):
            judged = _judge_rule(facts.take(asked), rule, schedule, regimes, as_of)
            parts.append(_judgement(rows.take(asked), schedule.industry, rule.id, hold=hold.take(asked), **judged))
    nowhere = pc.indices_nonzero(pc.invert(reduce(pc.or_, certainly)))
    return [*parts, _unscheduled(rows.take(nowhere), schedule.industry, f"no rule of {schedule.industry} matches")]


def _judge_rule(
    facts: pa.Table, rule: Rule, schedule: Schedule, regimes: Mapping[str, Regime], as_of: date
) -> dict[str, pa.Array]:
    """Work the calendar out once per distinct trigger date, and join it back."""
    dates = local_dates(facts, rule.trigger, schedule.timezone).dictionary_encode(null_encoding="encode")
    days = dates.dictionary.to_pylist()
    calendar = pa.table(
        [
            pa.array([_rank(day, rule, as_of) for day in days], pa.int8()),
            dates.dictionary,
            pa.array([_first_free_day(day, rule.purge_after, as_of) for day in days], pa.date32()),
            pa.array([_first_free_day(day, rule.destroy_after, as_of) for day in days], pa.date32()),
            pa.array([_detail(day, rule, as_of) for day in days], pa.string()),
            *_bounds(days, [regimes[name] for name in rule.regimes if name in regimes], as_of),
        ],
        ["rank", "trigger_date", "purge_from", "destroy_from", "detail", "floor", "ceiling"],
    ).take(dates.indices)
    keeping = _keeping(facts, rule.keep_while)
    kept = pc.and_(pc.is_valid(keeping), pc.equal(calendar["rank"], _RANK[Disposition.DUE]))
    columns = {name: calendar[name] for name in calendar.column_names}
    columns["rank"] = pc.if_else(kept, pa.scalar(_RANK[Disposition.KEPT], pa.int8()), calendar["rank"])
    columns["detail"] = pc.if_else(kept, keeping, calendar["detail"])
    return columns


def _usable(day: date | None, as_of: date) -> bool:
    return day is not None and EARLIEST_TRIGGER <= day <= as_of


def _rank(day: date | None, rule: Rule, as_of: date) -> int:
    if day is None or not _usable(day, as_of):
        return _RANK[Disposition.AWAITING_TRIGGER]
    if rule.purge_after is None:
        return _RANK[Disposition.PERMANENT]
    free = rule.purge_after.first_free_day(day) <= as_of
    return _RANK[Disposition.DUE if free else Disposition.RETAINED]


def _first_free_day(day: date | None, period: Any, as_of: date) -> date | None:
    if day is None or not _usable(day, as_of):
        return None
    return _NEVER if period is None else period.first_free_day(day)


def _detail(day: date | None, rule: Rule, as_of: date) -> str:
    if day is None:
        return f"{rule.trigger} is missing or no date"
    if not _usable(day, as_of):
        return f"{rule.trigger} {day} is " + ("in the future" if day > as_of else "before 1970-01-02")
    if rule.purge_after is None:
        return f"{rule.id} keeps for ever"
    return f"{rule.id} from {rule.purge_after.first_free_day(day)}"


def _bounds(days: Sequence[date | None], regimes: Sequence[Regime], as_of: date) -> tuple[pa.Array, pa.Array]:
    """For each trigger day the last day a minimum asks for, and the last one a maximum allows; NULL without one."""
    minima = [regime.minimum for regime in regimes if regime.minimum is not None]
    maxima = [regime.maximum for regime in regimes if regime.maximum is not None]
    usable = [day if _usable(day, as_of) else None for day in days]
    floors = [max((period.last_day(day) for period in minima), default=None) if day else None for day in usable]
    ceilings = [min((period.last_day(day) for period in maxima), default=None) if day else None for day in usable]
    return pa.array(floors, pa.date32()), pa.array(ceilings, pa.date32())


def _conflict(settled: pa.Table) -> pa.Array:
    texts = (settled[name].cast(pa.string()) for name in ("ceiling", "floor"))
    return pc.binary_join_element_wise(*texts, pa.scalar(": a maximum's last day, a minimum lasts until "))


def _keeping(facts: pa.Table, names: Sequence[str]) -> pa.Array:
    """For each row the facts that keep it, `?` behind those that are unknown; NULL where nothing does."""
    found = [pa.nulls(facts.num_rows, pa.string())]
    for name in names:
        fact = facts[name].combine_chunks() if name in facts.column_names else pa.nulls(facts.num_rows, pa.bool_())
        unknown = pa.scalar(f"{name}?", pa.string())
        said = pc.if_else(fact, pa.scalar(name, pa.string()), pa.scalar(None, pa.string()))
        found.append(pc.if_else(pc.is_null(fact), unknown, said))
    return listed(found)


def _unscheduled(rows: pa.Array, industry: str | None, detail: str) -> pa.Table:
    return _judgement(rows, industry, None, rank=_RANK[Disposition.UNSCHEDULED], detail=detail)


def _judgement(rows: pa.Array, industry: str | None, rule_id: str | None, **columns: Any) -> pa.Table:
    given = {"row": rows, "industry": industry, "rule_id": rule_id, **columns}
    return pa.table([_column(given.get(field.name), field.type, len(rows)) for field in JUDGEMENT], schema=JUDGEMENT)


def _column(value: Any, kind: pa.DataType, length: int) -> Any:
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value.cast(kind)
    return pa.repeat(pa.scalar(value, kind), length)


def _settle(judged: pa.Table) -> pa.Table:
    """One judgement a call: the most keeping one, with the latest destroy date and a hold of any of them."""
    counts = judged.group_by("call").aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1))["call"].combine_chunks()
    among = pc.is_in(judged["call"], several)
    alone = judged.filter(pc.invert(among))
    if not len(several):
        return alone
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
    return pa.concat_tables([alone, renamed.select(alone.column_names)])
