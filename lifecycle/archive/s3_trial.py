"""An S3 store tried out: which of the promises we rely on it keeps. What to do about one it does not is `check`'s."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.s3_answers import S3Answers, base64, version_of


@dataclass(frozen=True, slots=True)
class S3Trial:
    """One store under trial. `where`: bucket and key of an object, as boto3 takes them."""

    client: Any
    answers: S3Answers
    where: Callable[[str], dict[str, Any]]
    store: ObjectStore

    def problems(self, first: StoredObject) -> list[str]:
        """What is wrong, given an object that was just put."""
        return [*self._checksum_refused(first), *self._versions_kept(first), *self._match_asked(first)]

    def _checksum_refused(self, first: StoredObject) -> list[str]:
        key = f"{first.key}-damaged"
        wrong = base64(hashlib.sha256(b"as sent").digest())
        with self.answers.translated("write", key):
            try:
                answer = self.client.put_object(**self.where(key), Body=b"damaged", ChecksumSHA256=wrong)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 400:
                    return []
                raise
        self.store.delete(key, version_of(answer))
        return ["warning: the store takes bytes that do not fit their checksum; damage shows only when reading back"]

    def _versions_kept(self, first: StoredObject) -> list[str]:
        if first.version_id is None:
            return []
        with self.answers.translated("write", first.key):
            checksum = base64(hashlib.sha256(b"newer").digest())
            newer = self.client.put_object(**self.where(first.key), Body=b"newer", ChecksumSHA256=checksum)
        try:
            same = self.store.get(first.key, first.version_id) == b"first"
        finally:
            self.store.delete(first.key, version_of(newer))
        return [] if same else ["a newer version changed what an older one reads as"]

    def _match_asked(self, first: StoredObject) -> list[str]:
        """Whether a swap that comes second is refused by the store itself."""
        key = f"{first.key}-matched"
        early, late = self.store.put_once(key, b"early"), None
        with self.answers.translated("write", key), suppress(ClientError):
            late = self.client.put_object(**self.where(key), Body=b"late", IfMatch=f'"{"0" * 32}"')
        if late is not None:
            self.store.delete(key, version_of(late))
        self.store.delete(key, early.version_id)
        problem = (
            "warning: the store replaces objects without asking If-Match; only the database keeps two sealers apart"
        )
        return [] if late is None else [problem]
