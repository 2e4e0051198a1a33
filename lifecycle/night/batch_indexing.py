"""Index: for every batch in the store that has none, which values its calls have, as keyed digests.

Derived, and safe to repeat. Made from the proved rows of the archive alone, so that what is lost is made again. A night
looks after the batches of the last days; once a week the whole archive is listed, for what was lost, or merged.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batch_index import BatchIndex, batch_index_key, indexed_batches, packed_terms, put_batch_index
from lifecycle.archive.batches import manifest_keys, read_calls, read_manifest
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ObjectMissing, ProofError
from lifecycle.evidence.archived_facts import facts_of
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_texts
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.search_terms import phone_keys, search_terms
from lifecycle.policy.canonical import sha256_hex
from lifecycle.policy.evaluation.spelling import trimmed, without_zeros

PHONE, CALL = "phone", "call_id"
RECENT = timedelta(days=8)
_SUNDAY = 6


def index_batches(lifecycle: Lifecycle, made_before: Sequence[BatchIndex] = ()) -> int:
    """Index the committed batches of the last days that no epoch's index covers; on Sundays those of all days.

    `made_before`: indexes that are only to be put. Gives how many batches; a damaged one is left out.
    """
    for index in made_before:
        put_batch_index(lifecycle.store, index)
    epochs = [epoch.id for epoch in lifecycle.keys.epochs()]
    if not epochs:
        return 0  # a search reads the batches
    made, known = len(made_before), {index.manifest_key for index in made_before}
    for key in _unindexed(lifecycle, epochs, known):
        try:
            manifest, body = read_manifest(lifecycle.store, key)
            calls = read_calls(lifecycle.store, manifest)
        except (ProofError, ObjectMissing):
            continue  # `lifecycle verify` names it, and a search reads it and says so
        put_batch_index(lifecycle.store, index_of_calls(lifecycle.keys.epoch(), key, sha256_hex(body), calls))
        made += 1
    return made


def _unindexed(lifecycle: Lifecycle, epochs: Sequence[str], known: Collection[str]) -> Iterator[str]:
    """The manifests of batches without an index; of some that are registered there may be none."""
    store, now = lifecycle.store, lifecycle.now()
    if now.weekday() == _SUNDAY:
        there = indexed_batches(store, epochs)
        for key in manifest_keys(store):
            if there.isdisjoint((epoch, batch_index_key(epoch, key).rpartition("/")[2]) for epoch in epochs):
                yield key
        return
    for registered in lifecycle.crm.control.register.manifests_since(now - RECENT):
        if registered.key not in known and not is_indexed(lifecycle, registered.key, epochs):
            yield registered.key


def is_indexed(lifecycle: Lifecycle, manifest_key: str, epochs: Iterable[str]) -> bool:
    """Whether a batch has an index under one of the epochs."""
    keys = (batch_index_key(epoch, manifest_key) for epoch in epochs)
    return any(any(True for _ in lifecycle.store.list(key)) for key in keys)


def index_of_calls(epoch: EpochKey, manifest_key: str, manifest_sha256: str, calls: pa.Table) -> BatchIndex:
    """The index of a batch, given its calls with their facts."""
    facts = facts_of(calls)
    names = set(call_id_texts(calls[CALL_ID]))
    terms = {CALL: packed_terms(search_terms(epoch, CALL, names))}
    every = set(facts["call_id"].to_pylist()) == set(calls[CALL_ID].to_pylist())
    for name in facts.column_names if every else ():
        if name != "call_id" and (values := _texts(facts[name])) is not None:
            keys = set().union(*map(phone_keys, values)) if name == PHONE else values
            terms[name] = packed_terms(search_terms(epoch, name, keys))
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
