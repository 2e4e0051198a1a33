"""Locks of the archive kept in step with the law: legal holds mirrored and lifted, locks lengthened with the days.

A lock is never shortened: the store would refuse, and a shorter schedule lets nothing go before its recorded day.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from pathlib import Path

from lifecycle.archive.batches import batch_folder
from lifecycle.archive.object_store import ObjectStore, StoredObject, StoredVersion
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.crm.control.lock_register import LegalHold
from lifecycle.custody.archived_batches import archived_batches, proved_manifest
from lifecycle.custody.judged_batch import JudgedBatch, archived_facts, judge_batch
from lifecycle.custody.registered_copies import BatchLocation, copy_lease
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LeaseTaken, ObjectMissing, ProofError, SettingsError
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.archive_locks import lock_objects, objects_of_batch
from lifecycle.policy.destruction import latest_lawful_day
from lifecycle.policy.evaluation.disposition import Disposition

_HELD = str(Disposition.ON_HOLD)
_NOT_OURS = (
    "is under a legal hold of the store that is not on our register: somebody else set it, or the row was lost with an "
    "older backup. It is never lifted by itself; whoever answers for it lifts it in the store"
)


@dataclass
class LockReport:
    """What was done, by batch; and the batches that could not be looked at, with why."""

    batches: int = 0
    held: list[str] = field(default_factory=list)
    lifted: list[str] = field(default_factory=list)
    lengthened: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def renew_locks(lifecycle: Lifecycle, as_of: date) -> LockReport:
    """Go through every batch: hold it in the store where a call of it is held, lift where none is, lengthen its lock.

    Safe to run again. Raises SettingsError where no lock is set; StoreError.
    """
    if lifecycle.settings.object_lock is None:
        raise SettingsError("LIFECYCLE_OBJECT_LOCK: expected GOVERNANCE or COMPLIANCE to lock anything; it is not set")
    lifecycle.crm.control.require()
    result, holds = LockReport(), lifecycle.holds_now()
    for batch in archived_batches(lifecycle, result.problems):
        lifecycle.require_running()
        result.batches += 1
        try:
            with lifecycle.crm.control.lease(copy_lease(batch.location.batch)):
                judged = judge_batch(lifecycle, batch.location, holds, as_of, batch.manifest)
                _mirror_hold(lifecycle, judged, result)
                _lengthen(lifecycle, judged, result)
        except (ProofError, ObjectMissing, LeaseTaken) as error:
            result.problems[batch.location.manifest_key] = str(error)
    return result


def _mirror_hold(lifecycle: Lifecycle, judged: JudgedBatch, result: LockReport) -> None:
    wanted = any(reason.startswith(_HELD) for reason in judged.kept.values())
    known = lifecycle.crm.control.locks.of_batch(judged.location.batch).legal_hold
    if known is LegalHold.NONE and _is_held(lifecycle, judged, every_object=wanted):
        result.problems[judged.location.manifest_key] = _NOT_OURS
    elif known is not (LegalHold.WHOLE if wanted else LegalHold.NONE):
        set_legal_hold(lifecycle, judged.location.manifest_key, judged.manifest, wanted)
        (result.held if wanted else result.lifted).append(judged.location.batch)


def _is_held(lifecycle: Lifecycle, judged: JudgedBatch, every_object: bool) -> bool:
    """Whether the store holds a batch by somebody else's hold. The first object is asked for; before we set ours,
    every one: a flag that was there already would be lifted with it."""
    stored: Iterable[StoredObject] = objects_of_batch(lifecycle.store, judged.location.manifest_key, judged.manifest)
    for one in stored if every_object else islice(stored, 1):
        kept = lifecycle.store.locks.retention(one.key, one.version_id)
        if kept is not None and kept.legal_hold:
            return True
    return False


def set_legal_hold(lifecycle: Lifecycle, manifest_key: str, manifest: Manifest, held: bool) -> None:
    """Put every object of a batch under legal hold, or lift ours: that it is ours is noted before the first is set."""
    locks = lifecycle.crm.control.locks
    known = locks.of_batch(manifest.batch)
    locks.note(replace(known, legal_hold=LegalHold.IN_PART), lifecycle.now())
    for stored in objects_of_batch(lifecycle.store, manifest_key, manifest):
        lifecycle.store.locks.hold(stored.key, stored.version_id, held)
    locks.note(replace(known, legal_hold=LegalHold.WHOLE if held else LegalHold.NONE), lifecycle.now())


def lift_own_hold(lifecycle: Lifecycle, row: Destruction) -> None:
    """Before a batch is removed of which no copy is held any more: lift the hold that we put on its versions.

    What lies there besides was never held by us; a hold on it is somebody else's, and stays.
    """
    locks, ours = lifecycle.crm.control.locks, {(key, version) for key, version in row.details["objects"]}
    known = locks.of_batch(row.batch)
    if known.legal_hold is not LegalHold.NONE:
        for version in lifecycle.store.versions(batch_folder(row.manifest_key)):
            named = (version.key, version.version_id) in ours
            if not version.marker and (named or _is_its_manifest(lifecycle.store, version, row)):
                lifecycle.store.locks.hold(version.key, version.version_id, False)
        locks.note(replace(known, legal_hold=LegalHold.NONE), lifecycle.now())


def _is_its_manifest(store: ObjectStore, version: StoredVersion, row: Destruction) -> bool:
    if version.key != row.manifest_key:
        return False
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        return store.fetch(version.key, version.version_id, Path(folder) / "manifest").sha256 == row.manifest_sha256


def secure_moved_copies(lifecycle: Lifecycle, at: BatchLocation, held: bool) -> None:
    """Lock the batch that copies were moved to until its own day, and hold it where a copy in it is held."""
    if lifecycle.settings.object_lock is None:
        return
    manifest = proved_manifest(lifecycle, at)
    if manifest.destroy_on is not None:
        lock_objects(lifecycle, at.manifest_key, manifest, manifest.destroy_on)
    if held and lifecycle.crm.control.locks.of_batch(at.batch).legal_hold is not LegalHold.WHOLE:
        set_legal_hold(lifecycle, at.manifest_key, manifest, True)


def _lengthen(lifecycle: Lifecycle, judged: JudgedBatch, result: LockReport) -> None:
    """Where the day of its copies moved later, the lock does."""
    locks, at, manifest = lifecycle.crm.control.locks, judged.location, judged.manifest
    before, holds = locks.of_batch(at.batch), lifecycle.holds
    facts = archived_facts(lifecycle, judged.calls, holds)
    last = max((day for day in judged.days if day is not None), default=None) if manifest.destroy_on else None
    schedules, component = lifecycle.policies.schedules, manifest.component
    day = latest_lawful_day(facts, schedules, holds, lifecycle.now().date(), component, last)
    if day is not None:
        lock_objects(lifecycle, at.manifest_key, manifest, day)
    if locks.of_batch(at.batch) != before:
        result.lengthened.append(at.batch)
