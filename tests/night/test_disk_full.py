"""A disk that is full, beneath the store and beneath the database: a small file system of its own, filled up.

Nothing is lost, what is said names the place and what to do, and a rerun after making room goes on. Mounting takes
root's rights; where they are missing, the tests say so.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema
from lifecycle.errors import DatabaseError, StoreError
from tests.builders import BANK_DAY, World, account_for, run_night
from tests.servers import MariaDb, Postgres, SqlServer

pytestmark = pytest.mark.slow
MIB = 2**20
DUE = {f"id-{n}" for n in range(40)}
SERVERS: dict[str, type[SqlServer]] = {"postgresql": Postgres, "mariadb": MariaDb}


class SmallDisk:
    """A file system of some MiB in memory; `leave` fills it up to so many bytes, `make_room` empties it again."""

    def __init__(self, place: Path) -> None:
        self.place, self._filler = place, place / "filler"

    def leave(self, free: int) -> None:
        self.make_room()
        found = os.statvfs(self.place)
        with suppress(OSError), self._filler.open("wb") as file:  # a server writes too, meanwhile
            for _ in range(max(0, found.f_bavail * found.f_frsize - free) // 4096):
                file.write(bytes(4096))

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], SmallDisk]]:
    made: list[Path] = []

    def make(mib: int) -> SmallDisk:
        place = Path(tempfile.mkdtemp(prefix="lifecycle-disk-"))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", place], capture_output=True)
        if mounted.returncode:
            place.rmdir()
            pytest.skip(f"a file system of its own cannot be mounted here: {mounted.stderr.decode().strip()}")
        made.append(place)
        place.chmod(0o755)
        return SmallDisk(place)

    yield make
    for place in made:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


def furnished(world: World) -> World:
    """Forty due calls with a few notes, and their transcripts, which take some room."""
    bank = world.account("Banking")
    for key in sorted(DUE):
        world.call(key, bank, BANK_DAY, transcript=os.urandom(1500).hex())
        world.note(key)
    world.call("id-stays", bank, None)
    return world


def stopped_at(world: World, start: dict, kind: type[Exception]) -> str | None:
    """What a night said that came to the end of the disk; None: it did not. Nothing is lost either way."""
    try:
        run_night(world.lifecycle())
        said = None
    except kind as error:
        said = str(error)
    return said


def test_a_store_without_room_stops_the_night_and_a_rerun_with_room_goes_on(new_world, small_disk):
    disk, said = small_disk(4), []
    for free in (0, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 200, 300):
        world = furnished(new_world("sqlite"))
        world.store_url = (disk.place / "store").as_uri()
        start = world.dump()
        disk.leave(free * 1024)
        said.append(stopped_at(world, start, StoreError))
        disk.make_room()
        assert account_for(world, start, sealed=False) <= DUE
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"{free} KiB were left"
        shutil.rmtree(disk.place / "store")
    full = [text for text in said if text is not None]
    print("\n" + "\n".join(dict.fromkeys(full)))
    assert len(full) >= 5
    assert said[-1] is None
    for text in full:
        assert "No space left on device" in text
        assert str(disk.place) in text
        assert "room" in text, text


def test_a_sqlite_file_without_room_stops_the_night_and_a_rerun_with_room_goes_on(new_world, small_disk):
    disk, said = small_disk(4), []
    for free in (0, 4, 8, 16, 32, 64, 128, 256, 400, 1500):
        world = furnished(new_world("sqlite"))
        world.flush()
        shutil.copy(world.url.removeprefix("sqlite:///"), disk.place / "crm.db")
        world.url = f"sqlite:///{disk.place / 'crm.db'}"
        world.engine = sa.create_engine(world.url, poolclass=sa.NullPool)
        start = world.dump()
        disk.leave(free * 1024)
        said.append(stopped_at(world, start, DatabaseError))
        disk.make_room()
        assert account_for(world, start, sealed=False) <= DUE
        run_night(world.lifecycle())
        assert account_for(world, start) == DUE, f"{free} KiB were left"
    full = [text for text in said if text is not None]
    print("\n" + "\n".join(dict.fromkeys(full)))
    assert len(full) >= 4
    assert said[-1] is None
    for text in full:
        assert "full" in text
        assert "room" in text, text


@pytest.mark.parametrize("database", list(SERVERS))
def test_a_server_without_room_stops_the_night_and_a_rerun_with_room_goes_on(
    database, small_disk, tmp_path, monkeypatch
):
    disk, said = small_disk(400), []
    monkeypatch.setattr(tempfile, "tempdir", str(disk.place))
    server = SERVERS[database]()
    monkeypatch.undo()
    try:
        for free in (0, 16, 64, 256, 1024, 4096, 16 * 1024):
            url = server.new_database()
            demo_schema.create_schema(sa.create_engine(url, poolclass=sa.NullPool))
            folder = tmp_path / f"with-{free}"
            folder.mkdir()
            world = furnished(World(url, (folder / "store").as_uri(), folder / "policies").initialised())
            start = world.dump()
            disk.leave(free * 1024)
            said.append(stopped_at(world, start, DatabaseError))
            disk.make_room()
            server.start()  # a server may have ended for want of room
            assert account_for(world, start, sealed=False) <= DUE
            run_night(world.lifecycle())
            assert account_for(world, start) == DUE, f"{free} KiB were left"
    finally:
        server.remove()
    full = [text for text in said if text is not None]
    print("\n" + "\n".join(dict.fromkeys(full)))
    assert full
