"""Files outside the database on their way into a batch, and out of where they lay. Which files is the steps'.

A file is removed only while its bytes are those of its archived copy.
"""

import hashlib
import tempfile
from pathlib import Path

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.object_store import ObjectStore, StoredObject, check_key
from lifecycle.errors import FixityError, ObjectMissing, ObjectRefused, StoreError
from lifecycle.evidence.manifest import ArchivedFile

FILES = "files/"


class UnfitFile(Exception):
    """A file cannot be archived as the row says that names it. Carries why, without the path."""


def fetch_file(recordings: ObjectStore, path: str, sha256: str | None, into: Path) -> StoredObject:
    """Bring one file here. Raises UnfitFile where it is not there, or has other bytes than the CRM says."""
    try:
        check_key(path)
    except StoreError:
        raise UnfitFile("its path is none below LIFECYCLE_RECORDINGS") from None
    try:
        found = recordings.fetch(path, None, into)
    except ObjectMissing:
        raise UnfitFile("it is not there") from None
    except ObjectRefused as error:
        raise UnfitFile(f"it cannot be read: {_why(error)}") from error
    if sha256 is not None and found.sha256 != sha256:
        raise UnfitFile(f"the CRM promises sha256 {sha256}, the file has {found.sha256}")
    return found


def put_file(store: ObjectStore, key: str, path: str, file: Path) -> ArchivedFile:
    """Write one file as an object of a batch, read it back and compare. Raises FixityError."""
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    stored = store.put_once(key, file)
    archived = ArchivedFile(path=path, key=key, version_id=stored.version_id, bytes=file.stat().st_size, sha256=sha256)
    verify_file(store, archived)
    return archived


def verify_file(store: ObjectStore, wanted: ArchivedFile) -> None:
    """Read one archived file back, by version, and compare. Raises FixityError, ObjectMissing."""
    found = _measured(store, wanted.key, wanted.version_id)
    if (found.bytes, found.sha256) != (wanted.bytes, wanted.sha256):
        raise FixityError(
            f"{wanted.key}: expected {wanted.bytes} bytes with sha256 {wanted.sha256}, the store has {found.bytes} "
            f"bytes with {found.sha256}. Nothing was purged; archive the calls again"
        )


def remove_file(recordings: ObjectStore, archived: ArchivedFile) -> str | None:
    """Remove one file where it lay; again and again the same. Gives why it is there still; None: it is gone."""
    try:
        left = _other_bytes(recordings, archived)
        if left is None or isinstance(left, str):
            return left
        recordings.delete(archived.path, left.version_id)
        again = _other_bytes(recordings, archived)
    except ObjectMissing:
        return None  # somebody removed it in this moment
    except ObjectRefused as error:
        return f"it cannot be removed: {_why(error)}"
    return again if again is None or isinstance(again, str) else "it is there still after it was removed"


def _why(error: ObjectRefused) -> str:
    """What stood in the way, without the path, which may hold a telephone number."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return "the store refuses it" if cause is not None else "its path leads through a symbolic link"


def is_attached(recordings: ObjectStore) -> bool:
    """Whether anything is where the recordings lie: of an empty mount point every file would seem gone."""
    return not isinstance(recordings, FolderStore) or recordings.holds_anything()


def _other_bytes(recordings: ObjectStore, archived: ArchivedFile) -> StoredObject | str | None:
    """The file, when it has the archived bytes; why it may not be removed; None where there is none."""
    try:
        found = _measured(recordings, archived.path, None)
    except ObjectMissing:
        return None
    if found.sha256 == archived.sha256:
        return found
    return f"other bytes (sha256 {found.sha256}) are under its path, which nobody archived"


def _measured(store: ObjectStore, key: str, version_id: str | None) -> StoredObject:
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        return store.fetch(key, version_id, Path(folder) / "file")
