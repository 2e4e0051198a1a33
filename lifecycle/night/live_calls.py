"""How many live calls an industry has, at a price that follows what is due (ADR 36).

Counting every call takes as long as the CRM is large. So a count is kept for a week, less what was purged since, and
says when it was made. The brake never relies on it: that as many calls are live as the schedule's share asks for is
shown by looking at that many, and where it cannot be shown all are counted.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

from lifecycle.archive.batches import batch_name
from lifecycle.crm.control.census_table import CountedCalls
from lifecycle.crm.control.purge_counts import purged_since
from lifecycle.crm.mapping.site_fit import facts_as_written
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ProofError
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.documents.schedule import Schedule

KEPT_FOR = timedelta(days=7)
MANY_CALLS = 10_000  # fewer are counted every night
LONG_MILLISECONDS = 300  # as are those that were counted faster
_PURGED_LATE = timedelta(days=30)  # how long after its night a plan may have been let go
_UNEXPLAINED = 0.2  # of what the database believes to have: its estimates are that good


@dataclass(frozen=True, slots=True)
class Due:
    """What a night found of one industry: the calls it judged; `most`: the largest number the brake is held against."""

    schedule: Schedule
    judged: int
    most: int


@dataclass(frozen=True, slots=True)
class LiveCalls:
    """Calls by the industry that the CRM writes, and by the schedule's what was purged of them since `counted_at`.

    `counted`: the count to remember, where it was made now. `counted_at`: None then.
    """

    calls: Mapping[str | None, int]
    purged: Mapping[str, int]
    counted_at: datetime | None
    counted: CountedCalls | None = None


def live_calls(
    lifecycle: Lifecycle, connection: Any, met: Set[str | None], due: Sequence[Due], kept: bool
) -> LiveCalls:
    """The live calls of every industry: those of the last count, or counted now.

    `met`: the industries of the calls that the night judged, as they are written. `kept`: whether a count of the
    days before may do.
    """
    last = lifecycle.crm.control.census.last() if kept else None
    if last is not None and _says_much(last):
        with suppress(ProofError):  # a plan of before that somebody edited is named where it is asked for
            known = LiveCalls(last.calls, _purged_since(lifecycle, last.counted_at), last.counted_at)
            if _still_means(lifecycle, connection, last, known) and _explains(lifecycle, connection, known, met, due):
                return known
    started = time.monotonic()
    calls = dict(_added_up(lifecycle.crm.facts.counts.by_industry(connection)))
    milliseconds = round((time.monotonic() - started) * 1000)
    believed = lifecycle.crm.facts.counts.believed(connection)
    counted = CountedCalls(calls, lifecycle.now(), _question(lifecycle), believed, milliseconds)
    return LiveCalls(calls, {}, None, counted)


def live_of(lifecycle: Lifecycle, found: LiveCalls, industry: str) -> int:
    """How many calls an industry has, by whichever name the CRM writes it."""
    mine = (calls for name, calls in found.calls.items() if _schedule_of(lifecycle, name) == industry)
    return max(sum(mine) - found.purged.get(industry, 0), 0)


def _says_much(last: CountedCalls) -> bool:
    """Whether counting again would cost something."""
    return sum(last.calls.values()) >= MANY_CALLS and last.milliseconds >= LONG_MILLISECONDS


def _still_means(lifecycle: Lifecycle, connection: Any, last: CountedCalls, known: LiveCalls) -> bool:
    """Whether a count is of this mapping and schema, of the last days, and of a table that is as large as it leaves it.

    A database that was restored, or calls that others loaded or deleted, are what the last one is about.
    """
    if last.question != _question(lifecycle) or not last.counted_at <= lifecycle.now() < last.counted_at + KEPT_FOR:
        return False
    believed, much = lifecycle.crm.facts.counts.believed(connection), _UNEXPLAINED * last.believed
    return last.believed - sum(known.purged.values()) - much <= believed <= last.believed + much


def _explains(
    lifecycle: Lifecycle,
    connection: Any,
    known: LiveCalls,
    met: Set[str | None],
    due: Sequence[Due],
) -> bool:
    """Whether a count has room for the calls that the night met, and the brake can be shown to let go what is due."""
    if met - known.calls.keys():
        return False
    return all(_has_room(lifecycle, connection, known, one) for one in due)


def _has_room(lifecycle: Lifecycle, connection: Any, known: LiveCalls, due: Due) -> bool:
    """Whether so many calls are live that what is due is no more than the share of them that the schedule allows."""
    industry, share = due.schedule.industry, due.schedule.max_share
    needed = ceil(Fraction(due.most) / Fraction(share)) if share else due.most * MANY_CALLS
    if max(needed, due.judged) > live_of(lifecycle, known, industry):
        return False
    if not due.most:
        return True
    names = [name for name in known.calls if name is not None and _schedule_of(lifecycle, name) == industry]
    return lifecycle.crm.facts.counts.are_at_least(connection, needed, names)


def _purged_since(lifecycle: Lifecycle, at: datetime) -> dict[str, int]:
    """The calls that were purged after a moment, by industry, as purge rows say it: found by night and by batch."""
    control = lifecycle.crm.control
    by_plan = control.register.manifests_by_plan((at - _PURGED_LATE).date())
    plans = {batch_name(key): digest for digest, keys in by_plan.items() for key in keys}
    with lifecycle.crm.database.reading() as connection:
        by_batch = purged_since(control, connection, list(plans), at)
    purged, gone = Counter[str](), Counter[str]()
    for batch, calls in by_batch.items():
        purged[plans[batch]] += calls
    for plan in control.register.plans_named(list(purged)):
        gone[plan.industry] += min(purged[plan.sha256], plan.due)  # a call that lost a component is live
    return dict(gone)


def _question(lifecycle: Lifecycle) -> str:
    crm = lifecycle.crm
    return sha256_hex(f"{crm.source.source}\n{facts_as_written(crm.source)}\n{crm.fingerprint}".encode())


def _schedule_of(lifecycle: Lifecycle, name: str | None) -> str | None:
    schedule = lifecycle.policies.schedules.of(name)
    return schedule.industry if schedule else None


def _added_up(counts: list[tuple[str | None, int]]) -> Iterator[tuple[str | None, int]]:
    """Two values that are one text, such as a number and its digits, are one industry."""
    found = Counter[str | None]()
    for name, calls in counts:
        found[name] += calls
    yield from found.items()
