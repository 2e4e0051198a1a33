"""The object store: what every store promises.

An object is written once, read by version and deleted by version. `swap` is for the one object that changes, the
ledger's checkpoint. What an object holds (batches, manifests, ledger tiles) does not belong here, nor does anything
only one kind of store knows; which store a URL names is `open_store`'s to say.
"""

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lifecycle.archive.store_locks import StoreLocks
from lifecycle.errors import FixityError, ObjectExists, StoreError

CHUNK = 1 << 20  # bytes held in memory while streaming
LARGEST_IN_MEMORY = 64 << 20  # bytes of an object that is not streamed into a file: a manifest, a leaf bundle


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store holds it."""

    key: str  # relative to the store's prefix, '/'-separated
    version_id: str | None  # None: the bucket keeps no versions
    bytes: int
    sha256: str  # hex of the whole object


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of an object, or a marker that hides older ones. No version id: the store keeps one version."""

    key: str
    version_id: str | None
    marker: bool = False


class BoundedBytes:
    """Bytes as they come, up to a number: an object that somebody blew up must not take the memory with it."""

    def __init__(self, key: str, at_most: int) -> None:
        self._key, self._at_most, self._chunks, self._size = key, at_most, builtins.list[bytes](), 0

    def write(self, chunk: bytes) -> None:
        """Take some more. Raises FixityError where that is too many."""
        self._size += len(chunk)
        if self._size > self._at_most:
            raise too_large(self._key, self._at_most)
        self._chunks.append(chunk)

    def value(self) -> bytes:
        """All of them."""
        return b"".join(self._chunks)


def too_large(key: str, at_most: int) -> FixityError:
    """The error of an object that has more bytes than what it claims to be ever has."""
    return FixityError(f"{key}: expected at most {at_most} bytes, found more. Nothing was done")


class ObjectStore(Protocol):
    """A place for objects. Every method raises StoreError when the store refuses or cannot be reached."""

    url: str
    locks: StoreLocks

    def put_once(self, key: str, body: bytes | Path) -> StoredObject:
        """Write the bytes, or the file, under a key that is free.

        The same bytes again are the same object, so a rerun and a lost answer both end well.
        ObjectExists: the key holds other bytes, which were left as they are.
        """

    def swap(self, key: str, body: bytes, expected: bytes | None) -> StoredObject:
        """Put the bytes in the place of the expected ones; None expects a free key. Older versions stay.

        The bytes are there already: fine, as for `put_once`. ObjectExists: the key holds others than the expected ones,
        which were left as they are. A lease must keep two callers apart as well: `probe` says where the store does not.
        """

    def get(self, key: str, version_id: str | None = None, at_most: int = LARGEST_IN_MEMORY) -> bytes:
        """The whole object. None reads the newest version. FixityError: it has more than `at_most` bytes.

        ObjectMissing: no such key or version. FixityError: the store itself says these are not the bytes it was given.
        """

    def fetch(self, key: str, version_id: str | None, into: Path, at_most: int | None = None) -> StoredObject:
        """Stream the object into a file in constant memory; size and digest are of the bytes that really came.

        ObjectMissing: no such key or version. FixityError: it has more than `at_most` bytes. No file is left behind by
        a failure.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`, a plain string as S3 means it, sorted."""

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """Every version of every object whose key begins with `prefix`, and every marker, sorted by key."""

    def delete(self, stored_key: str, version_id: str | None) -> None:
        """Remove that version for good, and what a killed writer left unfinished under the key. Gone already is fine.

        None is what an object without a version is stored as; it never stands for the newest version.
        """

    def now(self) -> datetime | None:
        """What the store's clock says. None: it has none but this machine's."""

    def probe(self) -> builtins.list[str]:
        """What makes this store unfit, found by trying; empty when fit. 'warning: ' marks what can be lived with."""


def check_key(key: str) -> str:
    """The key, when it is one every store keeps apart from every other; else StoreError saying why not."""
    for name in key.split("/"):
        # A leading dot covers '.', '..', our own temporary files and the stores' internal folders.
        if not name or name.startswith(".") or "\\" in name or not name.isprintable():
            raise StoreError(
                f"{key!r} is no object key: expected names joined by single '/', none of them empty, beginning with "
                f"a dot or holding a backslash or an unprintable character; found {name!r}. Nothing was done."
            )
        if len(name.encode()) > 255:
            raise StoreError(f"{key!r} is no object key: one of its names is over 255 bytes. Nothing was done.")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix, when a key can begin with it. Some stores tidy up any other, and list what was not asked for."""
    check_key(f"{prefix}x")
    return prefix


def exists_with_other_bytes(found: StoredObject, sent_sha256: str) -> ObjectExists:
    """The error of a put-once that came second with something else."""
    return ObjectExists(
        f"{found.key}: expected a free key or the same bytes, sha256 {sent_sha256}; the store holds sha256 "
        f"{found.sha256} ({found.bytes} bytes). It was left as it is; find out who wrote it before running again."
    )


def others_than_expected(key: str) -> ObjectExists:
    """The error of a swap that came second."""
    return ObjectExists(
        f"{key}: it holds other bytes than the ones to be replaced; they were left as they are. "
        "Another run may have been at work: run again."
    )


def stream_to_file(
    into: Path, read: Callable[[Callable[[bytes], object]], StoredObject], key: str, at_most: int | None
) -> StoredObject:
    """Run a streaming read into a file; a failed one, or one of more than `at_most` bytes, leaves no file."""
    size = 0
    try:
        with into.open("wb") as file:

            def write(chunk: bytes) -> None:
                nonlocal size
                size += len(chunk)
                if at_most is not None and size > at_most:
                    raise too_large(key, at_most)
                file.write(chunk)

            return read(write)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
