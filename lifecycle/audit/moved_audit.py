"""A batch of copies that were moved, held against the records of the batches that they were moved from. Reads only."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from lifecycle.audit.ledger_audit import LedgerSurvey
from lifecycle.custody.copies_on_record import records_of_batch
from lifecycle.custody.registered_copies import MOVED_BATCH, row_origins
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.manifest import Manifest
from lifecycle.evidence.record_check import RecordedBatch, row_contradictions
from lifecycle.night.reconciliation import Reconciliation, reconcile_calls
from lifecycle.night.verify import VerifiedBatch

MovedRows = defaultdict[str, set[int]]
"""By batch, the rows of it that were found in a batch that they were moved to."""


def is_moved(manifest: Manifest) -> bool:
    """Whether the copies of a batch came from other batches."""
    return any(MOVED_BATCH in part.columns for part in manifest.objects if part.table == "calls")


def audit_moved_batch(
    lifecycle: Lifecycle,
    survey: LedgerSurvey,
    batch: VerifiedBatch,
    epochs: Mapping[str, EpochKey],
    moved: MovedRows,
    reconciled: Reconciliation,
) -> dict[str, str]:
    """Hold each row against the record that names where it came from; gives what is damaged.

    Adds to `moved` what was found here.
    """
    calls, manifest = batch.tables["calls"], batch.manifest
    origins = list(row_origins(manifest, calls))
    damaged, records = dict[str, str](), list[dict[str, Any]]()
    for name in dict.fromkeys(name for name, _ in origins):
        known = dict(records_of_batch(lifecycle, name, [row for of, row in origins if of == name]))
        places = {row: place for place, (of, row) in enumerate(origins) if of == name}
        records += [{**record, "row": places[row]} for row, record in known.items() if row in places]
        moved[name] |= places.keys()
    for number, reason in row_contradictions(records, _recorded(batch), epochs):
        damaged.setdefault(f"{batch.manifest_key}, row {records[number]['row']}", reason)
    if not _is_registered(lifecycle, survey, batch):
        damaged[batch.manifest_key] = "neither the register nor the ledger says that copies were moved here"
    reconcile_calls(lifecycle, manifest, batch.tables, {record["row"] for record in records}, reconciled)
    return damaged


def _recorded(batch: VerifiedBatch) -> RecordedBatch:
    return RecordedBatch(batch.manifest_key, batch.manifest_sha256, batch.manifest, batch.tables["calls"])


def _is_registered(lifecycle: Lifecycle, survey: LedgerSurvey, batch: VerifiedBatch) -> bool:
    ours = (batch.manifest_key, batch.manifest_sha256)
    return ours in survey.moves or ours in lifecycle.crm.control.destructions.moved().values()
