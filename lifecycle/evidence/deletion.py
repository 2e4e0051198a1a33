"""The deletion record: one purged call, or one component of it, as one leaf of the ledger. No content, no id.

A purge row holds its records as JSON Lines: a line is a leaf, byte for byte. Version 1, from before the ledger, named
calls by their ids, and is read here still.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lifecycle.errors import FixityError
from lifecycle.evidence.canonical_columns import Texts, json_text, rows_as_json, values_as_json
from lifecycle.evidence.leaf import EpochKey, commitments, many_leaves
from lifecycle.evidence.manifest import ArchivedFile, Manifest
from lifecycle.policy.canonical import sha256_hex

FILES_NAMED = 100  # a leaf of 65,535 bytes holds some 250
_ROW_ID, _ROW_ID_DIGITS = b"\x00purge row\x00", 24  # no source name begins so: no salt is such a digest
NO_REQUESTS: Mapping[str, Mapping[str, str]] = {}
NO_RESTORES: Mapping[str, str] = {}
DECIDING = ("_rule_id", "_trigger_date", "_purge_from", "_destroy_on")


@dataclass(frozen=True, slots=True)
class PurgeDetails:
    """What every record of one purge transaction has in common."""

    run_id: str
    actor: str
    manifest_key: str
    manifest_sha256: str
    decided_at: datetime
    verified_at: datetime
    purged_at: datetime


@dataclass(frozen=True, slots=True)
class PurgeRow:
    """One committed slice of a purge: who, when, from which manifest, and the deletion records, byte for byte.

    `entries` is JSON Lines, one deletion record a call; its bytes are fixed by the transaction that deleted the calls.
    `sealed_key` says where they are: `ledger:<first>-<last index>`, or an object of version 1; None: not sealed yet.
    `files` is how many files these records name, which are to be removed once that transaction has committed.
    `statistics`: what the slice adds to them; they have a row of their own, and no purge row read back has any.
    `tombstones`: the rows that stay where the calls were, by column; likewise.
    """

    id: str
    batch: str
    industry: str
    night: str
    run_id: str
    manifest_key: str
    manifest_sha256: str
    purged_at: str
    calls: int
    entries: bytes
    sealed_key: str | None = None
    files: int = 0
    statistics: bytes = b""
    tombstones: tuple[Mapping[str, Any], ...] = ()

    @property
    def entries_sha256(self) -> str:
        """The digest of the deletion records."""
        return sha256_hex(self.entries)

    @property
    def before_the_ledger(self) -> bool:
        """Whether its records are from before the ledger, and no leaves: they name calls plainly."""
        try:
            first = json.loads(self.entries.partition(b"\n")[0])
        except ValueError:
            return False
        return isinstance(first, dict) and "call_id" in first


def purge_row_id(batch: str, entries: bytes, epoch: EpochKey) -> str:
    """The id of a purge row: its batch, and a digest of its records under the epoch's key.

    Who administers the database can edit records; without the key nobody can make the id that goes with the new ones.
    """
    return f"{batch}-{hmac.digest(epoch.key, _ROW_ID + entries, 'sha256').hex()[:_ROW_ID_DIGITS]}"


def deletion_records(
    manifest: Manifest,
    purge: PurgeDetails,
    calls: pa.Table,
    regimes: Mapping[str, tuple[str, ...]],
    epoch: EpochKey,
    files: Mapping[Any, Sequence[ArchivedFile]],
    requests: Mapping[str, Mapping[str, str]] = NO_REQUESTS,
    restored: Mapping[str, str] = NO_RESTORES,
) -> bytes:
    """JSON Lines, one leaf a call, in the order of `calls`. Raises LedgerError for a record too long for a leaf.

    `calls`: the archived rows, with _call_id, `_row` (the position in the archived object) and the deciding columns.
    `regimes`: by rule. Calls are named by commitment under the epoch.
    `requests`: by the call's name, the erasure request (id, received_on) that it goes under; others have no such field.
    `restored`: by the call's name, when it was put back from the archive; others have no such field.
    `files`: by call; a record names the copies, never the paths, which may hold a telephone number.
    """
    archived = next(part for part in manifest.objects if part.table == "calls")
    common = {
        "source": manifest.source,
        "epoch": epoch.id,
        "industry": manifest.industry,
        "night": manifest.night.isoformat(),
        "plan_sha256": manifest.plan_sha256,
        "schedule": manifest.schedule.model_dump(mode="json"),
        "batch": manifest.batch,
        "component": manifest.component,
        "archived_at": manifest.created_at.isoformat(),
        "object": {"key": archived.key, "version_id": archived.version_id, "sha256": archived.sha256},
        "files": [],
        **{name: _plain(value) for name, value in asdict(purge).items()},
    }
    own = _own(manifest.source, calls, regimes, epoch, requests, restored) | (_copies(calls, files) if files else {})
    return b"\n".join([*many_leaves("purged", common, own, calls.num_rows), b""])


def _own(
    source: str,
    calls: pa.Table,
    regimes: Mapping[str, tuple[str, ...]],
    epoch: EpochKey,
    requests: Mapping[str, Mapping[str, str]],
    restored: Mapping[str, str],
) -> dict[str, Texts]:
    """What each record has of its own, as JSON, a column at a time."""
    ids = call_id_texts(calls["_call_id"])
    salts = epoch.salts(source, ids)
    digests = [hashlib.sha256(salt + row).hexdigest() for salt, row in zip(salts, rows_as_json(calls), strict=True)]
    reasons = {rule: json_text(list(regimes.get(rule, ()))) for rule in calls["_rule_id"].unique().to_pylist()}
    own: dict[str, Texts] = {
        "call": values_as_json(pa.array(commitments(source, ids, salts), pa.string())),
        "row": values_as_json(calls["_row"]),
        "row_sha256": values_as_json(pa.array(digests, pa.string())),
        **{name.removeprefix("_"): values_as_json(calls[name]) for name in DECIDING},
        "regimes": [reasons[rule] for rule in calls["_rule_id"].to_pylist()],
    }
    if restored:
        own["restored_at"] = [json_text(restored[one]) if one in restored else None for one in ids]
    if requests:
        own["request"] = [json_text(dict(requests[one])) if one in requests else None for one in ids]
    return own


def _copies(calls: pa.Table, files: Mapping[Any, Sequence[ArchivedFile]]) -> dict[str, Texts]:
    """The first files that went with each call, and how many: a leaf has its length, the manifest has all."""
    mine = [files.get(key, ()) for key in calls["_call_id"].to_pylist()]
    return {
        "files": [_named_files(some[:FILES_NAMED]) for some in mine],
        "files_in_all": [str(len(some)) if len(some) > FILES_NAMED else None for some in mine],
    }


def _named_files(files: Sequence[ArchivedFile]) -> str:
    return json_text([{name: getattr(file, name) for name in ("key", "version_id", "sha256")} for file in files])


def call_id_texts(keys: pa.ChunkedArray) -> list[str]:
    """The calls' keys as records name them."""
    return [call_id_text(key) for key in keys.to_pylist()]


