"""Which store a URL names: a bucket or a folder. What a store promises is `object_store`'s."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lifecycle.archive.object_store import ObjectStore, check_key
from lifecycle.errors import SettingsError, StoreError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXPECTED = "expected s3://<bucket>/<prefix> or file:///<folder>"


def open_store(url: str, endpoint: str | None, setting: str = "LIFECYCLE_STORE") -> ObjectStore:
    """The store that `s3://bucket/prefix` or `file:///folder` names. `endpoint`: an S3 server other than Amazon's.

    `setting` is where the URL is from. Nothing is read or written yet. SettingsError: URL or endpoint are malformed.
    """
    parts = urlsplit(url)
    # A password pasted into a URL must not reach a log through our message.
    shown = "a URL holding '@'" if "@" in url else repr(url)
    if parts.query or parts.fragment:
        raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Take out what begins at '?' or '#'.")
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        # Imported when needed: boto3 takes half a second, and the embedded default has no use for it.
        from lifecycle.archive.s3_client import connect
        from lifecycle.archive.s3_store import S3Store

        prefix = _required_prefix(parts.path.strip("/"), shown, setting)
        return S3Store(connect(_endpoint(endpoint)), parts.netloc, prefix)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and len(parts.path) > 1:
        from lifecycle.archive.folder_store import FolderStore

        return FolderStore(Path(unquote(parts.path)))
    raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Correct the URL; credentials never belong in it.")


def _required_prefix(prefix: str, shown: str, setting: str) -> str:
    try:
        return check_key(prefix) if prefix else ""
    except StoreError as error:
        raise SettingsError(f"{setting}: {_EXPECTED}, found {shown}. Its prefix is malformed.") from error


def _endpoint(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in endpoint:
        shown = "one holding '@'" if "@" in endpoint else repr(endpoint)
        raise SettingsError(f"S3 endpoint: expected http(s)://<host>[:<port>], found {shown}. Correct it.")
    return endpoint
