"""Preview: what a night would do, read only. Nothing is written to the CRM or the store; any night may be asked for.

The store is read only where a schedule has `max_usual`: what is usual, earlier plans say.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from lifecycle.authority.usual_night import NightBaseline, night_baselines
from lifecycle.crm.call_sizes import mean_call_bytes
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.inquiry.facts_asked_for import facts_that_rules_miss
from lifecycle.night.destroy_batches import same
from lifecycle.night.plan import wanted_schedules
from lifecycle.night.purged_before import PurgedBefore, PurgeHistory
from lifecycle.night.survey import IndustryCount, survey_calls
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import REVIEW_REASON, format_percent, reasons_to_wait

SAMPLE_CALLS = 200
_A_TABLE = 50


@dataclass(frozen=True, slots=True)
class IndustryPreview:
    """One industry's night: its counts, why it would wait for a person, and about how many bytes would be archived."""

    schedule: Schedule
    count: IndustryCount
    waits_for: tuple[str, ...]
    about_bytes: int

    @property
    def due(self) -> int:
        """The calls that may go."""
        return self.count.due

    @property
    def max_share(self) -> str:
        """The brake, as people write it."""
        return format_percent(self.schedule.max_share)

    @property
    def brake(self) -> bool:
        """Whether more is due than the brake lets go."""
        return any(not reason.startswith(REVIEW_REASON) for reason in self.waits_for)


@dataclass(frozen=True, slots=True)
class NightPreview:
    """A night that is only looked at: by industry, calls no schedule speaks of, policy files that cannot be used.

    `left_out`, `unfit`, `returned` and `blank_beside` (their number) as `Survey` has them. `missing`: facts that rules
    ask for and the mapping does not give. `elsewhere`: columns of URLs; what lies there is somebody else's, and stays.
    """

    as_of: date
    industries: Mapping[str, IndustryPreview]
    unscheduled: Mapping[str, int]
    broken: Mapping[str, str]
    unfit: Mapping[str, str]
    left_out: Mapping[str, str]
    returned: Mapping[str, PurgedBefore]
    blank_beside: int = 0
    missing: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def needs_person(self) -> bool:
        """Whether somebody must look before such a night could run whole."""
        found = self.broken or self.left_out or self.unfit or self.returned or self.missing
        return bool(found) or any(industry.waits_for for industry in self.industries.values())


def preview_night(lifecycle: Lifecycle, as_of: date, only: str | None = None) -> NightPreview:
    """Judge every call as of a day, for every industry or for one. Raises PolicyError for one that is unknown."""
    schedules = {schedule.industry: schedule for schedule in wanted_schedules(lifecycle.policies, only)}
    against = night_baselines(lifecycle, as_of, list(schedules.values()))
    history = PurgeHistory(lifecycle, unsealed=False) if lifecycle.crm.control.begun() else None
    result, due = survey_calls(lifecycle, as_of, history)
    samples: defaultdict[str, defaultdict[str | None, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for industry, table in due:
        for component in table["component"].unique().to_pylist() if industry in schedules else ():
            some = table.filter(same(table["component"], component))["call_id"].to_pylist()
            samples[industry][component] += _spread(some, _A_TABLE)
    found = {
        name: _industry(lifecycle, schedules[name], count, against[name], samples[name])
        for name, count in result.industries.items()
        if name in schedules
    }
    missing = tuple(said for said in facts_that_rules_miss(lifecycle) if only in (None, said.partition(":")[0]))
    urls = tuple(f"{url.table}.{url.column}" for url in lifecycle.crm.source.urls)
    kept = result.unscheduled, result.broken, result.unfit, result.left_out, result.returned
    return NightPreview(as_of, found, *kept, len(result.blank_beside), missing, urls)


def _industry(
    lifecycle: Lifecycle,
    schedule: Schedule,
    count: IndustryCount,
    against: NightBaseline,
    samples: Mapping[str | None, list[Any]],
) -> IndustryPreview:
    waits_for = reasons_to_wait(schedule, count.taken, count.rules, count.live, against.usual)
    size = sum(
        mean_call_bytes(lifecycle.crm, _spread(sample, SAMPLE_CALLS), component)
        * (count.components[component] if component else count.due)
        for component, sample in samples.items()
    )
    return IndustryPreview(schedule, count, waits_for, round(size))


def _spread(values: list[Any], most: int) -> list[Any]:
    """Up to `most` of the values, evenly from all of them: the oldest calls are seldom like the newest."""
    step = max(1, -(-len(values) // most))
    return values[::step]
