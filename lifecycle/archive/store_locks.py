"""Locks of a store: what may be asked of them, and the answers of a store that has none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lifecycle.errors import StoreError

COMPLIANCE, GOVERNANCE = "COMPLIANCE", "GOVERNANCE"
"""How a version is locked: for everybody, or for all but those who may bypass it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What keeps a version: a lock until a moment, a legal hold of the store, or both."""

    mode: str | None
    until: datetime | None
    legal_hold: bool

    @property
    def text(self) -> str:
        """What keeps it, in words."""
        lock = f"locked ({self.mode}) until {self.until.isoformat()}" if self.until else ""
        return ", and ".join(filter(None, (lock, "under a legal hold of the store" if self.legal_hold else "")))


class StoreLocks(Protocol):
    """Versions are named by key and version. Every method raises StoreError where the store cannot do it."""

    def lock(self, key: str, version_id: str | None, until: datetime, mode: str) -> None:
        """Let nobody remove that version before then. A lock that is longer, and not weaker, stays as it is."""

    def hold(self, key: str, version_id: str | None, on: bool) -> None:
        """Put a version under a legal hold of the store, or lift that."""

    def retention(self, key: str, version_id: str | None) -> Retention | None:
        """What keeps a version. None: nothing does, or the store has no locks."""

    def problems(self, default_days: int | None) -> list[str]:
        """Why the store does not lock as is asked of it. `default_days`: more of them by itself would be too many."""

    def expirations(self) -> list[str]:
        """What the store removes by itself, of ours, before anybody says so."""


@dataclass(frozen=True, slots=True)
class NoLocks:
    """The locks of a store that has none."""

    url: str

    def lock(self, key: str, version_id: str | None, until: datetime, mode: str) -> None:
        """See StoreLocks."""
        raise StoreError(
            f"{self.url}: expected a bucket with Object Lock to lock {key!r} until {until}; a folder has none"
        )

    def hold(self, key: str, version_id: str | None, on: bool) -> None:
        """See StoreLocks."""
        raise StoreError(f"{self.url}: expected a bucket with Object Lock to hold {key!r}; a folder has none")

    def retention(self, key: str, version_id: str | None) -> Retention | None:
        """See StoreLocks."""
        return None

    def problems(self, default_days: int | None) -> list[str]:
        """See StoreLocks."""
        return [f"{self.url}: a folder has no Object Lock: nothing can be locked, and nothing would be purged"]

    def expirations(self) -> list[str]:
        """See StoreLocks."""
        return []
