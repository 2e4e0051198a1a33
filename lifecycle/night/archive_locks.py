"""A proved batch locked in the store before its calls are purged: nobody removes the copy before its lawful day.

Objects go up unlocked, are read back, named by the manifest, and only then locked: a lock before that would keep what
no manifest names. Where the setting asks for locks and the store has none, nothing is purged.
"""

import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.crm.control.lock_register import BatchLock
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.archived_facts import facts_of
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.verify import VerifiedBatch
from lifecycle.policy.destruction import latest_lawful_day


def lock_batch(lifecycle: Lifecycle, batch: VerifiedBatch) -> None:
    """Lock every object of a batch that is about to be relied on, as the setting says. Raises StoreError.

    Until the day on which the law, and where no request can end it the company's wish, lets the last of its copies go;
    never beyond a maximum of the law. A batch that is kept for ever has no such day, and gets no lock.
    """
    if lifecycle.settings.object_lock is None:
        return
    manifest, schedules = batch.manifest, lifecycle.policies.schedules
    facts = facts_of(batch.tables["calls"])
    day = latest_lawful_day(facts, schedules, lifecycle.holds, manifest.night, manifest.component, manifest.destroy_on)
    if day is not None:
        lock_objects(lifecycle, batch.manifest_key, manifest, day)


def lock_objects(lifecycle: Lifecycle, manifest_key: str, manifest: Manifest, day: date) -> None:
    """Lock every object of a batch, the manifest too, until the beginning of a day. A lock that is longer stays."""
    mode, until = lifecycle.settings.object_lock, datetime.combine(day, time(), UTC)
    known = lifecycle.crm.control.locks.of_batch(manifest.batch)
    if mode is None or until <= lifecycle.now() or (known.until or "") >= until.isoformat():
        return
    for stored in objects_of_batch(lifecycle.store, manifest_key, manifest):
        lifecycle.store.locks.lock(stored.key, stored.version_id, until, mode)
    lifecycle.crm.control.locks.note(BatchLock(manifest.batch, until.isoformat(), known.legal_hold), lifecycle.now())


def objects_of_batch(store: ObjectStore, manifest_key: str, manifest: Manifest) -> Iterator[StoredObject]:
    """Every object of a batch, by version; the manifest last."""
    for part in manifest.stored:
        yield StoredObject(part.key, part.version_id, part.bytes, part.sha256)
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        yield store.fetch(manifest_key, None, Path(folder) / "manifest")
