"""Keys of people who approve, made on the spot with ssh-keygen, and the files of a policies folder that name them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PLAN, SCHEDULE = "plan@call-lifecycle", "schedule@call-lifecycle"
BOTH = f'namespaces="{PLAN},{SCHEDULE}"'


@dataclass(frozen=True)
class Key:
    """One key pair and whose it is."""

    owner: str
    file: Path

    @property
    def public(self) -> str:
        """Type and base64."""
        return " ".join(self.file.with_suffix(".pub").read_text().split()[:2])

    def line(self, options: str = BOTH, owner: str | None = None) -> str:
        """Its line in allowed_signers."""
        return f"{owner or self.owner} {options} {self.public}".replace("  ", " ")

    def sign(self, body: bytes, namespace: str = PLAN) -> bytes:
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.file)]
        return subprocess.run(command, input=body, capture_output=True, check=True).stdout


def keygen(folder: Path, owner: str, kind: str = "ed25519") -> Key:
    file = folder / owner.partition("@")[0]
    assert shutil.which("ssh-keygen"), "ssh-keygen is not there: apt-get install openssh-client"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", owner, "-f", str(file)], check=True)
    return Key(owner, file)


def allow(policies: Path, *lines: str) -> None:
    (policies / "allowed_signers").write_text("".join(f"{line}\n" for line in lines))
    (policies / "revoked_signers").touch()


def revoke(policies: Path, *keys: Key) -> None:
    (policies / "revoked_signers").write_text("".join(f"{key.public}\n" for key in keys))
