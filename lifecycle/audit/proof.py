"""Prove: a call's leaf, the way from it to the signed root, and what opens it; and certificates. Reads only.

What is written where is the command's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.crm.control.ledger_queue import DESTRUCTION
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
from lifecycle.ledger.log import LeafReader, Log, PublishedCheckpoint
from lifecycle.policy.canonical import canonical_json


@dataclass(frozen=True, slots=True)
class CallProof:
    """What an auditor is handed for one leaf: all of it is needed to know which call the leaf speaks of.

    `opening` is JSON: the source, the call's id, and the salt. It opens this call and no other; empty where nobody
    asked by a call.
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
    return _prove(lifecycle, log, published, one.index, one.leaf, one.record, one.call_id)


def _prove(
    lifecycle: Lifecycle,
    log: Log,
    published: PublishedCheckpoint,
    index: int,
    leaf: bytes,
    record: dict[str, Any],
    call_id: str | None,
) -> CallProof:
    hashes = inclusion_proof(log.tiles(published.size), index, published.size)
    proof = Proof(index, tuple(hashes), cosigned_checkpoint(lifecycle.store, published))
    verifiers = lifecycle.keys.verifiers(log.origin)
    proof.verified(f"the proof of leaf {index}", leaf, verifiers)
    opening = _opening(lifecycle, record, call_id) if call_id is not None else b""
    return CallProof(index, proof.to_bytes(), leaf, opening, verifiers[0].vkey, record)


def _opening(lifecycle: Lifecycle, record: Mapping[str, Any], call_id: str) -> bytes:
    source = record["source"]
    (epoch,) = [epoch for epoch in lifecycle.keys.epochs() if epoch.id == record["epoch"]]
    return canonical_json({"source": source, "call_id": call_id, "salt": epoch.salt(source, call_id).hex()})


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


def certify_destruction(lifecycle: Lifecycle, wanted: str) -> tuple[dict[str, Any], list[CallProof]]:
    """A certificate of destruction for a batch or a call, and the proofs of its leaves of destruction.

    Of a call with what opens it; of a batch nobody can say which calls it had. Raises InputError where a copy is there
    still, or its leaf waits to be sealed.
    """
    log = lifecycle.log()
    published = _published(log)
    entries = list(_of_batch(log, published, wanted)) or _of_call(lifecycle, log, published, wanted)
    left = [entry for entry in entries if entry.destroyed is None]
    if left:
        waiting = _waits_to_be_sealed(lifecycle, left[0].record["batch"])
        why = "are destroyed, and wait to be sealed: run a night" if waiting else "are there still"
        many = f"{len(left)} of {len(entries)}"
        raise InputError(f"{wanted}: expected every copy destroyed; {many} {why}. Nothing was written")
    proofs = [_proved_leaf(lifecycle, log, published, entry) for entry in entries]
    return certify_deletions(lifecycle, wanted), proofs


def _waits_to_be_sealed(lifecycle: Lifecycle, batch: str) -> bool:
    """Whether a batch is destroyed, and the leaves that say so have no place in the ledger yet."""
    with lifecycle.crm.database.reading() as connection:
        waiting = lifecycle.crm.control.places.waiting(connection)
    return (DESTRUCTION, batch) in {(kind, name) for _, kind, name in waiting}


def _proved_leaf(lifecycle: Lifecycle, log: Log, published: PublishedCheckpoint, entry: CertifiedDeletion) -> CallProof:
    """The proof of the leaf that says that a copy is gone."""
    assert entry.destroyed is not None
    assert entry.destroyed_index is not None
    leaf = LeafReader(log, published.size).leaf(entry.destroyed_index)
    return _prove(lifecycle, log, published, entry.destroyed_index, leaf, dict(entry.destroyed), entry.call_id)


def _of_batch(log: Log, published: PublishedCheckpoint, batch: str) -> Iterator[CertifiedDeletion]:
    index = LeafIndex(log, published)
    found = [(number, read_leaf(f"leaf {number}", body)) for number, body in index.of_batch(batch)]
    ends = dict(_ends(index, batch, found))
    for number, record in found:
        if record["kind"] == "purged":
            end, destroyed = ends.get(record["row"], (None, None))
            yield CertifiedDeletion(number, record, destroyed, destroyed_index=end)


def _ends(
    index: LeafIndex, batch: str, leaves: Sequence[tuple[int, Mapping[str, Any]]]
) -> Iterator[tuple[int, tuple[int, Mapping[str, Any]]]]:
    """The leaves that say that copies of a batch are destroyed, by row: there, or in the batches they were moved to."""
    seen, waiting = {batch}, [leaves]
    while waiting:
        for number, leaf in waiting.pop():
            if leaf["kind"] == "destroyed" and leaf["record"]["batch"] == batch:
                yield leaf["record"]["row"], (number, leaf)
            elif leaf["kind"] == "moved" and leaf["to_batch"] not in seen:
                seen.add(leaf["to_batch"])
                waiting.append([(n, read_leaf(f"leaf {n}", body)) for n, body in index.of_batch(leaf["to_batch"])])


def _of_call(lifecycle: Lifecycle, log: Log, published: PublishedCheckpoint, call: str) -> list[CertifiedDeletion]:
    for proved in prove_call(lifecycle, call):
        batch = _of_batch(log, published, proved.record["batch"])
        return [replace(one, call_id=call) for one in batch if one.index == proved.index]
    raise AssertionError("prove gives one proof at least")


def _published(log: Log) -> PublishedCheckpoint:
    published = log.published()
    if published is None:
        raise LedgerError("there is no ledger in the store yet. A night makes it; nothing was written")
    log.edge(published.checkpoint)
    return published
