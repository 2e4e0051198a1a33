"""What an S3 store answers, and what to do about it, in the words of this house."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

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

from lifecycle.errors import FixityError, ObjectMissing, ObjectRefused, StoreError

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
    "InvalidObjectState": "the object lies in a tier from which it must be restored first",
}
_OF_ONE_OBJECT = ("AccessDenied", "InvalidObjectState")
_PASSING = {200, 408, 409, 412, 425, 429}  # HTTP: asked again a little later, the store may say yes
_UNREACHABLE: tuple[type[BotoCoreError], ...] = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ReadTimeoutError,
    SSLError,
)
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError)


@dataclass(frozen=True, slots=True)
class S3Answers:
    """The answers of one store: `url` names it to people, `endpoint` is what was called."""

    url: str
    endpoint: str

    @contextmanager
    def translated(self, doing: str, key: str, version_id: str | None = None) -> Iterator[None]:
        """What boto3 raises, as ObjectMissing, FixityError or StoreError."""
        try:
            yield
        except FlexibleChecksumError as error:
            raise FixityError(f"{self.url}: {key!r} no longer has the checksum it was stored with: {error}") from error
        except (ClientError, BotoCoreError) as error:
            # Amazon calls a version id it could not have made an invalid argument.
            if error_code(error) in _MISSING or (version_id is not None and error_code(error) == "InvalidArgument"):
                version = "" if version_id is None else f", version {version_id}"
                raise ObjectMissing(f"{self.url}: no object {key!r}{version} ({error_code(error)}).") from error
            raise self.said(error, doing, key) from error

    def said(self, error: Exception, doing: str, key: str) -> StoreError:
        """The error for a person, with what to do."""
        if isinstance(error, _UNREACHABLE):
            why = f"no answer from {self.endpoint}. Check the endpoint and the network"
        elif isinstance(error, _NO_CREDENTIALS):
            why = "no credentials found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        else:
            why = _REFUSALS.get(error_code(error), str(error))
        said = f"{self.url}: could not {doing} {key!r}: {why} ({error_code(error)})."
        if _may_pass(error):
            return StoreError(f"{said} A rerun is safe.")
        said = f"{said} Mend that first; a rerun alone will not help."
        one = error_code(error) in _OF_ONE_OBJECT and doing in ("read", "delete")
        return ObjectRefused(said) if one else StoreError(said)


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a little later, without anybody mending anything."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        return error_code(error) not in _REFUSALS and (status >= 500 or status in _PASSING)
    return not isinstance(error, _NO_CREDENTIALS)


def is_refusal(error: Exception) -> bool:
    """Whether nothing was written, or nobody can be asked: three attempts without an answer were patience enough."""
    return error_code(error) in _REFUSALS or isinstance(error, _UNREACHABLE + _NO_CREDENTIALS)


def error_code(error: Exception) -> str:
    """The error's name as the store gives it, or boto3's."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def version_of(answer: dict[str, Any]) -> str | None:
    """The version an answer is about; None in a bucket without versions."""
    version = answer.get("VersionId")
    return None if version in (None, "", "null") else str(version)


def date_of(answer: dict[str, Any]) -> datetime | None:
    """What the store's clock said when it answered; None: it did not say."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said).astimezone(UTC) if said else None


def base64(digest: bytes) -> str:
    """A digest as S3 writes it."""
    return b64encode(digest).decode()
