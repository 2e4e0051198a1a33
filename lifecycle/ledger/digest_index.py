"""A lookup index in the store: sorted digests, each with the number it stands for, in objects that are never changed.

The numbers fall into ranges of 1,024. Once a range is complete its digests are one object; sixteen ranges are merged
into one of the next level, which is cut by the digests' first hex digit into sixteen parts, and so on. So a lookup
reads one small object a range, at most fifteen ranges a level, and what is behind the last complete range elsewhere.

It is derived, and never believed: a number it gives is looked at; an object of it that is lost or cut costs time only.
Which digests, and what the numbers are, is the caller's: leaves of the ledger for `leaf_index`. Give digests under a
key where what they name must not be found by guessing.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
Read = Callable[[int, int], Iterable[Entry]]
_NOTHING: Mapping[int, bytes] = {}


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

    def extend(self, size: int, read: Read, packed: Mapping[int, bytes] = _NOTHING) -> int:
        """Write what is missing for the numbers below `size`; `read(start, end)` gives their digests. Safe to repeat.

        `packed`: ranges of 1,024 that need not be read, by number, as `packed_range` gives them.
        Gives how many ranges were made.
        """
        made = 0
        for level in range(_LEVELS):
            last = size // Span(level, 0).width
            for number in range(self._first_missing(level, last), last):
                span, known = Span(level, number), packed.get(number) if not level else None
                self._put(span, self._bodies(span, read) if known is None else [("", known)])
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

    def _put(self, span: Span, bodies: Iterable[tuple[str, bytes]]) -> None:
        for part, body in bodies:
            key = self._key(span, part)
            try:
                self._store.put_once(key, body)
            except ObjectExists:  # nobody relies on what lies there: it is derived, and this is what the numbers give
                self._store.swap(key, body, self._store.get(key))

    def _bodies(self, span: Span, read: Read) -> Iterator[tuple[str, bytes]]:
        """The objects of a range, by the hex digits their digests begin with. Memory: sixteen objects of it."""
        if not span.level:
            yield "", packed_range(span.start, read(span.start, span.end))
            return
        for number in range(_FAN ** (span.level - 1)):
            part = f"{number:0{span.level - 1}x}" if span.level > 1 else ""
            merged = sorted(entry for child in span.below() for entry in self._moved(span, child, part, read))
            cuts = [bisect_left(merged, _least(f"{part}{digit:x}")) for digit in range(_FAN)] + [len(merged)]
            for digit in range(_FAN):
                yield f"{part}{digit:x}", b"".join(merged[cuts[digit] : cuts[digit + 1]])

    def _moved(self, span: Span, child: Span, part: str, read: Read) -> Iterator[bytes]:
        """A part of a range below, with its numbers as the range above counts them."""
        try:
            body = self._store.get(self._key(child, part))
            _require_whole(body)
        except (ObjectMissing, FixityError):
            whole = _cut(packed_range(child.start, read(child.start, child.end)))
            body = b"".join(one for one in whole if one.hex().startswith(part))
        offset = child.start - span.start
        for one in _cut(body):
            yield one[:_DIGEST] + (int.from_bytes(one[_DIGEST:], "big") + offset).to_bytes(_NUMBER, "big")

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


def packed_range(start: int, entries: Iterable[Entry]) -> bytes:
    """The object of a range of 1,024 numbers from `start` on: sorted digests, cut, each with its number in it."""
    return b"".join(sorted(digest[:_DIGEST] + (number - start).to_bytes(_NUMBER, "big") for digest, number in entries))


def _least(part: str) -> bytes:
    """What no entry is below whose digest begins with these hex digits, and every entry before them is."""
    return bytes.fromhex(f"{part:0<{2 * _DIGEST}}")


def _cut(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _ENTRY] for at in range(0, len(body), _ENTRY))


def _require_whole(body: bytes) -> None:
    if len(body) % _ENTRY:
        raise FixityError(f"an index object has {len(body)} bytes, expected entries of {_ENTRY}")


def _unpack(body: bytes) -> list[Entry]:
    _require_whole(body)
    return [(one[:_DIGEST], int.from_bytes(one[_DIGEST:], "big")) for one in _cut(body)]
