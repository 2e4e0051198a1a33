"""What an industry's night is held against: the usual night, an approved change that explains another, its author."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.authority.approval import check_approvals, schedule_file
from lifecycle.crm.control.plan_register import Register
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import USUAL_NIGHTS, Plan, usual_night


@dataclass(frozen=True, slots=True)
class NightBaseline:
    """What a schedule's night is held against: the usual night (what → number), and its authors (None: unknown)."""

    usual: Mapping[str, float]
    change_approved: bool
    authors: tuple[str, ...] | None


def night_baselines(lifecycle: Lifecycle, as_of: date, schedules: Sequence[Schedule]) -> dict[str, NightBaseline]:
    """Look back, by industry. Earlier nights are asked for only where a schedule has `max_usual`."""
    asking = [schedule.industry for schedule in schedules if schedule.max_usual is not None]
    before = {industry: earlier_plans(lifecycle, as_of, industry, USUAL_NIGHTS) for industry in asking}
    return {s.industry: _baseline(lifecycle, s, before.get(s.industry, [])) for s in schedules}


def earlier_plans(lifecycle: Lifecycle, night: date, industry: str, nights: int) -> list[Plan]:
    """An industry's newest plan of its last so many nights before this one, the newest first.

    A plan that waited, that nobody accepted, and under which nothing was archived, took nothing and is left out: a
    backlog that is stopped night after night must not become what is usual.
    """
    register = lifecycle.crm.control.register
    before = [day for day in register.nights(industry) if day < night][-nights:]
    newest = [register.plans_of(day, industry)[-1] for day in reversed(before)]
    return [plan for plan in newest if not plan.waits_for or _went(register, plan)]


def _went(register: Register, plan: Plan) -> bool:
    return (not plan.reviews and register.accepted(plan)) or bool(register.manifests_of(plan))


def _baseline(lifecycle: Lifecycle, schedule: Schedule, before: Sequence[Plan]) -> NightBaseline:
    file = schedule_file(lifecycle, schedule)
    changed = bool(before) and before[0].schedule.sha256 != schedule.sha256
    approved = changed and bool(check_approvals(lifecycle, file).by)
    return NightBaseline({} if approved else usual_night(before), approved, None if file.unknown else file.authors)
