"""A furnished world that the assets find in their environment, and an instance that lives as long as the test."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

from lifecycle.crm.sample import demo_schema
from tests.builders import World
from tests.night.parts import small_parts


def empty_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "crm").mkdir()
    world = World(f"sqlite:///{tmp_path / 'crm' / 'crm.db'}", (tmp_path / "store").as_uri(), tmp_path / "policies")
    demo_schema.create_schema(world.engine)
    names = {"CRM_URL": world.url, "STORE": world.store_url, "POLICIES": str(world.policies), "SOURCE": "demo"}
    names["SIGNING_KEY"] = str(world.given()["signing_key"])
    for name, value in names.items():
        monkeypatch.setenv(f"LIFECYCLE_{name}", value)
    return world.initialised()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = empty_world(tmp_path, monkeypatch).furnish()
    world.flush()
    return world


@pytest.fixture
def world_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Components that are due, of calls that are not."""
    world = small_parts(empty_world(tmp_path, monkeypatch))
    world.flush()
    monkeypatch.setenv("LIFECYCLE_RECORDINGS", str(world.recordings_url))
    return world


@pytest.fixture(autouse=True, scope="session")
def _engines_are_kept() -> Iterator[None]:
    """Dagster's storage in SQLite makes an engine for each statement and reads its migrations for each file of a run.

    Both are kept from one to the next here, or they are the half of every test's time. What is stored is the same.
    """

    @cache
    def engine(url: str, **how: Any) -> sa.Engine:
        return sa.create_engine(
            url, **{**how, "connect_args": {"timeout": sqlite_event_log.SQLITE_BUSY_TIMEOUT_SECONDS}}
        )

    def create_engine(url: str, poolclass: type[sa.Pool], connect_args: Any = None) -> sa.Engine:
        return engine(url, poolclass=poolclass)

    read_scripts = ScriptDirectory.from_config
    known: dict[str, ScriptDirectory] = {}

    def from_config(config: Config) -> ScriptDirectory:
        place = str(config.get_alembic_option("script_location"))
        return known.get(place) or known.setdefault(place, read_scripts(config))

    with pytest.MonkeyPatch.context() as patch:
        for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(module, "create_engine", create_engine)
        patch.setattr(ScriptDirectory, "from_config", staticmethod(from_config))
        yield


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance
