"""An S3 bucket as object store: the only place of boto3.

Put-once is `If-None-Match: *`. Whenever an answer leaves a doubt, the object is read back and compared. HEAD is never
asked: stores were seen to echo there the checksum they were sent. What to store, and when, does not belong here.
"""

import builtins
import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from lifecycle.archive.objects import (
    CHUNK,
    Stored,
    check_key,
    check_prefix,
    exists_with_other_bytes,
    others_than_expected,
    to_file,
    try_out,
)
from lifecycle.errors import FixityError, ObjectMissing, SettingsError, StoreError

PART_BYTES = 64 << 20  # files above it go in parts of this size; S3's own minimum is 5 MiB

# Three attempts of five seconds, and the pauses between them: a dead store is reported within twenty seconds.
_PATIENCE = {"connect_timeout": 3, "read_timeout": 5, "retries": {"mode": "standard", "total_max_attempts": 3}}

_MISSING = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"}  # the last: that version is a delete marker

# What the store says, and what to do about it. None of these can have written anything.
_REFUSALS = {
    "AccessDenied": "the store knows the credentials and forbids them this. Grant s3:PutObject, GetObject, "
    "GetObjectVersion, DeleteObjectVersion, ListBucket, ListBucketMultipartUploads and AbortMultipartUpload here, "
    "or wait for the end of the object's lock",
    "InvalidAccessKeyId": "the store does not know this access key. Correct AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret does not belong to the access key. Correct AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired. Renew them",
    "RequestTimeTooSkewed": "this machine's clock is off. Correct it",
    "AuthorizationHeaderMalformed": "the bucket is in another region. Correct AWS_REGION",
    "PermanentRedirect": "the bucket is at another endpoint or in another region. Correct the endpoint or AWS_REGION",
    "NoSuchBucket": "there is no such bucket. Create it, or correct the URL",
}
_UNREACHABLE: tuple[type[BotoCoreError], ...] = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ReadTimeoutError,
    SSLError,
)
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError)


def connect(endpoint: str | None) -> Any:
    """A boto3 client with bounded patience. Credentials and region come from boto3's own chain."""
    config = Config(
        s3={"addressing_style": "path" if endpoint else "auto"},
        max_pool_connections=32,
        # We send SHA-256 ourselves, and compare it ourselves: a reader must be shown damaged bytes to judge them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **_PATIENCE,
    )
    try:
        session = boto3.Session()
        region = session.region_name or ("us-east-1" if endpoint else None)
        return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"S3 client: expected a usable endpoint, profile and region, found: {error}") from error


