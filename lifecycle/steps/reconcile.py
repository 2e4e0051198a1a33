"""Reconcile: every archived call is live or on the record, and no recorded call is back. Reads only."""

from dataclasses import dataclass, field

import pyarrow as pa

from lifecycle.archive.batches import cohort_prefix, manifest_keys, read_calls, read_manifest
from lifecycle.errors import CompletenessError, FixityError, ObjectMissing
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import Names, PurgeRow, call_id_text, read_records, recorded_rows
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
    ordered = [call_id_text(key) for key in ids.to_pylist()]
    recorded = {ordered[row] for row in recorded_rows(_sealed(lifecycle, row) for row in rows)}
    archived = set(ordered)
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
    try:
        stored = sealed_bytes(lifecycle, row)
    except ObjectMissing as error:
        raise CompletenessError(f"{row.sealed_key}: the records of purge {row.id} are missing: {error}") from error
    if sha256_hex(stored) != row.entries_sha256:
        raise FixityError(f"{row.sealed_key}: the deletion records are not the ones the purge {row.id} committed")
    return stored


def sealed_bytes(lifecycle: Lifecycle, row: PurgeRow) -> bytes:
    """The records of a sealed purge row, read from the ledger, or from their object of before it."""
    assert row.sealed_key is not None
    if row.before_the_ledger:
        return lifecycle.store.get(row.sealed_key)
    first, _, last = row.sealed_key.partition(":")[2].partition("-")
    log = lifecycle.log()
    published = log.published()
    if published is None or int(last) >= published.size:
        raise FixityError(f"{row.sealed_key}: the ledger in the store ends before these leaves")
    return b"".join(leaf + b"\n" for leaf in log.leaves(int(first), int(last) + 1, published.size))


def _recorded_elsewhere(lifecycle: Lifecycle, missing: set[str]) -> set[str]:
    """Of some calls those that a later batch purged: they were set aside once and archived again."""
    if not missing:
        return set()
    names, found = Names(lifecycle.crm.source.source, missing, lifecycle.keys.epochs()), set()
    with lifecycle.crm.database.reading() as connection:
        for row_id in lifecycle.crm.control.all_ids(connection):
            for row in lifecycle.crm.control.by_ids(connection, [row_id]):
                found |= {named for record in read_records(row.entries) if (named := names.of(record))}
    return found
