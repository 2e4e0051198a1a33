"""Files that we make beside other people's: never through a link, and for our account alone."""

import os
import stat
from pathlib import Path


def open_lock_file(path: Path) -> int:
    """A descriptor of a file to lock, made where it is missing; what it holds is never touched.

    Only our account may open it: whoever can open a file, even to read, can lock it for ever. Raises OSError where a
    link, something else than a file, or another account's file stands in its place.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(1, "expected a file of this account, found another's or no file", str(path))
        if stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def replace_private_file(path: Path, body: bytes) -> None:
    """Write a file for our account alone, under its name at once or not at all. A link in its place is replaced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
