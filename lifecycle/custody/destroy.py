"""Destroy: archived copies removed for good, under a registered plan, where no person must look first.

What becomes of one batch is `batch_destruction`'s.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lifecycle.authority.destroy_approval import (
    accept_destroy_plan,
    destroy_plans_of_nights_before,
    open_destroy_reasons,
    open_reviews,
    plan_under_review,
    register_destroy_plan,
)
from lifecycle.custody.batch_destruction import Destroyed, destroy_batch, resume_destruction
from lifecycle.custody.destroy_plans import DestroySurvey, survey_copies
from lifecycle.custody.logged_ends import register_logged_end
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.deployment.policy_folder import read_copies_not_reached
from lifecycle.errors import NightError, SettingsError
from lifecycle.night.clocks import require_agreeing_clocks
from lifecycle.night.event_leaves import event_leaf_id, queue_event_leaves
from lifecycle.policy.destroy_plan import DestroyPlan
from lifecycle.policy.plan import whole_digest

DESTROY_LEASE, _RUN = "destroy", "destroy_plan_run"


@dataclass
class DestroyResult:
    """What a run did: what it found, what went, and which industries' plans wait for a person, with the reasons.

    `released`: plans of earlier nights that somebody let through since, which go first.
    """

    survey: DestroySurvey
    done: Destroyed = field(default_factory=Destroyed)
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    released: list[DestroyPlan] = field(default_factory=list)

    @property
    def needs_person(self) -> bool:
        """Whether somebody should look."""
        return bool(self.waiting or self.done.left or self.done.set_aside or self.survey.damaged)


def survey_destruction(lifecycle: Lifecycle, as_of: date, every_batch: bool = False) -> DestroyResult:
    """What a run would do on a night. Reads only."""
    result = DestroyResult(survey_copies(lifecycle, as_of, every_batch), released=_released(lifecycle, as_of))
    _look_at_plans(lifecycle, result)
    return result


def destroy_copies(
    lifecycle: Lifecycle, as_of: date, run: Run, accepted: Sequence[str] = (), every_batch: bool = False
) -> DestroyResult:
    """Destroy what may go on a night, where no person must look first. Safe to run again; one at a time (LeaseTaken).

    What waits is registered, and goes with the first run after somebody let it through, on a later night too.
    `accepted`: digests of plans whose brake a person lets go. Raises NightError for one that is no plan of this night
    or of those before, SettingsError where destroying is not switched on, ClockError; then nothing is destroyed.
    """
    if not lifecycle.settings.destroy:
        raise SettingsError("LIFECYCLE_DESTROY: archived copies are destroyed once it says true. Nothing was destroyed")
    lifecycle.crm.control.require()
    require_agreeing_clocks(lifecycle)
    lifecycle.keys.epoch()
    read_copies_not_reached(lifecycle.settings.policies)  # a file that cannot be read is found before anything goes
    with lifecycle.crm.control.lease(DESTROY_LEASE):
        result = DestroyResult(DestroySurvey(as_of))
        for row in lifecycle.crm.control.destructions.unfinished():
            lifecycle.require_running()
            resume_destruction(lifecycle, row, as_of, result.done)
        result.survey = survey_copies(lifecycle, as_of, every_batch)
        for end in result.survey.ended.values():
            register_logged_end(lifecycle, end)
        _register(lifecycle, result.survey, accepted, run)
        result.released = _released(lifecycle, as_of)
        for plan in result.released:
            _carry_out(lifecycle, plan, run, result.done)
        if result.released:
            result.survey = survey_copies(lifecycle, as_of, every_batch)
            _register(lifecycle, result.survey, (), run)
        _look_at_plans(lifecycle, result)
        for plan in result.survey.plans.values():
            if plan.industry not in result.waiting:
                _carry_out(lifecycle, plan, run, result.done)
    return result


def _look_at_plans(lifecycle: Lifecycle, result: DestroyResult) -> None:
    found = {name: open_destroy_reasons(lifecycle, plan) for name, plan in result.survey.plans.items()}
    result.waiting = {name: reasons for name, reasons in found.items() if reasons}


def _register(lifecycle: Lifecycle, survey: DestroySurvey, digests: Collection[str], run: Run) -> None:
    """Register a night's plans, and the acceptances of these and of earlier ones: all of them, or none is noted."""
    earlier = {plan.sha256: plan for plan in destroy_plans_of_nights_before(lifecycle, survey.as_of)}
    known = [*(plan.sha256 for plan in survey.plans.values()), *earlier]
    accepted = [whole_digest(digest, known) for digest in digests]
    for digest in accepted:
        if digest not in known:
            found = ", ".join(known) or "none"
            what = f"--accept-plan {digest}: no plan of this night or of those before"
            why = "A plan is another one once a hold, a schedule or a copy changed: look again with `lifecycle destroy`"
            raise NightError(f"{what}; found {found}. Nothing was destroyed. {why}")
    registered = {plan.sha256: register_destroy_plan(lifecycle, plan, run) for plan in survey.plans.values()}
    events = {plan.sha256: plan_event(plan, run) for plan in survey.plans.values()}
    queue_event_leaves(lifecycle, "destroy_plan", events)
    for digest in accepted:
        accept_destroy_plan(lifecycle, {**earlier, **registered}[digest], run)
    told = {"run_id": run.id, "actor": run.actor}
    queue_event_leaves(lifecycle, "plan_accepted", {digest: {"plan_sha256": digest, **told} for digest in accepted})


