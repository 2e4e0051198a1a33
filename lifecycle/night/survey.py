"""The survey of a night: every call that may be due, judged while its facts stream by, counted by industry."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import PolicyError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.night.destroy_batches import same
from lifecycle.night.live_calls import Due, LiveCalls, live_calls, live_of
from lifecycle.night.purged_before import PurgedBefore, PurgeHistory
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.component_order import retain_for_components
from lifecycle.policy.evaluation.disposition import Disposition, bounded_components, dispose_with_bounds
from lifecycle.policy.plan import WHOLE_CALLS

PLANNED_COLUMNS = ("call_id", "component", "rule_id", "trigger_date", "purge_from", "destroy_on", "ceiling")
OVERDUE_AFTER = timedelta(days=7)
SAMPLES = 5


@dataclass
class IndustryCount:
    """One industry's calls of a night, counted while the facts stream by.

    `dispositions`, `due` and `samples` are of whole calls, `components` the calls of which one component is due;
    `rules`, `oldest` and `overdue` are of both. `counted_at`: when `live` was counted, where that was on a day before.
    """

    live: int = 0
    counted_at: datetime | None = None
    due: int = 0
    components: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    samples: list[object] = field(default_factory=list)
    oldest: date | None = None
    overdue: int = 0

    def add(self, disposed: pa.Table, parts: pa.Table, as_of: date) -> pa.Table:
        """Count some calls of the industry, and components of its calls; gives back what is due."""
        self.dispositions.update(_counts(disposed["disposition"]))
        whole, part = _due(disposed), _due(parts)
        self.due += whole.num_rows
        self.components.update(_counts(part["component"]))
        self.samples += whole["call_id"].slice(0, SAMPLES - len(self.samples)).to_pylist()
        whole = whole.append_column("component", pa.nulls(whole.num_rows, pa.string()))
        due = pa.concat_tables([whole, part.select(whole.column_names)])
        if due.num_rows:
            self.rules.update(_counts(due["rule_id"]))
            self.oldest = min(filter(None, (self.oldest, pc.min(due["trigger_date"]).as_py())))
            late = pc.less_equal(due["purge_from"], pa.scalar(as_of - OVERDUE_AFTER))
            self.overdue += pc.sum(late).as_py() or 0
        return due.select(list(PLANNED_COLUMNS))

    @property
    def taken(self) -> dict[str, int]:
        """What the brake is held against: whole calls, and each component."""
        return {WHOLE_CALLS: self.due, **self.components}

    def complete(self) -> None:
        """Calls that were not even candidates are retained: no clock of theirs has run out."""
        rest = self.live - sum(self.dispositions.values())
        self.dispositions[str(Disposition.RETAINED)] += max(rest, 0)


@dataclass(frozen=True)
class Survey:
    """What a night found. `unscheduled` counts calls by the industry the CRM writes where no schedule speaks of it.

    `foreign`: objects beside the night's plans that call themselves plans or acceptances, and that no run of ours made.
    `unfit`: why the CRM lets no whole calls (WHOLE_CALLS) be purged, or not a component, by its name.
    `returned`: calls met on the way that were purged before and are back by nobody's restore, where that was asked.
    `blank_beside`: calls met on the way with a row without an industry beside others, under which it was judged.
    `left_out`: what nobody can act on, a call's key or a request, and why. It stays, and the others go on.
    """

    as_of: date
    industries: Mapping[str, IndustryCount]
    unscheduled: Mapping[str, int]
    broken: Mapping[str, str]
    unfit: Mapping[str, str]
    foreign: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    returned: dict[str, PurgedBefore] = field(default_factory=dict)
    blank_beside: set[Any] = field(default_factory=set)


def survey_calls(
    lifecycle: Lifecycle, as_of: date, history: PurgeHistory | None = None, kept: bool = False
) -> tuple[Survey, Iterator[tuple[str, pa.Table]]]:
    """Start a look at the whole CRM: the counts, complete once the returned stream of due calls has run dry.

    `history`: where it is given, calls that came back are named. `kept`: whether live calls may be as they were
    counted some days ago (`live_calls`); a count made now is remembered then.
    """
    schedules = lifecycle.policies.schedules
    require_hold_facts(lifecycle)
    found = {industry: IndustryCount() for industry in schedules.by_industry}
    unscheduled: dict[str, int] = {}
    result = Survey(as_of, found, unscheduled, lifecycle.policies.broken, _unfit(lifecycle))
    return result, _stream(lifecycle, result, unscheduled, history, kept)


def _stream(
    lifecycle: Lifecycle, result: Survey, unscheduled: dict[str, int], history: PurgeHistory | None, kept: bool
) -> Iterator[tuple[str, pa.Table]]:
    policies, facts = lifecycle.policies, lifecycle.crm.facts
    with lifecycle.crm.database.reading() as connection:
        done, latest, met = 0, night_cutoffs(policies.schedules, result.as_of), set[str | None]()
        for table in facts.candidates(connection, latest, lifecycle.holds.facts()):
            if history is not None:
                before = history.of(set(map(call_id_text, table["call_id"].to_pylist())))
                result.returned.update({call: one for call, one in before.items() if not one.restored})
            met.update(table["industry"].unique().to_pylist())
            disposed = dispose_with_bounds(table, policies.schedules, lifecycle.holds, result.as_of)
            reached = _components(lifecycle, table, result)
            disposed = retain_for_components(disposed, reached)
            parts = reached.filter(pc.invert(pc.is_in(reached["call_id"], _due(disposed)["call_id"].combine_chunks())))
            for industry, count in result.industries.items():
                ours, of_ours = (found.filter(same(found["industry"], industry)) for found in (disposed, parts))
                yield industry, count.add(ours, of_ours, result.as_of)
            done += disposed.num_rows
            lifecycle.progress("candidates judged", done, 0)
        result.left_out.update(left_out(lifecycle, connection))
        result.blank_beside.update(facts.blank_beside)
        live = live_calls(lifecycle, connection, met, _found(lifecycle, result), kept)
    _add_live(lifecycle, result, unscheduled, live)
    if kept and live.counted is not None:
        lifecycle.crm.control.census.remember(live.counted)


def _found(lifecycle: Lifecycle, result: Survey) -> list[Due]:
    """What there is of each industry, for the question how many of its calls are live."""
    schedules = lifecycle.policies.schedules.by_industry
    return [
        Due(schedules[name], count.dispositions.total(), max(count.taken.values()))
        for name, count in result.industries.items()
    ]


def _add_live(lifecycle: Lifecycle, result: Survey, unscheduled: dict[str, int], live: LiveCalls) -> None:
    for raw, calls in live.calls.items():
        if lifecycle.policies.schedules.of(raw) is None:
            unscheduled[(raw or "").strip() or "(no industry)"] = calls
    for name, count in result.industries.items():
        count.live, count.counted_at = live_of(lifecycle, live, name), live.counted_at
        count.complete()


def left_out(lifecycle: Lifecycle, connection: Any) -> Iterator[tuple[str, str]]:
    """What was met on the way and nobody can act on: keys that name no call, requests of no day."""
    for key in sorted(lifecycle.crm.facts.unnameable):
        yield f"call {key}", f"its key is no {lifecycle.crm.rows.key.type}: nobody can name it, so it stays"
    for name, call, found in lifecycle.crm.control.requests.malformed(connection):
        problem = f"received_on: expected a date, found {found!r}; it is not acted on"
        yield f"request {name} for call {call}", problem


def _unfit(lifecycle: Lifecycle) -> dict[str, str]:
    return {name or WHOLE_CALLS: reason for name, reason in lifecycle.crm.unfit_parts().items()}


def _components(lifecycle: Lifecycle, facts: pa.Table, result: Survey) -> pa.Table:
    """What the law says of components that a purge can reach."""
    policies = lifecycle.policies
    found = bounded_components(facts, policies.schedules, lifecycle.holds, result.as_of)
    reached = [name for name in lifecycle.crm.source.components if name not in result.unfit]
    return found.filter(pc.is_in(found["component"], pa.array(reached, pa.string())))


def _due(disposed: pa.Table) -> pa.Table:
    return disposed.filter(pc.equal(disposed["disposition"], pa.scalar(str(Disposition.DUE))))


def night_cutoffs(schedules: Schedules, as_of: date) -> Cutoffs:
    """The latest trigger date, by fact, at which any rule of any schedule may let a call, or a component, go."""
    found = Cutoffs(as_of)
    for schedule, rule in ((each, rule) for each in schedules.by_industry.values() for rule in each.rules):
        latest = found.components.setdefault(rule.component, {}) if rule.component else found.latest
        days = dict(schedule.cutoffs(rule, as_of))
        for clock in rule.clocks:
            for fact in clock.triggers:  # the later of several is past its day only where each of them is
                latest[fact] = max(filter(None, (latest.get(fact), days.get(clock))), default=None)
    return found


def require_hold_facts(lifecycle: Lifecycle) -> None:
    """Raise PolicyError where a hold asks for a fact or a link that the source does not give."""
    missing = sorted(lifecycle.holds.facts() - lifecycle.crm.facts.given)
    if missing:
        raise PolicyError(
            f"holds/: a hold asks for {', '.join(missing)}, which source {lifecycle.crm.source.source} does not give. "
            "Nothing is planned or purged until it does"
        )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()}
