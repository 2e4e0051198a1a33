"""What we make beside other people's files: through no link, and for our account alone."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.database import open_database
from lifecycle.errors import DatabaseError, FixityError, LeaseTaken, ObjectMissing, StoreError
from lifecycle.private_files import open_lock_file, replace_private_file


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """What must not be touched."""
    file = tmp_path / "epoch.key"
    file.write_bytes(b"secret")
    return file


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "store")
    made.swap("ledger/checkpoint", b"one", None)
    return made


def locks(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store" / "ledger").glob(".lock-*"))


def test_a_link_planted_for_the_lock_of_a_store_empties_nothing(tmp_path, store, key):
    (lock,) = locks(tmp_path)
    lock.unlink()
    lock.symlink_to(key)
    with pytest.raises(StoreError, match="could not write 'ledger/checkpoint'"):
        store.swap("ledger/checkpoint", b"two", b"one")
    lock.unlink()
    os.link(key, lock)  # nor does another name of the same file
    store.swap("ledger/checkpoint", b"two", b"one")
    assert (key.read_bytes(), store.get("ledger/checkpoint")) == (b"secret", b"two")


def test_a_link_planted_for_a_lease_empties_nothing(tmp_path, key):
    database = open_database(f"sqlite:///{tmp_path / 'crm.db'}")
    with database.lease("bank/2021-03", "x"):
        (lease,) = tmp_path.glob("crm.db.lease-*")
    lease.unlink()
    lease.symlink_to(key)
    with pytest.raises(DatabaseError, match="the lease's file cannot be opened"), database.lease("bank/2021-03", "x"):
        pytest.fail("it was taken")
    assert key.read_bytes() == b"secret"


def test_a_read_only_file_with_a_lease_starves_nobody(tmp_path):
    """Whoever may read a file may lock it; so nobody else may, and one of before is closed."""
    database = open_database(f"sqlite:///{tmp_path / 'crm.db'}")
    with database.lease("bank/2021-03", "x"):
        (lease,) = tmp_path.glob("crm.db.lease-*")
        assert stat.S_IMODE(lease.stat().st_mode) == 0o600
    lease.chmod(0o444)
    with database.lease("bank/2021-03", "x"):
        assert stat.S_IMODE(lease.stat().st_mode) == 0o600
        with pytest.raises(LeaseTaken), database.lease("bank/2021-03", "x"):
            pytest.fail("it was taken twice")


def test_the_name_of_a_lease_hangs_on_the_secret(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'crm.db'}")
    with database.lease("bank/2021-03", "one"), database.lease("bank/2021-03", "two"):
        assert len(list(tmp_path.glob("crm.db.lease-*"))) == 2


def test_another_accounts_file_is_no_lock(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another account")
    file = tmp_path / "lock"
    file.touch(0o666)
    os.chown(file, 65534, 65534)
    with pytest.raises(PermissionError, match="expected a file of this account"):
        open_lock_file(file)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_lock_and_no_object(tmp_path, store, make):
    make(tmp_path / "lock")
    with pytest.raises(OSError):  # noqa: PT011 - whichever the system says, at once and without waiting
        open_lock_file(tmp_path / "lock")
    make(tmp_path / "store" / "ledger" / "tile")
    with pytest.raises(ObjectMissing):
        store.get("ledger/tile")


def test_locking_leaves_what_a_file_holds(tmp_path, key):
    descriptor = open_lock_file(key)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.close(descriptor)
    assert key.read_bytes() == b"secret"


def test_a_private_file_replaces_a_link_and_is_ours_alone(tmp_path, key):
    page = tmp_path / "page"
    page.symlink_to(key)
    replace_private_file(page, b"certificate")
    assert (page.read_bytes(), page.is_symlink(), stat.S_IMODE(page.stat().st_mode)) == (b"certificate", False, 0o600)
    assert (key.read_bytes(), sorted(path.name for path in tmp_path.iterdir())) == (b"secret", ["epoch.key", "page"])


def test_an_object_is_read_up_to_a_size_and_no_further(tmp_path, store):
    """A checkpoint of a gigabyte took five of memory."""
    path = tmp_path / "store" / "ledger" / "checkpoint"
    os.truncate(path, 1 << 40)  # a hole: it takes no disk
    with pytest.raises(FixityError, match="expected at most 65536 bytes, found more"):
        store.get("ledger/checkpoint", at_most=65536)
    with pytest.raises(FixityError, match="expected at most 67108864 bytes"):
        store.get("ledger/checkpoint")
    with pytest.raises(FixityError, match="expected at most 7 bytes"):
        store.fetch("ledger/checkpoint", None, tmp_path / "here", at_most=7)
    assert not (tmp_path / "here").exists()
