"""Signatures: made and checked by ssh-keygen, against the files of the policies folder as they are this moment.

The only place that starts ssh-keygen. What is signed, and who must not sign it, is approval's.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from lifecycle.errors import ApprovalRefused, InputError, PolicyError, ToolMissing
from lifecycle.policy.allowed_signers import ALLOWED, REVOKED, AllowedSigner, entries, read_allowed_signers, revocations

_SECONDS = 30
_LARGEST_FILE = 1 << 20  # bytes
_FILES = {ALLOWED: "to name who may approve", REVOKED: "to name the keys that may not any more (it may be empty)"}
_INSTALL = "expected ssh-keygen of OpenSSH 8.9 or newer (Debian: apt-get install openssh-client)"
_TOO_OLD = re.compile(rb"unknown option|illegal option|Unsupported operation|Invalid .*option|Too many arguments")
_TIME = re.compile(r"key (?:has expired|is not yet valid): .*")


@dataclass(frozen=True, slots=True)
class SignerFiles:
    """Who may sign, as the policies folder said when it was read. ssh-keygen is given the lines we read, no other."""

    signers: tuple[AllowedSigner, ...]
    allowed: bytes
    revoked: bytes


def read_signer_files(policies: Path) -> SignerFiles:
    """Read both files. Raises PolicyError with file and line where there is no approver, or a line is not safe.

    Both must be there, the list of revoked keys too, though it may be empty: one that is not could have named anybody.
    """
    allowed, revoked = (_read(policies, name, said) for name, said in _FILES.items())
    try:
        text = allowed.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"{ALLOWED}:1: who may approve cannot be read: {error}") from error
    return SignerFiles(read_allowed_signers(text), entries(ALLOWED, text).encode(), revocations(revoked))


def _read(policies: Path, name: str, said: str) -> bytes:
    try:
        with (policies / name).open("rb") as file:
            body = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise PolicyError(
            f"{name}:1: expected {policies / name} {said}, found no such file. docs/approval.md says how to write it"
        ) from None
    except OSError as error:
        raise PolicyError(f"{name}:1: who may approve cannot be read: {error}") from error
    if len(body) > _LARGEST_FILE:
        raise PolicyError(f"{name}:1: expected at most {_LARGEST_FILE} bytes, found more")
    return body


def verify_signature(
    files: SignerFiles, body: bytes, signature: bytes, signer: str, namespace: str, now: datetime
) -> None:
    """Require that `signer` signed exactly these bytes under the namespace with a key that is good at `now`.

    Raises ApprovalRefused saying what is wrong, ToolMissing where nobody can say.
    """
    moment = f"-Overify-time={now.astimezone(UTC):%Y%m%d%H%M%S}"
    with _on_disk(files, signature) as folder:
        named = ["-n", namespace, "-s", str(folder / "signature")]
        allowed = ["-f", str(folder / ALLOWED), "-I", signer, moment]
        revoked = ["-r", str(folder / REVOKED)]
        if _keygen(["-Y", "verify", *allowed, *named, *revoked], body).returncode == 0:
            return
        owner = _keygen(["-Y", "find-principals", "-s", str(folder / "signature"), *allowed[:2], moment], body)
        whole = _keygen(["-Y", "check-novalidate", *named], body)
        unrevoked = _keygen(["-Y", "verify", *allowed, *named], body)
    raise ApprovalRefused(_why(whole, owner, unrevoked, signer, namespace))


def _why(
    whole: subprocess.CompletedProcess[bytes],
    owner: subprocess.CompletedProcess[bytes],
    unrevoked: subprocess.CompletedProcess[bytes],
    signer: str,
    namespace: str,
) -> str:
    """The first thing that is wrong, in our words."""
    if whole.returncode:
        if b"namespace does not match" in whole.stderr:
            return f"it was signed for another purpose than {namespace}"
        return "the signature is not of these bytes: one of the two was changed"
    late = _TIME.search(unrevoked.stderr.decode(errors="replace"))
    if late:
        return f"the {late[0]}"
    if owner.returncode:
        return f"no line of {ALLOWED} names the key it was signed with"
    if signer not in _lines(owner.stdout):
        return f"it was signed with a key of {', '.join(_lines(owner.stdout))} and says {signer}"
    if unrevoked.returncode == 0:
        return f"the key of {signer} is revoked in {REVOKED}"
    return f"ssh-keygen does not accept it: {_said(unrevoked.stderr)}"


def sign_bytes(body: bytes, key: Path, namespace: str) -> bytes:
    """Sign with a private key, or the agent's key whose public half is given. Raises InputError where it cannot."""
    return _asking(["-q", "-Y", "sign", "-n", namespace, "-f", str(key)], body, key)


def read_public_key(key: Path) -> str:
    """Type and base64 of a key file's public half, from the file itself, from FILE.pub, or by asking ssh-keygen."""
    for path in (key, key.with_name(f"{key.name}.pub")):
        fields = path.read_bytes().split()[:2] if path.is_file() else []
        if len(fields) == 2 and re.match(rb"(sk-)?(ssh|ecdsa)-", fields[0]):
            return b" ".join(fields).decode()
    return b" ".join(_asking(["-y", "-f", str(key)], b"", key).split()[:2]).decode()


def _asking(arguments: Sequence[str], body: bytes, key: Path) -> bytes:
    """What ssh-keygen answers while it may ask the person for a passphrase or a touch: it speaks for itself."""
    if not key.is_file():
        raise InputError(f"--key {key}: expected the file of a key, found none. Nothing was approved")
    done = _keygen(arguments, body, attended=True)
    if done.returncode:
        raise InputError(f"--key {key}: ssh-keygen could not use it, and said why. Nothing was approved")
    return done.stdout


def find_ssh_keygen() -> str:
    """Where ssh-keygen is. Raises ToolMissing."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ToolMissing(f"signatures: {_INSTALL}, found none. Nothing was let through; install it first")
    return program


def _keygen(arguments: Sequence[str], body: bytes, attended: bool = False) -> subprocess.CompletedProcess[bytes]:
    program = find_ssh_keygen()
    # The rest of the environment is passed on: a key may be an agent's. Times without a zone are UTC on every machine.
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, *arguments],
            input=body,
            stdout=subprocess.PIPE,
            stderr=None if attended else subprocess.PIPE,
            env=environment,
            timeout=None if attended else _SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissing(f"signatures: {_INSTALL}; {program} failed: {error}. Nothing was let through") from error
    if done.returncode and _TOO_OLD.search(done.stderr or b""):
        raise ToolMissing(f"signatures: {_INSTALL}; {program} is another: {_said(done.stderr)}")
    return done


@contextmanager
def _on_disk(files: SignerFiles, signature: bytes) -> Iterator[Path]:
    with TemporaryDirectory(prefix="lifecycle-") as name:
        folder = Path(name)
        for file, body in ((ALLOWED, files.allowed), (REVOKED, files.revoked), ("signature", signature)):
            (folder / file).write_bytes(body)
        yield folder


def _lines(output: bytes) -> list[str]:
    return output.decode(errors="replace").splitlines()


def _said(stderr: bytes) -> str:
    """The first thing that ssh-keygen complained of; where it said nothing, that."""
    lines = [line for line in _lines(stderr) if line.strip() and not line.startswith("Signing ")]
    return lines[0].strip() if lines else "it gave no reason"
