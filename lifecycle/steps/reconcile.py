"""Reconcile: every archived call is live or on the record, and no recorded call is back. Reads only."""

from dataclasses import dataclass, field

import pyarrow as pa

from lifecycle.archive.batches import cohort_prefix, manifest_keys, read_calls, read_manifest
from lifecycle.errors import FixityError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import PurgeRow, call_id_text, recorded_ids
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex
from lifecycle.steps.context import Lifecycle


@dataclass
class Reconciled:
    """The archived calls of a cohort (or of everything) against the CRM and the record.

    `vanished`: archived, not live, on no record: somebody deleted them. `returned`: on the record, and live again.
    """

    batches: int = 0
    archived: int = 0
    recorded: int = 0
    live: int = 0
    vanished: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)


def reconcile(lifecycle: Lifecycle, industry: str, cutoff: str) -> Reconciled:
    """Hold every committed batch of a cohort against the CRM and the sealed records. Raises ProofError."""
    result = Reconciled()
    for key in manifest_keys(lifecycle.store, cohort_prefix(industry, cutoff)):
        manifest, _ = read_manifest(lifecycle.store, key)
        reconcile_batch(lifecycle, manifest, read_calls(lifecycle.store, manifest), result)
    return result


def reconcile_batch(lifecycle: Lifecycle, manifest: Manifest, calls: pa.Table, result: Reconciled) -> None:
    """Add one batch to the reconciliation, given its proved calls."""
    ids = calls[CALL_ID].combine_chunks()
    with lifecycle.crm.database.reading() as connection:
        rows = lifecycle.crm.control.of_batch(connection, manifest.batch)
        live = {call_id_text(key) for key in lifecycle.crm.rows.live(connection, ids.to_pylist())}
    recorded = recorded_ids(_sealed(lifecycle, row) for row in rows)
    archived = {call_id_text(key) for key in ids.to_pylist()}
    result.batches += 1
    result.archived += len(archived)
    result.recorded += len(recorded)
    result.live += len(live)
    result.returned += sorted(recorded & live)
    missing = archived - recorded - live
    result.vanished += sorted(missing - _recorded_elsewhere(lifecycle, missing))


def _sealed(lifecycle: Lifecycle, row: PurgeRow) -> bytes:
    """The records of a purge row as the store holds them, which must be the bytes that the purge fixed."""
    if row.sealed_key is None:
        return row.entries
    stored = lifecycle.store.get(row.sealed_key)
    if sha256_hex(stored) != row.entries_sha256:
        raise FixityError(f"{row.sealed_key}: the deletion records are not the ones the purge {row.id} committed")
    return stored


def _recorded_elsewhere(lifecycle: Lifecycle, missing: set[str]) -> set[str]:
    """Of some calls those that a later batch purged: they were set aside once and archived again."""
    if not missing:
        return set()
    found: set[str] = set()
    with lifecycle.crm.database.reading() as connection:
        for row_id in lifecycle.crm.control.all_ids(connection):
            found |= missing & recorded_ids(row.entries for row in lifecycle.crm.control.by_ids(connection, [row_id]))
    return found
