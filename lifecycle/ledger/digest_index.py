"""A lookup index in the store: sorted digests, each with the number it stands for, in objects that are never changed.

The numbers fall into ranges of 1,024. Once a range is complete its digests are one object; sixteen ranges are merged
into one of the next level, which is cut by the digests' first hex digit into sixteen parts, and so on. So a lookup
reads one small object a range, at most fifteen ranges a level, and what is behind the last complete range elsewhere.

It is derived, and never believed: a number it gives is looked at; an object of it that is lost or cut costs time only.
Which digests, and what the numbers are, is the caller's: leaves of the ledger for `leaf_index`. Give digests under a
key where what they name must not be found by guessing.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from lifecycle.archive.object_store import ObjectStore
from lifecycle.errors import FixityError, ObjectExists, ObjectMissing

RANGE = 1024  # numbers in a range of level 0
_FAN = 16
_LEVELS = 6  # 1024 * 16**5: a thousand million numbers
_DIGEST, _NUMBER = 8, 4  # bytes of a digest, and of a number within its range
_ENTRY = _DIGEST + _NUMBER
_LOOKS = 8  # entries that are gone through in the time of one search among them

Entry = tuple[bytes, int]
Read = Callable[[int, int], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class Span:
    """A complete range: `level` 0 has 1,024 numbers, each next level sixteen times as many."""

    level: int
    number: int

    @property
    def width(self) -> int:
        """How many numbers it has."""
        return int(RANGE * _FAN**self.level)

    @property
    def start(self) -> int:
        """Its first number."""
        return self.number * self.width

    @property
    def end(self) -> int:
        """The number after its last."""
        return self.start + self.width

    def below(self) -> list["Span"]:
        """The sixteen ranges that it was merged from; none at level 0."""
        first = self.number * _FAN
        return [Span(self.level - 1, first + n) for n in range(_FAN)] if self.level else []


def complete_spans(size: int) -> list[Span]:
    """The fewest complete ranges that cover the numbers below `size`, in order, but the last incomplete one."""
    spans, reached = [], 0
    for level in range(_LEVELS - 1, -1, -1):
        width = Span(level, 0).width
        for number in range(reached // width, size // width):
            spans.append(Span(level, number))
        reached = max(reached, size // width * width)
    return spans


class DigestIndex:
    """The index below one prefix of a store."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def extend(self, size: int, read: Read) -> int:
        """Write what is missing for the numbers below `size`; `read(start, end)` gives their digests. Safe to repeat.

        Gives how many ranges were made.
        """
        made = 0
        for level in range(_LEVELS):
            last = size // Span(level, 0).width
            for number in range(self._first_missing(level, last), last):
                self._make(Span(level, number), read)
                made += 1
        return made

    def find(self, digest: bytes, span: Span) -> list[int] | None:
        """The numbers in a range that may stand for a digest, in order. None: the object is lost or cut."""
        return self.find_all([digest], span)

    def find_all(self, digests: Collection[bytes], span: Span) -> list[int] | None:
        """The same for some digests; each object of the range is read once."""
        parts: dict[str, list[bytes]] = {}
        for digest in digests:
            parts.setdefault(digest.hex()[: span.level], []).append(digest[:_DIGEST])
        found = []
        for part, some in parts.items():
            try:
                entries = _unpack(self._store.get(self._key(span, part)))
            except (ObjectMissing, FixityError):
                return None
            if len(some) * _LOOKS > len(entries):
                many = frozenset(some)
                found += [span.start + number for digest, number in entries if digest in many]
                continue
            for wanted in some:
                at = bisect_left(entries, (wanted, 0))
                while at < len(entries) and entries[at][0] == wanted:
                    found.append(span.start + entries[at][1])
                    at += 1
        return sorted(found)

    def damage(self, size: int, read: Read) -> Iterator[tuple[str, str]]:
        """The objects of complete ranges that are not what the numbers give. What was not made yet is none."""
        for level in range(_LEVELS):
            for number in range(size // Span(level, 0).width):
                span = Span(level, number)
                for part, body in self._bodies(span, read):
                    key = self._key(span, part)
                    try:
                        if self._store.get(key) != body:
                            yield key, "it does not say what the leaves say: a lookup could miss a record"
                    except FixityError as error:
                        yield key, str(error)
                    except ObjectMissing:
                        continue

    def _make(self, span: Span, read: Read) -> None:
        for part, body in self._bodies(span, read):
            key = self._key(span, part)
            try:
                self._store.put_once(key, body)
            except ObjectExists:  # nobody relies on what lies there: it is derived, and this is what the numbers give
                self._store.swap(key, body, self._store.get(key))

    def _bodies(self, span: Span, read: Read) -> Iterator[tuple[str, bytes]]:
        """The objects of a range, by the hex digits their digests begin with. Memory: sixteen objects of it."""
        if not span.level:
            yield "", _pack((digest, number - span.start) for digest, number in read(span.start, span.end))
            return
        for number in range(_FAN ** (span.level - 1)):
            part = f"{number:0{span.level - 1}x}" if span.level > 1 else ""
            merged = [entry for child in span.below() for entry in self._moved(span, child, part, read)]
            for digit in range(_FAN):
                mine = f"{part}{digit:x}"
                yield mine, _pack(entry for entry in merged if entry[0].hex().startswith(mine))

    def _moved(self, span: Span, child: Span, part: str, read: Read) -> Iterator[Entry]:
        """A part of a range below, with its numbers as the range above counts them."""
        try:
            entries = _unpack(self._store.get(self._key(child, part)))
        except (ObjectMissing, FixityError):
            given = ((digest[:_DIGEST], number - child.start) for digest, number in read(child.start, child.end))
            entries = [entry for entry in given if entry[0].hex().startswith(part)]
        offset = child.start - span.start
        yield from ((digest, number + offset) for digest, number in entries)

    def _first_missing(self, level: int, last: int) -> int:
        """Whoever died left the newest ranges unmade, never one before others."""
        number = last
        while number and not self._there(Span(level, number - 1)):
            number -= 1
        return number

    def _there(self, span: Span) -> bool:
        last_part = "f" * span.level
        return any(True for _ in self._store.list(self._key(span, last_part)))

    def _key(self, span: Span, part: str) -> str:
        return f"{self._prefix}{span.level}/{span.number:010}/{part or 'all'}"


def _pack(entries: Iterable[Entry]) -> bytes:
    cut = sorted((digest[:_DIGEST], number) for digest, number in entries)
    return b"".join(digest + number.to_bytes(_NUMBER, "big") for digest, number in cut)


def _unpack(body: bytes) -> list[Entry]:
    if len(body) % _ENTRY:
        raise FixityError(f"an index object has {len(body)} bytes, expected entries of {_ENTRY}")
    cuts = range(0, len(body), _ENTRY)
    return [(body[at : at + _DIGEST], int.from_bytes(body[at + _DIGEST : at + _ENTRY], "big")) for at in cuts]
