"""Signed notes: C2SP signed-note with Ed25519, and C2SP tlog-cosignature. What a note says is checkpoint's."""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lifecycle.errors import FixityError, LedgerError

ED25519, COSIGNATURE = 1, 4  # signature types of signed-note and of tlog-cosignature
_DASH = "— "
_MOST_SIGNATURES = 64
_KEY_ID, _PUBLIC = 4, 32  # bytes


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name. `kind` is ED25519 for a log's key, COSIGNATURE for a witness's."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes by which signatures name the key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID]

    @property
    def vkey(self) -> str:
        """The key as signed-note writes it."""
        return f"{self.name}+{self.key_id.hex()}+{_text(bytes([self.kind]) + self.public)}"

    @classmethod
    def from_vkey(cls, text: str) -> "Verifier":
        """Read a key. Raises LedgerError saying what is wrong with it."""
        expected = "expected <name>+<8 hex digits>+<base64 of an Ed25519 key>"
        try:
            name, key_id, material = text.strip().split("+", 2)
            body = base64_bytes(material)
        except ValueError:
            raise LedgerError(f"verifier key: {expected}, found {text.strip()!r}") from None
        found = cls(require_key_name(name), body[1:], body[0] if body else 0)
        if found.kind not in (ED25519, COSIGNATURE) or len(found.public) != _PUBLIC:
            raise LedgerError(f"verifier key {name}: {expected}, found another kind of key")
        if found.key_id.hex() != key_id:
            raise LedgerError(f"verifier key {name}: its id is {found.key_id.hex()}, not {key_id}. Copy it again")
        return found

    def holds(self, text: bytes, signature: bytes) -> bool:
        """Whether this key made the signature (without key id) over the text of a note."""
        if self.kind == COSIGNATURE:
            text, signature = cosigned_message(text, int.from_bytes(signature[:8], "big")), signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs as `verifier` verifies. `sign` may be anybody's: a file's, a key service's."""

    verifier: Verifier
    sign: Callable[[bytes], bytes]

    def line(self, text: bytes) -> str:
        """The signature line over a note's text."""
        return signature_line(self.verifier, self.sign(text))


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who is said to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text ending in a newline, and the signatures below it. Nothing is verified yet."""

    text: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def from_bytes(cls, what: str, body: bytes) -> "Note":
        """Take a note apart. Raises FixityError naming `what`."""
        try:
            text, found, lines = body.decode().rpartition("\n\n")
            if not found or any(c < " " and c != "\n" for c in text + lines) or not lines.endswith("\n"):
                raise ValueError
            signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
        except ValueError:
            raise FixityError(f"{what}: expected a signed note, found {len(body)} bytes that are none") from None
        if len(signatures) > _MOST_SIGNATURES:
            raise FixityError(f"{what}: expected at most {_MOST_SIGNATURES} signatures, found {len(signatures)}")
        return cls(f"{text}\n".encode(), signatures)

    def verified(self, what: str, verifiers: Sequence[Verifier]) -> tuple[Verifier, ...]:
        """The known keys that signed. Raises FixityError where there is none, or where a known key's does not hold."""
        known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
        signed = []
        for signature in self.signatures:
            verifier = known.get((signature.name, signature.key_id))
            if verifier and not verifier.holds(self.text, signature.body):
                raise FixityError(f"{what}: the signature of {verifier.name} does not hold. It was changed, or forged")
            signed += [verifier] if verifier else []
        if not signed:
            names = ", ".join(verifier.vkey for verifier in verifiers) or "no key"
            raise FixityError(f"{what}: expected a signature by {names}; found none that holds")
        return tuple(signed)


def sign_note(text: bytes, signers: Sequence[Signer]) -> bytes:
    """A note: the text, and one line by each signer."""
    return text + b"\n" + "".join(signer.line(text) for signer in signers).encode()


def signature_line(verifier: Verifier, signature: bytes) -> str:
    """A signature as a note's line."""
    return f"{_DASH}{verifier.name} {_text(verifier.key_id + signature)}\n"


def cosigned_message(text: bytes, seconds: int) -> bytes:
    """What a witness signs: tlog-cosignature, the Ed25519 signed message."""
    return f"cosignature/v1\ntime {seconds}\n".encode() + text


def require_key_name(name: str) -> str:
    """A key's name, or a log's origin. Raises LedgerError for one that signed-note does not allow."""
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise LedgerError(f"expected a name such as records.example.com/calls, without blank or '+', found {name!r}")
    return name


def base64_bytes(text: str) -> bytes:
    """Base64 as there is only one way to write it. Raises ValueError."""
    try:
        body = b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError(str(error)) from None
    if _text(body) != text:
        raise ValueError("not canonical")
    return body


def _signature(line: str) -> Signature:
    dash, name, text = line[: len(_DASH)], *line[len(_DASH) :].split(" ")
    body = base64_bytes(text)
    if dash != _DASH or not name or len(body) <= _KEY_ID:
        raise ValueError
    return Signature(name, body[:_KEY_ID], body[_KEY_ID:])


def _text(body: bytes) -> str:
    return b64encode(body).decode()
