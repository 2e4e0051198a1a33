"""Where the register says that the copies of a batch are: where they were put, in another batch, or nowhere.

The leaves of one call say the same of its copy (`copy_location`); here a batch is asked about, also while it is moved.

A deletion record names the batch and row of the night. When only some calls of a batch go, the others are moved, and
their rows say where they come from.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from lifecycle.archive.batches import batch_name
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.manifest import Manifest

MOVED_BATCH, MOVED_ROW = "_moved_batch", "_moved_row"


@dataclass(frozen=True, slots=True)
class BatchLocation:
    """The batch that has a copy now: its name and manifest, and the digest that the manifest must have."""

    batch: str
    manifest_key: str
    manifest_sha256: str


def batch_location(lifecycle: Lifecycle, recorded: BatchLocation) -> BatchLocation | None:
    """Where the copies are that were put into a batch. None: nothing is left of it, or it is being removed."""
    register, at = lifecycle.crm.control.destructions, recorded
    while (gone := register.of_batch(at.batch)) is not None and gone.begun_at is not None:
        if gone.moved_to is None or gone.moved_sha256 is None:
            return None
        at = BatchLocation(batch_name(gone.moved_to), gone.moved_to, gone.moved_sha256)
    return at


def copy_lease(batch: str) -> str:
    """The lease under which a batch is restored from, or destroyed: never both at once."""
    return f"copies of {batch}"


def row_origins(manifest: Manifest, calls: pa.Table) -> Iterator[tuple[str, int]]:
    """For each call of a batch the batch and row that its deletion record names."""
    if MOVED_BATCH not in calls.column_names:
        return ((manifest.batch, row) for row in range(calls.num_rows))
    return zip(calls[MOVED_BATCH].to_pylist(), calls[MOVED_ROW].to_pylist(), strict=True)
