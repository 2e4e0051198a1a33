"""The one way a record becomes bytes: JSON with sorted keys, no blanks, UTF-8. Equal records have equal digests."""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Plain dicts, lists, texts, whole numbers, booleans and None → bytes without a final newline."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_hex(body: bytes) -> str:
    """The digest every record names things by."""
    return hashlib.sha256(body).hexdigest()
