"""Observe: what the ledger says beside purges. Policies and holds first seen, calls that stayed, a census.

Everything is noted under an id of its own, and logged by the next sealing. Deciding is others'.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import batch_name, read_manifest
from lifecycle.archive.plans import read_planned_calls
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ObjectMissing, PolicyError, ProofError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.policy_words import policy_words
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.reconciliation import Reconciliation, reconcile_batch, tables_to_reconcile
from lifecycle.policy.documents.hold import Hold
from lifecycle.policy.plan import Plan

_MAY_QUOTE = frozenset(("unreadable", "still referenced", "refused", "locked", "shared", "interfered", "files"))
_LONGEST_REASON = 300  # characters; the run log has the whole of it
_NAMED = 200  # vanished calls in one leaf


def queue_policy_events(lifecycle: Lifecycle) -> None:
    """Note each schedule version and hold not seen before. Policies that cannot be read are others' to report."""
    try:
        policies, holds = lifecycle.policies, lifecycle.holds_now()
    except PolicyError:
        return
    lifecycle.crm.control.holds.remember(policies.holds.by_id.values(), lifecycle.now())
    schedules = policies.schedules
    versions = {policies.version(schedule): schedule for schedule in schedules.by_industry.values()}
    told = {
        f"{version.id}:{version.sha256}": {
            "schedule": version.model_dump(mode="json"),
            "words": policy_words(schedule, schedules.regimes),
        }
        for version, schedule in versions.items()
    }
    queue_event_leaves(lifecycle, "policy", told)
    queue_event_leaves(lifecycle, "hold_placed", {_hold_id(hold): _hold(hold) for hold in holds.by_id.values()})
    released = [hold for hold in holds.by_id.values() if hold.released_at]
    queue_event_leaves(lifecycle, "hold_released", {_hold_id(hold): _released(hold) for hold in released})


def queue_set_aside_events(lifecycle: Lifecycle, night: date, industry: str, reasons: Mapping[Any, str]) -> None:
    """Note the calls of a night that stayed, and why."""
    if not reasons:
        return
    epoch, source = lifecycle.keys.epoch(), lifecycle.crm.source.source
    calls = {epoch.commitment(source, call_id_text(key)): reason for key, reason in reasons.items()}
    common = {"epoch": epoch.id, "night": night.isoformat(), "industry": industry}
    leaves = {
        f"{night}:{call}": {**common, "call": call, "reason": redact_reason(reason)[:_LONGEST_REASON]}
        for call, reason in calls.items()
    }
    queue_event_leaves(lifecycle, "set_aside", leaves)


def redact_reason(reason: str) -> str:
    """A reason for a log that nobody can ever rewrite: where it could quote a value or a path, its kind alone."""
    kind, _, rest = reason.partition(": ")
    if kind in _MAY_QUOTE or not rest:
        return kind
    return f"{kind}: {redact_reason(rest)}"


def take_census(lifecycle: Lifecycle, night: date, only: str | None = None) -> None:
    """Note how a night finds things: live calls, those due, those left due by the nights before; and what the last
    planned night archived, recorded, and lost sight of. One census a night, the first."""
    register, industries = lifecycle.crm.control.register, lifecycle.policies.schedules.by_industry
    plans, unread = _plans_and_left(lifecycle, night, industries)
    before = [day for name in industries for day in register.nights(name)]
    last = max((day for day in before if day < night), default=None)
    outcome, unproved = _outcome(lifecycle, last) if last else (Reconciliation(), 0)
    epoch, source = lifecycle.keys.epoch(), lifecycle.crm.source.source
    vanished = [epoch.commitment(source, call) for call in outcome.vanished]
    earlier = [plan.counted_at for plan, _ in plans if plan.counted_at]
    fields = {
        "night": night.isoformat(),
        "live": sum(plan.live for plan, _ in plans),
        **({"live_counted_at": min(earlier).isoformat()} if earlier else {}),
        "due": sum(plan.due for plan, _ in plans),
        "due_left": sum(left for _, left in plans),
        "last_night": last.isoformat() if last else None,
        "archived": outcome.archived,
        "recorded": outcome.recorded,
        "vanished": len(vanished),
        "vanished_calls": vanished[:_NAMED],
        **({"unproved_batches": unproved} if unproved else {}),
        **({"unread_plans": unread} if unread else {}),
        "epoch": epoch.id,
    }
    queue_event_leaves(lifecycle, "census", {night.isoformat(): fields})


def _plans_and_left(lifecycle: Lifecycle, night: date, industries: Iterable[str]) -> tuple[list[tuple[Plan, int]], int]:
    """The night's newest plan of each industry, with how many calls were left due to it; and how many are damaged.

    Such a plan closes its own industry, and no other.
    """
    found, unread = list[tuple[Plan, int]](), 0
    for industry in industries:
        try:
            plans = lifecycle.crm.control.register.plans_of(night, industry)[-1:]
            found += [(plan, _left(lifecycle, plan, night)) for plan in plans]
        except (ProofError, ObjectMissing):
            unread += 1
    return found, unread


def _outcome(lifecycle: Lifecycle, night: date) -> tuple[Reconciliation, int]:
    """The batches of one night against the CRM and the record, and how many of them prove nothing.

    A damaged one must not keep tonight's plan from being made; `lifecycle verify` names it.
    """
    result, unproved = Reconciliation(), 0
    gone = lifecycle.crm.control.destructions.states()
    for registered in lifecycle.crm.control.register.manifests_of_night(night):
        if batch_name(registered.key) in gone:
            continue  # its copies were destroyed since, or are about to be: `verify` accounts for them
        try:
            manifest, _ = read_manifest(lifecycle.store, registered.key)
            tables = tables_to_reconcile(lifecycle.store, manifest)
        except (ProofError, ObjectMissing):
            unproved += 1
            continue
        reconcile_batch(lifecycle, manifest, tables, result)
    return result, unproved


def _left(lifecycle: Lifecycle, plan: Plan, night: date) -> int:
    """How many of a plan's calls were due before its night."""
    if plan.calls is None:
        return 0
    planned = read_planned_calls(lifecycle.store, plan, lifecycle.keys.epochs())
    return pc.sum(pc.less(planned["purge_from"], pa.scalar(night))).as_py() or 0


def _hold_id(hold: Hold) -> str:
    return f"{hold.id}:{hold.placed_at}:{hold.released_at or ''}"


def _hold(hold: Hold) -> dict[str, Any]:
    return {"hold": hold.id, "placed_at": hold.placed_at.isoformat(), "placed_by": hold.placed_by}


def _released(hold: Hold) -> dict[str, Any]:
    return {"hold": hold.id, "released_at": str(hold.released_at), "released_by": hold.released_by}
