"""Backups of docs/backup.md, tried: everything is lost and restored, in the page's order and in wrong ones."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lifecycle.audit.restored_calls import find_restored_calls
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.errors import LedgerError, SettingsError
from lifecycle.night.seal import seal_ledger
from tests.builders import DUE, NIGHT, World, run_night
from tests.servers import Postgres

SCHEMA = "lifecycle"
TOMORROW = NIGHT + timedelta(days=1)


@dataclass
class Backups:
    """What an administrator does with PostgreSQL's own programs, and with copies of folders."""

    world: World
    server: Postgres
    folder: Path

    def dump(self, name: str, *options: str) -> None:
        self._run("pg_dump", "-Fc", "-f", str(self.folder / name), *options)

    def restore(self, name: str) -> None:
        self._run("pg_restore", "--clean", "--if-exists", "-d", self._url, str(self.folder / name), to=False)

    def copy(self, name: str) -> None:
        """The bucket, and the keys."""
        shutil.copytree(self.store, self.folder / name / "store")
        for key in self.keys.glob("lifecycle.*"):
            to = self.folder / name / "keys" / key.name
            to.parent.mkdir(exist_ok=True)
            (shutil.copytree if key.is_dir() else shutil.copy)(key, to)

    def lose_everything(self) -> None:
        with self.world.engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
            connection.exec_driver_sql("GRANT USAGE ON SCHEMA public TO PUBLIC")
        shutil.rmtree(self.store)
        self.lose_keys()

    def lose_keys(self) -> None:
        for key in self.keys.glob("lifecycle.*"):
            (shutil.rmtree if key.is_dir() else Path.unlink)(key)

    def put_back(self, name: str, what: str) -> None:
        to = self.store if what == "store" else self.keys
        shutil.copytree(self.folder / name / what, to, dirs_exist_ok=True)

    @property
    def store(self) -> Path:
        return Path(unquote(urlsplit(self.world.store_url).path))

    @property
    def keys(self) -> Path:
        return self.world.policies.parent

    @property
    def _url(self) -> str:
        return self.world.url.replace("+psycopg", "")

    def _run(self, program: str, *options: str, to: bool = True) -> None:
        found = shutil.which(program) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")))
        command = [found, *options, *([self._url] if to else [])]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def backups(new_world: Callable[..., World], postgres_server: Postgres, tmp_path: Path) -> Backups:
    """A CRM with calls that are due, its backup of the morning, and backups after its night."""
    made = Backups(new_world("postgresql").furnish(), postgres_server, tmp_path)
    made.world.flush()
    made.dump("crm-of-the-morning")
    run_night(made.world.lifecycle())
    made.copy("after")
    made.dump("control-tables", "-n", SCHEMA)
    return made


@pytest.mark.slow
def test_all_is_lost_and_restored_in_the_pages_order(backups: Backups) -> None:
    world = backups.world
    backups.lose_everything()

    backups.put_back("after", "keys")
    backups.put_back("after", "store")
    backups.restore("crm-of-the-morning")
    backups.restore("control-tables")

    assert world.live() >= DUE  # the CRM's backup brought them back
    assert sorted(find_restored_calls(world.lifecycle()).returned) == sorted(DUE)
    assert run_night(world.lifecycle()).calls == 0  # that night is done: its purges are known
    again = run_night(world.lifecycle(), night=TOMORROW)
    assert (again.calls, again.set_aside) == (len(DUE), {})
    assert DUE.isdisjoint(world.live())
    assert Counter(record["call_id"] for record in world.records()) == Counter({call: 2 for call in DUE})
    assert audit_archive_and_ledger(world.lifecycle()).sound


@pytest.mark.slow
def test_without_the_control_tables_the_ledger_tells_what_the_database_forgot(backups: Backups) -> None:
    world = backups.world
    backups.restore("crm-of-the-morning")
    assert sorted(find_restored_calls(world.lifecycle()).returned) == sorted(DUE)
    assert seal_ledger(world.lifecycle()).unknown > 0
    assert run_night(world.lifecycle(), night=TOMORROW).calls == len(DUE)
    (damage,) = audit_archive_and_ledger(world.lifecycle()).damaged.values()
    assert "restored from a backup" in damage


@pytest.mark.slow
def test_a_bucket_older_than_the_database_is_refused_and_nothing_is_signed(backups: Backups) -> None:
    shutil.rmtree(backups.store)
    backups.store.mkdir()
    with pytest.raises(LedgerError):
        seal_ledger(backups.world.lifecycle())
    assert list(backups.store.rglob("checkpoint*")) == []
    assert not audit_archive_and_ledger(backups.world.lifecycle()).sound
    backups.put_back("after", "store")
    seal_ledger(backups.world.lifecycle())


@pytest.mark.slow
def test_without_its_keys_no_night_deletes_anything(backups: Backups) -> None:
    world = backups.world
    backups.restore("crm-of-the-morning")
    backups.restore("control-tables")
    backups.lose_keys()
    before = world.live()
    with pytest.raises(SettingsError):
        run_night(world.lifecycle(), night=TOMORROW)
    assert world.live() == before
    backups.put_back("after", "keys")
    assert run_night(world.lifecycle(), night=TOMORROW).calls == len(DUE)
