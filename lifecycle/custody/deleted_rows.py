"""What went with some purged calls of a batch, counted from the archived copy: rows by table, values, links, files."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import read_batch, read_manifest
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.certificate import DeletedRows
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex

_DETACHED = "-detached"


def count_deleted_rows(lifecycle: Lifecycle, records: Sequence[dict[str, Any]]) -> DeletedRows:
    """Count what the records of one batch say is gone. Where the copy is gone or damaged, that is said instead."""
    first = records[0]
    files = sum(record.get("files_in_all", len(record.get("files", ()))) for record in records)
    try:
        manifest, body = read_manifest(lifecycle.store, first["manifest_key"])
        if sha256_hex(body) != first["manifest_sha256"]:
            raise FixityError(f"{first['manifest_key']}: it is not the manifest that the records name")
        tables = read_batch(lifecycle.store, manifest)
    except (ProofError, ObjectMissing) as error:
        return DeletedRows(first.get("component"), len(records), files, problem=str(error))
    positions = pa.array([record["row"] for record in records], pa.int64())
    calls = tables["calls"][CALL_ID].combine_chunks().take(positions)
    counted = {name: int(pc.sum(pc.is_in(table[CALL_ID], calls)).as_py() or 0) for name, table in tables.items()}
    return _by_kind(manifest, counted, len(records), files, lifecycle.crm.source.call.key)


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
