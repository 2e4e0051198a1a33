"""At which moment the rows of a batch were read: noted when it is archived, relied on when it is purged.

What is noted is under the epoch's key. Who can write the control tables alone cannot make a purge skip a comparison.
"""

import hmac
from typing import Any

import pyarrow as pa

from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.purging.unchanged_rows import ArchivedCopy
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.archived_facts import FACTS
from lifecycle.evidence.deletion import DECIDING
from lifecycle.evidence.leaf import EpochKey
from lifecycle.night.verify import VerifiedBatch
from lifecycle.policy.canonical import canonical_json

_PURPOSE = b"\x00snapshot\x00"  # no source name begins so: no salt is such a digest


def note_snapshot(lifecycle: Lifecycle, batch: str, since: Snapshot | None) -> None:
    """Note the moment before a batch's rows were read, where the database knows one and there is an epoch's key."""
    epochs = lifecycle.keys.epochs() if since is not None else ()
    if since is not None and lifecycle.crm.control.snapshots is not None and epochs:
        lifecycle.crm.control.snapshots.add(batch, since, _proof(epochs[-1], batch, since))


def archived_copy(lifecycle: Lifecycle, batch: VerifiedBatch) -> ArchivedCopy | None:
    """A proved batch with the moment its rows were read at; None: it is not known for sure, so values are compared."""
    snapshots, name = lifecycle.crm.control.snapshots, batch.manifest.batch
    found = snapshots.of_batch(name) if snapshots is not None and snapshots.there() else None
    if found is None:
        return None
    since, proof = found
    proofs = [_proof(epoch, name, since) for epoch in lifecycle.keys.epochs()]
    if not any(hmac.compare_digest(proof.encode(), one.encode()) for one in proofs):
        return None
    return ArchivedCopy({**batch.tables, "calls": rows_alone(batch.tables["calls"])}, since)


def rows_alone(calls: pa.Table) -> pa.Table:
    """The archived calls as the CRM had them, without what was noted of them."""
    return calls.drop_columns([name for name in (*DECIDING, FACTS) if name in calls.column_names])


def _proof(epoch: EpochKey, batch: str, since: Snapshot) -> str:
    said: Any = {"batch": batch, "horizon": since.horizon, "question": since.question}
    return hmac.digest(epoch.key, _PURPOSE + canonical_json(said), "sha256").hex()
