"""What calls were for, as people ask for it: by day, month or year, and by what they choose. Reads only.

Counted are what was published, and on request what waits to be and the CRM's calls of this moment: a report that is
the same before a purge and after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.statistics import fetch_statistics, statistics_key, statistics_keys
from lifecycle.crm.reading.fact_selection import Narrowing
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError
from lifecycle.evidence.call_statistics import (
    BUCKET,
    CALLS,
    INDUSTRY,
    PERIOD,
    SECONDS,
    WITHHELD,
    add_up,
    count_calls,
    dimensions_of,
)
from lifecycle.evidence.duration_buckets import percentile
from lifecycle.evidence.group_suppression import made_large
from lifecycle.night.publish_statistics import statistics_of

PERIODS = {"day": 10, "month": 7, "year": 4, "all": 0}
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}


@dataclass(frozen=True, slots=True)
class StatisticsQuestion:
    """What is asked: by which period and dimensions; of which industry and days (both included; None: all)."""

    period: str = "month"
    by: tuple[str, ...] = (INDUSTRY,)
    industry: str | None = None
    first: date | None = None
    last: date | None = None
    live: bool = False


@dataclass(frozen=True, slots=True)
class StatisticsReport:
    """A row a group: its period and values, `calls`, `timed` (how many have a known duration), `seconds`, percentiles.

    `withheld`: how many calls are in no row, for their group is too small. `waiting`: how many are counted, and in no
    row because they are not published yet. `uncounted`: objects in the store that no publication on record made.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, object]]
    withheld: int
    waiting: int
    uncounted: list[str]

    @property
    def table(self) -> pa.Table:
        """The same as a table."""
        texts = [(name, pa.string()) for name in self.columns]
        numbers = [(name, pa.int64()) for name in (CALLS, "timed", SECONDS)]
        return pa.Table.from_pylist(
            self.rows, pa.schema([*texts, *numbers, *((name, pa.float64()) for name in PERCENTILES)])
        )


def statistics_report(lifecycle: Lifecycle, question: StatisticsQuestion) -> StatisticsReport:
    """Raises InputError for a dimension that nothing was counted by, ProofError for an object that was replaced."""
    counted = add_up(_counted(lifecycle, question.live))
    known = dict.fromkeys([INDUSTRY, *dimensions_of(counted), *lifecycle.crm.dimensions])
    unknown = [name for name in question.by if name not in known]
    if unknown:
        raise InputError(f"--by {unknown[0]}: expected some of {', '.join(known)}. Nothing was counted by it")
    asked = _coarsened(_chosen(counted, question), question)
    shown, rest = made_large(asked, lifecycle.settings.statistics_group)
    here = {part.id for part in lifecycle.control.statistics.published()}
    strangers = [key for key in statistics_keys(lifecycle.store) if key not in set(map(statistics_key, here))]
    rows = list(_rows(shown, (PERIOD, *question.by)))
    waiting = 0 if question.live else sum(sum(part[CALLS].to_pylist()) for part in _waiting(lifecycle))
    return StatisticsReport((PERIOD, *question.by), rows, pc.sum(rest[CALLS]).as_py() or 0, waiting, strangers)


def published_statistics(lifecycle: Lifecycle) -> Iterator[pa.Table]:
    """Every part that was published: from the store, or from the CRM where it is not there yet."""
    for part in lifecycle.control.statistics.published():
        yield statistics_of(part) if part.sha256 is None else fetch_statistics(lifecycle.store, part.id, part.sha256)


def _counted(lifecycle: Lifecycle, live: bool) -> Iterator[pa.Table]:
    yield from published_statistics(lifecycle)
    if live:
        yield from _waiting(lifecycle)
        yield from live_statistics(lifecycle)


def _waiting(lifecycle: Lifecycle) -> Iterator[pa.Table]:
    return map(statistics_of, lifecycle.control.statistics.waiting())


def live_statistics(lifecycle: Lifecycle) -> Iterator[pa.Table]:
    """The calls that the CRM has, counted as they will be when they go. Reads every call's facts."""
    crm, schedules = lifecycle.crm, lifecycle.policies.schedules
    with crm.database.reading() as connection:
        for facts in crm.facts.in_scopes(connection, [Narrowing({}, None, None)]):
            named = {raw: schedules.of(raw) for raw in facts[INDUSTRY].unique().to_pylist()}
            said = [found.industry if (found := named[raw]) else raw for raw in facts[INDUSTRY].to_pylist()]
            yield count_calls(facts, pa.array(said, pa.string()), crm.dimensions, crm.source.timezone)


def _chosen(table: pa.Table, question: StatisticsQuestion) -> pa.Table:
    """The groups that are wholly of the industry and the days."""
    ours = pc.equal(table[INDUSTRY], question.industry) if question.industry is not None else None
    table = table if ours is None else table.filter(ours)
    if question.first is None and question.last is None:
        return table
    within = [p for p in table[PERIOD].unique().to_pylist() if p not in (None, WITHHELD) and _within(p, question)]
    return table.filter(pc.is_in(table[PERIOD], pa.array(within, pa.string())))


def _within(period: str, question: StatisticsQuestion) -> bool:
    first = date.fromisoformat(f"{period}{'-01-01'[len(period) - 4 :]}")
    last = date(first.year + 1, 1, 1) if len(period) == PERIODS["year"] else first.replace(day=1) + timedelta(days=32)
    last = first if len(period) == PERIODS["day"] else last.replace(day=1) - timedelta(days=1)
    return (question.first or date.min) <= first and last <= (question.last or date.max)


def _coarsened(table: pa.Table, question: StatisticsQuestion) -> pa.Table:
    """By what is asked alone."""
    kept, everything = PERIODS[question.period], pa.array([WITHHELD] * table.num_rows, pa.string())
    period = pc.utf8_slice_codeunits(table[PERIOD], 0, kept) if kept else everything
    industry = table[INDUSTRY] if INDUSTRY in question.by else everything
    asked = [name for name in question.by if name != INDUSTRY]
    given = {
        name: table[name] if name in table.column_names else pa.nulls(table.num_rows, pa.string()) for name in asked
    }
    columns = {PERIOD: period, INDUSTRY: industry, **given}
    return add_up([pa.table({**columns, **{name: table[name] for name in (BUCKET, CALLS, SECONDS)}})])


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterator[dict[str, object]]:
    """A row a group, in order."""
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        groups.setdefault(tuple(row[name] for name in columns), []).append(row)
    for group, rows in groups.items():
        timed = [(row[BUCKET], row[CALLS]) for row in rows if row[BUCKET] is not None]
        yield {
            **dict(zip(columns, group, strict=True)),
            CALLS: sum(row[CALLS] for row in rows),
            "timed": sum(calls for _, calls in timed),
            SECONDS: sum(row[SECONDS] for row in rows),
            **{name: percentile(timed, share) for name, share in PERCENTILES.items()},
        }
