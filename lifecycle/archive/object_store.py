"""The object store: what every store promises, and which store a URL names.

An object is written once, read by version and deleted by version. `swap` is for the one object that changes, the
ledger's checkpoint. What an object holds (batches, manifests, ledger tiles) does not belong here, nor does anything
only one kind of store knows.
"""

import builtins
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from lifecycle.errors import LifecycleError, ObjectExists, ObjectMissing, SettingsError, StoreError

CHUNK = 1 << 20  # bytes held in memory while streaming

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXPECTED = "expected s3://<bucket>/<prefix> or file:///<folder>"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store holds it."""

    key: str  # relative to the store's prefix, '/'-separated
    version_id: str | None  # None: the bucket keeps no versions
    bytes: int
    sha256: str  # hex of the whole object


class ObjectStore(Protocol):
    """A place for objects. Every method raises StoreError when the store refuses or cannot be reached."""

    url: str

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

    def get(self, key: str, version_id: str | None = None) -> bytes:
        """The whole object. None reads the newest version.

        ObjectMissing: no such key or version. FixityError: the store itself says these are not the bytes it was given.
        """

    def fetch(self, key: str, version_id: str | None, into: Path) -> StoredObject:
        """Stream the object into a file in constant memory; size and digest are of the bytes that really came.

        ObjectMissing: no such key or version. No file is left behind by a failure.
        """

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that begins with `prefix`, a plain string as S3 means it, sorted."""

    def delete(self, stored_key: str, version_id: str | None) -> None:
        """Remove that version for good, and what a killed writer left unfinished under the key. Gone already is fine.

        None is what an object without a version is stored as; it never stands for the newest version.
        """

    def lock(self, stored: StoredObject, until: datetime) -> None:
        """Let nobody remove or shorten that version before then. StoreError where the store cannot lock."""

    def now(self) -> datetime | None:
        """What the store's clock says. None: it has none but this machine's."""

    def probe(self) -> builtins.list[str]:
        """What makes this store unfit, found by trying; empty when fit. 'warning: ' marks what can be lived with."""


def open_store(url: str, endpoint: str | None, setting: str = "LIFECYCLE_STORE") -> ObjectStore:
    """The store that `s3://bucket/prefix` or `file:///folder` names. `endpoint`: an S3 server other than Amazon's.

    `setting` is where the URL is from. Nothing is read or written yet. SettingsError: URL or endpoint are malformed.
    """
    parts = urlsplit(url)
    # A password pasted into a URL must not reach a log through our message.
    shown = "a URL holding '@'" if "@" in url else repr(url)
    if parts.query or parts.fragment:
        raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Take out what begins at '?' or '#'.")
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        # Imported when needed: boto3 takes half a second, and the embedded default has no use for it.
        from lifecycle.archive.s3_store import S3Store, connect

        prefix = _named(parts.path.strip("/"), shown, setting)
        return S3Store(connect(_endpoint(endpoint)), parts.netloc, prefix)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and len(parts.path) > 1:
        from lifecycle.archive.folder_store import FolderStore

        return FolderStore(Path(unquote(parts.path)))
    raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Correct the URL; credentials never belong in it.")


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


def stream_to_file(into: Path, read: Callable[[Callable[[bytes], object]], StoredObject]) -> StoredObject:
    """Run a streaming read into a file; a failed one leaves no file."""
    try:
        with into.open("wb") as file:
            return read(file.write)
    except BaseException:
        into.unlink(missing_ok=True)
        raise


def try_store_out(store: ObjectStore, extra: Callable[[StoredObject], builtins.list[str]]) -> builtins.list[str]:
    """Write, read, list and delete one object of our own, and say what went otherwise than promised.

    `extra` asks what only one kind of store can be asked, while the object is there. Removing it is the last question.
    """
    try:
        first = store.put_once(f"probe/{uuid4().hex}", b"first")
    except LifecycleError as error:
        return [str(error)]
    problems: builtins.list[str] = []
    for question in (_reads, _second_writer, lambda _, stored: extra(stored), _swaps, _removed):
        try:
            problems += question(store, first)
        except LifecycleError as error:
            problems.append(str(error))
    return problems


def _reads(store: ObjectStore, first: StoredObject) -> builtins.list[str]:
    problems = []
    if first.version_id is None:
        problems.append("warning: the bucket keeps no versions; turn them on, or an object can be replaced unseen")
    if store.get(first.key) != b"first":
        problems.append("reading back gave other bytes than were written")
    if store.get(first.key, first.version_id) != b"first":
        problems.append("reading by version gave other bytes than were written")
    if first.key not in store.list(first.key):
        problems.append("an object just written is not listed")
    return problems


def _second_writer(store: ObjectStore, first: StoredObject) -> builtins.list[str]:
    try:
        second = store.put_once(first.key, b"second")
    except ObjectExists:
        return []
    if second.version_id is not None:
        store.delete(first.key, second.version_id)
    return ["a second writer overwrote an object: this store cannot put once, and nothing in it is safe"]


def _swaps(store: ObjectStore, first: StoredObject) -> builtins.list[str]:
    key = f"{first.key}-swapped"
    made = [store.swap(key, b"one", None), store.swap(key, b"two", b"one")]
    try:
        if store.get(key) != b"two":
            return ["replacing an object left other bytes than were written: the ledger's checkpoint cannot go on"]
    finally:
        for stored in reversed(made):
            store.delete(key, stored.version_id)
    return []


def _removed(store: ObjectStore, first: StoredObject) -> builtins.list[str]:
    store.delete(first.key, first.version_id)
    problems = ["a deleted object is still listed"] if first.key in store.list(first.key) else []
    try:
        store.get(first.key)
    except ObjectMissing:
        return problems
    return [*problems, "a deleted object can still be read"]


def _named(prefix: str, shown: str, setting: str) -> str:
    try:
        return check_key(prefix) if prefix else ""
    except StoreError as error:
        raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Its prefix is malformed.") from error


def _endpoint(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in endpoint:
        shown = "one holding '@'" if "@" in endpoint else repr(endpoint)
        raise SettingsError(f"S3 endpoint: expected http(s)://<host>[:<port>], found {shown}. Correct it.")
    return endpoint
