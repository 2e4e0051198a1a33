"""Index: for every batch in the store that has none, which values its calls have, as keyed digests.

Derived, and safe to repeat. Made from the proved rows of the archive alone, so that what is lost is made again.
"""

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batch_index import BatchIndex, batch_index_key, indexed_batches, packed_terms, put_batch_index
from lifecycle.archive.batches import manifest_keys, read_calls, read_manifest
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ObjectMissing, ProofError
from lifecycle.evidence.archived_facts import facts_of
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.search_terms import phone_keys, search_term
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.evaluation.spelling import trimmed, without_zeros

PHONE, CALL = "phone", "call_id"


def index_batches(lifecycle: Lifecycle) -> int:
    """Index every committed batch that no epoch's index covers. Gives how many; a damaged batch is left out."""
    epochs = lifecycle.keys.epochs()
    if not epochs:
        return 0  # a search reads the batches
    there, made = indexed_batches(lifecycle.store, [epoch.id for epoch in epochs]), 0
    for key in manifest_keys(lifecycle.store):
        names = {(epoch.id, batch_index_key(epoch.id, key).rpartition("/")[2]) for epoch in epochs}
        if names & there:
            continue
        try:
            manifest, body = read_manifest(lifecycle.store, key)
            calls = read_calls(lifecycle.store, manifest)
        except (ProofError, ObjectMissing):
            continue  # `lifecycle verify` names it, and a search reads it and says so
        put_batch_index(lifecycle.store, index_of_calls(lifecycle.keys.epoch(), key, sha256_hex(body), calls))
        made += 1
    return made


def index_of_calls(epoch: EpochKey, manifest_key: str, manifest_sha256: str, calls: pa.Table) -> BatchIndex:
    """The index of a batch, given its calls with their facts."""
    facts = facts_of(calls)
    names = {call_id_text(key) for key in calls[CALL_ID].to_pylist()}
    terms = {CALL: packed_terms([search_term(epoch, CALL, name) for name in names])}
    every = set(facts["call_id"].to_pylist()) == set(calls[CALL_ID].to_pylist())
    for name in facts.column_names if every else ():
        if name != "call_id" and (values := _texts(facts[name])) is not None:
            keys = set().union(*map(phone_keys, values)) if name == PHONE else values
            terms[name] = packed_terms([search_term(epoch, name, value) for value in keys])
    first, last = _days(facts) if every else ("", "")
    return BatchIndex(manifest_key, manifest_sha256, epoch.id, calls.num_rows, first, last, terms)


def _texts(column: pa.ChunkedArray) -> set[str] | None:
    """The distinct values of a fact that is text or a list of texts, as a question spells them; None: it is neither."""
    found = column.combine_chunks()
    found = pc.list_flatten(found) if pa.types.is_list(found.type) else found
    if not pa.types.is_string(found.type):
        return None
    return {value for value in without_zeros(trimmed(found.unique())).to_pylist() if value is not None}


def _days(facts: pa.Table) -> tuple[str, str]:
    """The first and the last day of any call; blank where some call has neither a beginning nor an end."""
    times = [facts[name].combine_chunks() for name in ("started_at", "ended_at") if name in facts.column_names]
    days = [pc.cast(column, pa.timestamp("us")).cast(pa.date32(), safe=False) for column in times]
    if not days or pc.coalesce(*days).null_count:
        return "", ""
    every = pa.chunked_array(days)
    return str(pc.min(every).as_py()), str(pc.max(every).as_py())
