"""Destroy: archived copies removed for good, under a registered plan, where no person must look first.

What becomes of one batch is `batch_destruction`'s.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lifecycle.custody.batch_destruction import Destroyed, destroy_batch, resume_destruction
from lifecycle.custody.destroy_plans import DestroySurvey, survey_copies
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.deployment.policy_folder import read_copies_not_reached
from lifecycle.errors import NightError, SettingsError
from lifecycle.night.clocks import require_agreeing_clocks
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.policy.destroy_plan import DestroyPlan
from lifecycle.policy.plan import find_digest

DESTROY_LEASE = "destroy"


@dataclass
class DestroyResult:
    """What a run did: what it found, what went, and which industries' plans wait for a person, with the reasons."""

    survey: DestroySurvey
    done: Destroyed = field(default_factory=Destroyed)
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def needs_person(self) -> bool:
        """Whether somebody should look."""
        return bool(self.waiting or self.done.left or self.done.set_aside or self.survey.damaged)


def destroy_copies(
    lifecycle: Lifecycle, as_of: date, run: Run, accepted: Sequence[str] = (), every_batch: bool = False
) -> DestroyResult:
    """Destroy what may go on a night, where no person must look first. Safe to run again; one at a time (LeaseTaken).

    `accepted`: digests of plans whose brake a person lets go. Raises NightError for one that is no plan of this night,
    SettingsError where destroying is not switched on, ClockError; then nothing is destroyed.
    """
    if not lifecycle.settings.destroy:
        raise SettingsError("LIFECYCLE_DESTROY: archived copies are destroyed once it says true. Nothing was destroyed")
    lifecycle.crm.control.require()
    require_agreeing_clocks(lifecycle)
    lifecycle.keys.epoch()
    read_copies_not_reached(lifecycle.settings.policies)  # a file that cannot be read is found before anything goes
    with lifecycle.crm.control.lease(DESTROY_LEASE):
        unfinished = lifecycle.crm.control.destructions.unfinished()
        result = DestroyResult(DestroySurvey(as_of))
        for row in unfinished:
            lifecycle.require_running()
            resume_destruction(lifecycle, row, as_of, result.done)
        result.survey = survey_copies(lifecycle, as_of, every_batch)
        _register(lifecycle, result.survey.plans, accepted, run)
        for plan in result.survey.plans.values():
            waiting = open_reasons(lifecycle, plan)
            if waiting:
                result.waiting[plan.industry] = waiting
                continue
            for done, planned in enumerate(plan.batches):
                lifecycle.require_running()
                destroy_batch(lifecycle, plan, planned, run, result.done)
                lifecycle.progress(f"destroyed {plan.industry}", done + 1, len(plan.batches))
    return result


def _register(lifecycle: Lifecycle, plans: Mapping[str, DestroyPlan], accepted: Collection[str], run: Run) -> None:
    register, by_digest = lifecycle.crm.control.destructions, {plan.sha256: plan for plan in plans.values()}
    accepted = [find_digest(digest, by_digest) for digest in accepted]
    unknown = sorted(set(accepted) - by_digest.keys())
    if unknown:
        found = ", ".join(f"{digest} ({plan.industry})" for digest, plan in by_digest.items()) or "none"
        raise NightError(f"--accept-plan {unknown[0]}: no plan of this night; found {found}. Nothing was destroyed")
    for plan in plans.values():
        register.add_plan(plan, run.id, run.actor, lifecycle.now())
    told = {"run_id": run.id, "actor": run.actor}
    events = {digest: plan_event(plan, run) for digest, plan in by_digest.items()}
    queue_event_leaves(lifecycle, "destroy_plan", events)
    for digest in accepted:
        register.accept(digest, run.actor, lifecycle.now())
    queue_event_leaves(lifecycle, "plan_accepted", {digest: {"plan_sha256": digest, **told} for digest in accepted})


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


def open_reasons(lifecycle: Lifecycle, plan: DestroyPlan) -> tuple[str, ...]:
    """What a person has to settle yet before this plan runs; empty: it may."""
    accepted = plan.brakes and lifecycle.crm.control.destructions.accepted(plan.sha256)
    return tuple(reason for reason in plan.waits_for if not (accepted and reason in plan.brakes))
