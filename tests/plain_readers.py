"""Readers that do not use our code: what an auditor does who has the files and docs/record.md."""

import hmac
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def planned_calls(sealed: bytes, key_file: Path) -> pa.Table:
    """The list of a plan's calls, opened with the key of its epoch."""
    key = hmac.digest(bytes.fromhex(key_file.read_text()), b"\0planned calls\0", "sha256")
    return pq.read_table(BytesIO(AESGCM(key).decrypt(sealed[:12], sealed[12:], key_file.stem.encode())))
