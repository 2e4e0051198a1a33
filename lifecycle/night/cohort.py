"""One cohort of one plan, as the steps below the plan take it: found, still lawful, and let through where it waits."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.batches import cohort_prefix, manifest_keys, read_manifest
from lifecycle.archive.plans import (
    is_accepted,
    planned_nights,
    plans_of_night,
    put_acceptance,
    read_plans,
    released_digests,
)
from lifecycle.authority.approval import check_approvals
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import NightError, PlanHeld, PolicyChanged
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import Plan


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
    person must accept or approve the plan first, or an approval does not count any more.
    """
    plan = _find(lifecycle, industry, cutoff, night)
    schedule = lifecycle.policies.schedules.by_industry.get(industry)
    if schedule is None or not lifecycle.policies.still(plan.schedule):
        now = "cannot be relied on any more" if schedule is None else _changed(schedule, plan)
        raise PolicyChanged(
            f"{industry}: the plan of {plan.night} was made under the schedule {plan.schedule.sha256[:12]}…, "
            f"which {now}. Nothing was purged; plan the night again"
        )
    waiting = open_reasons_to_wait(lifecycle, plan)
    if waiting:
        raise PlanHeld(waiting_message(plan, waiting))
    return CohortPlan(plan, cutoff, schedule)


def _changed(schedule: Schedule, plan: Plan) -> str:
    if schedule.sha256 == plan.schedule.sha256:
        return "names a regime that was changed since"
    return f"has sha256 {schedule.sha256[:12]}…"


def open_reasons_to_wait(lifecycle: Lifecycle, plan: Plan) -> tuple[str, ...]:
    """What a person has to settle yet before this plan runs; empty: it may. Signatures are checked every time.

    The brake is let go by an acceptance of exactly this plan, a rule's review by a signed approval of it.
    """
    brakes = plan.brakes if plan.brakes and not is_accepted(lifecycle.store, plan) else ()
    if not plan.reviews:
        return brakes
    found = check_approvals(lifecycle, plan)
    return brakes if found.by else (*brakes, *plan.reviews, *found.refused)


def waiting_message(plan: Plan, waiting: Sequence[str]) -> str:
    """Why a plan waits, and what to type to let exactly this one through."""
    return (
        f"{plan.industry}: the plan of {plan.night} waits. {'; '.join(waiting)}.\n"
        f"Nothing was archived or purged. {' '.join(release_commands(plan, waiting))}"
    )


def release_commands(plan: Plan, waiting: Sequence[str]) -> list[str]:
    """How a person lets exactly this plan through: a sentence for the brake, one for a review."""
    said = []
    if any(reason in plan.brakes for reason in waiting):
        night = f"--as-of {plan.night} --industry {plan.industry}"
        said.append(f"To let its brake go: lifecycle run {night} --accept-plan {plan.sha256}")
    if any(reason in plan.reviews for reason in waiting):
        said.append(f"To approve it: lifecycle approve {plan.sha256} --key FILE")
    return said


def manifests_of_cohort(lifecycle: Lifecycle, cohort: CohortPlan) -> dict[str, tuple[Manifest, bytes]]:
    """The committed batches of a cohort that were archived under this very plan, by manifest key."""
    keys = manifest_keys(lifecycle.store, cohort_prefix(cohort.plan.industry, cohort.cutoff))
    of_night = [key for key in keys if f"/{cohort.plan.night}-" in key]  # a bad one of another night is not in the way
    found = {key: read_manifest(lifecycle.store, key) for key in of_night}
    return {key: pair for key, pair in found.items() if pair[0].plan_sha256 == cohort.plan.sha256}


def _find(lifecycle: Lifecycle, industry: str, cutoff: str, night: date | None) -> Plan:
    nights = planned_nights(lifecycle.store, industry) if night is None else [night]
    for candidate in reversed(nights):
        plans = read_plans(lifecycle.store, candidate, industry)
        if plans and cutoff in {cohort.cutoff for cohort in plans[-1].cohorts}:
            return plans[-1]
    when = f"of {night}" if night else "of any night"
    raise NightError(f"{industry}/{cutoff}: no plan {when} names this cohort. Plan the night first; nothing was done")


def accept_plans(lifecycle: Lifecycle, plans: Mapping[str, Plan], digests: Sequence[str], run: Run) -> None:
    """Accept the plans that a person named by digest: their brake lets go.

    Raises NightError for a digest that is no plan whose brake tripped; then none is accepted.
    """
    by_digest = {plan.sha256: plan for plan in plans.values() if plan.brakes}
    for digest in digests:
        if digest not in by_digest:
            reviewed = any(plan.sha256 == digest and plan.reviews for plan in plans.values())
            found = ", ".join(by_digest) or "none"
            raise NightError(
                f"--accept-plan {digest}: "
                + (
                    f"its brake did not trip; a review asks for a signature: lifecycle approve {digest} --key FILE. "
                    if reviewed
                    else f"no plan of this night with a tripped brake; found {found}. "
                )
                + "Nothing was let through"
            )
    for digest in digests:
        put_acceptance(lifecycle.store, by_digest[digest], run.id, run.actor)


def waiting_plans(lifecycle: Lifecycle, plans: Mapping[str, Plan]) -> dict[str, tuple[str, ...]]:
    """The industries whose plan waits for a person still, each with what it waits for."""
    found = {name: open_reasons_to_wait(lifecycle, plan) for name, plan in plans.items()}
    return {name: waiting for name, waiting in found.items() if waiting}


def runnable_cohorts(lifecycle: Lifecycle, plans: Mapping[str, Plan]) -> list[list[str]]:
    """The cohorts that may run now, as [industry, cutoff]: those of plans that wait for nobody."""
    waiting = waiting_plans(lifecycle, plans)
    return cohorts_of(plan for plan in plans.values() if plan.industry not in waiting)


def cohorts_of(plans: Iterable[Plan]) -> list[list[str]]:
    """The cohorts of plans, as [industry, cutoff]."""
    return [[plan.industry, cohort.cutoff] for plan in plans for cohort in plan.cohorts]


def plans_released_since(
    lifecycle: Lifecycle, night: date, without: Collection[str] = (), known: Collection[str] = ()
) -> Iterator[Plan]:
    """The newest plans of a night that waited, and that somebody has let through by now.

    One list of the store, and more only where it shows an acceptance or approval. `without`: industries not to look
    at; `known`: digests of plans not to look at again.
    """
    for industry, keys in sorted(plans_of_night(lifecycle.store, night).items()):
        if industry not in without and released_digests(keys) - set(known):
            plan = read_plans(lifecycle.store, night, industry)[-1]
            if plan.waits_for and plan.sha256 not in known and not open_reasons_to_wait(lifecycle, plan):
                yield plan
