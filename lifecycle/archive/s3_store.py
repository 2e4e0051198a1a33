"""An S3 bucket as object store. boto3 lives here and in the other `s3_…` modules.

Put-once is `If-None-Match: *`. Whenever an answer leaves a doubt, the object is read back and compared. HEAD is never
asked: stores were seen to echo there the checksum they were sent. What to store, and when, does not belong here.
"""

import builtins
import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.archive.object_store import (
    CHUNK,
    LARGEST_IN_MEMORY,
    BoundedBytes,
    StoredObject,
    StoredVersion,
    check_key,
    check_prefix,
    others_than_expected,
    stream_to_file,
)
from lifecycle.archive.s3_answers import S3Answers, base64, date_of, error_code, is_refusal, version_of
from lifecycle.archive.s3_locks import S3Locks
from lifecycle.archive.s3_objects import _measure, _ours
from lifecycle.archive.s3_trial import S3Trial
from lifecycle.archive.s3_versions import object_versions
from lifecycle.archive.store_locks import StoreLocks
from lifecycle.archive.store_trial import try_store_out
from lifecycle.errors import ObjectMissing, StoreError

PART_BYTES = 64 << 20  # files above it go in parts of this size; S3's own minimum is 5 MiB


class S3Store:
    """Objects under one prefix of one bucket. Threads may share it."""

    def __init__(self, client: Any, bucket: str, prefix: str, part_bytes: int = PART_BYTES) -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client
        self._answers = S3Answers(self.url, client.meta.endpoint_url)
        self._bucket = bucket
        self._under = f"{prefix}/" if prefix else ""
        self._part_bytes = part_bytes
        self.locks: StoreLocks = S3Locks(client, self._answers, self._where, bucket, self._under)

    def put_once(self, key: str, body: bytes | Path) -> StoredObject:
        """See ObjectStore. Bytes are one PutObject, however many: what must be atomic is handed over as bytes."""
        sent = _measure(key, body)
        if isinstance(body, Path) and sent.bytes > self._part_bytes:
            return self._put_large(sent, body)
        return self._settled(sent, lambda: self._put_whole(sent, body))

    def swap(self, key: str, body: bytes, expected: bytes | None) -> StoredObject:
        """See ObjectStore. `If-Match` with the ETag of what was read; `If-None-Match: *` for a free key."""
        found, etag = self._tagged(key)
        if found not in (body, expected):
            raise others_than_expected(key)
        sent = _measure(key, body)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        checksum = {"ChecksumSHA256": base64(bytes.fromhex(sent.sha256))}
        try:
            answer = self._client.put_object(**self._where(key), Body=body, **condition, **checksum)
        except (ClientError, BotoCoreError) as error:
            return self._swapped(sent, expected, error)
        return replace(sent, version_id=version_of(answer))

    def _swapped(self, sent: StoredObject, expected: bytes | None, error: Exception) -> StoredObject:
        """What is there after a swap whose answer says it failed, or was lost."""
        if is_refusal(error):
            raise self._answers.said(error, "write", sent.key) from error
        found = self._find(sent.key)
        if found is not None and found.sha256 == sent.sha256:
            return found
        before = None if expected is None else hashlib.sha256(expected).hexdigest()
        if (found.sha256 if found else None) == before:
            raise StoreError(f"{self._answers.said(error, 'write', sent.key)} It is as it was.") from error
        raise others_than_expected(sent.key) from error

    def _tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """An object and its ETag; nothing where the key is free."""
        try:
            with self._answers.translated("read", key):
                answer = self._client.get_object(**self._where(key))
                with closing(answer["Body"]) as body:
                    return body.read(), answer["ETag"]
        except ObjectMissing:
            return None, None

    def get(self, key: str, version_id: str | None = None, at_most: int = LARGEST_IN_MEMORY) -> bytes:
        """See ObjectStore."""
        into = BoundedBytes(key, at_most)
        self._read(key, version_id, into.write, ChecksumMode="ENABLED")
        return into.value()

    def fetch(self, key: str, version_id: str | None, into: Path, at_most: int | None = None) -> StoredObject:
        """See ObjectStore."""
        return stream_to_file(into, lambda write: self._read(key, version_id, write), key, at_most)

    def list(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._under + check_prefix(prefix)
        )
        with self._answers.translated("list", prefix):
            found = [item["Key"].removeprefix(self._under) for page in pages for item in page.get("Contents", [])]
        return iter(sorted(found))  # sorted here: not every store walks its folders in the order of their keys

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """See ObjectStore."""
        with self._answers.translated("list the versions of", prefix):
            return iter(object_versions(self._client, self._bucket, self._under, check_prefix(prefix)))

    def delete(self, stored_key: str, version_id: str | None) -> None:
        """See ObjectStore. 'null' is S3's name for the version of an object that has none.

        A plain DELETE would answer 204 on a bucket with versions, and only hide the object behind a marker.
        """
        where = self._where(stored_key)
        with suppress(ObjectMissing), self._answers.translated("delete", stored_key):
            self._client.delete_object(**where, VersionId=version_id or "null")
        self._abort_uploads(stored_key)

    def now(self) -> datetime | None:
        """See ObjectStore. The Date header of an answer, be it a refusal: a store refuses whose clock is far off."""
        with self._answers.translated("list", ""):
            try:
                answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._under, MaxKeys=1)
            except ClientError as error:
                if "date" not in error.response["ResponseMetadata"].get("HTTPHeaders", {}):
                    raise
                answer = error.response
        return date_of(answer)

    def probe(self) -> builtins.list[str]:
        """See ObjectStore."""
        return try_store_out(self, S3Trial(self._client, self._answers, self._where, self).problems)

    def _put_whole(self, sent: StoredObject, body: bytes | Path) -> dict[str, Any]:
        once = {"IfNoneMatch": "*", "ChecksumSHA256": base64(bytes.fromhex(sent.sha256))}
        if isinstance(body, bytes):
            return dict(self._client.put_object(**self._where(sent.key), Body=body, **once))
        with body.open("rb") as file:
            return dict(self._client.put_object(**self._where(sent.key), Body=file, **once))

    def _put_large(self, sent: StoredObject, path: Path) -> StoredObject:
        # Several stores let two writers complete at once, so we look before uploading as well.
        found = self._find(sent.key)
        stored = _ours(found, sent) if found else self._settled(sent, lambda: self._put_parts(sent, path))
        # A retried or killed beginning leaves an upload whose id nobody knows. From now on none of them can succeed.
        with suppress(StoreError):
            self._abort_uploads(sent.key)
        return stored

    def _put_parts(self, sent: StoredObject, path: Path) -> dict[str, Any]:
        where = self._where(sent.key)
        upload = self._client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
        try:
            parts = {"Parts": self._send_parts(where | {"UploadId": upload}, sent, path)}
            ending = where | {"UploadId": upload, "MultipartUpload": parts}
            return dict(self._client.complete_multipart_upload(**ending, IfNoneMatch="*"))
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(**where, UploadId=upload)
            raise

    def _send_parts(self, upload: dict[str, Any], sent: StoredObject, path: Path) -> builtins.list[dict[str, Any]]:
        parts: builtins.list[dict[str, Any]] = []
        whole = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(self._part_bytes):
                whole.update(part)
                checksum = base64(hashlib.sha256(part).digest())
                number = {"PartNumber": len(parts) + 1, "ChecksumSHA256": checksum}
                answer = self._client.upload_part(**upload, **number, Body=part)
                parts.append(number | {"ETag": answer["ETag"]})
        if whole.hexdigest() != sent.sha256:
            raise StoreError(f"{sent.key}: the file changed while it was being uploaded. Nothing was stored.")
        return parts

    def _settled(self, sent: StoredObject, write: Callable[[], dict[str, Any]]) -> StoredObject:
        """What is under the key after the write, read back whenever the answer does not say."""
        try:
            return replace(sent, version_id=version_of(write()))
        except (ClientError, BotoCoreError) as error:
            if is_refusal(error):
                raise self._answers.said(error, "write", sent.key) from error
            found = self._find_after(sent.key, error)
        return _ours(found, sent)

    def _find_after(self, key: str, error: Exception) -> StoredObject:
        try:
            found = self._find(key)
        except StoreError as unread:
            doubt = f"{self.url}: writing {key!r} ended in {error_code(error)}, and whether it was stored is not known."
            raise StoreError(f"{doubt} A rerun is safe. Reading it back: {unread}") from error
        if found is None:
            raise StoreError(f"{self._answers.said(error, 'write', key)} Nothing is stored under the key.") from error
        return found

    def _find(self, key: str) -> StoredObject | None:
        try:
            return self._read(key, None, lambda _: None)
        except ObjectMissing:
            return None

    def _read(self, key: str, version_id: str | None, write: Callable[[bytes], object], **ask: str) -> StoredObject:
        if version_id is not None:
            ask["VersionId"] = version_id
        digest, size = hashlib.sha256(), 0
        with self._answers.translated("read", key, version_id):
            answer = self._client.get_object(**self._where(key), **ask)
            with closing(answer["Body"]) as body:
                # A bucket without versions answers any version with what it has.
                if version_id not in (None, version_of(answer)):
                    raise ObjectMissing(f"{self.url}: {key!r} has no version {version_id}; found {version_of(answer)}.")
                for chunk in body.iter_chunks(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    write(chunk)
        return StoredObject(key, version_of(answer), size, digest.hexdigest())

    def _abort_uploads(self, key: str) -> None:
        where = self._where(key)
        with self._answers.translated("abort unfinished uploads of", key):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=where["Key"]
            )
            found = [upload for page in pages for upload in page.get("Uploads", []) if upload["Key"] == where["Key"]]
            for upload in found:
                with suppress(self._client.exceptions.NoSuchUpload):
                    self._client.abort_multipart_upload(**where, UploadId=upload["UploadId"])

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._under + check_key(key)}
