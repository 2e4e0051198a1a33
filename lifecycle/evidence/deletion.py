"""The deletion record: one purged call as one line of canonical JSON. Which, why, when, where archived; no content."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import canonical_json, sha256_hex

VERSION = 1
NOBODY_ASKED: Mapping[str, Mapping[str, str]] = {}
DECIDING = ("_rule_id", "_trigger_date", "_purge_from", "_destroy_on")


@dataclass(frozen=True, slots=True)
class Purge:
    """What every record of one purge transaction has in common."""

    run_id: str
    actor: str
    manifest_key: str
    manifest_sha256: str
    verified_at: datetime
    purged_at: datetime


@dataclass(frozen=True, slots=True)
class PurgeRow:
    """One committed slice of a purge: who, when, from which manifest, and the deletion records, byte for byte.

    `entries` is JSON Lines, one deletion record a call; its bytes are fixed by the transaction that deleted the calls.
    """

    id: str
    batch: str
    industry: str
    cutoff: str
    night: str
    run_id: str
    manifest_key: str
    manifest_sha256: str
    purged_at: str
    calls: int
    entries: bytes
    sealed_key: str | None = None

    @property
    def entries_sha256(self) -> str:
        """The digest of the deletion records."""
        return sha256_hex(self.entries)


def deletion_records(
    manifest: Manifest,
    purge: Purge,
    calls: pa.Table,
    regimes: Mapping[str, tuple[str, ...]],
    requests: Mapping[str, Mapping[str, str]] = NOBODY_ASKED,
) -> bytes:
    """JSON Lines, one record a call, in the order of `calls`.

    `calls`: _call_id, `_row` (the position in the archived object), and the deciding columns. `regimes`: by rule.
    `requests`: by the call's name, the erasure request (id, received_on) that it goes under; others have no such field.
    """
    archived = next(part for part in manifest.objects if part.table == "calls")
    common = {
        "v": VERSION,
        "kind": "purged",
        "source": manifest.source,
        "industry": manifest.industry,
        "night": manifest.night.isoformat(),
        "plan_sha256": manifest.plan_sha256,
        "schedule": manifest.schedule.model_dump(mode="json"),
        "batch": manifest.batch,
        "archived_at": manifest.created_at.isoformat(),
        "object": {"key": archived.key, "version_id": archived.version_id, "sha256": archived.sha256},
        **{name: _plain(value) for name, value in asdict(purge).items()},
    }
    return b"".join(canonical_json({**common, **own}) + b"\n" for own in _each(calls, regimes, requests))


def _each(
    calls: pa.Table, regimes: Mapping[str, tuple[str, ...]], requests: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Any]]:
    for row in calls.select(["_call_id", "_row", *DECIDING]).to_pylist():
        decided = {name.removeprefix("_"): _plain(row[name]) for name in DECIDING}
        reasons = {"regimes": list(regimes.get(row["_rule_id"], ()))}
        name = call_id_text(row["_call_id"])
        asked = {"request": dict(requests[name])} if name in requests else {}
        yield {"call_id": name, "row": row["_row"], **decided, **reasons, **asked}


def call_id_text(key: Any) -> str:
    """A call's key as records name it: numbers as digits, bytes as hex."""
    return key.hex() if isinstance(key, bytes) else str(key)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def recorded_ids(entries: Iterable[bytes]) -> set[str]:
    """The call ids that deletion records name."""
    return {record["call_id"] for body in entries for record in read_records(body)}


def read_records(body: bytes) -> list[dict[str, Any]]:
    """JSON Lines → records, each a plain dict."""
    return [json.loads(line) for line in body.splitlines()]
