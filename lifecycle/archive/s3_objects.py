"""An object on its way to S3: measured before it is sent, compared with what was found."""

import hashlib
from pathlib import Path

from lifecycle.archive.object_store import (
    StoredObject,
    exists_with_other_bytes,
)


def _measure(key: str, body: bytes | Path) -> StoredObject:
    if isinstance(body, bytes):
        return StoredObject(key, None, len(body), hashlib.sha256(body).hexdigest())
    with body.open("rb") as file:
        return StoredObject(key, None, body.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _ours(found: StoredObject, sent: StoredObject) -> StoredObject:
    if found.sha256 != sent.sha256:
        raise exists_with_other_bytes(found, sent.sha256)
    return found
