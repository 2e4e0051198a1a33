"""A log of some hundred leaves in a folder, its keys, and the verifier that Go's own libraries make."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.evidence.checkpoint import Proof
from lifecycle.evidence.leaf import make_leaf
from lifecycle.evidence.tiles import inclusion_proof
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.ledger.log import Appending, Log, PublishedCheckpoint

ORIGIN = "records.example.com/calls"
GO_PACKAGES = Path("/usr/share/gocode")  # where Debian puts golang-golang-x-mod-dev
NO_GO = "GO NOT INSTALLED: expected go and golang-golang-x-mod-dev; tests/install_servers.sh installs them"


@dataclass(frozen=True)
class Grown:
    """A log in a folder."""

    folder: Path
    log: Log
    keys: FileKeys

    @property
    def ledger(self) -> Path:
        return self.folder / "store" / "ledger"

    @property
    def vkey(self) -> str:
        return self.keys.verifiers(ORIGIN)[0].vkey

    def published(self) -> PublishedCheckpoint:
        found = self.log.published()
        assert found is not None
        return found

    def append(self, leaves: Iterable[bytes]) -> PublishedCheckpoint:
        appending = Appending(self.log, self.log.published())
        for one in leaves:
            appending.append(one)
        return appending.publish(self.keys.signers(ORIGIN))

    def proof(self, index: int) -> Proof:
        published = self.published()
        hashes = inclusion_proof(self.log.tiles(published.size), index, published.size)
        return Proof(index, tuple(hashes), published.note)

    def leaf(self, index: int) -> bytes:
        return next(self.log.leaves(index, index + 1, self.published().size))

    def objects(self) -> list[Path]:
        found = [path for path in self.ledger.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return sorted(found)


def opened(folder: Path) -> Grown:
    keys = FileKeys(folder / "lifecycle.key")
    write_secret(keys.path, new_signing_key(), "")
    return Grown(folder, Log(FolderStore(folder / "store"), ORIGIN, lambda: keys.verifiers(ORIGIN)), keys)


def some_leaves(start: int, end: int) -> Iterable[bytes]:
    return (make_leaf("purged", {"call": f"{number:064x}", "source": "demo"}) for number in range(start, end))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    grown = opened(tmp_path_factory.mktemp("log") / "log")
    for start, end in ((0, 1), (1, 200), (200, 700)):
        grown.append(some_leaves(start, end))
    return grown.folder


@pytest.fixture
def grown(template: Path, tmp_path: Path) -> Grown:
    """Seven hundred leaves, sealed in three goes."""
    return opened(Path(shutil.copytree(template, tmp_path / "log")))


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """tests/ledger/verifier, built once a session."""
    go = shutil.which("go")
    if go is None or not (GO_PACKAGES / "src/golang.org/x/mod/sumdb").is_dir():
        if os.environ.get("CI", "").lower() not in ("", "0", "false"):
            pytest.fail(NO_GO, pytrace=False)
        pytest.skip(NO_GO)
    binary = tmp_path_factory.mktemp("go") / "verifier"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PACKAGES), "GOFLAGS": ""}
    environment["GOCACHE"] = str(binary.parent / "cache")
    source = Path(__file__).parent / "verifier" / "main.go"
    subprocess.run([go, "build", "-o", str(binary), str(source)], check=True, env=environment)
    return lambda *words: subprocess.run([str(binary), *map(str, words)], capture_output=True, text=True, check=False)
