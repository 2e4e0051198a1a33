"""Leaves of the ledger: one canonical JSON object each, versioned, at most 65,535 bytes. And how a leaf names a call.

A leaf names no call: it holds a commitment. The salt opens it for one call; without salt or epoch key nobody can.
What a purge puts into its leaves is `deletion`'s.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.canonical_columns import Texts, plain_value, records_as_json
from lifecycle.evidence.keyed_digests import keyed_digests
from lifecycle.evidence.tiles import LONGEST_LEAF
from lifecycle.policy.canonical import canonical_json

VERSION = 2  # 1 were the plain records of the first release, in objects of their own
KINDS = {
    "genesis": "the ledger begins",
    "key_change": "another key signs from here on",
    "policy": "a schedule version was first seen",
    "hold_placed": "a legal hold was first seen",
    "hold_released": "a legal hold was released",
    "plan": "a night was planned in one industry",
    "plan_accepted": "a person let a plan's brake go",
    "set_aside": "a planned call stayed",
    "elsewhere": "rows of a batch name, by URL, what lies with somebody else",
    "purged": "a call was deleted from the CRM",
    "destroy_plan": "a night's destruction of archived copies was planned in one industry",
    "destroy_plan_run": "a plan of destruction that waited for a person was carried out",
    "destruction": "the removal of a batch's archived copies began",
    "moved": "an archived copy was moved to another batch",
    "destroyed": "an archived copy was destroyed",
    "restored": "an archived call was put back",
    "exported": "archived calls were written out for somebody",
    "drilled": "a trial restore ended",
    "imported": "an object of records from before the ledger",
    "recovery": "the database is older than the ledger",
    "census": "what the nights before have left",
}


def make_leaf(kind: str, fields: Mapping[str, Any]) -> bytes:
    """One leaf. Fields nobody here knows are carried as they are. Raises LedgerError where it would be too long."""
    _require_kind(kind)
    return _fitting(kind, canonical_json({**fields, "v": VERSION, "kind": kind}))


def many_leaves(kind: str, common: Mapping[str, Any], own: Mapping[str, Texts], count: int) -> list[bytes]:
    """Many leaves of one kind: fields in common, and fields of their own as JSON texts; None: without the field."""
    _require_kind(kind)
    leaves = records_as_json({**common, "v": VERSION, "kind": kind}, own, count)
    _fitting(kind, max(leaves, key=len, default=b""))
    return leaves


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise LedgerError(f"expected a leaf of {', '.join(KINDS)}; found {kind!r}. Nothing was written")


def _fitting(kind: str, body: bytes) -> bytes:
    if len(body) > LONGEST_LEAF:
        raise LedgerError(f"a leaf of kind {kind} has {len(body)} bytes, expected at most {LONGEST_LEAF}")
    return body


def read_leaf(what: str, body: bytes) -> dict[str, Any]:
    """A leaf as a dict. Raises FixityError naming `what` where it is no leaf of ours."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return require_leaf(what, found)


def require_leaf(what: str, found: Any) -> dict[str, Any]:
    """What was read from JSON, if it is a leaf of ours. Raises FixityError naming `what`."""
    if not isinstance(found, dict) or found.get("v") != VERSION or "kind" not in found:
        raise FixityError(f"{what}: expected a leaf of version {VERSION}, found something else")
    return found


def read_leaves(what: str, body: bytes) -> list[dict[str, Any]]:
    """The leaves of a note: one, or several of one transaction, a line each. Raises FixityError."""
    return [read_leaf(what, line) for line in body.splitlines()]


@dataclass(frozen=True, slots=True)
class EpochKey:
    """A secret under which calls are named for a while. Destroying it makes the leaves of its time anonymous.

    `id` is the year it was made and the first digits of the key's SHA-256, so two keys never share a name.
    """

    id: str
    key: bytes

    @classmethod
    def of_key(cls, year: int, key: bytes) -> "EpochKey":
        """The epoch of a 32-byte key."""
        return cls(f"{year}-{hashlib.sha256(key).hexdigest()[:8]}", key)

    def salt(self, source: str, call_id: str) -> bytes:
        """The 32 bytes that open one call: HMAC-SHA-256(epoch key, source LF id)."""
        return hmac.digest(self.key, _named(source, call_id), "sha256")

    def salts(self, source: str, call_ids: Iterable[str]) -> list[bytes]:
        """The same of many calls."""
        return keyed_digests(self.key, _named(source, ""), (one.encode() for one in call_ids))

    def commitment(self, source: str, call_id: str) -> str:
        """How leaves of this epoch name a call."""
        return commitment(source, call_id, self.salt(source, call_id))


def commitment(source: str, call_id: str, salt: bytes) -> str:
    """SHA-256(source LF id LF salt), in hex. `source` has no line feed and `salt` 32 bytes: it reads one way only."""
    return hashlib.sha256(_named(source, call_id) + b"\n" + salt).hexdigest()


def commitments(source: str, call_ids: Sequence[str], salts: Sequence[bytes]) -> list[str]:
    """The same of many calls."""
    sha256, begin = hashlib.sha256, _named(source, "")
    return [sha256(begin + one.encode() + b"\n" + salt).hexdigest() for one, salt in zip(call_ids, salts, strict=True)]


def row_digest(row: Mapping[str, Any], salt: bytes) -> str:
    """SHA-256(salt, canonical JSON of the row) in hex. The row is what the archive has, without columns that begin `_`.

    Values JSON has no word for are written as text: days and times as ISO 8601, bytes as hex, other numbers as digits.
    """
    plain = {name: plain_value(value) for name, value in row.items() if not name.startswith("_")}
    return hashlib.sha256(salt + canonical_json(plain)).hexdigest()


def _named(source: str, call_id: str) -> bytes:
    return f"{source}\n{call_id}".encode()
