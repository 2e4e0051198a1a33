"""The archived copy behind a deletion record, proved before it is believed: what was decided about the call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.archive.batches import read_calls, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.custody.call_history import call_history
from lifecycle.custody.copy_location import CopyLocation, copy_locations
from lifecycle.custody.record_lookup import DeletionOnRecord, RecordLookup
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING, call_id_text
from lifecycle.policy.canonical import sha256_hex


@dataclass(frozen=True, slots=True)
class ArchivedCopy:
    """The deciding columns of an archived call (`_rule_id` …), or in `problem` why they cannot be shown: the copy is
    gone or damaged.
    """

    object_key: str
    deciding: Mapping[str, Any]
    problem: str


def read_archived_copies(lifecycle: Lifecycle, known: RecordLookup) -> tuple[ArchivedCopy, ...]:
    """For each record of a call the row that it names, proved, wherever it was moved since.

    Raises StoreError where the store cannot be asked.
    """
    located = copy_locations(call_history(lifecycle, [known.call_id]).get(known.call_id, ()))
    return tuple(_read(lifecycle.store, one, located) for one in known.records)


def _read(store: ObjectStore, recorded: DeletionOnRecord, located: Sequence[CopyLocation]) -> ArchivedCopy:
    key, record = recorded.record["object"]["key"], recorded.record
    place = next((one for one in located if one.record.leaf == record), None)
    if place is not None and place.destroyed is not None:
        return ArchivedCopy(key, {}, f"the archived copy was destroyed at {place.destroyed.at}")
    try:
        if place is not None:
            return _deciding(store, place.manifest_key, place.manifest_sha256, place.row, recorded.call_id)
        return _deciding(store, record["manifest_key"], record["manifest_sha256"], record["row"], recorded.call_id)
    except ObjectMissing as error:
        return ArchivedCopy(key, {}, f"the archived copy is gone: {error}")
    except ProofError as error:
        return ArchivedCopy(key, {}, f"the archived copy is damaged: {str(error).partition(' Nothing was purged')[0]}")


def _deciding(store: ObjectStore, manifest_key: str, sha256: str, row: int, call_id: str) -> ArchivedCopy:
    manifest, body = read_manifest(store, manifest_key)
    if sha256_hex(body) != sha256:
        raise FixityError(f"{manifest_key}: other bytes than when the call was purged.")
    calls, key = read_calls(store, manifest), next(part.key for part in manifest.objects if part.table == "calls")
    found = calls.select([CALL_ID, *DECIDING]).slice(row, 1).to_pylist()
    if not found or call_id_text(found[0][CALL_ID]) != call_id:
        raise FixityError(f"{key}: row {row} is not the call's.")
    return ArchivedCopy(key, {name: found[0][name] for name in DECIDING}, "")
