"""Whether a plan of destruction may run: registered by a run of ours, its brake let go, its review approved.

What a plan says and which copies it names is not decided here; neither is what is done under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from lifecycle.archive.plans import put_destroy_plan
from lifecycle.authority.approval import check_approvals, schedule_file, unknown_requester
from lifecycle.authority.approval_subject import NIGHTS_BACK
from lifecycle.authority.registered_destruction import require_planned_by_us, sealed_destroy_plan
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import FixityError
from lifecycle.policy.approval import is_known_actor
from lifecycle.policy.destroy_plan import DestroyPlan, RegisteredDestroyPlan


@dataclass(frozen=True, slots=True)
class OpenReviews:
    """Who approved, and counts; and what is waited for where nobody does."""

    by: tuple[str, ...]
    reasons: tuple[str, ...]


def register_destroy_plan(lifecycle: Lifecycle, plan: DestroyPlan, run: Run) -> RegisteredDestroyPlan:
    """Register a plan and who asked for it, and put the copy that an approver reads. Safe to run again.

    Whoever asked first stays, unless nobody knows who that was or who wrote the schedule, and now somebody does. A row
    of this plan that is not ours is written over, with its acceptance. Raises SettingsError for want of a key.
    """
    authors = _authors(lifecycle, plan)
    anew = RegisteredDestroyPlan(plan=plan, actor=run.actor, schedule_authors=authors)
    try:
        now = registered_destroy_plan(lifecycle, plan.sha256)
    except FixityError:
        now = None  # what is registered is what this run found, whoever wrote there before
    if now is None or (_is_whole(anew) and not _is_whole(now)):
        now = sealed_destroy_plan(lifecycle, anew)
    lifecycle.crm.control.destroy_plans.put(now, run.id, lifecycle.now())
    if plan.reviews and _is_whole(now):
        put_destroy_plan(lifecycle.store, now)
    return now


def registered_destroy_plan(lifecycle: Lifecycle, sha256: str) -> RegisteredDestroyPlan | None:
    """The plan of a digest that a run of ours registered. None: none did. Raises FixityError for a row of others."""
    found = lifecycle.crm.control.destroy_plans.plan(sha256)
    if found is not None:
        require_planned_by_us(lifecycle, found)
    return found


def accept_destroy_plan(lifecycle: Lifecycle, plan: RegisteredDestroyPlan, run: Run) -> None:
    """Note who let a plan's brake go; the first stays."""
    if plan.accepted_by is None:
        accepted = sealed_destroy_plan(lifecycle, plan.model_copy(update={"accepted_by": run.actor}))
        lifecycle.crm.control.destroy_plans.put(accepted, run.id, lifecycle.now())


def open_destroy_reasons(lifecycle: Lifecycle, plan: DestroyPlan) -> tuple[str, ...]:
    """What a person has to settle yet before this plan runs; empty: it may. Signatures are checked every time."""
    if not plan.waits_for:
        return ()
    try:
        registered = registered_destroy_plan(lifecycle, plan.sha256)
    except FixityError as error:
        return (*plan.waits_for, str(error))
    if registered is None:
        return plan.waits_for
    brakes = plan.brakes if registered.accepted_by is None else ()
    return (*brakes, *(open_reviews(lifecycle, registered).reasons if plan.reviews else ()))


def open_reviews(lifecycle: Lifecycle, plan: RegisteredDestroyPlan) -> OpenReviews:
    """Who approved a plan and counts at this moment; where nobody does, what it waits for."""
    unknown, found = unknown_requester(lifecycle, plan), check_approvals(lifecycle, plan)
    reasons = () if found.by else (*plan.plan.reviews, *([unknown] if unknown else ()), *found.refused)
    return OpenReviews(found.by, reasons)


def plan_under_review(lifecycle: Lifecycle, plan: DestroyPlan) -> RegisteredDestroyPlan | None:
    """A plan as it was registered, for `open_reviews`, where its rules ask for a review. None: they do not."""
    return registered_destroy_plan(lifecycle, plan.sha256) if plan.reviews else None


def destroy_plans_of_nights_before(lifecycle: Lifecycle, night: date) -> list[RegisteredDestroyPlan]:
    """The plans of the last nights before one that waited for a person, made under the schedules of today.

    Of a night's plans the newest alone counts, as of the nights of the purge; one that is not ours, not at all.
    """
    found, since = list[RegisteredDestroyPlan](), night - timedelta(days=NIGHTS_BACK)
    for sha256 in lifecycle.crm.control.destroy_plans.newest(since, night):
        try:
            plan = registered_destroy_plan(lifecycle, sha256)
        except FixityError:
            continue  # whoever looks at that night again is told
        if plan is not None and since <= plan.night < night and _may_count(lifecycle, plan.plan):
            found.append(plan)
    return found


def _may_count(lifecycle: Lifecycle, plan: DestroyPlan) -> bool:
    return bool(plan.waits_for) and lifecycle.policies.still(plan.schedule)


def destroy_plans_of_last_night(lifecycle: Lifecycle) -> list[DestroyPlan]:
    """The newest plan of each industry, of the last night that has any. Raises FixityError for a row of others."""
    register = lifecycle.crm.control.destroy_plans
    night = register.last_night()
    digests = register.newest(night, night + timedelta(days=1)) if night is not None else []
    return [found.plan for digest in digests if (found := registered_destroy_plan(lifecycle, digest)) is not None]


def destroy_release_commands(plan: DestroyPlan, waiting: Sequence[str], registered: bool) -> list[str]:
    """How a person lets exactly this plan go: a sentence for the brake, one for a review.

    `registered`: or it was only shown, and an approver could not read it yet.
    """
    run, said = f"lifecycle destroy --as-of {plan.night} --run", list[str]()
    if any(reason in plan.brakes for reason in waiting):
        said.append(f"To let its brake go: {run} --accept-plan {plan.sha256}")
    if any(reason in plan.reviews for reason in waiting):
        first = "" if registered else f"{run} registers it, and destroys nothing of it; then "
        said.append(f"To approve it: {first}lifecycle approve {plan.sha256} --key FILE")
    return said


def _authors(lifecycle: Lifecycle, plan: DestroyPlan) -> tuple[str, ...] | None:
    """Who wrote the schedule; asked of git only where somebody has to approve."""
    schedule = lifecycle.policies.schedules.by_industry.get(plan.industry)
    if schedule is None or not plan.reviews:
        return None
    file = schedule_file(lifecycle, schedule)
    return None if file.unknown else file.authors


def _is_whole(plan: RegisteredDestroyPlan) -> bool:
    """Whether it is known who stands behind a plan."""
    return is_known_actor(plan.actor) and (plan.schedule_authors is not None or not plan.plan.reviews)
