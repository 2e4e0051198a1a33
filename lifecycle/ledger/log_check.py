"""The whole log read back: every bundle and every tile against the signed root, and which object it is that lies."""

from collections.abc import Callable, Iterator

from lifecycle.errors import FixityError, ObjectMissing
from lifecycle.evidence.merkle import TreeEdge, leaf_hash
from lifecycle.evidence.tiles import ENTRIES, HASH, tile_path, width_at
from lifecycle.ledger.log import CHECKPOINT, LEDGER, Log, PublishedCheckpoint

DamagedObjects = dict[str, str]
LeafHandler = Callable[[int, bytes], object]
_NOT_THE_ROOT = "its hashes do not lead to the signed root"


def check_log(log: Log, published: PublishedCheckpoint, see: LeafHandler) -> DamagedObjects:
    """What is damaged or missing, by key; `see` is handed each leaf that could be read. Memory: one bundle.

    If the leaves lead to the signed root, they are what was signed, and every tile must be what they give. If they do
    not, and the hashes in the tiles of level 0 do, then those were signed, and a bundle lies. If neither does, more
    than one object lies: all that disagree are named.
    """
    check = _Check(log, published)
    by_leaves = check.grow(check.from_bundles(see))
    if by_leaves is None or by_leaves.root() == published.checkpoint.root:
        return check.damage | check.other_tiles
    check.other_tiles = {}
    by_tiles = check.grow(check.from_tiles())
    if by_tiles is None or by_tiles.root() == published.checkpoint.root:
        return check.damage | check.other_tiles | check.bundles_against_tiles()
    neither = {
        CHECKPOINT: "neither the leaves nor the tiles lead to the root it signs: more than one object was changed"
    }
    return neither | check.damage | check.other_tiles | check.bundles_against_tiles()


class _Check:
    def __init__(self, log: Log, published: PublishedCheckpoint) -> None:
        self._log, self._size = log, published.size
        self.damage: DamagedObjects = {}
        self.other_tiles: DamagedObjects = {}

    def grow(self, bundles: Iterator[list[bytes] | None]) -> TreeEdge | None:
        """The tree over some hashes, while the stored tiles are compared. None: a stretch of it is lost."""
        edge = TreeEdge()
        for hashes in bundles:
            if hashes is None:
                return None
            for one in hashes:
                edge.append(one, self._compare)
        for level, index, hashes in edge.partial():
            self._compare(level, index, hashes)
        return edge

    def from_bundles(self, see: LeafHandler) -> Iterator[list[bytes] | None]:
        """The hashes of the leaves; of a bundle that cannot be read, what its tile says."""
        for number in range(-(-self._size >> 8)):
            leaves = self._bundle(number)
            if leaves is None:
                yield self._tile(number)
                continue
            for place, leaf in enumerate(leaves):
                see(number * 256 + place, leaf)
            yield [leaf_hash(leaf) for leaf in leaves]

    def from_tiles(self) -> Iterator[list[bytes] | None]:
        """The hashes that the tiles of level 0 hold."""
        return (self._tile(number) for number in range(-(-self._size >> 8)))

    def bundles_against_tiles(self) -> DamagedObjects:
        """The bundles whose leaves are not those of their tile."""
        found = {}
        for number in range(-(-self._size >> 8)):
            leaves, hashes = self._bundle(number), self._tile(number)
            if leaves is not None and hashes is not None and [leaf_hash(leaf) for leaf in leaves] != hashes:
                found[self._key(ENTRIES, number)] = _NOT_THE_ROOT
        return found

    def _compare(self, level: int, index: int, hashes: list[bytes]) -> None:
        key = self._key(level, index)
        stored = self._read(key)
        if stored is not None and stored != b"".join(hashes):
            self.other_tiles[key] = _NOT_THE_ROOT

    def _bundle(self, number: int) -> list[bytes] | None:
        try:
            return self._log.bundle(number, self._size)
        except (FixityError, ObjectMissing) as error:
            self.damage[self._key(ENTRIES, number)] = str(error).removeprefix(f"{self._key(ENTRIES, number)}: ")
            return None

    def _tile(self, number: int) -> list[bytes] | None:
        body = self._read(self._key(0, number))
        if body is None or len(body) != width_at(self._size, 0, number) * HASH:
            return None
        return [body[at : at + HASH] for at in range(0, len(body), HASH)]

    def _read(self, key: str) -> bytes | None:
        try:
            return self._log.store.get(key)
        except (FixityError, ObjectMissing) as error:
            self.damage[key] = str(error)
            return None

    def _key(self, level: int | str, index: int) -> str:
        width = width_at(self._size, 0 if level == ENTRIES else int(level), index)
        return f"{LEDGER}{tile_path(level, index, width)}"
