"""One industry's night, as the steps after the plan take it: found, still lawful, and let through where it waits."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from lifecycle.archive.approvals import approved_plans
from lifecycle.archive.batches import read_manifest
from lifecycle.authority.approval import check_approvals
from lifecycle.authority.usual_night import night_baselines
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import FixityError, NightError, ObjectMissing, PlanHeld, PolicyChanged, ProofError
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import REVIEW_REASON, WHOLE_CALLS, Plan, reasons_to_wait, whole_digest


@dataclass(frozen=True, slots=True)
class IndustryNight:
    """What one run archives, purges and records: the newest plan of an industry's night, and the schedule it is under.

    `open_industry_night` is the only way to one.
    """

    plan: Plan
    schedule: Schedule

    @property
    def industry(self) -> str:
        """What the lease is on: two nights of one industry never work at once."""
        return self.plan.industry


def open_industry_night(lifecycle: Lifecycle, industry: str, night: date) -> IndustryNight:
    """The newest plan of an industry's night.

    Raises NightError where there is none, PolicyChanged where the schedule is another one by now, PlanHeld where a
    person must accept or approve the plan first, or an approval does not count any more.
    """
    plans = lifecycle.crm.control.register.plans_of(night, industry)
    if not plans:
        raise NightError(f"{industry}: there is no plan of {night}. Plan the night first; nothing was done")
    plan = plans[-1]
    # Asked of the disk at every opening: the steps of a run share what else they opened.
    policies = lifecycle.policies_now()
    schedule = policies.schedules.by_industry.get(industry)
    if schedule is None or not (policies.still(plan.schedule) and lifecycle.policies.still(plan.schedule)):
        now = "cannot be relied on any more" if schedule is None else _changed(schedule, plan)
        raise PolicyChanged(
            f"{industry}: the plan of {plan.night} was made under the schedule {plan.schedule.sha256[:12]}…, "
            f"which {now}. Nothing was purged; plan the night again"
        )
    waiting = open_reasons_to_wait(lifecycle, plan)
    if waiting:
        raise PlanHeld(waiting_message(plan, waiting))
    return IndustryNight(plan, schedule)


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


def batches_of_night(lifecycle: Lifecycle, work: IndustryNight) -> dict[str, tuple[Manifest, bytes]]:
    """The committed batches that our own runs archived under this very plan, by manifest key.

    Raises FixityError where the store has another manifest than the one that was registered.
    """
    found = {}
    for registered in lifecycle.crm.control.register.manifests_of(work.plan):
        try:
            manifest, body = read_manifest(lifecycle.store, registered.key)
        except ObjectMissing:
            continue  # the run that registered it died before it put it: what it names was never committed
        if sha256_hex(body) != registered.sha256 or manifest.plan_sha256 != work.plan.sha256:
            raise FixityError(f"{registered.key}: it is not the manifest that was registered. Nothing was purged")
        found[registered.key] = manifest, body
    return found


def accept_plans(lifecycle: Lifecycle, plans: Mapping[str, Plan], digests: Sequence[str], run: Run) -> None:
    """Accept the plans that a person named by digest: their brake lets go.

    Raises NightError for a digest that is no plan whose brake tripped; then none is accepted.
    """
    by_digest = {plan.sha256: plan for plan in plans.values() if plan.brakes}
    digests = [whole_digest(digest, by_digest) for digest in digests]
    for digest in digests:
        if digest not in by_digest:
            reviewed = any(plan.sha256 == digest and plan.reviews for plan in plans.values())
            found = ", ".join(f"{sha256} ({plan.industry})" for sha256, plan in by_digest.items()) or "none"
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


def runnable_industries(plans: Mapping[str, Plan], waiting: Collection[str]) -> list[str]:
    """The industries of which something is due, and whose plan does not wait: one run each."""
    return [name for name, plan in plans.items() if plan.calls is not None and name not in waiting]


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
        with suppress(ProofError):  # a row that is no plan closes its industry, which the planning says
            plan = register.plans_of(night, industry)[-1]
            waited = industry not in without and plan.sha256 in shown
            if waited and plan.waits_for and not open_reasons_to_wait(lifecycle, plan):
                yield plan
