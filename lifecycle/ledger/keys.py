"""The ledger's secrets: the key that signs checkpoints, and the epoch keys under which leaves name calls.

Files are the default. A key service is another class of this shape; nothing else knows where a key lies.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from lifecycle.errors import SettingsError
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.notes import Signer, Verifier

RUN_INIT = "Run `lifecycle init` once; nothing was done"
NEXT, RETIRED, COMPROMISED = "next", "retired", "compromised"


class Keys(Protocol):
    """What the ledger asks of whoever keeps its secrets. Every method raises SettingsError where a key is missing."""

    def signers(self, origin: str) -> tuple[Signer, ...]:
        """Who signs the next checkpoint: the present key, and during a rotation the next one."""

    def verifiers(self, origin: str) -> tuple[Verifier, ...]:
        """The keys whose checkpoints this installation goes on from, the present one first."""

    def epoch(self) -> EpochKey:
        """The epoch in which calls are purged now."""

    def epochs(self) -> tuple[EpochKey, ...]:
        """Every epoch whose key is still there, the oldest first."""

    def destroyed_epochs(self) -> tuple[str, ...]:
        """The epochs whose keys somebody destroyed on purpose, and said so."""


class FileKeys:
    """Keys in files of mode 0600: `lifecycle.key`, and beside it the folder `lifecycle.epochs`.

    While a rotation is under way the next key lies in `lifecycle.key.next`; keys that rotated out, and are still
    believed, in `lifecycle.key.<id>.retired`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_suffix(".epochs")

    def signers(self, origin: str) -> tuple[Signer, ...]:
        """See Keys."""
        following = self.beside(NEXT)
        paths = [self.path, following] if following.exists() else [self.path]
        return tuple(_signer(origin, path) for path in paths)

    def verifiers(self, origin: str) -> tuple[Verifier, ...]:
        """See Keys."""
        retired = sorted(self.path.parent.glob(f"{self.path.name}.*.{RETIRED}"))
        mine = [signer.verifier for signer in self.signers(origin)]
        return (*mine, *(_signer(origin, path).verifier for path in retired))

    def epoch(self) -> EpochKey:
        """See Keys. The newest by name: a year's key is made by `lifecycle init`, and copied to every worker."""
        found = self.epochs()
        if not found:
            raise SettingsError(f"expected an epoch key in {self.folder}, found none. {RUN_INIT}")
        return found[-1]

    def epochs(self) -> tuple[EpochKey, ...]:
        """See Keys."""
        return tuple(_epoch(path) for path in sorted(self.folder.glob("*.key")))

    def destroyed_epochs(self) -> tuple[str, ...]:
        """See Keys. Said by a file `<epoch>.destroyed` where the key was."""
        return tuple(path.stem for path in sorted(self.folder.glob("*.destroyed")))

    def beside(self, name: str) -> Path:
        """A file that goes with the signing key."""
        return self.path.with_name(f"{self.path.name}.{name}")

    def turn(self, retire: bool) -> None:
        """Let the next key take the place of the present one, which is kept; believed on only where it retires."""
        following = self.beside(NEXT)
        if not following.exists():
            return
        key_id = _signer("", self.path).verifier.public.hex()[:8]
        old = self.beside(f"{key_id}.{RETIRED if retire else COMPROMISED}")
        write_secret(old, self.path.read_bytes(), "LIFECYCLE_SIGNING_KEY")
        os.replace(following, self.path)

    def make_epoch(self, year: int) -> Path | None:
        """Make this year's epoch key where there is none; gives the new file. Raises SettingsError."""
        if any(epoch.id.startswith(f"{year}-") for epoch in self.epochs()):
            return None
        key = secrets.token_bytes(32)
        path = self.folder / f"{EpochKey.of_key(year, key).id}.key"
        write_secret(path, key.hex().encode() + b"\n", "LIFECYCLE_SIGNING_KEY")
        return path


def new_signing_key() -> bytes:
    """An Ed25519 private key as PKCS#8 PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_secret(path: Path, body: bytes, setting: str) -> bool:
    """Make a file of mode 0600; gives whether it did. Never replaces one. Raises SettingsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise SettingsError(f"{setting}: expected to make {path}; found: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)  # half a key would never be replaced
        raise
    return True


def key_problems(path: Path) -> list[str]:
    """What is wrong with the signing key; `warning: ` before what can be lived with."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return [f"warning: no signing key {path}. Run `lifecycle init` once"]
    except OSError as error:
        return [f"the signing key {path} cannot be read: {error.strerror}"]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        return [f"{path} holds no Ed25519 private key in PEM. Move it away and run `lifecycle init`"]
    others = [f"warning: the signing key {path} has mode {mode:04o}; expected 0600, others may read it"]
    return others if mode & 0o077 else []


def epoch_problems(path: Path) -> list[str]:
    """What is wrong with the epoch keys beside a signing key; `warning: ` before what can be lived with."""
    try:
        FileKeys(path).epoch()
    except SettingsError as error:
        return [f"warning: {error}"]
    return []


def _signer(origin: str, path: Path) -> Signer:
    fatal = [problem for problem in key_problems(path) if not problem.startswith("warning: the")]
    if fatal:
        raise SettingsError(fatal[0].removeprefix("warning: ") + ". Nothing was done")
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return Signer(Verifier(origin, key.public_key().public_bytes_raw()), key.sign)


def _epoch(path: Path) -> EpochKey:
    try:
        year, key = int(path.stem.partition("-")[0]), bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError):
        raise SettingsError(f"{path}: expected an epoch key, 64 hex digits; found something else") from None
    found = EpochKey.of_key(year, key)
    if found.id != path.stem or len(key) != 32:
        raise SettingsError(f"{path}: this key belongs to the epoch {found.id}. Restore the file; nothing was done")
    return found
