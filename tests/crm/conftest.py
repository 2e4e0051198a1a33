"""CRMs of any shape: tables by DDL, a mapping by YAML, on each database."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.evidence.deletion import PurgeRow
from tests.roles import product_url

TIMES = FactKinds(frozenset({"ended_at"}), frozenset({"open_deal"}))
SERVERS = {"sqlite": None, "postgresql": "postgres_server", "mariadb": "mariadb_server"}


class Made:
    """One empty database of one kind, and the mapping laid over it."""

    def __init__(self, url: str, folder: Any) -> None:
        self.url, self._folder = url, folder
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.dialect = self.engine.dialect.name

    def run(self, *statements: str) -> "Made":
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return self

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def crm(
        self,
        key: str = "id",
        facts: str = "",
        children: str = "[]",
        table: str = "t",
        kinds=TIMES,
        schemas: str = "[public]",
        more: str = "",
    ) -> Crm:
        """The CRM behind a mapping with calls in `t`; facts by default name the calls only."""
        path = self._folder / "mapped.yaml"
        facts = facts or f"SELECT {key} AS call_id, 'x' AS industry FROM {table}"
        lines = [
            "source: mapped",
            "dialects: [sqlite, postgresql, mysql]",
            f"schemas: {schemas}",
            "facts: |",
            *(f"  {line}" for line in facts.splitlines()),
            "timezone: UTC",
            f"call: {{table: '{table}', key: '{key}'}}",
            f"children: {children}",
            more,
        ]
        path.write_text("\n".join(lines))
        source = read_source(str(path))
        return Crm(open_database(product_url(self.url, source)), source, kinds)


@pytest.fixture
def make(request, tmp_path) -> Callable[[str], Made]:
    """Makes an empty database: sqlite, postgresql or mariadb."""

    def of(kind: str) -> Made:
        if SERVERS[kind] is None:
            (tmp_path / "crm.db").touch()
            return Made(f"sqlite:///{tmp_path / 'crm.db'}", tmp_path)
        return Made(request.getfixturevalue(SERVERS[kind]).new_database(), tmp_path)

    return of


@pytest.fixture(params=list(SERVERS))
def made(request, make) -> Made:
    """An empty database of each kind."""
    return make(request.param)


def read(crm: Crm, keys: Sequence[Any]) -> dict[str, Any]:
    """The rows of calls as the archive step reads them."""
    with crm.database.reading() as connection:
        return crm.rows.read(connection, keys)


def purge(crm: Crm, keys: Sequence[Any], keep: Any = lambda *_: {}) -> Any:
    """Purge calls with a purge row that names them."""
    crm.control.create()
    return crm.purger().purge(keys, keep, purge_row)


def purge_row(going: Sequence[Any]) -> PurgeRow:
    text = ",".join(map(str, going))
    return PurgeRow(f"row-{text[:100]}", "b", "i", "n", "r", "k", "s", "p", len(going), text.encode())