def call_id_text(key: Any) -> str:
    """A call's key as records name it: numbers as digits, bytes as hex."""
    return key.hex() if isinstance(key, bytes) else str(key)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def recorded_rows(entries: Iterable[bytes]) -> set[int]:
    """Which positions of their batch the calls of some records have. Needs no key, whatever the version.

    Raises FixityError for what are no records.
    """
    positions = {record.get("row") for body in entries for record in read_records(body)}
    return {row for row in positions if isinstance(row, int)}


class CallNames:
    """Some calls of one source, and how records of any version name them, under each epoch whose key is there."""

    def __init__(self, source: str, call_ids: Collection[str], epochs: Iterable[EpochKey]) -> None:
        self._plain = frozenset(call_ids)
        self._source = source
        ids = list(self._plain)
        names = (commitments(source, ids, epoch.salts(source, ids)) for epoch in epochs)
        self.commitments = {name: one for some in names for name, one in zip(some, ids, strict=True)}

    def of(self, record: Mapping[str, Any]) -> str | None:
        """Which of the calls a record names; None: none of them, as far as the keys tell."""
        if record.get("source") != self._source:
            return None
        if "call_id" in record:
            return record["call_id"] if record["call_id"] in self._plain else None
        return self.commitments.get(record.get("call", ""))


def read_records(body: bytes) -> list[dict[str, Any]]:
    """JSON Lines → records, each a plain dict. Raises FixityError where they are none."""
    try:
        found = [json.loads(line) for line in body.splitlines()]
    except ValueError:
        found = [None]
    if not all(isinstance(record, dict) for record in found):
        raise FixityError("deletion records: expected one JSON object a line, found something else")
    return found
