"""Verify: read a committed batch back, whole and by version, and prove it complete and unchanged.

Only `verify` can make a VerifiedBatch, and only a VerifiedBatch can be purged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import folder_of, read_batch, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.recording_files import verify_file
from lifecycle.errors import CompletenessError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex

_ONLY_VERIFY = object()


@dataclass(frozen=True, slots=True)
class VerifiedBatch:
    """A batch that was read back whole: its manifest, its tables, and when."""

    manifest_key: str
    manifest_sha256: str
    manifest: Manifest
    tables: Mapping[str, pa.Table]
    verified_at: datetime
    made_by: object

    def __post_init__(self) -> None:
        if self.made_by is not _ONLY_VERIFY:
            raise TypeError("a VerifiedBatch comes from verify() only")


def verify_batch(store: ObjectStore, manifest_key: str, at: datetime) -> VerifiedBatch:
    """Prove one committed batch. Raises FixityError, CompletenessError, ObjectMissing; each names the object."""
    manifest, body = read_manifest(store, manifest_key)
    tables = read_batch(store, manifest)
    _require_whole(manifest_key, manifest, tables)
    for file in manifest.files:
        verify_file(store, file)
    return VerifiedBatch(manifest_key, sha256_hex(body), manifest, tables, at, _ONLY_VERIFY)


def _require_whole(key: str, manifest: Manifest, tables: Mapping[str, pa.Table]) -> None:
    """The calls are as many as promised and distinct, every child has its call, and the batch lies where it says."""
    ids = tables["calls"][CALL_ID] if "calls" in tables else pa.chunked_array([], pa.string())
    folder = folder_of(manifest)
    if not key.startswith(folder):
        raise CompletenessError(f"{key}: expected the manifest in {folder}. Nothing was purged")
    if (len(ids), pc.count_distinct(ids).as_py()) != (manifest.calls, manifest.calls):
        raise CompletenessError(
            f"{key}: expected {manifest.calls} distinct calls, found {len(ids)}. Nothing was purged"
        )
    for name, table in tables.items():
        strangers = pc.sum(pc.invert(pc.is_in(table[CALL_ID], ids))).as_py()
        if strangers:
            raise CompletenessError(
                f"{key}: {strangers} rows of {name} belong to no call of the batch. Nothing was purged"
            )
