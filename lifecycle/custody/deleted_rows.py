"""What went with some purged calls of a batch, counted from the archived copy: rows by table, values, links, files."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import read_batch, read_manifest
from lifecycle.custody.registered_copies import BatchLocation, batch_location, row_origins
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import CompletenessError, FixityError, ObjectMissing, ProofError
from lifecycle.evidence.certificate import DeletedRows
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex

_DETACHED = "-detached"


def count_deleted_rows(lifecycle: Lifecycle, records: Sequence[dict[str, Any]]) -> DeletedRows:
    """Count what the records of one batch say is gone, in the batch that has the copies now. Where one of them is gone
    or damaged, that is said instead."""
    first = records[0]
    files = sum(record.get("files_in_all", len(record.get("files", ()))) for record in records)
    try:
        manifest, tables = _copies(lifecycle, first)
        calls = _calls_of(manifest, tables["calls"], records)
    except (ProofError, ObjectMissing) as error:
        return DeletedRows(first.get("component"), len(records), files, problem=str(error))
    counted = {name: int(pc.sum(pc.is_in(table[CALL_ID], calls)).as_py() or 0) for name, table in tables.items()}
    return _by_kind(manifest, counted, len(records), files, lifecycle.crm.source.call.key)


def _copies(lifecycle: Lifecycle, record: dict[str, Any]) -> tuple[Manifest, dict[str, pa.Table]]:
    recorded = BatchLocation(record["batch"], record["manifest_key"], record["manifest_sha256"])
    at = batch_location(lifecycle, recorded)
    if at is None:
        raise ObjectMissing(f"{record['manifest_key']}: its copies were destroyed")
    manifest, body = read_manifest(lifecycle.store, at.manifest_key)
    if sha256_hex(body) != at.manifest_sha256:
        raise FixityError(f"{at.manifest_key}: it is not the manifest that the records name")
    return manifest, read_batch(lifecycle.store, manifest)


def _calls_of(manifest: Manifest, calls: pa.Table, records: Sequence[dict[str, Any]]) -> pa.Array:
    """The calls of some records. Raises CompletenessError where a copy is not with the others any more."""
    rows = {origin: row for row, origin in enumerate(row_origins(manifest, calls))}
    found = [rows.get((record["batch"], record["row"])) for record in records]
    if gone := found.count(None):
        raise CompletenessError(f"batch {manifest.batch}: {gone} of {len(found)} copies were destroyed, or moved apart")
    return calls[CALL_ID].combine_chunks().take(pa.array(found, pa.int64()))


def _by_kind(manifest: Manifest, counted: dict[str, int], calls: int, files: int, key: str) -> DeletedRows:
    """A component's batch holds of the call's own row only what was cleared; a detached row only lost its link."""
    links = {name.removesuffix(_DETACHED): many for name, many in counted.items() if name.endswith(_DETACHED)}
    rows = {name: many for name, many in counted.items() if not name.endswith(_DETACHED)}
    cleared: dict[str, int] = {}
    if manifest.component is not None:
        own = next(part for part in manifest.objects if part.table == "calls")
        values = [name for name in own.columns if not name.startswith("_") and name != key]
        many = rows.pop("calls")
        cleared = {f"calls.{name}": many for name in values}
    gone = {name: many for name, many in rows.items() if many}
    return DeletedRows(manifest.component, calls, files, gone, cleared, {n: m for n, m in links.items() if m})
