"""A folder as object store: the embedded default. One object, one file; its version is the digest of its bytes.

Put-once is a hard link, which the file system makes for one writer only. What S3 has and a folder has not (locks,
older versions) does not belong here.
"""

import builtins
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from lifecycle.archive.folder_files import _files, _flush, _hashed, _make_folder, _open, _pass_on, _temporary, _write
from lifecycle.archive.object_store import (
    LARGEST_IN_MEMORY,
    BoundedBytes,
    StoredObject,
    StoredVersion,
    check_key,
    check_prefix,
    exists_with_other_bytes,
    others_than_expected,
    stream_to_file,
)
from lifecycle.archive.store_locks import NoLocks, StoreLocks
from lifecycle.archive.store_trial import try_store_out
from lifecycle.errors import FixityError, ObjectMissing, ObjectRefused, StoreError
from lifecycle.private_files import open_lock_file

_FULL = {errno.ENOSPC, errno.EDQUOT}
_UNTIL_MENDED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR}


class FolderStore:
    """Objects as files below one folder, which is made when the first is written. Links inside it are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.url = self._root.as_uri()
        self.locks: StoreLocks = NoLocks(self.url)

    def put_once(self, key: str, body: bytes | Path) -> StoredObject:
        """See ObjectStore."""
        path = self._path(key)
        with self._translated("write", key):
            _make_folder(path.parent)
            temporary = path.with_name(f"{_temporary(path.name)}{uuid4().hex}")
            try:
                sent = _write(key, body, temporary)
                stored = self._link(temporary, path, sent)
            finally:
                temporary.unlink(missing_ok=True)
            # Also when the file was there already: the writer before us may have died before this.
            _flush(path.parent)
        return stored

    def swap(self, key: str, body: bytes, expected: bytes | None) -> StoredObject:
        """See ObjectStore. A lock on a file beside it keeps callers on this machine apart."""
        path = self._path(key)
        with self._translated("write", key):
            _make_folder(path.parent)
            lock = open_lock_file(path.with_name(f".lock-{_hashed(path.name)}"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                return self._swap(key, path, body, expected)
            finally:
                os.close(lock)

    def _swap(self, key: str, path: Path, body: bytes, expected: bytes | None) -> StoredObject:
        try:
            found = self.get(key)
        except ObjectMissing:
            found = None
        temporary = path.with_name(f"{_temporary(path.name)}{uuid4().hex}")
        try:
            sent = _write(key, body, temporary)
            if found not in (body, expected):
                raise others_than_expected(key)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush(path.parent)
        return sent

    def get(self, key: str, version_id: str | None = None, at_most: int = LARGEST_IN_MEMORY) -> bytes:
        """See ObjectStore. FixityError: the file no longer holds the bytes of that version."""
        chunks = BoundedBytes(key, at_most)
        self._read(key, version_id, chunks.write)
        return chunks.value()

    def fetch(self, key: str, version_id: str | None, into: Path, at_most: int | None = None) -> StoredObject:
        """See ObjectStore. FixityError: the file no longer holds the bytes of that version."""
        return stream_to_file(into, lambda write: self._read(key, version_id, write), key, at_most)

    def list(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        above, _, begin = check_prefix(prefix).rpartition("/")
        with self._translated("list", prefix):
            inside = self._inside(self._root / above, prefix)
            return iter(sorted(file.relative_to(self._root).as_posix() for file in _files(inside, begin)))

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """See ObjectStore. A file is its only version, whatever bytes it has by now."""
        return (StoredVersion(key, None) for key in self.list(prefix))

    def delete(self, stored_key: str, version_id: str | None) -> None:
        """See ObjectStore. FixityError: the file holds other bytes than that version's; it was left as it is."""
        path = self._path(stored_key)
        if not path.parent.is_dir():
            return
        with self._translated("delete", stored_key):
            if path.exists() and version_id is not None:
                self._read(stored_key, version_id, lambda _: None)
            # A writer killed after its link leaves a second name for the same bytes.
            for left in [*path.parent.glob(f"{_temporary(path.name)}*"), path]:
                left.unlink(missing_ok=True)
            _flush(path.parent)

    def holds_anything(self) -> bool:
        """Whether the folder is there and not empty."""
        return self._root.is_dir() and any(self._root.iterdir())

    def now(self) -> datetime | None:
        """See ObjectStore."""
        return None

    def probe(self) -> builtins.list[str]:
        """See ObjectStore."""
        return try_store_out(self, lambda _: [])

    def _link(self, temporary: Path, path: Path, sent: StoredObject) -> StoredObject:
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.is_dir():
                raise StoreError(f"{sent.key}: other keys lie below this one, which a folder cannot hold.") from None
            found = self._read(sent.key, None, lambda _: None)
            if found.sha256 != sent.sha256:
                raise exists_with_other_bytes(found, sent.sha256) from None
        return sent

    def _read(self, key: str, version_id: str | None, write: Callable[[bytes], object]) -> StoredObject:
        with self._translated("read", key), _open(self._path(key)) as file:
            read = _pass_on(key, file, write)
        if version_id is None or version_id == read.version_id:
            return read
        if not version_id.startswith("sha256:"):
            raise ObjectMissing(f"{self.url}: {key!r} has no version {version_id!r}; a folder's begin with sha256:")
        raise FixityError(
            f"{self.url}: {key!r} was stored as {version_id}; the file now holds {read.version_id} "
            f"({read.bytes} bytes). Restore it from a backup, and find out what changed it."
        )

    def _path(self, key: str) -> Path:
        return self._inside(self._root.joinpath(*check_key(key).split("/")), key)

    def _inside(self, path: Path, key: str) -> Path:
        # A symbolic link could lead out of the store, or give one object two keys.
        if os.path.realpath(path) != str(path):
            raise ObjectRefused(
                f"{self.url}: {key!r} leads through a symbolic link. Nothing was done; remove the link."
            )
        return path

    @contextmanager
    def _translated(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if doing == "read" and isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)):
                raise ObjectMissing(f"{self.url}: no object {key!r}.") from error
            said = f"{self.url}: could not {doing} {key!r}: {error}."
            if error.errno in _UNTIL_MENDED:
                refused = ObjectRefused if doing in ("read", "delete") else StoreError
                raise refused(f"{said} Mend that first; a rerun alone will not help.") from error
            mend = "Make room there" if error.errno in _FULL else "Mend it"
            raise StoreError(f"{said} {mend}; a rerun is safe.") from error
