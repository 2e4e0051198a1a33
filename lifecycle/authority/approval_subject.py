"""What a digest that somebody is asked to approve stands for: a night's plan, a plan of destruction, a schedule.

Read from the store's copies and the policies folder alone: an approver need not reach the CRM. Whether an approval
counts is `approval`'s.
"""

from datetime import date, timedelta

from lifecycle.archive.plans import stored_destroy_plans, stored_digests, stored_plans
from lifecycle.authority.approval import schedule_file
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError, PolicyChanged
from lifecycle.policy.approval import ApprovalSubject
from lifecycle.policy.destroy_plan import DestroyPlan, RegisteredDestroyPlan
from lifecycle.policy.plan import Plan, whole_digest

NIGHTS_BACK, _SHOWN = 31, 12


def find_approval_subject(lifecycle: Lifecycle, given: str) -> ApprovalSubject:
    """The plan or destroy plan of one of the last nights, or the schedule in the policies folder, that has a digest.
    Its first eight letters or more will do.

    Raises InputError where it is none of them, or a plan that another one replaced or that waits for no review.
    """
    schedules = {schedule.sha256: schedule for schedule in lifecycle.policies.schedules.by_industry.values()}
    found = schedules.get(whole_digest(given, schedules))
    if found is not None:
        return schedule_file(lifecycle, found)
    tomorrow = lifecycle.now().date() + timedelta(days=1)  # a night may be a day ahead of this clock's zone
    known: dict[str, date] = {}
    for back in range(NIGHTS_BACK + 1):
        night = tomorrow - timedelta(days=back)
        known |= {each: night for each in stored_digests(lifecycle.store, night)}
        digest = whole_digest(given, known)
        if digest not in known:
            continue
        plans = stored_plans(lifecycle.store, night, digest)
        if any(plan.sha256 == digest for plan in plans):
            return _to_be_approved(lifecycle, plans, digest)
        if copies := stored_destroy_plans(lifecycle.store, night, digest):
            return _destruction_to_be_approved(lifecycle, copies)
    newest = [digest for digest, night in known.items() if night == max(known.values())]
    raise InputError(
        f"{given[:80]}: expected the sha256 of a schedule in {lifecycle.settings.policies}, or of a plan of the last "
        f"{NIGHTS_BACK} nights, or eight or more of its first letters; found neither. Nothing was approved. "
        f"The newest night has the plans {', '.join(newest[:_SHOWN]) or '(none)'}"
    )


def _to_be_approved(lifecycle: Lifecycle, plans: list[Plan], digest: str) -> Plan:
    plan = plans[-1]
    if plan.sha256 != digest:
        raise InputError(
            f"{digest}: the night {plan.night} of {plan.industry} was planned again since; its plan is now "
            f"{plan.sha256}. Nothing was approved; look at that one"
        )
    _require_reviewed(lifecycle, plan)
    return plan


def _destruction_to_be_approved(lifecycle: Lifecycle, copies: list[RegisteredDestroyPlan]) -> RegisteredDestroyPlan:
    (found, *others) = copies
    if others:
        raise InputError(
            f"{found.sha256}: {len(copies)} objects call themselves this plan of destruction, and say that different "
            "people asked for it. Nothing was approved; find out who wrote them, and remove those that are none"
        )
    _require_reviewed(lifecycle, found.plan)
    return found


def _require_reviewed(lifecycle: Lifecycle, plan: Plan | DestroyPlan) -> None:
    if not plan.reviews:
        how = f"--accept-plan {plan.sha256} lets its brake go" if plan.waits_for else "it waits for nobody"
        raise InputError(f"{plan.sha256}: none of the plan's rules asks for a review; {how}. Nothing was approved")
    if not lifecycle.policies.still(plan.schedule):
        raise PolicyChanged(
            f"{plan.industry}: the plan of {plan.night} was made under another schedule, or other regimes, than there "
            "are now. Nothing was approved; plan the night again"
        )
