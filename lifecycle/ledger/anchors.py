"""Anchors: places outside that saw a checkpoint, so that nobody can put another history in its stead unseen.

Each is optional and knows one kind of place. What a place gave back is kept in the store under `anchors/`, put once, so
that a checkpoint goes to each place once. When to anchor is the step's business.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.store_locks import COMPLIANCE
from lifecycle.errors import LedgerError, ObjectMissing, OutsideError
from lifecycle.ledger.log import PublishedCheckpoint

ANCHORS = "anchors/"
CHECKPOINTS = "checkpoints/"
WITNESS = "witness"
NOBODY_REMEMBERS = (
    "Nobody outside remembers a checkpoint: a ledger that was rolled back together with the archive and the CRM's "
    "tables looks like any other"
)
_AT_ONCE = 8  # objects
_ASKED_AGAIN = "Every night asks again; if it stays so, mend it"
_GIT_SECONDS = 60
_LARGEST_ANSWER = 1 << 20  # bytes; a time stamp with its certificates has some thousands


class Anchor(Protocol):
    """A place that checkpoints are shown to. `remembers`: it keeps what it saw, and can be asked."""

    name: str
    remembers: bool

    def show(self, published: PublishedCheckpoint, at: datetime) -> bytes:
        """Show it a checkpoint; gives what the place gave back. Raises LifecycleError where it did not take it."""

    def kept(self, published: PublishedCheckpoint) -> list[tuple[str, bytes]]:
        """Every checkpoint that the place itself kept: where, and the note. `published` is today's.

        Raises LifecycleError where the place cannot be asked.
        """


def anchor_key(published: PublishedCheckpoint, name: str) -> str:
    """Where it is kept what a place gave back."""
    root = published.checkpoint.root.hex()[:16]
    return f"{ANCHORS}{published.size:012}-{root}/{name}"


def kept_answer(store: ObjectStore, published: PublishedCheckpoint, name: str) -> bytes | None:
    """What a place gave back for this checkpoint; None: it was not shown there yet."""
    try:
        return store.get(anchor_key(published, name), at_most=_LARGEST_ANSWER)
    except ObjectMissing:
        return None


def cosigned_checkpoint(store: ObjectStore, published: PublishedCheckpoint) -> bytes:
    """The checkpoint, with the lines of the witness that saw it."""
    return published.note + (kept_answer(store, published, WITNESS) or b"")


class CopyAnchor:
    """A copy in another store, best of another owner; locked for some days where that is a bucket with Object Lock."""

    name = "copy"
    remembers = True

    def __init__(self, store: ObjectStore, lock_days: int) -> None:
        self._store, self._lock_days = store, lock_days

    def show(self, published: PublishedCheckpoint, at: datetime) -> bytes:
        """See Anchor. Gives the copy's key and version."""
        key = f"{CHECKPOINTS}{published.size:012}-{published.checkpoint.root.hex()[:16]}"
        stored = self._store.put_once(key, published.note)
        if self._lock_days:
            until = at + timedelta(days=self._lock_days)
            self._store.locks.lock(stored.key, stored.version_id, until, COMPLIANCE)
        return _said(self._store, stored)

    def kept(self, _published: PublishedCheckpoint) -> list[tuple[str, bytes]]:
        """See Anchor."""
        keys = list(self._store.list(CHECKPOINTS))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(zip(keys, pool.map(self._store.get, keys), strict=True))


class GitAnchor:
    """A signed commit in a git work tree. Pushing it is left to a hook of that repository."""

    name = "git"
    remembers = True

    def __init__(self, folder: Path, key: Path) -> None:
        self._folder, self._key = folder, key

    def show(self, published: PublishedCheckpoint, at: datetime) -> bytes:
        """See Anchor. Gives the commit's id."""
        name = _file_name(published)
        (self._folder / name).write_bytes(published.note)
        self._git("add", "--", name)
        if self._git("diff", "--cached", "--name-only", "--", name):
            message = f"{published.checkpoint.origin}: {published.size} leaves, {published.checkpoint.root.hex()}"
            self._git("commit", "--quiet", "-S", "-m", message, "--date", at.isoformat(), "--", name)
        return self._git("log", "-1", "--format=%H", "--", name)

    def kept(self, published: PublishedCheckpoint) -> list[tuple[str, bytes]]:
        """See Anchor. Of every branch and tag that is here, or was fetched: also what another branch was reset over."""
        name = _file_name(published)
        commits = self._git("rev-list", "--all", "--", name).decode().split()
        found = (f"{commit}:{name}" for commit in commits)
        there = (blob for blob in found if self._git("ls-tree", blob.partition(":")[0], "--", name))
        return [(blob, self._git("cat-file", "blob", blob) + b"\n") for blob in there]

    def _git(self, *arguments: str) -> bytes:
        settings = {
            "user.name": "call-lifecycle",
            "user.email": "call-lifecycle@localhost",
            "gpg.format": "ssh",
            "user.signingkey": str(self._key.absolute()),
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = ["git", "-C", str(self._folder), *given, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=_GIT_SECONDS)
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
            said = next((line for line in lines if line.startswith("fatal:")), lines[-1])
            raise OutsideError(f"git {arguments[0]} in {self._folder}: {said}. {_ASKED_AGAIN}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OutsideError(f"git {arguments[0]} in {self._folder}: {error}. {_ASKED_AGAIN}") from error
        return done.stdout.strip()


def _file_name(published: PublishedCheckpoint) -> str:
    return f"{published.checkpoint.origin.replace('/', '_')}.checkpoint"


def _said(store: ObjectStore, stored: StoredObject) -> bytes:
    return f"{store.url}/{stored.key} version {stored.version_id or 'none'}\n".encode()


def unreachable_anchor(what: str, error: Exception) -> OutsideError:
    """A place that could not be asked."""
    return OutsideError(f"{what}: could not be asked: {error}. {_ASKED_AGAIN}")


def invalid_answer(what: str, found: str) -> LedgerError:
    """A place whose answer does not hold."""
    return LedgerError(f"{what}: {found}. The checkpoint is not anchored there; find out why")
