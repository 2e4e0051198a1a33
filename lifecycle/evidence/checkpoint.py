"""Checkpoints and proofs: C2SP tlog-checkpoint and tlog-proof. A log's signed size and root; a leaf's way to it."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.errors import FixityError
from lifecycle.evidence.merkle import EMPTY_ROOT, inclusion_holds, leaf_hash
from lifecycle.evidence.notes import Note, Signer, Verifier, base64_bytes, sign_note

_PROOF = "c2sp.org/tlog-proof@v1"
_HASH = 32  # bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log at one moment. The same three values are the same bytes, and Ed25519 signs them the same way again."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> bytes:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()

    def signed(self, signers: Sequence[Signer]) -> bytes:
        """The checkpoint as it is published."""
        return sign_note(self.text, signers)

    @classmethod
    def from_text(cls, what: str, text: bytes) -> "Checkpoint":
        """Read the text of a note. Raises FixityError naming `what`. Extension lines are not ours, and refused."""
        try:
            origin, size, root, end = text.decode().split("\n")
            found = cls(origin, _number(size), base64_bytes(root))
            if end or not origin or len(found.root) != _HASH:
                raise ValueError
        except ValueError:
            raise FixityError(f"{what}: expected a checkpoint's three lines, found something else") from None
        if found.size == 0 and found.root != EMPTY_ROOT:
            raise FixityError(f"{what}: expected the empty root for a log of no leaves, found another")
        return found

    @classmethod
    def verified(cls, what: str, body: bytes, verifiers: Sequence[Verifier]) -> "Checkpoint":
        """A checkpoint that one of these keys signed. Raises FixityError naming `what`."""
        note = Note.from_bytes(what, body)
        note.verified(what, verifiers)
        return cls.from_text(what, note.text)


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is in a log: its place, the hashes from its sibling up, and the signed checkpoint they lead to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """The content of a .tlog-proof file."""
        lines = [_PROOF, f"index {self.index}", *(b64encode(one).decode() for one in self.hashes)]
        return "".join(f"{line}\n" for line in [*lines, ""]).encode() + self.checkpoint

    @classmethod
    def from_bytes(cls, what: str, body: bytes) -> "Proof":
        """Read a proof file. Raises FixityError naming `what`. Extra data is not ours, and refused."""
        head, found, checkpoint = body.partition(b"\n\n")
        try:
            first, second, *hashes = head.decode().split("\n")
            word, _, number = second.partition(" ")
            read = cls(_number(number), tuple(map(base64_bytes, hashes)), checkpoint)
        except ValueError:
            raise FixityError(f"{what}: expected a tlog-proof, found something else") from None
        if (first, word, found) != (_PROOF, "index", b"\n\n"):
            raise FixityError(f"{what}: expected a tlog-proof ({_PROOF}), found something else")
        return read

    def verified(self, what: str, leaf: bytes, verifiers: Sequence[Verifier]) -> Checkpoint:
        """The checkpoint under which the leaf is on record. Raises FixityError naming `what`."""
        checkpoint = Checkpoint.verified(what, self.checkpoint, verifiers)
        if not inclusion_holds(self.index, checkpoint.size, leaf_hash(leaf), self.hashes, checkpoint.root):
            raise FixityError(
                f"{what}: the hashes do not lead from this leaf at {self.index} to the root of "
                f"{checkpoint.size} leaves. The proof or the leaf was changed"
            )
        return checkpoint


def _number(text: str) -> int:
    """A decimal without leading zeros."""
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0"):
        raise ValueError
    return int(text)
