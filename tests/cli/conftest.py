"""A command line on the demo CRM: SQLite and a folder in tmp_path, named by the environment as a user would."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from lifecycle.cli.main import app_main
from lifecycle.crm.sample import demo_schema, sample_calls
from lifecycle.deployment.initialisation import Initialisation, make_keys
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night.archive import archive_night
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import Settings

NIGHT = date(2026, 11, 20)
POLICIES = Path(__file__).resolve().parents[2] / "policies"


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run_ = Callable[..., Said]


@dataclass(frozen=True)
class Place:
    """A working folder with a sample CRM, the repository's policies and, maybe, an archive."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def recordings(self) -> Path:
        return self.folder / "recordings"

    @property
    def policies(self) -> Path:
        return self.folder / "policies"

    def lifecycle(self) -> Lifecycle:
        settings = Settings(
            crm_url=f"sqlite:///{self.folder}/crm.db",
            store=self.store.as_uri(),
            policies=self.policies,
            signing_key=self.folder / "lifecycle.key",
            recordings=self.recordings.as_uri(),
        )
        return Lifecycle(settings, lambda: datetime.now(UTC))

    def sql(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "crm.db")) as connection, connection:
            return connection.execute(statement, tuple(values)).fetchall()

    def objects(self, name: str) -> list[Path]:
        return sorted(self.store.glob(f"archive/**/{name}"))

    def purged(self) -> list[str]:
        """The calls that the ledger has as purged, found in the archive by where their leaves point."""
        log = self.lifecycle().log()
        published = log.published()
        assert published is not None
        leaves = [json.loads(body) for body in log.leaves(0, published.size, published.size)]
        rows = {leaf["object"]["key"]: leaf for leaf in leaves if leaf["kind"] == "purged"}
        calls = {key: pq.read_table(self.store / key)["_call_id"].to_pylist() for key in rows}
        return [calls[leaf["object"]["key"]][leaf["row"]] for leaf in leaves if leaf["kind"] == "purged"]


def copy_policies(to: Path) -> None:
    """The repository's policies, reviewed for good: these tests must also pass after the next review is due."""
    shutil.copytree(POLICIES, to)
    for path in (to / "regimes").glob("*.yaml"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join("review_by: 2999-12-31" if "review_by" in line else line for line in lines))


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample CRM and policies, to copy."""
    folder = tmp_path_factory.mktemp("sampled")
    engine = sa.create_engine(f"sqlite:///{folder}/crm.db")
    demo_schema.create_schema(engine)
    sample_calls.populate_sample(engine, NIGHT, 2000, folder / "recordings")
    engine.dispose()
    copy_policies(folder / "policies")
    return folder


@pytest.fixture(scope="session")
def through_the_night(sampled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a night, to copy."""
    folder = copy_place(sampled, tmp_path_factory.mktemp("night") / "place")
    lifecycle, run = Place(folder).lifecycle(), Run("run-1", "a tester")
    lifecycle.crm.control.create()
    make_keys(lifecycle, Initialisation())
    for industry, plan in plan_night(lifecycle, NIGHT, run)[1].items():
        if plan.calls is not None:
            opened = open_industry_night(lifecycle, industry, NIGHT)
            archive_night(lifecycle, opened, run)
            purge_night(lifecycle, opened, run)
    seal_ledger(lifecycle)
    lifecycle.crm.database.engine.dispose()
    return folder


@pytest.fixture
def place(sampled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A CRM before its first night, and the environment that names it."""
    return settle(sampled, tmp_path, monkeypatch)


@pytest.fixture
def purged_again(place: Place, through_the_night: Path) -> list[str]:
    """The calls of a night whose records are in the store, while the CRM is the one before it."""
    shutil.copytree(through_the_night / "store", place.store, dirs_exist_ok=True)
    for secret in through_the_night.glob("lifecycle.*"):
        (shutil.copytree if secret.is_dir() else shutil.copy)(secret, place.folder / secret.name)
    place.lifecycle().crm.control.create()
    return place.purged()


@pytest.fixture
def purged(through_the_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A CRM after a night."""
    return settle(through_the_night, tmp_path, monkeypatch)


def copy_place(template: Path, to: Path) -> Path:
    """The recordings are many, and nobody writes into them: they are linked."""
    shutil.copytree(template, to, ignore=lambda folder, _: ["recordings"] if Path(folder) == template else [])
    shutil.copytree(template / "recordings", to / "recordings", copy_function=os.link)
    return to


def settle(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    folder = copy_place(template, tmp_path / "place")
    monkeypatch.chdir(folder)
    for name in ("SOURCE", "ORIGIN", "S3_ENDPOINT", "NIGHTLY_TIMEZONE", "NIGHTLY_CRON"):
        monkeypatch.delenv(f"LIFECYCLE_{name}", raising=False)
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "sqlite:///crm.db")
    monkeypatch.setenv("LIFECYCLE_STORE", (folder / "store").as_uri())
    monkeypatch.setenv("LIFECYCLE_RECORDINGS", (folder / "recordings").as_uri())
    monkeypatch.setenv("LIFECYCLE_ANCHOR_COPY", (folder / "copy").as_uri())
    monkeypatch.setenv("LIFECYCLE_POLICIES", "policies")
    monkeypatch.setenv("LIFECYCLE_SIGNING_KEY", "lifecycle.key")
    return Place(folder)


@pytest.fixture
def lifecycle(capsys: pytest.CaptureFixture[str]) -> Run_:
    """The command, in this process: `lifecycle("plan", "--json")`."""

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = app_main(arguments)
        return Said(code, *capsys.readouterr())

    return run
