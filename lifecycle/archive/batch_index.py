"""The index of one batch: which values its calls may have, as keyed digests, in one object below `index/archive/`.

It says where to look, and is never believed: a batch that it points at is read, and one that has none is read too.
Which values are indexed, and under which key, is the caller's; see `evidence/search_terms`.
"""

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lifecycle.archive.object_store import ObjectStore
from lifecycle.errors import FixityError, ObjectExists, ObjectMissing
from lifecycle.evidence.search_terms import TERM_BYTES
from lifecycle.policy.canonical import canonical_json, sha256_hex

BATCH_INDEXES = "index/archive/"
_VERSION, _AT_ONCE = 1, 16


@dataclass(frozen=True, slots=True)
class BatchIndex:
    """The values of one batch's calls under one epoch: by kind, sorted digests without a gap between them.

    `first` and `last`: the earliest and the latest day (ISO 8601, UTC) that a call of it touches; blank: of some call
    nobody knows.
    """

    manifest_key: str
    manifest_sha256: str
    epoch: str
    calls: int
    first: str
    last: str
    terms: Mapping[str, bytes]

    def may_have(self, kind: str, wanted: Collection[bytes]) -> bool:
        """Whether a call of the batch may have one of these values of a kind. A kind that is not indexed may."""
        found = self.terms.get(kind)
        return found is None or any(_has(found, term) for term in wanted)

    def to_bytes(self) -> bytes:
        """A line of JSON, then the digests kind by kind."""
        head = {name: getattr(self, name) for name in self.__slots__ if name != "terms"}
        head |= {"v": _VERSION, "kinds": {kind: len(found) for kind, found in sorted(self.terms.items())}}
        return canonical_json(head) + b"\n" + b"".join(found for _, found in sorted(self.terms.items()))

    @classmethod
    def from_bytes(cls, key: str, body: bytes) -> "BatchIndex":
        """Read one back. Raises FixityError where it is none."""
        line, _, rest = body.partition(b"\n")
        try:
            head = json.loads(line)
            kinds = {str(kind): int(size) for kind, size in head.pop("kinds").items()}
            if head.pop("v") != _VERSION or sum(kinds.values()) != len(rest):
                raise ValueError("size")
            terms, at = {}, 0
            for kind, size in kinds.items():
                terms[kind], at = rest[at : at + size], at + size
            return cls(**head, terms=terms)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FixityError(f"{key}: this is no index of a batch ({type(error).__name__})") from error


def packed_terms(terms: Collection[bytes]) -> bytes:
    """Digests as an index holds them."""
    return b"".join(sorted(set(terms)))


def batch_index_key(epoch: str, manifest_key: str) -> str:
    """Where the index of a batch lies under an epoch; the batch is not named."""
    return f"{BATCH_INDEXES}{epoch}/{sha256_hex(manifest_key.encode())[:32]}"


def put_batch_index(store: ObjectStore, index: BatchIndex) -> None:
    """Put an index; where another lies in its place, of an older make or damaged, it is replaced."""
    key, body = batch_index_key(index.epoch, index.manifest_key), index.to_bytes()
    try:
        store.put_once(key, body)
    except ObjectExists:  # nobody relies on what lies there: it is derived, and this is what the batch gives
        store.swap(key, body, store.get(key))


def indexed_batches(store: ObjectStore, epochs: Sequence[str]) -> set[tuple[str, str]]:
    """What is indexed under the epochs whose keys are there: epoch and name of the object."""
    found = (key.removeprefix(BATCH_INDEXES).partition("/") for key in store.list(BATCH_INDEXES))
    return {(epoch, name) for epoch, _, name in found if epoch in epochs}


def read_batch_indexes(
    store: ObjectStore, manifest_keys: Sequence[str], epochs: Sequence[str]
) -> Iterator[tuple[str, BatchIndex | None]]:
    """Each manifest's key with the index of its batch; None: it has none, or one that is no index of it."""
    there = indexed_batches(store, epochs)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from zip(manifest_keys, pool.map(partial(_read, store, there, epochs), manifest_keys), strict=True)


def remove_batch_index(store: ObjectStore, manifest_key: str) -> None:
    """Remove whatever any epoch has of a batch: it goes with the batch. Gone already is fine."""
    name = batch_index_key("", manifest_key).rpartition("/")[2]
    for key in [key for key in store.list(BATCH_INDEXES) if key.endswith(f"/{name}")]:
        store.delete(key, _version(store, key))


def _version(store: ObjectStore, key: str) -> str | None:
    """The version of an object that is to be removed, as the store names it."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        return store.fetch(key, None, Path(folder) / "index").version_id


def _read(
    store: ObjectStore, there: Collection[tuple[str, str]], epochs: Sequence[str], manifest_key: str
) -> BatchIndex | None:
    for epoch in reversed(epochs):
        key = batch_index_key(epoch, manifest_key)
        if (epoch, key.rpartition("/")[2]) not in there:
            continue
        try:
            found = BatchIndex.from_bytes(key, store.get(key))
        except (FixityError, ObjectMissing):
            continue
        if (found.manifest_key, found.epoch) == (manifest_key, epoch):
            return found
    return None


def _has(found: bytes, term: bytes) -> bool:
    at = found.find(term)
    while at >= 0 and at % TERM_BYTES:
        at = found.find(term, at + 1)
    return at >= 0
