"""One line for a rule, a schedule, a hold, a call; and the calendar written once more, naively, to compare with."""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from lifecycle.policy.documents.hold import Extension, Hold, Holds
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule, Schedules, collect_schedules
from lifecycle.policy.evaluation.disposition import dispose_calls

NO_HOLDS = Holds({})
TIME = pa.timestamp("us", "UTC")
KINDS = {
    "call_id": pa.string(),
    "industry": pa.string(),
    "started_at": TIME,
    "ended_at": TIME,
    "relationship_ended_at": pa.date32(),
    "born_on": pa.date32(),
    "erasure_requested_on": pa.date32(),
    "has_recording": pa.bool_(),
    "record_class": pa.string(),
    "channel": pa.string(),
    "account_id": pa.string(),
    "phone": pa.string(),
    "agent_id": pa.string(),
    "open_deal": pa.bool_(),
    "open_task": pa.bool_(),
    "disputed": pa.bool_(),
    "dispute_ended_at": pa.date32(),
}


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str) -> datetime:
    """A time in UTC; a day alone is its noon."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T12:00").replace(tzinfo=UTC)


def rule(id: str = "R", purge: str = "P5Y", destroy: str = "P7Y", when: Any = None, **more: Any) -> dict[str, Any]:
    given = {"id": id, "title": id, "trigger": "ended_at", "purge_after": purge, "destroy_after": destroy}
    return {**given, "when": when or {}, **more}


def schedule(
    *rules: dict[str, Any],
    industry: str = "finance",
    matches: Any = "Banking",
    zone: str = "UTC",
    share: str = "2%",
    **more: Any,
) -> Schedule:
    given = {"industry": industry, "matches": matches, "owner": "o", "timezone": zone, "max_share": share, **more}
    return Schedule.model_validate({**given, "rules": list(rules)})


def schedules(*given: Schedule, under: Iterable[Regime] = ()) -> Schedules:
    found = collect_schedules({f"{each.industry}.yaml": each for each in given}, {}, {law.id: law for law in under})
    assert not found.broken
    return found


def regime(id: str, **bounds: Any) -> Regime:
    given = {
        "id": id,
        "title": id,
        "jurisdiction": "EU",
        "citation": id,
        "evidence": "e",
        "verified": "text",
        "review_by": day("2030-01-01"),
        "kind": "statute",
        "trigger": "ended_at",
    }
    return Regime.model_validate({**given, **bounds})


def hold(id: str = "h", *scopes: dict[str, Any], released: str | None = None, **scope: Any) -> Hold:
    end = {} if released is None else {"released_at": day(released), "released_by": "c"}
    given = {"id": id, "matter": "m", "placed_at": day("2025-01-01"), "placed_by": "c"}
    return Hold.model_validate({**given, "scope": list(scopes) or scope, **end})


def extension(id: str = "x", regime: str = "law", dated: str = "2025-01-01", **scope: Any) -> Extension:
    given = {"id": id, "regime": regime, "authority": "a", "reference": "r", "registered_by": "c"}
    return Extension.model_validate({**given, "dated": day(dated), "scope": scope})


def holds(*given: Hold, extended: Iterable[Extension] = ()) -> Holds:
    return Holds({each.id: each for each in given}, extensions={each.id: each for each in extended})


def call(
    call_id: Any = "c", industry: str | None = "Banking", ended: Any = "2021-03-16", **facts: Any
) -> dict[str, Any]:
    ended = at(ended) if isinstance(ended, str) else ended
    return {"call_id": call_id, "industry": industry, "ended_at": ended, **facts}


def facts(*calls: Mapping[str, Any], **kinds: pa.DataType) -> pa.Table:
    """A table of the facts that any of the calls has."""
    names = list(dict.fromkeys(name for each in calls for name in each)) or ["call_id", "industry", "ended_at"]
    kinds = {**KINDS, **kinds}
    return pa.table({name: pa.array([each.get(name) for each in calls], kinds[name]) for name in names})


def answers(table: pa.Table, of: Schedules, as_of: str, held: Holds = NO_HOLDS) -> list[tuple[str, str, str]]:
    """Call, disposition, detail."""
    found = dispose_calls(table, of, held, day(as_of)).select(["call_id", "disposition", "detail"]).to_pylist()
    return [tuple(row.values()) for row in found]


def months_later(trigger: date, months: int) -> date:
    """The same day of a later month, or the last one that month has: counted month by month."""
    year, month = trigger.year, trigger.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return date(year, month, min(trigger.day, monthrange(year, month)[1]))


def kept_until(period: tuple[int, int], trigger: date) -> date:
    months, days = period
    return months_later(trigger, months) + timedelta(days)