class S3Store:
    """Objects under one prefix of one bucket. Threads may share it."""

    def __init__(self, client: Any, bucket: str, prefix: str, part_bytes: int = PART_BYTES) -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = client
        self._bucket = bucket
        self._under = f"{prefix}/" if prefix else ""
        self._part_bytes = part_bytes

    def put_once(self, key: str, body: bytes | Path) -> Stored:
        """See ObjectStore. Bytes are one PutObject, however many: what must be atomic is handed over as bytes."""
        sent = _measure(key, body)
        if isinstance(body, Path) and sent.bytes > self._part_bytes:
            return self._put_large(sent, body)
        return self._settled(sent, lambda: self._put_whole(sent, body))

    def swap(self, key: str, body: bytes, expected: bytes | None) -> Stored:
        """See ObjectStore. `If-Match` with the ETag of what was read; `If-None-Match: *` for a free key."""
        found, etag = self._tagged(key)
        if found not in (body, expected):
            raise others_than_expected(key)
        sent = _measure(key, body)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        checksum = {"ChecksumSHA256": _base64(bytes.fromhex(sent.sha256))}
        try:
            answer = self._client.put_object(**self._where(key), Body=body, **condition, **checksum)
        except (ClientError, BotoCoreError) as error:
            return self._swapped(sent, expected, error)
        return replace(sent, version_id=_version(answer))

    def _swapped(self, sent: Stored, expected: bytes | None, error: Exception) -> Stored:
        """What is there after a swap whose answer says it failed, or was lost."""
        if _code(error) in _REFUSALS or isinstance(error, _UNREACHABLE + _NO_CREDENTIALS):
            raise self._said(error, "write", sent.key) from error
        found = self._find(sent.key)
        if found is not None and found.sha256 == sent.sha256:
            return found
        before = None if expected is None else hashlib.sha256(expected).hexdigest()
        if (found.sha256 if found else None) == before:
            raise StoreError(f"{self._said(error, 'write', sent.key)} It is as it was.") from error
        raise others_than_expected(sent.key) from error

    def _tagged(self, key: str) -> tuple[bytes | None, str | None]:
        """An object and its ETag; nothing where the key is free."""
        try:
            with self._translated("read", key):
                answer = self._client.get_object(**self._where(key))
                with closing(answer["Body"]) as body:
                    return body.read(), answer["ETag"]
        except ObjectMissing:
            return None, None

    def get(self, key: str, version_id: str | None = None) -> bytes:
        """See ObjectStore."""
        into = BytesIO()
        self._read(key, version_id, into.write, ChecksumMode="ENABLED")
        return into.getvalue()

    def fetch(self, key: str, version_id: str | None, into: Path) -> Stored:
        """See ObjectStore."""
        return to_file(into, lambda write: self._read(key, version_id, write))

    def list(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._under + check_prefix(prefix)
        )
        with self._translated("list", prefix):
            found = [item["Key"].removeprefix(self._under) for page in pages for item in page.get("Contents", [])]
        return iter(sorted(found))  # sorted here: not every store walks its folders in the order of their keys

    def delete(self, stored_key: str, version_id: str | None) -> None:
        """See ObjectStore. 'null' is S3's name for the version of an object that has none.

        A plain DELETE would answer 204 on a bucket with versions, and only hide the object behind a marker.
        """
        where = self._where(stored_key)
        with suppress(ObjectMissing), self._translated("delete", stored_key):
            self._client.delete_object(**where, VersionId=version_id or "null")
        self._abort_uploads(stored_key)

    def lock(self, stored: Stored, until: datetime) -> None:
        """See ObjectStore. Compliance mode; read back, for not every store says that it did not."""
        where = self._where(stored.key) | {"VersionId": stored.version_id or "null"}
        with self._translated("lock", stored.key):
            self._client.put_object_retention(**where, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until})
            found = self._client.get_object_retention(**where)["Retention"]
        if found["Mode"] != "COMPLIANCE" or found["RetainUntilDate"] < until.replace(microsecond=0):
            raise StoreError(f"{self.url}: {stored.key!r} was to be locked until {until}, the store says {found}")

    def probe(self) -> builtins.list[str]:
        """See ObjectStore."""
        return try_out(
            self, lambda one: self._checksum_refused(one) + self._versions_kept(one) + self._match_asked(one)
        )

    def _put_whole(self, sent: Stored, body: bytes | Path) -> dict[str, Any]:
        once = {"IfNoneMatch": "*", "ChecksumSHA256": _base64(bytes.fromhex(sent.sha256))}
        if isinstance(body, bytes):
            return dict(self._client.put_object(**self._where(sent.key), Body=body, **once))
        with body.open("rb") as file:
            return dict(self._client.put_object(**self._where(sent.key), Body=file, **once))

    def _put_large(self, sent: Stored, path: Path) -> Stored:
        # Several stores let two writers complete at once, so we look before uploading as well.
        found = self._find(sent.key)
        stored = _ours(found, sent) if found else self._settled(sent, lambda: self._put_parts(sent, path))
        # A retried or killed beginning leaves an upload whose id nobody knows. From now on none of them can succeed.
        with suppress(StoreError):
            self._abort_uploads(sent.key)
        return stored

    def _put_parts(self, sent: Stored, path: Path) -> dict[str, Any]:
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

    def _send_parts(self, upload: dict[str, Any], sent: Stored, path: Path) -> builtins.list[dict[str, Any]]:
        parts: builtins.list[dict[str, Any]] = []
        whole = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(self._part_bytes):
                whole.update(part)
                checksum = _base64(hashlib.sha256(part).digest())
                number = {"PartNumber": len(parts) + 1, "ChecksumSHA256": checksum}
                answer = self._client.upload_part(**upload, **number, Body=part)
                parts.append(number | {"ETag": answer["ETag"]})
        if whole.hexdigest() != sent.sha256:
            raise StoreError(f"{sent.key}: the file changed while it was being uploaded. Nothing was stored.")
        return parts

    def _settled(self, sent: Stored, write: Callable[[], dict[str, Any]]) -> Stored:
        """What is under the key after the write, read back whenever the answer does not say."""
        try:
            return replace(sent, version_id=_version(write()))
        except (ClientError, BotoCoreError) as error:
            # Three attempts without any answer were patience enough: the rerun finds out, and it is safe.
            if _code(error) in _REFUSALS or isinstance(error, _UNREACHABLE + _NO_CREDENTIALS):
                raise self._said(error, "write", sent.key) from error
            found = self._find_after(sent.key, error)
        return _ours(found, sent)

    def _find_after(self, key: str, error: Exception) -> Stored:
        try:
            found = self._find(key)
        except StoreError as unread:
            doubt = f"{self.url}: writing {key!r} ended in {_code(error)}, and whether it was stored is not known."
            raise StoreError(f"{doubt} A rerun is safe. Reading it back: {unread}") from error
        if found is None:
            raise StoreError(f"{self._said(error, 'write', key)} Nothing is stored under the key.") from error
        return found

    def _find(self, key: str) -> Stored | None:
        try:
            return self._read(key, None, lambda _: None)
        except ObjectMissing:
            return None

    def _read(self, key: str, version_id: str | None, write: Callable[[bytes], object], **ask: str) -> Stored:
        if version_id is not None:
            ask["VersionId"] = version_id
        digest, size = hashlib.sha256(), 0
        with self._translated("read", key, version_id):
            answer = self._client.get_object(**self._where(key), **ask)
            with closing(answer["Body"]) as body:
                # A bucket without versions answers any version with what it has.
                if version_id not in (None, _version(answer)):
                    raise ObjectMissing(f"{self.url}: {key!r} has no version {version_id}; found {_version(answer)}.")
                for chunk in body.iter_chunks(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    write(chunk)
        return Stored(key, _version(answer), size, digest.hexdigest())

    def _abort_uploads(self, key: str) -> None:
        where = self._where(key)
        with self._translated("abort unfinished uploads of", key):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=where["Key"]
            )
            found = [upload for page in pages for upload in page.get("Uploads", []) if upload["Key"] == where["Key"]]
            for upload in found:
                with suppress(self._client.exceptions.NoSuchUpload):
                    self._client.abort_multipart_upload(**where, UploadId=upload["UploadId"])

    def _checksum_refused(self, first: Stored) -> builtins.list[str]:
        key = f"{first.key}-damaged"
        wrong = _base64(hashlib.sha256(b"as sent").digest())
        with self._translated("write", key):
            try:
                answer = self._client.put_object(**self._where(key), Body=b"damaged", ChecksumSHA256=wrong)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 400:
                    return []
                raise
        self.delete(key, _version(answer))
        return ["warning: the store takes bytes that do not fit their checksum; damage shows only when reading back"]

    def _versions_kept(self, first: Stored) -> builtins.list[str]:
        if first.version_id is None:
            return []
        with self._translated("write", first.key):
            checksum = _base64(hashlib.sha256(b"newer").digest())
            newer = self._client.put_object(**self._where(first.key), Body=b"newer", ChecksumSHA256=checksum)
        try:
            same = self.get(first.key, first.version_id) == b"first"
        finally:
            self.delete(first.key, _version(newer))
        return [] if same else ["a newer version changed what an older one reads as"]

    def _match_asked(self, first: Stored) -> builtins.list[str]:
        """Whether a swap that comes second is refused by the store itself."""
        key = f"{first.key}-matched"
        early, late = self.put_once(key, b"early"), None
        with self._translated("write", key), suppress(ClientError):
            late = self._client.put_object(**self._where(key), Body=b"late", IfMatch=f'"{"0" * 32}"')
        if late is not None:
            self.delete(key, _version(late))
        self.delete(key, early.version_id)
        problem = (
            "warning: the store replaces objects without asking If-Match; only the database keeps two sealers apart"
        )
        return [] if late is None else [problem]

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._under + check_key(key)}

    @contextmanager
    def _translated(self, doing: str, key: str, version_id: str | None = None) -> Iterator[None]:
        try:
            yield
        except FlexibleChecksumError as error:
            raise FixityError(f"{self.url}: {key!r} no longer has the checksum it was stored with: {error}") from error
        except (ClientError, BotoCoreError) as error:
            # Amazon calls a version id it could not have made an invalid argument.
            if _code(error) in _MISSING or (version_id is not None and _code(error) == "InvalidArgument"):
                version = "" if version_id is None else f", version {version_id}"
                raise ObjectMissing(f"{self.url}: no object {key!r}{version} ({_code(error)}).") from error
            raise self._said(error, doing, key) from error

    def _said(self, error: Exception, doing: str, key: str) -> StoreError:
        if isinstance(error, _UNREACHABLE):
            why = f"no answer from {self._client.meta.endpoint_url}. Check the endpoint and the network"
        elif isinstance(error, _NO_CREDENTIALS):
            why = "no credentials found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        else:
            why = _REFUSALS.get(_code(error), str(error))
        return StoreError(f"{self.url}: could not {doing} {key!r}: {why} ({_code(error)}). A rerun is safe.")


def _measure(key: str, body: bytes | Path) -> Stored:
    if isinstance(body, bytes):
        return Stored(key, None, len(body), hashlib.sha256(body).hexdigest())
    with body.open("rb") as file:
        return Stored(key, None, body.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _ours(found: Stored, sent: Stored) -> Stored:
    if found.sha256 != sent.sha256:
        raise exists_with_other_bytes(found, sent.sha256)
    return found


def _version(answer: dict[str, Any]) -> str | None:
    version = answer.get("VersionId")
    return None if version in (None, "", "null") else str(version)


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
