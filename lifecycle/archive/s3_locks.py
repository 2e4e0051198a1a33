"""Object Lock of one bucket: versions kept until a day, legal holds, and what the bucket does by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.archive.object_store import Retention, StoredObject
from lifecycle.archive.s3_answers import S3Answers
from lifecycle.errors import StoreError

_NONE_THERE = {400, 404, 405, 501}  # HTTP: no lock on this version, no locks in this bucket, no locks in this store


@dataclass(frozen=True, slots=True)
class S3Locks:
    """The locks of one bucket. `where`: bucket and key of an object, as boto3 takes them."""

    client: Any
    answers: S3Answers
    where: Callable[[str], dict[str, Any]]

    def lock(self, stored: StoredObject, until: datetime, mode: str) -> None:
        """Keep a version until then, and read that back: not every store says that it did not. Raises StoreError."""
        where = self._version(stored.key, stored.version_id)
        with self.answers.translated("lock", stored.key):
            self.client.put_object_retention(**where, Retention={"Mode": mode, "RetainUntilDate": until})
            found = self.client.get_object_retention(**where)["Retention"]
        if found["Mode"] != mode or found["RetainUntilDate"] < until.replace(microsecond=0):
            url = self.answers.url
            raise StoreError(f"{url}: {stored.key!r} was to be locked ({mode}) until {until}, the store says {found}")

    def retention(self, key: str, version_id: str | None) -> Retention | None:
        """What keeps a version. None: nothing does, or the store has no locks."""
        where = self._version(key, version_id)
        found = self._asked(self.client.get_object_retention, where).get("Retention", {})
        held = self._asked(self.client.get_object_legal_hold, where).get("LegalHold", {}).get("Status") == "ON"
        if not found and not held:
            return None
        until = found.get("RetainUntilDate")
        return Retention(found.get("Mode"), until.astimezone(UTC) if until else None, held)

    def _asked(self, ask: Callable[..., dict[str, Any]], where: dict[str, Any]) -> dict[str, Any]:
        try:
            return ask(**where)
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") in _NONE_THERE:
                return {}
            raise self.answers.said(error, "ask for the lock of", where["Key"]) from error

    def _version(self, key: str, version_id: str | None) -> dict[str, Any]:
        return self.where(key) | {"VersionId": version_id or "null"}
