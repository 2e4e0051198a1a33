"""Object Lock of one bucket: versions kept until a day, legal holds, and what the bucket does by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.archive.s3_answers import S3Answers
from lifecycle.archive.store_locks import COMPLIANCE, Retention
from lifecycle.errors import StoreError

_NONE_THERE = {400, 404, 405, 501}  # HTTP: no lock on this version, no locks in this bucket, no locks in this store


@dataclass(frozen=True, slots=True)
class S3Locks:
    """The locks of one bucket, for objects below `under`. `where`: bucket and key of an object, as boto3 takes them."""

    client: Any
    answers: S3Answers
    where: Callable[[str], dict[str, Any]]
    bucket: str
    under: str

    def lock(self, key: str, version_id: str | None, until: datetime, mode: str) -> None:
        """See StoreLocks. Read back, for not every store says that it did not. Not every store refuses to shorten."""
        before = self.retention(key, version_id)
        if before and before.until and before.until >= until and before.mode in (mode, COMPLIANCE):
            return
        where = self._version(key, version_id)
        with self.answers.translated("lock", key):
            self.client.put_object_retention(**where, Retention={"Mode": mode, "RetainUntilDate": until})
            found = self.client.get_object_retention(**where)["Retention"]
        if found["Mode"] != mode or found["RetainUntilDate"] < until.replace(microsecond=0):
            url = self.answers.url
            raise StoreError(f"{url}: {key!r} was to be locked ({mode}) until {until}, the store says {found}")

    def hold(self, key: str, version_id: str | None, on: bool) -> None:
        """See StoreLocks. Read back."""
        where, status = self._version(key, version_id), "ON" if on else "OFF"
        with self.answers.translated("hold", key):
            self.client.put_object_legal_hold(**where, LegalHold={"Status": status})
            found = self.client.get_object_legal_hold(**where)["LegalHold"]["Status"]
        if found != status:
            url = self.answers.url
            raise StoreError(f"{url}: the legal hold of {key!r} was to be {status}, the store says {found}")

    def problems(self, default_days: int | None) -> list[str]:
        """See StoreLocks."""
        bucket = self.bucket
        found = self._asked(self.client.get_object_lock_configuration, {"Bucket": bucket}, bucket)
        given = found.get("ObjectLockConfiguration", {})
        if given.get("ObjectLockEnabled") != "Enabled":
            return [f"bucket {bucket} has no Object Lock: nothing can be locked, and nothing would be purged"]
        rule = given.get("Rule", {}).get("DefaultRetention", {})
        days = rule.get("Days", 0) + 366 * rule.get("Years", 0)
        if default_days is not None and days > default_days:
            return [
                f"bucket {bucket} locks every object for {days} days by itself; some copy may be there for "
                f"{default_days} days only, and could not be destroyed on its day"
            ]
        return []

    def expirations(self) -> list[str]:
        """See StoreLocks: the lifecycle rules of the bucket that would expire objects of ours."""
        asked = {"Bucket": self.bucket}
        found = self._asked(self.client.get_bucket_lifecycle_configuration, asked, self.bucket)
        return [
            f"the bucket's lifecycle rule {rule.get('ID', '?')!r} expires objects or versions below {self.under!r}: "
            "copies would be gone before their day, and on no record. Take it away"
            for rule in found.get("Rules", [])
            if rule.get("Status") == "Enabled" and _expires(rule) and _meets(_prefix_of(rule), self.under)
        ]

    def retention(self, key: str, version_id: str | None) -> Retention | None:
        """See StoreLocks."""
        where = self._version(key, version_id)
        found = self._asked(self.client.get_object_retention, where, key).get("Retention", {})
        hold = self._asked(self.client.get_object_legal_hold, where, key).get("LegalHold", {})
        held = hold.get("Status") == "ON"
        if not found and not held:
            return None
        until = found.get("RetainUntilDate")
        return Retention(found.get("Mode"), until.astimezone(UTC) if until else None, held)

    def _asked(self, ask: Callable[..., dict[str, Any]], where: dict[str, Any], what: str) -> dict[str, Any]:
        try:
            return ask(**where)
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") in _NONE_THERE:
                return {}
            raise self.answers.said(error, "ask for the locks of", what) from error

    def _version(self, key: str, version_id: str | None) -> dict[str, Any]:
        return self.where(key) | {"VersionId": version_id or "null"}


def _expires(rule: dict[str, Any]) -> bool:
    last = rule.get("Expiration", {})
    return bool(last.get("Days") or last.get("Date") or rule.get("NoncurrentVersionExpiration"))


def _prefix_of(rule: dict[str, Any]) -> str:
    chosen = rule.get("Filter", {})
    return str(rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or "")


def _meets(one: str, other: str) -> bool:
    """Whether a key can begin with both."""
    return one.startswith(other) or other.startswith(one)
