"""What only a folder can do wrong: crashes that leave files, links that lead out, bytes that change below us."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.object_store import StoredObject
from lifecycle.errors import FixityError, ObjectMissing, StoreError

ONE = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"

KILLED = """
import os, signal, sys
from pathlib import Path
from lifecycle.archive import folder_store as folder
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
link = os.link
def killed_link(*names):
    if sys.argv[2] == "after": link(*names)
    die()
os.link = killed_link
folder.FolderStore(Path(sys.argv[1])).put_once("a/b", b"one")
"""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def killed(folder: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), when], check=False)
    assert done.returncode == -signal.SIGKILL


def test_the_version_of_a_file_is_its_digest(store, tmp_path):
    assert store.put_once("a/b", b"one") == StoredObject("a/b", f"sha256:{ONE}", 3, ONE)
    assert files(tmp_path) == [tmp_path / "store/a/b"]


def test_changed_bytes_are_not_that_version(store, tmp_path):
    stored = store.put_once("a", b"one")
    (tmp_path / "store/a").write_bytes(b"two")
    for use in (
        lambda: store.get("a", stored.version_id),
        lambda: store.fetch("a", stored.version_id, tmp_path / "out"),
        lambda: store.delete("a", stored.version_id),
    ):
        with pytest.raises(FixityError, match=f"stored as sha256:{ONE}; the file now holds sha256:"):
            use()
    assert files(tmp_path) == [tmp_path / "store/a"]
    assert store.get("a") == b"two"


@pytest.mark.parametrize(("when", "stored"), [("before", []), ("after", ["a/b"])])
def test_a_writer_killed_at_its_link_leaves_nothing_a_reader_sees_and_nothing_after_delete(
    store, tmp_path, when, stored
):
    killed(tmp_path / "store", when)
    assert len(files(tmp_path)) == 1 + len(stored)
    assert list(store.list("")) == stored
    again = store.put_once("a/b", b"one")
    assert list(store.list("")) == ["a/b"]
    store.delete("a/b", again.version_id)
    assert files(tmp_path) == []


def test_a_failed_write_leaves_no_file(store, tmp_path):
    with pytest.raises(StoreError, match="could not write"):
        store.put_once("a", tmp_path / "not there")
    assert files(tmp_path) == []


def test_a_key_below_another_key_is_refused(store):
    store.put_once("a/b", b"one")
    with pytest.raises(StoreError, match="other keys lie below"):
        store.put_once("a", b"two")
    with pytest.raises(StoreError, match="could not write"):
        store.put_once("a/b/c", b"two")
    assert store.get("a/b") == b"one"


def test_no_link_is_followed_out_of_the_folder(store, tmp_path):
    store.put_once("in", b"one")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    (tmp_path / "store/link").symlink_to(tmp_path / "outside")
    (tmp_path / "store/file").symlink_to(tmp_path / "outside/secret")
    for key in ("link/secret", "file"):
        for use in (
            lambda key=key: store.get(key),
            lambda key=key: store.put_once(key, b"two"),
            lambda key=key: store.delete(key, None),
        ):
            with pytest.raises(StoreError, match="leads through a symbolic link"):
                use()
    with pytest.raises(StoreError, match="leads through a symbolic link"):
        store.list("link/")
    assert list(store.list("")) == ["in"]
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"


def test_a_reader_beside_a_writer_sees_whole_objects_only(store, tmp_path):
    body, done, seen = os.urandom(1 << 20) * 8, Event(), set()
    source = tmp_path / "body"
    source.write_bytes(body)

    def read() -> None:
        while not done.is_set():
            for key in store.list("a/"):
                seen.add((key, store.get(key) == body))

    reader = Thread(target=read)
    reader.start()
    for number in range(10):
        store.put_once(f"a/{number}", source)
    done.set()
    reader.join()
    assert {whole for _, whole in seen} <= {True}
    assert list(store.list("a/")) == [f"a/{number}" for number in range(10)]


def test_what_cannot_be_read_is_not_taken_for_empty(store, tmp_path, monkeypatch):
    store.put_once("a/b", b"one")

    def forbidden(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(StoreError, match=r"could not list 'a/'.*Permission denied"):
        store.list("a/")


def test_a_file_system_without_hard_links_is_found_unfit(store, tmp_path, monkeypatch):
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    problems = store.probe()
    assert len(problems) == 1
    assert "Operation not permitted" in problems[0]
    assert files(tmp_path) == []


def test_an_object_gone_is_missing_in_every_version(store):
    stored = store.put_once("a", b"one")
    store.delete("a", stored.version_id)
    with pytest.raises(ObjectMissing):
        store.get("a", stored.version_id)


def test_a_list_looks_into_no_folder_that_cannot_have_what_is_asked_for(store, monkeypatch):
    for key in ("a/b", "a/bc", "a/bd/e", "a/c/d", "b/a"):
        store.put_once(key, b"one")
    looked, scandir = list[str](), os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(Path(folder).name) or scandir(folder))
    assert list(store.list("a/b")) == ["a/b", "a/bc", "a/bd/e"]
    assert looked == ["a", "bd"]
    assert list(store.list("a/")) == ["a/b", "a/bc", "a/bd/e", "a/c/d"]
    assert list(store.list("")) == ["a/b", "a/bc", "a/bd/e", "a/c/d", "b/a"]
