"""Files of restored calls, put back where they lay once the rows that name them are there. Again and again the same."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lifecycle.archive.batches import MANIFEST, batch_folder, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.recording_files import verify_file
from lifecycle.crm.reading.file_columns import files_named_by_rows
from lifecycle.custody.restore_sources import CopiedRows
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectExists, ObjectMissing, ObjectRefused, ProofError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.policy.canonical import canonical_json


def files_of_calls(lifecycle: Lifecycle, copied: CopiedRows, component: str | None) -> dict[str, list[ArchivedFile]]:
    """By call, the archived files that its rows name."""
    named = files_named_by_rows(copied.tables, lifecycle.crm.files_of(component))
    return {
        call_id_text(call): [
            copied.files[path] for path in dict.fromkeys(f.path for f in files) if path in copied.files
        ]
        for call, files in named.items()
    }


def file_conflict(store: ObjectStore, recordings: ObjectStore | None, files: Sequence[ArchivedFile]) -> str | None:
    """Why the files of a call cannot be put back; None: they can."""
    if not files:
        return None
    if recordings is None:
        return "its rows name files, and LIFECYCLE_RECORDINGS does not say where they lay"
    for file in files:
        try:
            verify_file(store, file)
        except (FixityError, ObjectMissing) as error:
            return f"a file of it is damaged in the archive: {str(error).partition('. Nothing was')[0]}"
        if _there(recordings, file) not in (None, file.sha256):
            return "where a file of it lay, another one lies"
    return None


def packed_files(files: Sequence[ArchivedFile]) -> bytes | None:
    """Files as the control table keeps them until they are put."""
    return canonical_json([file.model_dump(mode="json") for file in files]) if files else None


def put_files_that_wait(lifecycle: Lifecycle) -> tuple[int, dict[str, str]]:
    """Put every file of every restored call that waits for it, whichever command left it so.

    Gives how many were put, and by call why some were not; those are tried again the next time.
    """
    control, done, left = lifecycle.crm.control.restored, 0, dict[str, str]()
    with lifecycle.crm.database.reading() as connection:
        waiting = control.files_waiting(connection)
    for call in waiting:
        files = [ArchivedFile.model_validate_json(json.dumps(each)) for each in json.loads(call.files or b"[]")]
        problem = _put(lifecycle, files)
        if problem:
            left[call.call_id] = problem
            continue
        done += len(files)
        with lifecycle.crm.database.writing() as connection:
            control.mark_files_put(connection, call.id)
    return done, left


def _put(lifecycle: Lifecycle, files: Sequence[ArchivedFile]) -> str | None:
    if lifecycle.recordings is None:
        return "LIFECYCLE_RECORDINGS does not say where its files lay"
    for file in files:
        try:
            if file not in _archived_files(lifecycle.store, file):
                return "its row names a file that no manifest has: somebody edited it"
            with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
                local = Path(folder) / "file"
                found = lifecycle.store.fetch(file.key, file.version_id, local, at_most=file.bytes)
                if found.sha256 != file.sha256:
                    return "a file of it is damaged in the archive"
                lifecycle.recordings.put_once(file.path, local)
        except ObjectExists:
            return "where a file of it lay, another one lies"
        except (ProofError, ObjectMissing, ObjectRefused) as error:
            return f"a file of it cannot be put: {type(error).__name__}"
    return None


def _archived_files(store: ObjectStore, file: ArchivedFile) -> Sequence[ArchivedFile]:
    """The files of the batch that a file lies in, as its manifest has them. Raises ProofError, ObjectMissing.

    The control table alone decides nothing: whoever edits it could have any object put under any path.
    """
    manifest, _ = read_manifest(store, f"{batch_folder(file.key)}{MANIFEST}")
    return manifest.files


def _there(recordings: ObjectStore, file: ArchivedFile) -> str | None:
    """The digest of what lies where a file lay; None: nothing does."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        try:
            return recordings.fetch(file.path, None, Path(folder) / "file").sha256
        except ObjectMissing:
            return None
