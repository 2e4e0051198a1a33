"""Trees in tiles and leaves in bundles: C2SP tlog-tiles. How they are named and read, and the proofs in them.

A reader is a callable that gives the bytes of a path; where they lie is the store's business.
"""

from collections.abc import Callable, Iterable

from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.merkle import EMPTY_ROOT, TILE_WIDTH, TreeEdge, node_hash, perfect_root

HASH = 32  # bytes
LONGEST_LEAF = 2**16 - 1  # the length of a leaf is a uint16
ENTRIES = "entries"

ReadTile = Callable[[str], bytes]


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """Where a tile lies, or with ENTRIES a bundle: tile/0/x001/x234/067, and .p/<W> where it is not full."""
    digits = [f"{index % 1000:03}"]
    while index := index // 1000:
        digits.append(f"x{index % 1000:03}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(digits))}{partial}"


def width_at(size: int, level: int, index: int) -> int:
    """How many hashes a tile has in a tree of that size; 0: none, there is no such tile."""
    return max(0, min(TILE_WIDTH, (size >> 8 * level) - index * TILE_WIDTH))


def encode_bundle(leaves: Iterable[bytes]) -> bytes:
    """Leaves as an entry bundle. Raises LedgerError for a leaf over 65,535 bytes."""
    parts = list[bytes]()
    for leaf in leaves:
        if len(leaf) > LONGEST_LEAF:
            raise LedgerError(f"a leaf has {len(leaf)} bytes, expected at most {LONGEST_LEAF}. Nothing was written")
        parts += (len(leaf).to_bytes(2, "big"), leaf)
    return b"".join(parts)


def decode_bundle(path: str, body: bytes, count: int) -> list[bytes]:
    """The leaves in an entry bundle. Raises FixityError naming it where it is not `count` whole leaves."""
    leaves, at = [], 0
    while at + 2 <= len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        leaves.append(body[at + 2 : end])
        at = end
    if at != len(body) or len(leaves) != count:
        raise FixityError(f"{path}: expected {count} whole leaves, found {len(leaves)} in {len(body)} bytes")
    return leaves


class Tiles:
    """The hashes of a tree of `size` leaves, read tile by tile; each tile once. `used` are the paths that were read."""

    def __init__(self, size: int, read: ReadTile) -> None:
        self.size, self._read = size, read
        self._known: dict[tuple[int, int], bytes] = {}
        self.used: list[str] = []

    def tile(self, level: int, index: int) -> bytes:
        """The bytes of a tile. Raises FixityError where they are not as many as the size of the tree says."""
        if (level, index) not in self._known:
            width = width_at(self.size, level, index)
            path = tile_path(level, index, width)
            body = self._read(path)
            self.used.append(path)
            if len(body) != width * HASH:
                raise FixityError(f"{path}: expected {width} hashes in {width * HASH} bytes, found {len(body)} bytes")
            self._known[level, index] = body
        return self._known[level, index]

    def edge(self) -> TreeEdge:
        """Where the tree can be appended to."""
        levels = [self._hashes(level, self.size >> 8 * level) for level in range(_levels(self.size))]
        return TreeEdge(self.size, levels)

    def root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]) of RFC 6962, section 2.1; `start` is where a subtree begins."""
        if start == end:
            return EMPTY_ROOT
        split = _split(end - start)
        if split == end - start:
            return self._perfect(start, split)
        return node_hash(self._perfect(start, split), self.root(start + split, end))

    def _perfect(self, start: int, many: int) -> bytes:
        height = many.bit_length() - 1
        level, above = divmod(height, 8)
        first, count = start >> 8 * level, 1 << above
        body = self.tile(level, first // TILE_WIDTH)
        at = first % TILE_WIDTH * HASH
        return perfect_root([body[at + i * HASH : at + (i + 1) * HASH] for i in range(count)])

    def _hashes(self, level: int, end: int) -> list[bytes]:
        """The hashes of a level's last tile, where it is not full."""
        index, width = divmod(end, TILE_WIDTH)
        body = self.tile(level, index) if width else b""
        return [body[i * HASH : (i + 1) * HASH] for i in range(width)]


def inclusion_proof(tiles: Tiles, index: int, size: int) -> list[bytes]:
    """PATH(index, D[0:size]) of RFC 6962, section 2.1.1: from the leaf's sibling up."""
    if not 0 <= index < size <= tiles.size:
        raise LedgerError(f"expected a leaf below {size} of {tiles.size}, found {index}. There is no such proof")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split_below(end - start)
        if index < middle:
            proof.append(tiles.root(middle, end))
            end = middle
        else:
            proof.append(tiles.root(start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(tiles: Tiles, first: int, second: int) -> list[bytes]:
    """PROOF(first, D[0:second]) of RFC 6962, section 2.1.2. Empty where `first` is 0 or `second`."""
    if not 0 <= first <= second <= tiles.size:
        raise LedgerError(f"expected sizes up to {tiles.size}, found {first} and {second}. There is no such proof")
    if first in (0, second):
        return []
    proof, start, end, whole = [], 0, second, True
    while end != first:
        middle = start + _split_below(end - start)
        if first <= middle:
            proof.append(tiles.root(middle, end))
            end = middle
        else:
            proof.append(tiles.root(start, middle))
            start, whole = middle, False
    return (proof if whole else [*proof, tiles.root(start, end)])[::-1]


def _split(many: int) -> int:
    """The largest power of two that is not above."""
    return 1 << many.bit_length() - 1


def _split_below(many: int) -> int:
    """The largest power of two below: where RFC 6962 splits a tree."""
    return _split(many - 1)


def _levels(size: int) -> int:
    return -(-size.bit_length() // 8)
