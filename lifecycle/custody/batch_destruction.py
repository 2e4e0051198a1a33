"""One batch destroyed: registered, what stays moved and proved, its removal noted, every version removed, the leaves.

A step is done before the next begins, so a rerun finishes what a killed run began and withdraws what it had only
registered. Which batches go is `destroy_plans`'s to say.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from lifecycle.archive.batch_index import batch_index_key
from lifecycle.archive.batches import batch_name
from lifecycle.authority.registered_destruction import require_registered_by_us, sealed_registration
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.custody.archive_locks import lift_own_hold, secure_moved_copies
from lifecycle.custody.destroy_plans import going_now
from lifecycle.custody.judged_batch import JudgedBatch, judge_batch
from lifecycle.custody.logged_ends import logged_end
from lifecycle.custody.moved_copies import move_staying_copies, new_place, require_moved_copies
from lifecycle.custody.registered_copies import BatchLocation, copy_lease
from lifecycle.custody.removal import is_absent, remove_batch
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.deployment.policy_folder import read_copies_not_reached
from lifecycle.errors import CompletenessError, LeaseTaken, ObjectMissing, ProofError
from lifecycle.evidence.destruction import BatchGone, CopyName, destruction_leaves
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.policy.destroy_plan import DestroyPlan, PlannedDestruction, positions
from lifecycle.policy.evaluation.disposition import Disposition

_IN_USE = "another run restores copies of it at this moment"


@dataclass
class Destroyed:
    """What went: copies, batches; copies that were moved. `left`: objects that are there still, by name, and why.

    `set_aside`: batches that stay though they were planned or begun, and why.
    """

    copies: int = 0
    batches: list[str] = field(default_factory=list)
    versions: int = 0
    moved: int = 0
    left: dict[str, str] = field(default_factory=dict)
    set_aside: dict[str, str] = field(default_factory=dict)


def destroy_batch(
    lifecycle: Lifecycle, plan: DestroyPlan, planned: PlannedDestruction, run: Run, result: Destroyed
) -> None:
    """Destroy what may still go of a planned batch; a batch that cannot be judged or rewritten stays, and is named."""
    try:
        with lifecycle.crm.control.lease(copy_lease(planned.batch)):
            row, judged = _registered(lifecycle, plan, planned, run)
            moved_sha256 = None
            if row.moved_to is not None:
                try:
                    moved_sha256 = move_staying_copies(lifecycle, judged, row.moved_to, plan.sha256, run)
                except (ProofError, ObjectMissing) as error:
                    withdraw_destruction(lifecycle, row, result)
                    raise CompletenessError(f"the copies that stay cannot be moved: {error}") from error
            begun = lifecycle.crm.control.destructions.begin(row, moved_sha256, lifecycle.now())
            finish_removal(lifecycle, begun, result)
    except LeaseTaken:
        result.set_aside[planned.batch] = _IN_USE
    except (ProofError, ObjectMissing) as error:
        result.set_aside[planned.batch] = str(error)


def _registered(
    lifecycle: Lifecycle, plan: DestroyPlan, planned: PlannedDestruction, run: Run
) -> tuple[Destruction, JudgedBatch]:
    """Judge a planned batch once more, under the holds of this moment, and register what may still go of it."""
    at = BatchLocation(planned.batch, planned.manifest_key, planned.manifest_sha256)
    judged = _as_planned(judge_batch(lifecycle, at, lifecycle.holds_now(), plan.night), planned, plan.night)
    if not judged.going:
        why = next(iter(judged.kept.values()), "they wait for the day of their batch")
        raise CompletenessError(f"none of its copies may go any more: {why}")
    row = _intent(lifecycle, plan, judged, run)
    lifecycle.crm.control.destructions.register(row)
    return row, judged


def _as_planned(judged: JudgedBatch, planned: PlannedDestruction, as_of: date) -> JudgedBatch:
    """Of what may go now only what was planned: none can join a plan."""
    rows = set(positions(planned.rows)) & set(going_now(judged, as_of))
    return replace(judged, going={row: judged.going[row] for row in sorted(rows)})


def _intent(lifecycle: Lifecycle, plan: DestroyPlan, judged: JudgedBatch, run: Run) -> Destruction:
    manifest, at = judged.manifest, judged.location
    details = {
        "industry": manifest.industry,
        "component": manifest.component,
        "night": plan.night.isoformat(),
        "schedule": plan.schedule.model_dump(mode="json"),
        "calls": judged.calls.num_rows,
        "copies": [listed_copy(copy) for copy in judged.going.values()],
        "moved": [listed_copy(copy) for copy in judged.names if copy.row not in judged.going],
        "held": any(reason.startswith(Disposition.ON_HOLD) for reason in judged.kept.values()),
        "objects": [[part.key, part.version_id] for part in manifest.stored],
    }
    moved = None if len(judged.going) == judged.calls.num_rows else new_place(judged, plan.night)
    now = lifecycle.now().isoformat()
    return sealed_registration(
        lifecycle,
        Destruction(at.batch, at.manifest_key, at.manifest_sha256, plan.sha256, run.id, run.actor, now, details, moved),
    )


def listed_copy(copy: CopyName) -> list[Any]:
    """A copy's name, as the register has it."""
    return [getattr(copy, name) for name in copy.__slots__]


