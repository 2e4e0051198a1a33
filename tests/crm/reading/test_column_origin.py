"""Which columns of a facts query are plain columns of a table: of all others nobody knows in which zone a time is."""

import pytest

from lifecycle.crm.reading.fact_columns import fact_columns
from tests.crm.conftest import SERVERS, Made

TABLE = {
    "mariadb": [
        "CREATE TABLE calls (id INT PRIMARY KEY, ts TIMESTAMP NULL, at DATETIME, word VARCHAR(40),"
        " made DATETIME AS (ts) VIRTUAL, kept DATETIME AS (ts) STORED, spelt VARCHAR(40) AS (CONCAT(at, '')) VIRTUAL)",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT id, ts, at, made, CAST(ts AS DATETIME) AS cast_at, made AS kept FROM calls",
        "CREATE ALGORITHM=TEMPTABLE VIEW copied AS SELECT id, at FROM calls",
    ],
    "postgresql": [
        "CREATE TABLE calls (id int PRIMARY KEY, ts timestamptz, at timestamp, word text,"
        " made timestamp GENERATED ALWAYS AS (ts AT TIME ZONE 'UTC') STORED)",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT id, ts, at, made, ts AT TIME ZONE 'UTC' AS cast_at FROM calls",
    ],
    "sqlite": [
        "CREATE TABLE calls (id INTEGER PRIMARY KEY, ts INTEGER, at DATETIME, word TEXT,"
        " made DATETIME AS (datetime(ts, 'unixepoch')) VIRTUAL)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT id, ts, at, made, datetime(ts, 'unixepoch') AS cast_at FROM calls",
    ],
}  # fmt: skip
PLAIN = [
    "SELECT c.at, c.ts, c.word FROM calls c",
    "SELECT at, ts FROM calls",
    "SELECT at FROM calls AS `c d` LEFT JOIN t ON t.id = `c d`.id",
    "SELECT c.at, (SELECT count(*) FROM seen WHERE seen.id = c.id) AS n FROM calls c",
    "SELECT c.at, q.n FROM calls c JOIN (SELECT id, count(*) AS n FROM seen GROUP BY id) q ON q.id = c.id",
    "WITH w AS (SELECT id FROM calls) SELECT c.at FROM calls c JOIN w ON w.id = c.id",
    "SELECT c.at, 'a:b%' AS word FROM calls c ORDER BY c.id;",
]
COMPUTED = [
    "SELECT c.made AS at FROM calls c",
    "SELECT c.cast_at AS at FROM seen c",
    "SELECT c.made AS at FROM seen c",
    "SELECT q.at FROM (SELECT id, made AS at FROM calls) q",
    "SELECT calls.at FROM (SELECT id, made AS at FROM calls) calls",
    "SELECT calls.at FROM (SELECT id, made AS at FROM calls) AS calls",
    "WITH w AS (SELECT id, made AS at FROM calls) SELECT w.at FROM w",
    "SELECT coalesce(made, at) AS at FROM calls",
    "SELECT max(made) AS at FROM calls GROUP BY id",
    "SELECT at FROM calls UNION SELECT made FROM calls",
    "SELECT (SELECT made FROM calls x WHERE x.id = c.id) AS at FROM calls c",
]
IN_MARIADB = [
    "SELECT kept AS at FROM calls",
    "SELECT spelt AS at FROM calls",
    "SELECT calls.kept AS at FROM seen AS calls",
    "SELECT calls.kept AS at FROM seen calls",
    "SELECT `calls`.`kept` AS at FROM `seen` `calls`",
    "SELECT t.at FROM copied t",
    "WITH t AS (SELECT made AS at FROM calls) SELECT t.at FROM t",
    "WITH `t` (at) AS (SELECT made FROM calls) SELECT t.at FROM t",
]


@pytest.fixture(scope="module")
def tables(request, tmp_path_factory):
    """A database of each kind with the tables, made once."""
    found = {}

    def of(kind):
        if kind not in found:
            folder = tmp_path_factory.mktemp("origin")
            (folder / "crm.db").touch()
            server = SERVERS[kind]
            url = request.getfixturevalue(server).new_database() if server else f"sqlite:///{folder / 'crm.db'}"
            found[kind] = Made(url, folder).run(*TABLE[kind]).crm(table="t")
        return found[kind]

    return of


def computed(crm, text: str) -> bool:
    written = text if crm.database.dialect == "mysql" else text.replace("`", '"')
    with crm.database.reading() as connection:
        columns = fact_columns(connection, written.rstrip(";").replace(":", "\\:"))
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1  # the connection is as before
    return any(column.computed for column in columns if column.name in ("at", "ts"))


@pytest.mark.parametrize("kind", list(TABLE))
def test_the_plain_column_of_a_table_is_known_for_one(tables, kind):
    assert [text for text in PLAIN if computed(tables(kind), text)] == []


@pytest.mark.parametrize("kind", list(TABLE))
def test_everything_else_counts_as_computed_however_it_is_dressed(tables, kind):
    wanted = [*COMPUTED, *(IN_MARIADB if kind == "mariadb" else ())]
    assert [text for text in wanted if not computed(tables(kind), text)] == []
