"""The copies of a batch that stay, moved to a batch of their own: written, read back and proved before the old goes.

Every row keeps what it says, and says besides which batch and row its deletion record names.
"""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from lifecycle.archive.batches import MANIFEST, batch_folder, commit_manifest, folder_of, put_batch, read_batch
from lifecycle.archive.recording_files import FILES, put_file
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.crm.reading.file_columns import NamedFile, files_named_by_rows
from lifecycle.custody.judged_batch import JudgedBatch
from lifecycle.custody.registered_copies import MOVED_BATCH, MOVED_ROW, row_origins
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID, rows_of_calls
from lifecycle.evidence.manifest import ArchivedFile, Manifest
from lifecycle.night.verify import verify_batch


def new_place(judged: JudgedBatch, as_of: date) -> str:
    """The manifest key of a batch for the copies that stay, in a folder that nobody has used."""
    batch = f"{as_of}-{uuid4().hex[:12]}"
    manifest = judged.manifest.model_copy(update={"batch": batch, "destroy_on": judged.stay_until()})
    return f"{folder_of(manifest)}{MANIFEST}"


def move_staying_copies(lifecycle: Lifecycle, judged: JudgedBatch, to: str, plan_sha256: str, run: Run) -> str:
    """Write the copies that stay as a batch under the manifest key `to`, and prove it; gives the manifest's digest.

    Raises ProofError, ObjectMissing where the old batch is not whole, or the new one is not what was written.
    """
    old = read_batch(lifecycle.store, judged.manifest)
    calls = with_origins(judged.manifest, old["calls"])
    staying = [row for row in range(calls.num_rows) if row not in judged.going]
    calls = calls.take(pa.array(staying, pa.int64()))
    tables = {**rows_of_calls(old, calls[CALL_ID].combine_chunks()), "calls": calls}
    folder = batch_folder(to)
    files = _move_files(lifecycle, judged.manifest, old, tables, folder)
    manifest = judged.manifest.model_copy(
        update={
            "batch": folder.split("/")[-2],
            "plan_sha256": plan_sha256,
            "created_at": lifecycle.now(),
            "run_id": run.id,
            "objects": put_batch(lifecycle.store, folder, tables),
            "calls": calls.num_rows,
            "destroy_on": judged.stay_until(),
            "files": files,
        }
    )
    commit_manifest(lifecycle.store, folder, manifest)
    proved = verify_batch(lifecycle.store, to, lifecycle.now())
    return proved.manifest_sha256


def with_origins(manifest: Manifest, calls: pa.Table) -> pa.Table:
    """Call rows that say which batch and row their deletion record names."""
    if MOVED_BATCH in calls.column_names:
        return calls
    batches, rows = zip(*row_origins(manifest, calls), strict=True)
    calls = calls.append_column(MOVED_BATCH, pa.array(batches, pa.string()))
    return calls.append_column(MOVED_ROW, pa.array(rows, pa.int64()))


def require_moved_copies(lifecycle: Lifecycle, row: Destruction) -> None:
    """Raise ProofError unless the copies that stay are where the register says, whole: then the old ones may go."""
    if row.moved_to is None:
        return
    try:
        found = verify_batch(lifecycle.store, row.moved_to, lifecycle.now()).manifest_sha256
    except (ProofError, ObjectMissing) as error:
        said = str(error).partition(" Nothing was purged")[0]
        what = f"batch {row.batch}: the copies that stay cannot be proved"
        raise FixityError(f"{what}: {said}. Nothing more goes") from error
    if found != row.moved_sha256:
        raise FixityError(f"batch {row.batch}: the copies that stay have another manifest. Nothing more goes")


def _move_files(
    lifecycle: Lifecycle,
    manifest: Manifest,
    old: Mapping[str, pa.Table],
    staying: Mapping[str, pa.Table],
    folder: str,
) -> tuple[ArchivedFile, ...]:
    """The files that rows that stay name, and those that no row names as the mapping is today: nobody knows whose."""
    columns = [one for one in lifecycle.crm.files_of(manifest.component) if _has(old.get(one.part), one.files.columns)]
    named, kept = _paths(files_named_by_rows(old, columns)), _paths(files_named_by_rows(staying, columns))
    return tuple(
        move_file(lifecycle, file, folder, file.key.rpartition("/")[2])
        for file in manifest.files
        if file.path in kept or file.path not in named
    )


def _has(table: pa.Table | None, columns: Collection[str]) -> bool:
    return table is not None and set(columns) <= set(table.column_names)


def _paths(named: Mapping[Any, Sequence[NamedFile]]) -> set[str]:
    return {file.path for files in named.values() for file in files}


def move_file(lifecycle: Lifecycle, file: ArchivedFile, folder: str, name: str) -> ArchivedFile:
    """Copy one archived file into another batch, proved before and after. Raises FixityError, ObjectMissing."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as here:
        local = Path(here) / "file"
        found = lifecycle.store.fetch(file.key, file.version_id, local, at_most=file.bytes)
        if found.sha256 != file.sha256:
            raise FixityError(f"{file.key}: expected sha256 {file.sha256}, found {found.sha256}. Nothing was destroyed")
        return put_file(lifecycle.store, f"{folder}{FILES}{name}", file.path, local)
