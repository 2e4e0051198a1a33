"""One cohort of one plan, as the steps below the plan take it: found, still lawful, and let through where it waits."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.approvals import approved_plans
from lifecycle.archive.batches import cohort_prefix, read_manifest
from lifecycle.authority.approval import check_approvals
from lifecycle.authority.usual_night import night_baselines
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import FixityError, NightError, ObjectMissing, PlanHeld, PolicyChanged
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import REVIEW_REASON, WHOLE_CALLS, Plan, reasons_to_wait


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

    The brake is let go by an acceptance of exactly this plan, a rule's review by a signed approval of it. What there is
    to settle the schedule says, asked again of the plan's numbers, beside what the plan says of itself.
    """
    reasons = dict.fromkeys((*plan.waits_for, *_reasons_recounted(lifecycle, plan)))
    reviews = tuple(reason for reason in reasons if reason.startswith(REVIEW_REASON))
    brakes = tuple(reason for reason in reasons if not reason.startswith(REVIEW_REASON))
    if brakes and lifecycle.crm.control.register.accepted(plan):
        brakes = ()
    if not reviews:
        return brakes
    found = check_approvals(lifecycle, plan)
    return brakes if found.by else (*brakes, *reviews, *found.refused)


def _reasons_recounted(lifecycle: Lifecycle, plan: Plan) -> tuple[str, ...]:
    """Why a plan with these numbers waits under the schedule of this moment, whatever it says of itself."""
    schedule = lifecycle.policies.schedules.by_industry.get(plan.industry)
    if schedule is None or not lifecycle.policies.still(plan.schedule):
        return ()  # then it is not run at all
    usual = None
    if schedule.max_usual is not None:
        usual = night_baselines(lifecycle, plan.night, [schedule])[plan.industry].usual
    return reasons_to_wait(schedule, {WHOLE_CALLS: plan.due, **plan.components}, plan.rules, plan.live, usual)


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
    """The committed batches of a cohort that our own runs archived under this very plan, by manifest key.

    Raises FixityError where the store has another manifest than the one that was registered.
    """
    prefix, found = cohort_prefix(cohort.plan.industry, cohort.cutoff), {}
    for registered in lifecycle.crm.control.register.manifests_of(cohort.plan):
        if not registered.key.startswith(prefix):
            continue
        try:
            manifest, body = read_manifest(lifecycle.store, registered.key)
        except ObjectMissing:
            continue  # the run that registered it died before it put it: what it names was never committed
        if sha256_hex(body) != registered.sha256 or manifest.plan_sha256 != cohort.plan.sha256:
            raise FixityError(f"{registered.key}: it is not the manifest that was registered. Nothing was purged")
        found[registered.key] = manifest, body
    return found


def _find(lifecycle: Lifecycle, industry: str, cutoff: str, night: date | None) -> Plan:
    register = lifecycle.crm.control.register
    for candidate in reversed(register.nights(industry)) if night is None else [night]:
        plans = register.plans_of(candidate, industry)
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
        lifecycle.crm.control.register.accept(by_digest[digest], run.id, run.actor, lifecycle.now())
    said = {"run_id": run.id, "actor": run.actor}
    queue_event_leaves(lifecycle, "plan_accepted", {digest: {"plan_sha256": digest, **said} for digest in digests})


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

    One list of the store, and more only where it shows an approval, or the register an acceptance. `without`:
    industries not to look at; `known`: digests of plans not to look at again.
    """
    register = lifecycle.crm.control.register
    shown = (approved_plans(lifecycle.store, night) | register.accepted_digests(night)) - set(known)
    for industry in register.industries(night) if shown else ():
        plan = register.plans_of(night, industry)[-1]
        waited = industry not in without and plan.sha256 in shown
        if waited and plan.waits_for and not open_reasons_to_wait(lifecycle, plan):
            yield plan
