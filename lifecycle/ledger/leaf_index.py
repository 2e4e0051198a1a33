"""Which leaves speak of a call, a batch or a schedule, without reading the log: an index beside it, below `index/`.

A call is found by its commitment, which only the holder of the epoch's key can work out: the index says no more of
people than the leaves do, and is as dead as they are once that key is destroyed. Every leaf it points at is read and
looked at.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lifecycle.ledger.digest_index import RANGE, DigestIndex, Entry, Span, complete_spans, packed_range
from lifecycle.ledger.log import LeafReader, Log, PublishedCheckpoint

INDEX = "index/leaves/"
_AT_ONCE = 16  # a store far away answers slowly, one object after the other
_COMMITMENT = re.compile(r"[0-9a-f]{64}", re.ASCII)
# How a record of a purged call begins, whose keys are sorted: what is before its call is no more than this.
_PURGED = re.compile(
    rb'\{"actor":"(?:[^"\\]|\\.)*","archived_at":"[^"\\]*","batch":"([^"\\]*)","call":"([0-9a-f]{64})","component":'
)


def batch_term(batch: str) -> bytes:
    """What leaves of a batch are found by; the first of each run of them."""
    return hashlib.sha256(f"batch\n{batch}".encode()).digest()


def schedule_term(sha256: str) -> bytes:
    """What the leaf is found by that says what a version of a schedule is."""
    return hashlib.sha256(f"schedule\n{sha256}".encode()).digest()


class LeafIndex:
    """Lookups in one log of one size."""

    def __init__(self, log: Log, published: PublishedCheckpoint) -> None:
        self._log, self._size = log, published.size
        self._index = DigestIndex(log.store, INDEX)

    def extend(self, just_logged: "LoggedTerms | None" = None) -> int:
        """Index the leaves that no complete range has yet. Gives how many ranges were made.

        `just_logged`: what need not be read back.
        """
        return self._index.extend(self._size, self._entries, just_logged.packed if just_logged else {})

    def damage(self) -> dict[str, str]:
        """The objects of the index that do not say what the leaves say."""
        return dict(self._index.damage(self._size, self._entries))

    def of_calls(self, commitments: Collection[str]) -> Iterator[tuple[int, bytes]]:
        """The leaves that name a call by one of these commitments, with their numbers, in order."""
        yield from ((index, body) for index, body, _ in self.read_of_calls(commitments))

    def read_of_calls(self, commitments: Collection[str]) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
        """The same, with what each leaf says."""
        wanted = frozenset(commitments)
        for index, body in self.unread_of_calls(commitments):
            leaf = _parsed(body)
            if leaf.get("call") in wanted:
                yield index, body, leaf

    def unread_of_calls(self, commitments: Collection[str]) -> Iterator[tuple[int, bytes]]:
        """The same, and perhaps others: for who looks at what the leaves say."""
        reader = LeafReader(self._log, self._size)
        for index in self._candidates([bytes.fromhex(one) for one in commitments]):
            yield index, reader.leaf(index)

    def of_batch(self, batch: str) -> Iterator[tuple[int, bytes]]:
        """The leaves that speak of a batch, with their numbers, in order."""
        yield from self._runs(batch_term(batch), "batch", batch)

    def of_schedule(self, sha256: str) -> bytes | None:
        """The leaf that says what a version of a schedule is; None: there is none."""
        reader = LeafReader(self._log, self._size)
        for index in self._candidates([schedule_term(sha256)]):
            body = reader.leaf(index)
            if schedule_term(sha256) in _terms(_parsed(body), None):
                return body
        return None

    def _runs(self, term: bytes, name: str, value: str) -> Iterator[tuple[int, bytes]]:
        """From each leaf where a run begins on, as long as the leaves say the same."""
        reader, reached = LeafReader(self._log, self._size), 0
        for start in self._candidates([term]):
            index = max(start, reached)
            while index < self._size and _parsed(body := reader.leaf(index)).get(name) == value:
                yield index, body
                index += 1
            reached = index

    def _candidates(self, terms: Collection[bytes]) -> list[int]:
        """The numbers of leaves that may have one of the terms: by the index, or by reading where it has nothing."""
        found, spans, wanted = set[int](), complete_spans(self._size), frozenset(terms)
        tail = self._size // RANGE * RANGE
        found.update(number for digest, number in self._entries(tail, self._size) if digest in wanted)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while spans:
                given = list(pool.map(lambda span: self._index.find_all(wanted, span), spans))
                deeper: list[Span] = []
                for span, numbers in zip(spans, given, strict=True):
                    if numbers is not None:
                        found.update(numbers)
                    elif span.level:
                        deeper += span.below()
                    else:
                        found.update(n for digest, n in self._entries(span.start, span.end) if digest in wanted)
                spans = deeper
        return sorted(found)

    def _entries(self, start: int, end: int) -> Iterator[Entry]:
        """The terms of some leaves."""
        terms = RunOfTerms()
        for index, body in enumerate(self._log.leaves(start, end, self._size), start):
            yield from ((term, index) for term in terms.of(body))


class LoggedTerms:
    """What leaves are found by, noted while they are logged one after the other; a few bytes a leaf.

    `packed`: the complete ranges of the index among them, by number.
    """

    def __init__(self) -> None:
        self.packed = dict[int, bytes]()
        self._first, self._entries, self._terms = -1, list[Entry](), RunOfTerms()

    def add(self, index: int, body: bytes) -> None:
        """Note the terms of the leaf with this number, which is behind the one before."""
        if index % RANGE == 0:
            self._first, self._entries, self._terms = index, [], RunOfTerms()
        if self._first < 0:
            return  # the range began before: it is read
        self._entries += [(term, index) for term in self._terms.of(body)]
        if index % RANGE == RANGE - 1:
            self.packed[index // RANGE] = packed_range(self._first, self._entries)


class RunOfTerms:
    """The terms of leaves that follow each other."""

    def __init__(self) -> None:
        self._batch: Any = None

    def of(self, body: bytes) -> list[bytes]:
        """Those of the next leaf. Of a run of leaves of one batch only the first is found by the batch."""
        purged = _PURGED.match(body)
        if purged and purged[1].decode() == self._batch:
            return [bytes.fromhex(purged[2].decode())]
        leaf = _parsed(body)
        terms = _terms(leaf, self._batch)
        self._batch = leaf.get("batch")
        return terms


def _terms(leaf: dict[str, Any], batch_before: Any) -> list[bytes]:
    """What a leaf is found by. Of a run of leaves of one batch only the first is found by the batch."""
    terms = []
    if isinstance(call := leaf.get("call"), str) and _COMMITMENT.fullmatch(call):
        terms.append(bytes.fromhex(call))
    if isinstance(batch := leaf.get("batch"), str) and batch != batch_before:
        terms.append(batch_term(batch))
    if leaf.get("kind") == "policy" and isinstance(schedule := leaf.get("schedule"), dict):
        terms.append(schedule_term(str(schedule.get("sha256"))))
    return terms


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