def resume_destruction(lifecycle: Lifecycle, row: Destruction, as_of: date, result: Destroyed) -> None:
    """Finish what a run began before it died; what it had only registered is withdrawn, and planned again."""
    try:
        with lifecycle.crm.control.lease(copy_lease(row.batch)):
            require_registered_by_us(lifecycle, row)
            if row.begun_at is None:
                withdraw_destruction(lifecycle, row, result)
                return
            if _ended_before(lifecycle, row, result):
                return
            require_moved_copies(lifecycle, row)
            why = _why_stopped(lifecycle, row, as_of)
            if why is None:
                finish_removal(lifecycle, row, result)
            elif any(is_absent(lifecycle.store, key, version) for key, version in row.details["objects"]):
                result.set_aside[row.batch] = f"its removal was begun, and is stopped: {why}"
            else:
                withdraw_destruction(lifecycle, row, result)
                result.set_aside[row.batch] = f"its removal was begun, and withdrawn: {why}"
    except LeaseTaken:
        result.set_aside[row.batch] = _IN_USE
    except (ProofError, ObjectMissing) as error:
        result.set_aside[row.batch] = str(error)


def _ended_before(lifecycle: Lifecycle, row: Destruction, result: Destroyed) -> bool:
    """Whether the ledger has the end of a batch that this database knows the beginning of: it is of an older backup.

    Then its leaves are not written a second time; whatever is in the store again is removed.
    """
    end = logged_end(lifecycle, BatchLocation(row.batch, row.manifest_key, row.manifest_sha256))
    if end is None:
        return False
    removed = remove_batch(lifecycle.store, row.manifest_key, row.details["objects"])
    result.left |= removed.left
    if not removed.left:
        lifecycle.crm.control.destructions.finish(row, b"", datetime.fromisoformat(end.ended_at))
    return True


def _why_stopped(lifecycle: Lifecycle, row: Destruction, as_of: date) -> str | None:
    """Why one of the copies that were going must stay after all; None: none, or nobody can read them any more."""
    at, night = BatchLocation(row.batch, row.manifest_key, row.manifest_sha256), row.details["night"]
    try:
        judged = judge_batch(lifecycle, at, lifecycle.holds_now(), max(as_of, date.fromisoformat(night)))
    except (ProofError, ObjectMissing):
        return None
    rows = (number for number, *_ in row.details["copies"])
    return next((judged.kept[number] for number in rows if number not in judged.going), None)


def withdraw_destruction(lifecycle: Lifecycle, row: Destruction, result: Destroyed) -> None:
    """Forget a batch of which nothing was removed, and what was written of the copies that were to be moved."""
    moved = lifecycle.crm.control.destructions.moved()
    others = {key for batch, (key, _) in moved.items() if batch != row.batch}
    if row.moved_to is not None and row.moved_to not in others:
        removed = remove_batch(lifecycle.store, row.moved_to, ())
        if removed.left:
            result.left |= removed.left
            return
    lifecycle.crm.control.destructions.withdraw(row)


def finish_removal(lifecycle: Lifecycle, row: Destruction, result: Destroyed) -> None:
    """Remove a batch whose destruction is begun, and record each copy once none of it is there."""
    details, moved = row.details, _kept_in(row)
    said = {"moved_to": moved, "calls": details["calls"], "going": len(details["copies"])}
    lay_in = {"batch": row.batch, "manifest_key": row.manifest_key, "manifest_sha256": row.manifest_sha256}
    told = {**lay_in, **said, "plan_sha256": row.plan_sha256, "run_id": row.run_id, "actor": row.actor}
    queue_event_leaves(lifecycle, "destruction", {f"{row.batch}:{row.begun_at}": told})
    objects = [(key, version) for key, version in details["objects"]]
    indexes = [batch_index_key(epoch.id, row.manifest_key) for epoch in lifecycle.keys.epochs()]
    lift_own_hold(lifecycle, row)
    removed = remove_batch(lifecycle.store, row.manifest_key, objects, indexes)
    result.versions += removed.versions
    if removed.left:
        result.left |= removed.left
        return
    if moved:
        secure_moved_copies(lifecycle, BatchLocation(**moved), held=bool(details["held"]))
    now = lifecycle.now()
    gone = BatchGone(
        source=lifecycle.crm.source.source,
        industry=details["industry"],
        component=details["component"],
        lay_in=lay_in,
        kept_in=moved,
        plan_sha256=row.plan_sha256,
        schedule=details["schedule"],
        run_id=row.run_id,
        actor=row.actor,
        begun_at=str(row.begun_at),
        destroyed_at=now.isoformat(),
        objects=len(objects) + 1,
        not_reached=[copy.not_reached(now.date()) for copy in read_copies_not_reached(lifecycle.settings.policies)],
    )
    went, stayed = ([CopyName(*copy) for copy in details[name]] for name in ("copies", "moved"))
    lifecycle.crm.control.destructions.finish(
        row, destruction_leaves(gone, went, stayed, details.get("first_row", 0)), now
    )
    result.copies += len(went)
    result.moved += len(stayed)
    result.batches.append(row.batch)


def _kept_in(row: Destruction) -> dict[str, str] | None:
    """The batch that has the copies that stay."""
    if row.moved_to is None or row.moved_sha256 is None:
        return None
    named = {"manifest_key": row.moved_to, "manifest_sha256": row.moved_sha256}
    return {"batch": batch_name(row.moved_to), **named}
