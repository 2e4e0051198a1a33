"""The Merkle tree of RFC 6962: hashes, the right edge a log grows at, and what makes a proof hold. No storage.

How a proof is found in tiles is `tiles`'; how a root is signed is `checkpoint`'s.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

TILE_WIDTH = 256  # hashes in a full tile (C2SP tlog-tiles)
EMPTY_ROOT = hashlib.sha256(b"").digest()

FullTile = Callable[[int, int, list[bytes]], object]


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962, section 2.1: the hash of one entry."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, section 2.1: the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def perfect_parts(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """The roots of the perfect subtrees that a run of hashes falls into, the largest (leftmost) first."""
    start = 0
    for bit in range(len(hashes).bit_length() - 1, -1, -1):
        if len(hashes) >> bit & 1:
            yield perfect_root(hashes[start : start + (1 << bit)])
            start += 1 << bit


class TreeEdge:
    """The right edge of a tree: of each level of tiles the hashes that fill no tile yet. All that appending needs.

    `levels[0]` are leaf hashes; a hash of `levels[n]` stands for 256**n leaves. Never over 255 hashes a level.
    """

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        self.size, self.levels = size, [list(hashes) for hashes in levels]

    def append(self, leaf: bytes, full: FullTile) -> None:
        """Add the hash of one leaf. `full(level, index, hashes)` is told of each tile that it fills, lowest first."""
        self.size += 1
        level, found = 0, leaf
        while True:
            if level == len(self.levels):
                self.levels.append([])
            hashes = self.levels[level]
            hashes.append(found)
            if len(hashes) < TILE_WIDTH:
                return
            full(level, (self.size >> 8 * (level + 1)) - 1, hashes)
            found = perfect_root(hashes)
            self.levels[level] = []
            level += 1

    def partial(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """The tiles that are not full: level, index, hashes."""
        for level, hashes in enumerate(self.levels):
            if hashes:
                yield level, self.size >> 8 * (level + 1), hashes

    def root(self) -> bytes:
        """The root of the whole tree."""
        root: bytes | None = None
        for hashes in self.levels:
            for part in reversed(list(perfect_parts(hashes))):
                root = part if root is None else node_hash(part, root)
        return EMPTY_ROOT if root is None else root


def inclusion_holds(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that the leaf with this hash is at `index` of the tree. RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size or not _hashes((leaf, root, *proof)):
        return False
    place, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def consistency_holds(first: int, second: int, old: bytes, new: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of `second` leaves begins with that of `first`. RFC 9162, 2.1.4.2.

    The empty tree, with the empty root, is the beginning of every tree, and needs no proof.
    """
    if not 0 <= first <= second or not _hashes((old, new, *proof)):
        return False
    if first in (0, second):
        return not proof and (old == EMPTY_ROOT if first == 0 else old == new)
    path = [old, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(other, before), node_hash(other, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, other)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old and after == new


def _hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == hashlib.sha256().digest_size for value in values)
