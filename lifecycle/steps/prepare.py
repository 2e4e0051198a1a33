"""Prepare: make what the product needs before its first night, and nothing that is there already."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lifecycle.crm.bank import import_calls
from lifecycle.crm.database import open_database, translated
from lifecycle.crm.demo import create_schema
from lifecycle.errors import SettingsError
from lifecycle.steps.context import Lifecycle


@dataclass
class Prepared:
    """What was made and what was there; what is wrong with the store or the key, `warning: ` before lesser things."""

    made: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, what: str, made: bool) -> None:
        """Note one thing."""
        (self.made if made else self.found).append(what)

    @property
    def fit(self) -> bool:
        """Whether a night may run: warnings can be lived with."""
        return all(is_warning(problem) for problem in self.problems)


def is_warning(problem: str) -> bool:
    """Whether a problem of a store is one that can be lived with."""
    return problem.startswith("warning: ")


def prepare(lifecycle: Lifecycle) -> Prepared:
    """Make the control tables and the signing key, and try the store out. Safe to run again."""
    result, control = Prepared(), lifecycle.crm.control
    store, key = lifecycle.store, lifecycle.settings.signing_key
    there = control.complete()
    if not there:
        control.create()
    result.add("the control tables in the CRM", made=not there)
    result.add(f"the signing key {key}", made=make_key(key))
    result.problems += key_problems(key)
    tried = store.probe()
    result.problems += tried
    if all(map(is_warning, tried)):
        result.add(f"the store {store.url}, tried out with one object", made=False)
    return result


def make_key(path: Path) -> bool:
    """Make an Ed25519 private key as PKCS#8 PEM, mode 0600; gives whether it did. Never replaces a file.

    It will sign the ledger's checkpoints: whoever verifies them needs to know the public half of this very key.
    Raises SettingsError where the file cannot be made.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise SettingsError(f"LIFECYCLE_SIGNING_KEY: expected to make {path}; found: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
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


def load_bank_calls(lifecycle: Lifecycle, file: Path) -> int:
    """Make the demo schema where it is absent and load the bank's calls into it; gives their number.

    Raises InputError, and then nothing was loaded.
    """
    database = open_database(lifecycle.settings.crm_url.get_secret_value())
    total = max(0, _lines(file) - 1)
    if database.dialect == "sqlite" and database.engine.url.database:
        Path(database.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    with translated():
        create_schema(database.engine)
        return import_calls(database.engine, file, lambda done: lifecycle.progress("calls loaded", done, total))


def _lines(file: Path) -> int:
    """For the progress only: what is wrong with the file is the import's to say."""
    try:
        with file.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return 0
