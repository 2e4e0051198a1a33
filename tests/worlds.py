"""Worlds: the demo's tables on each database, with each store."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema
from tests.builders import CONTROL, World
from tests.night.cases import Case
from tests.night.small import FACTS, SmallWorld

DATABASES = {"sqlite": None, "postgresql": "postgres_server", "mariadb": "mariadb_server"}


@pytest.fixture(scope="module")
def new_world(request, tmp_path_factory) -> Callable[[str, str], World]:
    """Makes an empty world on a database and a store (`folder`, `s3`). A server's tables are made once a module."""
    urls: dict[str, str] = {}

    def make(database: str, store: str = "folder") -> World:
        folder = tmp_path_factory.mktemp("world")
        url = _empty(request, urls, database, folder)
        if store == "folder":
            return World(url, (folder / "store").as_uri(), folder / "policies").initialised()
        s3 = request.getfixturevalue("s3_server")
        request.getfixturevalue("s3_credentials")
        at = f"s3://{s3.bucket}/{s3.new_prefix()}"
        return World(url, at, folder / "policies", s3.endpoint).initialised()

    return make


@pytest.fixture(scope="session")
def s3_credentials(s3_server):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment().items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        yield


@pytest.fixture(params=list(DATABASES))
def world(request, new_world) -> World:
    """An empty world on each database, with a folder."""
    return new_world(request.param)


@pytest.fixture(params=["postgresql", "mariadb"])
def served_world(request, new_world) -> World:
    """An empty world on each database that serves several writers at once."""
    return new_world(request.param)


@pytest.fixture
def sqlite_world(new_world) -> World:
    return new_world("sqlite")


@pytest.fixture
def new_case(request, tmp_path) -> Callable[[str], Case]:
    """Makes an empty database of a kind, for tables of its own."""

    def make(database: str) -> Case:
        if DATABASES[database] is None:
            (tmp_path / "crm.db").touch()
            return Case(f"sqlite:///{tmp_path / 'crm.db'}", tmp_path)
        return Case(request.getfixturevalue(DATABASES[database]).new_database(), tmp_path)

    return make


@pytest.fixture(params=list(DATABASES))
def case(request, new_case) -> Case:
    """An empty database of each kind, for tables of its own."""
    return new_case(request.param)


def _empty(request, urls: dict[str, str], database: str, folder: Path) -> str:
    if DATABASES[database] is None:
        url = f"sqlite:///{folder / 'crm.db'}"
        _tables(url)
        return url
    server = request.getfixturevalue(DATABASES[database])
    server.start()
    if database not in urls:
        urls[database] = server.new_database()
        _tables(urls[database])
    _wipe(urls[database])
    return urls[database]


def _tables(url: str) -> None:
    engine = sa.create_engine(url)
    demo_schema.create_schema(engine)
    engine.dispose()


def _wipe(url: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(demo_schema.calls.update().values(repeat_parent_id=None))
        for table in reversed(demo_schema.metadata.sorted_tables):
            connection.execute(table.delete())
        for name in CONTROL:
            schema, table = (
                ("lifecycle", name.removeprefix("lifecycle_"))
                if connection.dialect.name == "postgresql"
                else (None, name)
            )
            if sa.inspect(connection).has_table(table, schema=schema):
                connection.execute(sa.table(table, schema=schema).delete())


@pytest.fixture
def small(request, tmp_path) -> Callable[..., SmallWorld]:
    """Makes a small world of one's own tables on a database, the SQL given run first."""

    def make(database: str, *sql: str, facts: str = FACTS, more: str = "", zone: str = "UTC") -> SmallWorld:
        url = f"sqlite:///{tmp_path / 'crm.db'}"
        if DATABASES[database]:
            url = request.getfixturevalue(DATABASES[database]).new_database()
        else:
            (tmp_path / "crm.db").touch()
        world = SmallWorld(url, tmp_path, facts, more, zone)
        for statement in sql:
            world.execute(statement)
        return world

    return make
