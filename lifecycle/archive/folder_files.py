"""Files of a folder store: written whole, flushed, hashed as they pass. What an object is, `folder_store` says."""

import builtins
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lifecycle.archive.object_store import (
    CHUNK,
    StoredObject,
)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)


def _write(key: str, body: bytes | Path, temporary: Path) -> StoredObject:
    """The bytes on the disk, under a name that is never listed."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        source = BytesIO(body) if isinstance(body, bytes) else body.open("rb")
        with source:
            sent = _pass_on(key, source, file.write)
        file.flush()
        os.fsync(file.fileno())
    return sent


def _pass_on(key: str, source: BinaryIO, write: Callable[[bytes], object]) -> StoredObject:
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        write(chunk)
    return StoredObject(key, f"sha256:{digest.hexdigest()}", size, digest.hexdigest())


def _open(path: Path) -> BinaryIO:
    """A file, and nothing else: a pipe put in its place would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(21, "expected a file", str(path))
    return os.fdopen(descriptor, "rb")


def _temporary(name: str) -> str:
    """How the temporary files of an object of this name begin; hashed, for names may be as long as a file system's."""
    return f".tmp-{_hashed(name)}-"


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _flush(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path, begin: str = "") -> Iterator[Path]:
    """Every object's file below a folder whose path in it begins so; nothing else is looked into, for a folder may have
    many thousands. What vanishes meanwhile is no error, what cannot be read is."""
    try:
        entries = builtins.list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(".") or not entry.name.startswith(begin):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
