"""Archived copies that answer a question: batches narrowed by their indexes, then rows read and compared in plain.

A batch without an index is read; one that is damaged is named. Nothing here says that a call was never seen: whoever
does asks whether anything could not be read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batch_index import BatchIndex, read_batch_indexes
from lifecycle.archive.batches import manifest_keys, read_calls, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.custody.search_question import SearchQuestion, answering_rows, missing_facts
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.archived_facts import facts_of
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import sha256_hex

_AT_ONCE = 4  # batches read side by side


@dataclass(frozen=True, slots=True)
class ArchivedCall:
    """One archived copy: which row of which batch, and the call's facts on the day of archiving, a row an industry."""

    call_id: str
    manifest_key: str
    manifest: Manifest
    row: int
    facts: pa.Table
    rule_id: str

    @property
    def object_key(self) -> str:
        """The Parquet object of the row."""
        return self.manifest.objects[0].key


@dataclass
class ArchiveSearch:
    """What a search found, and how: batches in the store, those that were read, and those that could not be."""

    calls: list[ArchivedCall] = field(default_factory=list)
    batches: int = 0
    indexed: int = 0
    read: int = 0
    unread: dict[str, str] = field(default_factory=dict)


def search_archive(lifecycle: Lifecycle, question: SearchQuestion) -> ArchiveSearch:
    """Every archived copy that answers. Raises StoreError where the store cannot be asked."""
    result, epochs = ArchiveSearch(), lifecycle.keys.epochs()
    terms = {epoch.id: question.terms(epoch) for epoch in epochs}
    keys = [key for key in manifest_keys(lifecycle.store) if not question.batches or _batch(key) in question.batches]
    wanted: list[tuple[str, str | None]] = []
    for key, index in read_batch_indexes(lifecycle.store, keys, [epoch.id for epoch in epochs]):
        result.batches += 1
        result.indexed += index is not None
        if index is None or _may_answer(index, question, terms[index.epoch]):
            wanted.append((key, index.manifest_sha256 if index else None))
    zone = lifecycle.crm.source.timezone
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = pool.map(partial(_read_and_match, lifecycle.store, question, zone), wanted)
        for (key, _), (found, problem) in zip(wanted, read, strict=True):
            result.read += 1
            result.calls += found
            if problem:
                result.unread[key] = problem
    return result


def copies_at(store: ObjectStore, places: Iterable[tuple[str, int]]) -> tuple[list[ArchivedCall], dict[str, str]]:
    """The copies at some rows of some batches, by manifest key; and the batches that could not be read, with why."""
    rows: dict[str, list[int]] = {}
    for key, row in places:
        rows.setdefault(key, []).append(row)
    found, unread = list[ArchivedCall](), dict[str, str]()
    for key, wanted in rows.items():
        try:
            manifest, calls = _calls(store, key, None)
        except (ProofError, ObjectMissing) as error:
            unread[key] = str(error)
            continue
        found += _copies(key, manifest, calls, pa.array([row for row in wanted if row < calls.num_rows], pa.int64()))
    return found, unread


def _batch(manifest_key: str) -> str:
    """The name of a batch: the folder of its manifest."""
    return manifest_key.rsplit("/", 2)[-2]


def _may_answer(index: BatchIndex, question: SearchQuestion, terms: Mapping[str, Sequence[bytes]]) -> bool:
    days = ((index.last, question.first, -1), (index.first, question.last, 1))
    for known, asked, sign in days:
        # A day of slack: the index counts in UTC, the question in the mapping's zone.
        if known and asked and sign * (asked.toordinal() - _ordinal(known)) < -1:
            return False
    return all(index.may_have(kind, wanted) for kind, wanted in terms.items())


def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _read_and_match(
    store: ObjectStore, question: SearchQuestion, zone: ZoneInfo, wanted: tuple[str, str | None]
) -> tuple[list[ArchivedCall], str]:
    key, sha256 = wanted
    try:
        manifest, calls = _calls(store, key, sha256)
    except (ProofError, ObjectMissing) as error:
        return [], str(error)
    facts = _facts(calls)
    missing = missing_facts(facts.column_names, question)
    if missing:
        return [], f"its calls were archived without the fact {missing[0]}, so nobody knows whether they answer"
    answering = facts["call_id"].filter(answering_rows(facts, question, zone)).combine_chunks()
    mask = pc.is_in(calls[CALL_ID].combine_chunks(), answering) if _asks_facts(question) else None
    if question.calls:
        named = pa.array([call_id_text(call) in question.calls for call in calls[CALL_ID].to_pylist()])
        mask = named if mask is None else pc.and_(mask, named)
    if question.rules:
        ruled = pc.is_in(calls["_rule_id"].combine_chunks(), pa.array(sorted(question.rules), pa.string()))
        mask = ruled if mask is None else pc.and_(mask, ruled)
    places = pa.array(range(calls.num_rows), pa.int64()) if mask is None else pc.indices_nonzero(mask).cast(pa.int64())
    return list(_copies(key, manifest, calls, places)), ""


def _asks_facts(question: SearchQuestion) -> bool:
    return bool(question.asked_facts() or question.first or question.last)


def _calls(store: ObjectStore, key: str, sha256: str | None) -> tuple[Manifest, pa.Table]:
    """A batch's calls, proved; and its manifest, which is the indexed one. Raises ProofError, ObjectMissing."""
    manifest, body = read_manifest(store, key)
    if sha256 is not None and sha256_hex(body) != sha256:
        raise FixityError(f"{key}: it is not the manifest that was indexed. `lifecycle verify` says more")
    return manifest, read_calls(store, manifest)


def _facts(calls: pa.Table) -> pa.Table:
    """The facts of calls; of a batch from before they were archived, the call's own columns."""
    facts = facts_of(calls)
    if facts.num_rows or not calls.num_rows:
        return facts
    own = [name for name in calls.column_names if not name.startswith("_") and name != "call_id"]
    found = calls.select([CALL_ID, *own]).rename_columns(["call_id", *own])
    for name in own:
        kind = found.schema.field(name).type
        if pa.types.is_timestamp(kind) and kind.tz is None:
            place = found.column_names.index(name)
            found = found.set_column(place, name, found[name].cast(pa.timestamp("us", "UTC")))
    return found


def _copies(key: str, manifest: Manifest, calls: pa.Table, places: pa.Array) -> Iterator[ArchivedCall]:
    chosen = calls.take(places)
    facts, rules = _facts(chosen), chosen["_rule_id"].to_pylist()
    rows: dict[Any, list[int]] = {}
    for place, call in enumerate(facts["call_id"].to_pylist()):
        rows.setdefault(call, []).append(place)
    for call, row, rule in zip(chosen[CALL_ID].to_pylist(), places.to_pylist(), rules, strict=True):
        mine = facts.take(pa.array(rows.get(call, ()), pa.int64()))
        yield ArchivedCall(call_id_text(call), key, manifest, row, mine, rule)
