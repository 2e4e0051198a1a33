"""A furnished world that the assets find in their environment, and an instance that lives as long as the test."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lifecycle.crm import demo
from tests.builders import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "crm").mkdir()
    world = World(f"sqlite:///{tmp_path / 'crm' / 'crm.db'}", (tmp_path / "store").as_uri(), tmp_path / "policies")
    demo.create_schema(world.engine)
    names = {"CRM_URL": world.url, "STORE": world.store_url, "POLICIES": str(world.policies), "SOURCE": "demo"}
    names["SIGNING_KEY"] = str(world.given()["signing_key"])
    for name, value in names.items():
        monkeypatch.setenv(f"LIFECYCLE_{name}", value)
    world.initialised().furnish().flush()
    return world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance
