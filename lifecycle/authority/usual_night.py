"""What an industry's night is held against: the usual night, an approved change that explains another, its author."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.plans import earlier_plans
from lifecycle.authority.approval import check_approvals, schedule_file
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import USUAL_NIGHTS, Plan, usual_night


@dataclass(frozen=True, slots=True)
class NightBaseline:
    """What a schedule's night is held against: the usual night (what → number), and who wrote the schedule."""

    usual: Mapping[str, float]
    change_approved: bool
    author: str | None


def night_baselines(lifecycle: Lifecycle, as_of: date, schedules: Sequence[Schedule]) -> dict[str, NightBaseline]:
    """Look back, by industry. The store is asked only where a schedule has `max_usual`."""
    asking = [schedule.industry for schedule in schedules if schedule.max_usual is not None]
    before = earlier_plans(lifecycle.store, as_of, asking, USUAL_NIGHTS) if asking else {}
    return {s.industry: _baseline(lifecycle, s, before.get(s.industry, [])) for s in schedules}


def _baseline(lifecycle: Lifecycle, schedule: Schedule, before: Sequence[Plan]) -> NightBaseline:
    file = schedule_file(lifecycle, schedule)
    changed = bool(before) and before[0].schedule.sha256 != schedule.sha256
    approved = changed and bool(check_approvals(lifecycle, file).by)
    return NightBaseline({} if approved else usual_night(before), approved, file.author)
