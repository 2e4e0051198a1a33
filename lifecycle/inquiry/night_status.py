"""How the last nights stand, industry by industry, as the control tables say it: no call of the CRM is looked at."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from lifecycle.archive.batches import batch_name
from lifecycle.authority.destroy_approval import (
    destroy_plans_of_last_night,
    destroy_release_commands,
    open_destroy_reasons,
)
from lifecycle.authority.ssh_signature import read_signer_files
from lifecycle.crm.control.purge_counts import PurgeCount, count_purged
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LifecycleError, PolicyError
from lifecycle.evidence.leaf import read_leaf
from lifecycle.night.event_leaves import event_leaf_id
from lifecycle.night.industry_night import open_reasons_to_wait, release_commands
from lifecycle.policy.allowed_signers import known_principals
from lifecycle.policy.approval import DestroyPlanApproval, PlanApproval
from lifecycle.policy.plan import REVIEW_REASON, Plan

_ANYBODY = "whoever may run a night"
_NOBODY = "nobody: policies/allowed_signers names none"


@dataclass(frozen=True, slots=True)
class WaitingPlan:
    """A plan that a person must settle: why, who may, what to type. `what` it is a plan of: a night, destruction."""

    what: str
    industry: str
    night: date
    sha256: str
    reasons: tuple[str, ...]
    who: str
    to_type: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndustryStatus:
    """One industry's night. `planned` are calls and parts of calls, as `purged`, `waiting` and `set_aside` count them;
    `waiting` is what is committed and not in the ledger yet."""

    night: date
    industry: str
    live: int
    planned: int
    purged: int
    waiting: int
    set_aside: int
    overdue: int
    reasons: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """How far it is, in a few words."""
        if self.reasons and not self.purged:
            return "waits for a person"
        if not self.planned:
            return "nothing was due"
        left = self.planned - self.purged - self.set_aside
        if self.waiting:
            return "gone, and not in the ledger yet"
        return "done" if left <= 0 else f"{left:,} not gone"


@dataclass
class NightsStatus:
    """The last planned nights, the newest first; the plans that wait; what could not be read, with why."""

    nights: list[IndustryStatus] = field(default_factory=list)
    waiting: list[WaitingPlan] = field(default_factory=list)
    unread: dict[str, LifecycleError] = field(default_factory=dict)


def read_nights(lifecycle: Lifecycle, most: int = 2) -> NightsStatus:
    """The last planned nights. Only of the newest is it asked whether a plan waits: it planned older ones again."""
    found, register = NightsStatus(), lifecycle.crm.control.register
    nights = register.newest_nights(most)
    for night in nights:
        aside = _set_aside(lifecycle, night)
        for industry in register.industries(night):
            try:
                plan = register.plans_of(night, industry)[-1]
                reasons = _open_reasons(lifecycle, plan) if night == nights[0] else ()
                found.nights.append(_industry(lifecycle, plan, reasons, aside[industry]))
                found.waiting += [_waiting(lifecycle, plan, reasons)] if reasons else []
            except LifecycleError as error:
                found.unread[f"{industry}, {night}"] = error
    try:
        found.waiting += _destructions(lifecycle)
    except LifecycleError as error:
        found.unread["destruction"] = error
    return found


def _set_aside(lifecycle: Lifecycle, night: date) -> Counter[str]:
    with lifecycle.crm.database.reading() as connection:
        noted = lifecycle.crm.control.places.noted_under(connection, event_leaf_id("set_aside", f"{night}:"))
    return Counter(str(read_leaf(name, body)["industry"]) for name, body in noted.items())


def _industry(lifecycle: Lifecycle, plan: Plan, reasons: tuple[str, ...], aside: int) -> IndustryStatus:
    control = lifecycle.crm.control
    batches = [batch_name(manifest.key) for manifest in control.register.manifests_of(plan)]
    with lifecycle.crm.database.reading() as connection:
        gone = count_purged(control, connection, batches) if batches else PurgeCount()
    return IndustryStatus(
        plan.night, plan.industry, plan.live, plan.planned, gone.purged, gone.waiting, aside, plan.overdue, reasons
    )


def _open_reasons(lifecycle: Lifecycle, plan: Plan) -> tuple[str, ...]:
    """What the plan waits for; where the store cannot say whether somebody approved it, that too."""
    try:
        return open_reasons_to_wait(lifecycle, plan)
    except LifecycleError as error:
        return (*plan.waits_for, f"whether somebody approved it cannot be asked: {error}") if plan.waits_for else ()


def _waiting(lifecycle: Lifecycle, plan: Plan, reasons: tuple[str, ...]) -> WaitingPlan:
    commands = [
        said.partition(": ")[2].replace(plan.sha256, plan.sha256[:12]) for said in release_commands(plan, reasons)
    ]
    return WaitingPlan(
        "night",
        plan.industry,
        plan.night,
        plan.sha256,
        reasons,
        _who(lifecycle, reasons, PlanApproval.namespace),
        tuple(commands),
    )


def _destructions(lifecycle: Lifecycle) -> Iterator[WaitingPlan]:
    for plan in destroy_plans_of_last_night(lifecycle):
        reasons = open_destroy_reasons(lifecycle, plan)
        if reasons:
            commands = (said.partition(": ")[2] for said in destroy_release_commands(plan, reasons, registered=True))
            who = _who(lifecycle, reasons, DestroyPlanApproval.namespace)
            yield WaitingPlan("destruction", plan.industry, plan.night, plan.sha256, reasons, who, tuple(commands))


def _who(lifecycle: Lifecycle, reasons: Sequence[str], namespace: str) -> str:
    """Who may settle it: a review those who may sign, a brake whoever may run a night."""
    if not any(reason.startswith(REVIEW_REASON) for reason in reasons):
        return _ANYBODY
    try:
        names = known_principals(read_signer_files(lifecycle.settings.policies).signers, namespace)
    except PolicyError:
        names = []
    return ", ".join(names) or _NOBODY
