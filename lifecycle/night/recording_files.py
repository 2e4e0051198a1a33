"""Files that rows of calls name: copied into a batch before the rows go, removed once they are gone for good.

What is removed follows from committed purge rows and their manifests alone, so a crash in between is finished by the
next run. A file that any row still names stays, and so does one whose bytes nobody archived.
"""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifecycle.archive.batches import read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.recording_files import FILES, UnfitFile, fetch_file, is_attached, put_file, remove_file
from lifecycle.crm.reading.file_columns import NamedFile, files_named_by_rows
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.deletion import PurgeRow, read_records
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.policy.canonical import sha256_hex

_NOWHERE = "files: its rows name files, and LIFECYCLE_RECORDINGS does not say where they lie"


@dataclass
class CopiedFiles:
    """The files of a batch by path, and the calls whose files could not be copied, with the reason."""

    files: dict[str, ArchivedFile] = field(default_factory=dict)
    set_aside: dict[Any, str] = field(default_factory=dict)


@dataclass
class RemovedFiles:
    """Files removed now; files left, by the key of their copy, with the reason. Left ones are tried again each run."""

    files: int = 0
    left: dict[str, str] = field(default_factory=dict)


def copy_recording_files(
    lifecycle: Lifecycle, folder: str, tables: Mapping[str, pa.Table], component: str | None
) -> CopiedFiles:
    """Copy every file that the rows of a batch name into its folder, each read back; all files of a call, or none.

    Where nobody said where the files lie, those of whole calls are left alone, and a component that has any stays.
    """
    result, known = CopiedFiles(), defaultdict[str, int](int)
    named, recordings = files_named_by_rows(tables, lifecycle.crm.files_of(component)), lifecycle.recordings
    if recordings is None:
        result.set_aside = dict.fromkeys(named, _NOWHERE) if component else {}
        return result
    for call, files in named.items():
        try:
            _copy_call(lifecycle.store, recordings, folder, files, result, known)
        except UnfitFile as reason:
            result.set_aside[call] = f"files: a file cannot be archived: {reason}"
    return result


def _copy_call(
    store: ObjectStore,
    recordings: ObjectStore,
    folder: str,
    files: Sequence[NamedFile],
    result: CopiedFiles,
    known: defaultdict[str, int],
) -> None:
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as here:
        fetched: dict[str, Path] = {}
        for number, file in enumerate(files):
            if not file.may_be_recording:
                raise UnfitFile("the mapping's patterns do not say that a file of such a path is a recording")
            there = result.files.get(file.path)
            if there is not None and file.sha256 not in (None, there.sha256):
                raise UnfitFile(f"the CRM promises sha256 {file.sha256}, the file has {there.sha256}")
            if there is None:
                fetched[file.path] = Path(here) / str(number)
                fetch_file(recordings, file.path, file.sha256, fetched[file.path])
        for path, local in fetched.items():
            result.files[path] = put_file(store, _key(folder, local, known), path, local)


def _key(folder: str, file: Path, known: defaultdict[str, int]) -> str:
    """A key of its own for each path, or a record would name two files where it means one."""
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    known[sha256] += 1
    return f"{folder}{FILES}{sha256}" + (f"-{known[sha256]}" if known[sha256] > 1 else "")


def files_not_archived(
    lifecycle: Lifecycle, archived: Sequence[ArchivedFile], locked: Mapping[str, pa.Table], component: str | None
) -> dict[Any, str]:
    """The calls whose locked rows name a file that the batch lacks, or that could not be removed afterwards."""
    if lifecycle.recordings is None and component is None and not archived:
        return {}
    paths = {file.path for file in archived} if lifecycle.recordings is not None else set[str]()
    reason = "files: a file of it is not in the batch" if lifecycle.recordings is not None else _NOWHERE
    named = files_named_by_rows(locked, lifecycle.crm.files_of(component))
    return {call: reason for call, files in named.items() if not paths.issuperset(file.path for file in files)}


def remove_recording_files(lifecycle: Lifecycle) -> RemovedFiles:
    """Remove the files of every committed purge that waits for it, whichever run it was. Safe to run again."""
    control, result = lifecycle.crm.control, RemovedFiles()
    with lifecycle.crm.database.reading() as connection:
        waiting = control.files_waiting(connection)
    if lifecycle.recordings is None or not waiting:
        return result
    if not is_attached(lifecycle.recordings):
        result.left = dict.fromkeys(waiting, "nothing is where LIFECYCLE_RECORDINGS points: is it mounted?")
        return result
    for row_id in waiting:
        left = dict(_remove(lifecycle, lifecycle.recordings, row_id, result))
        result.left |= left
        if not left:
            control.mark_files_removed(row_id, lifecycle.now())
    return result


def _remove(
    lifecycle: Lifecycle, recordings: ObjectStore, row_id: str, result: RemovedFiles
) -> Iterator[tuple[str, str]]:
    try:
        with lifecycle.crm.database.reading() as connection:
            (row,) = lifecycle.crm.control.by_ids(connection, [row_id])
        files = _recorded_files(lifecycle, row)
    except (ProofError, ObjectMissing) as error:
        yield f"purge {row_id}", f"its files are not removed: {error}"
        return
    for file in files:
        if file.path in lifecycle.crm.still_named([file.path]):
            continue  # the purge of that row removes it
        reason = remove_file(recordings, file)
        result.files += reason is None
        if reason is not None:
            yield file.key, reason


def _recorded_files(lifecycle: Lifecycle, row: PurgeRow) -> list[ArchivedFile]:
    """The files that the records of a purge row name, as the manifest has them on whose strength it was done."""
    manifest, body = read_manifest(lifecycle.store, row.manifest_key)
    if sha256_hex(body) != row.manifest_sha256:
        raise FixityError(f"{row.manifest_key}: it is not the manifest that purge {row.id} relied on")
    keys = {file["key"] for record in read_records(row.entries) for file in record["files"]}
    return [file for file in manifest.files if file.key in keys]
