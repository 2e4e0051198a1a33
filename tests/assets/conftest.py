"""A furnished world that the assets find in their environment, and an instance that lives as long as the test."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

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


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance
