"""The archived copy behind a deletion record, proved before it is believed: what was decided about the call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.archive.batches import read_calls, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.custody.record_lookup import DeletionOnRecord
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


def read_archived_copy(store: ObjectStore, recorded: DeletionOnRecord) -> ArchivedCopy:
    """Read the row that a deletion record names, and prove it. Raises StoreError where the store cannot be asked."""
    key = recorded.record["object"]["key"]
    try:
        return ArchivedCopy(key, _deciding(store, recorded.record, recorded.call_id), "")
    except ObjectMissing as error:
        return ArchivedCopy(key, {}, f"the archived copy is gone: {error}")
    except ProofError as error:
        return ArchivedCopy(key, {}, f"the archived copy is damaged: {str(error).partition(' Nothing was purged')[0]}")


def _deciding(store: ObjectStore, record: Mapping[str, Any], call_id: str) -> Mapping[str, Any]:
    manifest, body = read_manifest(store, record["manifest_key"])
    if sha256_hex(body) != record["manifest_sha256"]:
        raise FixityError(f"{record['manifest_key']}: other bytes than when the call was purged.")
    calls, row = read_calls(store, manifest), record["row"]
    found = calls.select([CALL_ID, *DECIDING]).slice(row, 1).to_pylist()
    if not found or call_id_text(found[0][CALL_ID]) != call_id:
        raise FixityError(f"{record['object']['key']}: row {row} is not the call's.")
    return {name: found[0][name] for name in DECIDING}
