"""One cohort of one plan, as the steps below the plan take it: found, still lawful, and let through where it waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.batches import cohort_prefix, manifest_keys, read_manifest
from lifecycle.archive.plans import accept, accepted, planned_nights, read_plans
from lifecycle.errors import NightError, PlanHeld, PolicyChanged
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.plan import Plan
from lifecycle.policy.schedule import Schedule
from lifecycle.steps.context import Lifecycle, Run


@dataclass(frozen=True, slots=True)
class CohortPlan:
    """The plan a cohort runs under. `open_cohort` is the only way to one."""

    plan: Plan
    cutoff: str
    schedule: Schedule

    @property
    def name(self) -> str:
        """What the lease is on."""
        return f"{self.plan.industry}/{self.cutoff}"

    @property
    def calls(self) -> int:
        """How many calls the plan names in it."""
        return next(cohort.calls for cohort in self.plan.cohorts if cohort.cutoff == self.cutoff)


def open_cohort(lifecycle: Lifecycle, industry: str, cutoff: str, night: date | None = None) -> CohortPlan:
    """The newest plan of a night (or of the newest night) that names the cohort.

    Raises NightError where there is none, PolicyChanged where the schedule is another one by now, PlanHeld where a
    person must accept the plan first.
    """
    plan = _find(lifecycle, industry, cutoff, night)
    schedule = lifecycle.policies.schedules.by_industry.get(industry)
    if schedule is None or schedule.sha256 != plan.schedule.sha256:
        now = "cannot be relied on any more" if schedule is None else f"has sha256 {schedule.sha256[:12]}…"
        raise PolicyChanged(
            f"{industry}: the plan of {plan.night} was made under the schedule {plan.schedule.sha256[:12]}…, "
            f"which {now}. Nothing was purged; plan the night again"
        )
    if plan.waits_for and not accepted(lifecycle.store, plan):
        raise PlanHeld(held_message(plan))
    return CohortPlan(plan, cutoff, schedule)


def held_message(plan: Plan) -> str:
    """Why a plan waits and how it is let through."""
    return (
        f"{plan.industry}: the plan of {plan.night} waits. {'; '.join(plan.waits_for)}.\n"
        f"Nothing was archived or purged. To let exactly this plan through: --accept-plan {plan.sha256}"
    )


def manifests_of(lifecycle: Lifecycle, cohort: CohortPlan) -> dict[str, tuple[Manifest, bytes]]:
    """The committed batches of a cohort that were archived under this very plan, by manifest key."""
    keys = manifest_keys(lifecycle.store, cohort_prefix(cohort.plan.industry, cohort.cutoff))
    found = {key: read_manifest(lifecycle.store, key) for key in keys}
    return {key: pair for key, pair in found.items() if pair[0].plan_sha256 == cohort.plan.sha256}


def _find(lifecycle: Lifecycle, industry: str, cutoff: str, night: date | None) -> Plan:
    nights = planned_nights(lifecycle.store, industry) if night is None else [night]
    for candidate in reversed(nights):
        plans = read_plans(lifecycle.store, candidate, industry)
        if plans and cutoff in {cohort.cutoff for cohort in plans[-1].cohorts}:
            return plans[-1]
    when = f"of {night}" if night else "of any night"
    raise NightError(f"{industry}/{cutoff}: no plan {when} names this cohort. Plan the night first; nothing was done")


def let_through(lifecycle: Lifecycle, plans: Mapping[str, Plan], digests: Sequence[str], run: Run) -> None:
    """Accept the waiting plans that a person named by digest. Raises NightError for a digest that is none of them."""
    by_digest = {plan.sha256: plan for plan in plans.values() if plan.waits_for}
    strange = [digest for digest in digests if digest not in by_digest]
    if strange:
        found = ", ".join(by_digest) or "none"
        raise NightError(
            f"--accept-plan {strange[0]}: no waiting plan of this night; found {found}. Nothing was let through"
        )
    for digest in digests:
        accept(lifecycle.store, by_digest[digest], run.id, run.actor)


def waiting_plans(lifecycle: Lifecycle, plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plans that wait for a person still."""
    return {name: plan for name, plan in plans.items() if plan.waits_for and not accepted(lifecycle.store, plan)}


def going_cohorts(lifecycle: Lifecycle, plans: Mapping[str, Plan]) -> list[list[str]]:
    """The cohorts that may run now, as [industry, cutoff]: those of plans that wait for nobody."""
    waiting = waiting_plans(lifecycle, plans)
    going = [plan for plan in plans.values() if plan.industry not in waiting]
    return [[plan.industry, cohort.cutoff] for plan in going for cohort in plan.cohorts]
