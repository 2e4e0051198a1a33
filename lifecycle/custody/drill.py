"""Drill: random batches restored into a scratch database and compared, rows and files. A backup is what was restored.

The result is a leaf, whatever it is. Nothing of the CRM, the archive or the recordings is changed.
"""

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from lifecycle.archive.batches import manifest_keys, read_batch, read_manifest
from lifecycle.archive.recording_files import verify_file
from lifecycle.crm.restoring.references import own_parents
from lifecycle.crm.restoring.restored_rows import archived_rows, parents_first
from lifecycle.crm.restoring.row_writer import insert_rows
from lifecycle.custody.restore_target import RestoreTarget, other_target
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import DatabaseError, InputError, ObjectMissing, ProofError, SettingsError
from lifecycle.evidence.comparison import CALL_ID, rows_of_calls
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.drill_gate import DRILLED
from lifecycle.night.event_leaves import queue_event_leaves

BATCHES, AT_ONCE = 3, 5_000


@dataclass
class DrillResult:
    """What came back equal, and what did not, with why. `batches` are names."""

    batches: list[str] = field(default_factory=list)
    calls: int = 0
    rows: int = 0
    files: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether anything was tried, and all of it came back equal."""
        return bool(self.batches) and not self.failed


def drill_archive(lifecycle: Lifecycle, batches: int = BATCHES, to: str | None = None, by: str = "") -> DrillResult:
    """Restore so many random batches. Raises InputError for an empty archive, SettingsError where there is no place."""
    keys = list(manifest_keys(lifecycle.store))
    if not keys:
        raise InputError("the archive has no batch yet, so none can be restored. Nothing was done")
    chosen = random.sample(keys, min(batches, len(keys)))
    result = DrillResult()
    with tempfile.TemporaryDirectory(prefix="lifecycle-drill-") as folder:
        url = to or _scratch_url(lifecycle, Path(folder))
        for number, key in enumerate(chosen):
            lifecycle.progress("batches drilled", number, len(chosen))
            target = other_target(lifecycle, url, fresh=True, setting="--to" if to else "LIFECYCLE_DRILL_URL")
            _drill_batch(lifecycle, target, key, result)
            target.database.engine.dispose()
    fields = {"batches": result.batches, "calls": result.calls, "rows": result.rows, "files": result.files}
    failed = {"passed": result.passed, "failed": sorted(result.failed)[:100], "by": by}
    queue_event_leaves(lifecycle, DRILLED, {f"{lifecycle.now().isoformat()}:{uuid4().hex[:8]}": {**fields, **failed}})
    return result


def _scratch_url(lifecycle: Lifecycle, folder: Path) -> str:
    given = lifecycle.settings.drill_url
    if given is not None:
        return given.get_secret_value()
    if lifecycle.crm.database.dialect != "sqlite":
        raise SettingsError(
            "LIFECYCLE_DRILL_URL: expected an empty database of the CRM's kind to restore into, found nothing. "
            "Make one, with a role that owns it; nothing was done"
        )
    return f"sqlite:///{folder / 'drill.db'}"


def _drill_batch(lifecycle: Lifecycle, target: RestoreTarget, key: str, result: DrillResult) -> None:
    try:
        manifest, _ = read_manifest(lifecycle.store, key)
        result.batches.append(manifest.batch)
        tables = {name: archived_rows(table) for name, table in read_batch(lifecycle.store, manifest).items()}
    except (ProofError, ObjectMissing) as error:
        result.failed[key] = str(error)
        return
    result.failed |= _lost_values(target, manifest, tables)
    try:
        _compare(target, manifest, tables, result)
    except DatabaseError as error:
        result.failed[key] = str(error)
    for file in manifest.files:
        try:
            verify_file(lifecycle.store, file)
            result.files += 1
        except (ProofError, ObjectMissing) as error:
            result.failed[file.key] = str(error)


def _lost_values(target: RestoreTarget, manifest: Manifest, tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """Columns that the CRM has no more, of which rows have a value: a restore refuses their calls."""
    found, rows = dict[str, str](), target.rows_of(manifest.component)
    for part in (part for part in rows.parts if not part.detach and part.name in tables):
        live = target.tables[part.table].columns
        for name in tables[part.name].column_names:
            values = len(tables[part.name]) - tables[part.name][name].null_count
            if name != CALL_ID and name not in live and values:
                found[f"{part.table}.{name} of {manifest.batch}"] = (
                    f"expected a column for {values} archived values, found none: it was dropped since, and a restore "
                    "refuses their calls. Add it again before one is needed"
                )
    return found


def _compare(target: RestoreTarget, manifest: Manifest, tables: Mapping[str, pa.Table], result: DrillResult) -> None:
    """Restore the calls of a batch; a component comes back into rows that have nothing but their call's key."""
    component = manifest.component
    if component is not None:
        with target.database.writing() as connection:
            seats = tables["calls"].select([target.source.call.key])
            insert_rows(
                connection, target.database.dialect, target.rows_of(None).mapped(target.source.parts()[0]), seats
            )
    calls = parents_first(tables["calls"], own_parents(target.references).get(target.source.call.table, {}))
    keys: Sequence[Any] = list(dict.fromkeys(calls[CALL_ID].to_pylist()))
    writer = target.transaction(component)
    for start in range(0, len(keys), AT_ONCE):
        done = writer.restore(keys[start : start + AT_ONCE], tables, lambda _connection, _keys: None)
        result.calls += len(done.restored)
        result.failed |= {f"{len(done.refused)} calls of {manifest.batch}": why for why in done.refused.values()}
        restored = pa.array(done.restored, tables["calls"].schema.field(CALL_ID).type)
        result.rows += sum(table.num_rows for table in rows_of_calls(tables, restored).values())
