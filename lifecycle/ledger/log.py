"""The log in the store: `ledger/checkpoint`, tiles and entry bundles (C2SP tlog-tiles). One writer, many readers.

The checkpoint goes last and alone decides what is logged. What is to be logged, and in which order, is `seal`'s.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from lifecycle.archive.object_store import ObjectStore
from lifecycle.errors import FixityError, LedgerError, ObjectExists, ObjectMissing
from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.merkle import TILE_WIDTH, TreeEdge, consistency_holds, leaf_hash
from lifecycle.evidence.notes import Note, Signer, Verifier
from lifecycle.evidence.tiles import (
    ENTRIES,
    Tiles,
    consistency_proof,
    decode_bundle,
    encode_bundle,
    tile_path,
    width_at,
)

LEDGER = "ledger/"
CHECKPOINT = f"{LEDGER}checkpoint"
LARGEST_NOTE = 64 << 10  # bytes of a signed checkpoint, with the signatures of its witnesses
_AT_ONCE = 8  # objects: a store far away answers slowly, and a disk flushes several as fast as one


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint that was verified, and the note it came in."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def size(self) -> int:
        """How many leaves are logged."""
        return self.checkpoint.size


class Log:
    """A log under one origin, read with the keys it is signed with; they are asked for when there is a log to read."""

    def __init__(self, store: ObjectStore, origin: str, verifiers: Callable[[], Sequence[Verifier]]) -> None:
        self.store, self.origin, self._verifiers = store, origin, verifiers

    def published(self) -> PublishedCheckpoint | None:
        """The checkpoint in the store; None where there is none. Raises FixityError, LedgerError."""
        try:
            body = self.store.get(CHECKPOINT, at_most=LARGEST_NOTE)
        except ObjectMissing:
            return None
        return self.read(CHECKPOINT, body)

    def read(self, what: str, note: bytes) -> PublishedCheckpoint:
        """A checkpoint of this log, verified. Raises FixityError, LedgerError naming `what`."""
        checkpoint = Checkpoint.verified(what, note, self._verifiers())
        if checkpoint.origin != self.origin:
            raise LedgerError(
                f"{what}: expected the log {self.origin}, found {checkpoint.origin}. Set LIFECYCLE_ORIGIN"
            )
        return PublishedCheckpoint(checkpoint, note)

    def remembered(self, what: str, note: bytes) -> Checkpoint:
        """A checkpoint that somebody kept, to be held against the log. Raises FixityError, LedgerError naming `what`.

        Also one that only a key signed which is believed no longer: the log must go on from it all the same.
        """
        parsed, verifiers = Note.from_bytes(what, note), self._verifiers()
        known = {(verifier.name, verifier.key_id) for verifier in verifiers}
        if any((signature.name, signature.key_id) in known for signature in parsed.signatures):
            return self.read(what, note).checkpoint
        found = Checkpoint.from_text(what, parsed.text)
        if found.origin != self.origin:
            raise LedgerError(f"{what}: expected a checkpoint of {self.origin}, found one of {found.origin}")
        return found

    def tiles(self, size: int) -> Tiles:
        """The hashes of a tree of that size."""
        return Tiles(size, self._object)

    def leaves(self, start: int, end: int, size: int) -> Iterator[bytes]:
        """Some leaves of a log of that size. Their bundles are not proved here. Raises FixityError, ObjectMissing."""
        for number in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
            first = number * TILE_WIDTH
            yield from self.bundle(number, size)[max(start - first, 0) : end - first]

    def bundle(self, number: int, size: int) -> list[bytes]:
        """The leaves of one bundle."""
        width = width_at(size, 0, number)
        path = tile_path(ENTRIES, number, width)
        return decode_bundle(f"{LEDGER}{path}", self._object(path), width)

    def edge(self, at: Checkpoint) -> TreeEdge:
        """Where the log can be appended to. Raises FixityError where the tiles do not add up to the root."""
        tiles = self.tiles(at.size)
        edge = tiles.edge()
        if edge.root() != at.root:
            raise FixityError(
                f"{', '.join(LEDGER + path for path in tiles.used) or CHECKPOINT}: the hashes do not add up to the "
                f"root in {CHECKPOINT}. Nothing was signed; `lifecycle verify` tells which object is damaged"
            )
        return edge

    def continues(self, old: Checkpoint, new: Checkpoint, tiles: Tiles | None = None) -> bool:
        """Whether the log of `new` begins with that of `old`. `tiles` of `new`: read before, for who asks often."""
        if old.size > new.size:
            return False
        proof = consistency_proof(tiles or self.tiles(new.size), old.size, new.size)
        return consistency_holds(old.size, new.size, old.root, new.root, proof)

    def _object(self, path: str) -> bytes:
        return self.store.get(f"{LEDGER}{path}")


class LeafReader:
    """Leaves of a log of one size, wherever they are; the bundle read last is kept, so that neighbours cost nothing."""

    def __init__(self, log: Log, size: int) -> None:
        self._log, self._size = log, size
        self._number, self._bundle = -1, list[bytes]()

    def leaf(self, index: int) -> bytes:
        """One leaf. Its bundle is not proved here. Raises FixityError, ObjectMissing."""
        if not 0 <= index < self._size:
            raise FixityError(f"leaf {index}: the ledger in the store has {self._size} leaves")
        number, place = divmod(index, TILE_WIDTH)
        if number != self._number:
            self._bundle, self._number = self._log.bundle(number, self._size), number
        return self._bundle[place]


class Appending:
    """Leaves on their way into the log behind a checkpoint. Until `publish` nothing of it is logged.

    Objects are put several at a time, in any order: only the checkpoint must come after all of them.
    Memory: the right edge of the tree, and as many bundles as are on their way.
    """

    def __init__(self, log: Log, after: PublishedCheckpoint | None) -> None:
        self._log, self._after = log, after
        at = after.checkpoint if after else Checkpoint(log.origin, 0, TreeEdge().root())
        self._edge = log.edge(at)
        self._waiting = self._last_bundle(at)
        self._pool, self._putting = ThreadPoolExecutor(_AT_ONCE), deque[Future[None]]()

    def append(self, leaf: bytes) -> int:
        """Add one leaf; gives its index."""
        self._waiting.append(leaf)
        if len(self._waiting) == TILE_WIDTH:
            self._put_bundle()
            self._waiting = []
        self._edge.append(leaf_hash(leaf), self._put_tile)
        return self._edge.size - 1

    def publish(self, signers: Sequence[Signer]) -> PublishedCheckpoint:
        """Write what is not full, sign, and put the checkpoint in the place of the one before. Raises ObjectExists."""
        if self._waiting:
            self._put_bundle()
        for level, index, hashes in self._edge.partial():
            self._put_tile(level, index, hashes)
        while self._putting:
            self._putting.popleft().result()
        self._pool.shutdown()
        checkpoint = Checkpoint(self._log.origin, self._edge.size, self._edge.root())
        note = checkpoint.signed(signers)
        self._log.store.swap(CHECKPOINT, note, self._after.note if self._after else None)
        return PublishedCheckpoint(checkpoint, note)

    def _last_bundle(self, at: Checkpoint) -> list[bytes]:
        number, width = divmod(at.size, TILE_WIDTH)
        leaves = self._log.bundle(number, at.size) if width else []
        if [leaf_hash(leaf) for leaf in leaves] != (self._edge.levels[0] if self._edge.levels else []):
            path = tile_path(ENTRIES, number, width)
            raise FixityError(f"{LEDGER}{path}: its leaves are not those of the tree. Nothing was signed")
        return leaves

    def _put_bundle(self) -> None:
        self._put(tile_path(ENTRIES, self._edge.size // TILE_WIDTH, len(self._waiting)), encode_bundle(self._waiting))

    def _put_tile(self, level: int, index: int, hashes: list[bytes]) -> None:
        self._put(tile_path(level, index, len(hashes)), b"".join(hashes))

    def _put(self, path: str, body: bytes) -> None:
        self._putting.append(self._pool.submit(_put_unlogged, self._log.store, f"{LEDGER}{path}", body))
        if len(self._putting) > 2 * _AT_ONCE:
            self._putting.popleft().result()


def _put_unlogged(store: ObjectStore, key: str, body: bytes) -> None:
    """Every object of an appending ends behind the checkpoint: other bytes under its key were never logged."""
    try:
        store.put_once(key, body)
    except ObjectExists:
        store.swap(key, body, store.get(key))
