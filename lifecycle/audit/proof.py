"""Prove: a call's leaf, the way from it to the signed root, and what opens it; and certificates. Reads only.

What is written where is the command's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lifecycle.custody.deleted_rows import count_deleted_rows
from lifecycle.custody.record_lookup import DeletionOnRecord, find_records
from lifecycle.custody.recorded_policy import recorded_rule
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError, LedgerError
from lifecycle.evidence.certificate import CertifiedDeletion, LedgerEvidence, certificate_content
from lifecycle.evidence.checkpoint import Proof
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.tiles import inclusion_proof
from lifecycle.ledger.anchors import cosigned_checkpoint
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.ledger.log import Log, PublishedCheckpoint
from lifecycle.policy.canonical import canonical_json


@dataclass(frozen=True, slots=True)
class CallProof:
    """What an auditor is handed for one leaf: all of it is needed to know which call the leaf speaks of.

    `opening` is JSON: the source, the call's id, and the salt. It opens this call and no other.
    """

    index: int
    proof: bytes
    leaf: bytes
    opening: bytes
    vkey: str
    record: dict[str, Any]


def prove_call(lifecycle: Lifecycle, call: str) -> list[CallProof]:
    """The proofs of every logged record of a call, the latest first. Raises InputError where there is none."""
    found = find_records(lifecycle, call)
    logged = [one for one in found.records if one.index is not None]
    if not logged:
        where = "is on record, and waits to be sealed" if found.records else "is not on record"
        raise InputError(f"call {found.call_id}: expected a leaf in the ledger; the call {where}. Nothing was written")
    log = lifecycle.log()
    published = _published(log)
    return [_proved(lifecycle, log, published, one) for one in logged]


def _proved(lifecycle: Lifecycle, log: Log, published: PublishedCheckpoint, one: DeletionOnRecord) -> CallProof:
    assert one.index is not None
    hashes = inclusion_proof(log.tiles(published.size), one.index, published.size)
    proof = Proof(one.index, tuple(hashes), cosigned_checkpoint(lifecycle.store, published))
    verifiers = lifecycle.keys.verifiers(log.origin)
    proof.verified(f"the proof of leaf {one.index}", one.leaf, verifiers)
    source = one.record["source"]
    (epoch,) = [epoch for epoch in lifecycle.keys.epochs() if epoch.id == one.record["epoch"]]
    opening = {"source": source, "call_id": one.call_id, "salt": epoch.salt(source, one.call_id).hex()}
    return CallProof(one.index, proof.to_bytes(), one.leaf, canonical_json(opening), verifiers[0].vkey, one.record)


def certify_deletions(lifecycle: Lifecycle, wanted: str) -> dict[str, Any]:
    """A certificate for a batch, or for one call by its key. Raises InputError where neither is in the ledger."""
    log = lifecycle.log()
    published = _published(log)
    entries = list(_of_batch(log, published, wanted)) or _of_call(lifecycle, log, published, wanted)
    records = [dict(entry.record) for entry in entries]
    ledger = LedgerEvidence(
        published.checkpoint, cosigned_checkpoint(lifecycle.store, published), lifecycle.keys.verifiers(log.origin)[0]
    )
    by_rule = {record["rule_id"]: record for record in records}
    rules = {rule_id: recorded_rule(lifecycle, record) for rule_id, record in by_rule.items()}
    return certificate_content(entries, count_deleted_rows(lifecycle, records), rules, ledger, lifecycle.now())


def _of_batch(log: Log, published: PublishedCheckpoint, batch: str) -> Iterator[CertifiedDeletion]:
    destroyed, found = None, []
    for index, body in LeafIndex(log, published).of_batch(batch):
        record = read_leaf(f"leaf {index}", body)
        if record["kind"] == "purged":
            found.append((index, record))
        elif record["kind"] == "destroyed":
            destroyed = record
    yield from (CertifiedDeletion(index, record, destroyed) for index, record in found)


def _of_call(lifecycle: Lifecycle, log: Log, published: PublishedCheckpoint, call: str) -> list[CertifiedDeletion]:
    for proved in prove_call(lifecycle, call):
        batch = _of_batch(log, published, proved.record["batch"])
        return [
            CertifiedDeletion(one.index, one.record, one.destroyed, call) for one in batch if one.index == proved.index
        ]
    raise AssertionError("prove gives one proof at least")


def _published(log: Log) -> PublishedCheckpoint:
    published = log.published()
    if published is None:
        raise LedgerError("there is no ledger in the store yet. A night makes it; nothing was written")
    log.edge(published.checkpoint)
    return published