def _released(lifecycle: Lifecycle, as_of: date) -> list[DestroyPlan]:
    """The plans of the nights before that waited, that somebody let through since, and that nothing was done under."""
    plans = [one.plan for one in destroy_plans_of_nights_before(lifecycle, as_of)]
    with lifecycle.crm.database.reading() as connection:
        done = lifecycle.crm.control.places.noted(connection, [_run_leaf(plan) for plan in plans])
    return [plan for plan in plans if _run_leaf(plan) not in done and not open_destroy_reasons(lifecycle, plan)]


def _carry_out(lifecycle: Lifecycle, plan: DestroyPlan, run: Run, result: Destroyed) -> None:
    """Destroy what may still go of a plan's batches, once: what stays now is another plan's."""
    reviewed, approved_by = plan_under_review(lifecycle, plan), tuple[str, ...]()
    going = lifecycle.crm.control.destructions.states()
    for number, planned in enumerate(plan.batches):
        lifecycle.require_running()
        if reviewed is not None:  # asked before each batch, as the holds are
            found = open_reviews(lifecycle, reviewed)
            if found.reasons:
                result.set_aside[f"plan {plan.sha256}"] = f"it waits again: {'; '.join(found.reasons)}"
                return
            approved_by = found.by
        if planned.batch not in going:
            destroy_batch(lifecycle, plan, planned, run, result)
        lifecycle.progress(f"destroyed {plan.industry}", number + 1, len(plan.batches))
    if plan.waits_for:
        named = {"night": plan.night.isoformat(), "industry": plan.industry, "plan_sha256": plan.sha256}
        told = {**named, "approved_by": approved_by, "run_id": run.id, "actor": run.actor}
        queue_event_leaves(lifecycle, _RUN, {plan.sha256: told})


def _run_leaf(plan: DestroyPlan) -> str:
    return event_leaf_id(_RUN, plan.sha256)


def plan_event(plan: DestroyPlan, run: Run) -> dict[str, Any]:
    """What the ledger says of a plan."""
    return {
        "night": plan.night.isoformat(),
        "industry": plan.industry,
        "plan_sha256": plan.sha256,
        "copies": plan.copies,
        "going": plan.going,
        "waits_for": len(plan.waits_for),
        "run_id": run.id,
        "actor": run.actor,
    }
