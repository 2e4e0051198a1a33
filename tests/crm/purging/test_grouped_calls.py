"""Calls of several rows without a key: whole or not at all, each row once, and one that appears meanwhile is seen."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.errors import SourceError
from tests.crm.conftest import TIMES, Made, purge, read
from tests.roles import product_url

TABLES = [
    "CREATE TABLE cdr (calldate TIMESTAMP NULL, linkedid VARCHAR(20), uniqueid VARCHAR(20), dst VARCHAR(9))",
    "CREATE TABLE cel (id INTEGER PRIMARY KEY, linkedid VARCHAR(20), event VARCHAR(9))",
    "CREATE TABLE queue_log (id INTEGER PRIMARY KEY, callid VARCHAR(20))",
    *(f"CREATE INDEX {table}_{column} ON {table} ({column})" for table, column in
      (("cdr", "linkedid"), ("cel", "linkedid"), ("queue_log", "callid"))),
    "INSERT INTO cdr VALUES ('2020-01-01 00:00:00', 'a', 'a', '1'), ('2020-01-01 00:00:00', 'a', 'a', '1'), "
    "('2020-01-01 00:01:00', 'a', 'a.2', '2'), ('2020-01-01 00:00:00', 'b', 'b', '1'), (NULL, '', 'c', '1')",
    "INSERT INTO cel VALUES (1, 'a', 'x'), (2, 'a', 'y'), (3, 'b', 'x'), (4, '', 'x')",
    "INSERT INTO queue_log VALUES (1, 'a'), (2, 'a.2'), (3, 'b'), (4, 'c')",
]  # fmt: skip
MAPPING = """source: grouped
dialects: [sqlite, postgresql, mysql]
timezone: UTC
facts: |
  SELECT linkedid AS call_id, 'x' AS industry, MAX(calldate) AS ended_at FROM cdr WHERE linkedid <> '' GROUP BY linkedid
found_by: {ended_at: calldate}
call: {table: cdr, group_by: linkedid, where: {linkedid: {not: ['', null]}}}
children:
  - {table: cdr, match: {linkedid: linkedid}, children: [{table: queue_log, match: {callid: uniqueid}}]}
  - {table: cel, match: {linkedid: linkedid}}
"""


def opened(made: Made, mapping: str = MAPPING) -> Crm:
    path = made._folder / "grouped.yaml"
    path.write_text(mapping)
    source = read_source(str(path))
    return Crm(open_database(product_url(made.url, source)), source, TIMES)


def test_a_call_is_its_key_and_every_row_of_it_is_read_once(made):
    found = {name: table.to_pylist() for name, table in read(opened(made.run(*TABLES)), ["a", "b"]).items()}
    assert found["calls"] == [{"_call_id": key, "linkedid": key} for key in "ab"]
    assert [(row["_call_id"], row["uniqueid"]) for row in found["cdr"]] == [
        ("a", "a"),
        ("a", "a"),
        ("a", "a.2"),
        ("b", "b"),
    ]
    assert [(row["_call_id"], row["id"]) for row in found["queue_log"]] == [("a", 1), ("a", 2), ("b", 3)]
    assert [(row["_call_id"], row["id"]) for row in found["cel"]] == [("a", 1), ("a", 2), ("b", 3)]


def test_all_rows_of_a_call_go_and_nothing_else(made):
    crm = opened(made.run(*TABLES))
    done = purge(crm, ["a"])
    assert done.deleted == ("a",)
    assert dict(done.rows) == {"cdr": 3, "queue_log": 2, "cel": 2}
    assert made.rows("SELECT linkedid FROM cdr ORDER BY 1") == [("",), ("b",)]
    assert made.rows("SELECT id FROM cel ORDER BY id") == [(3,), (4,)]
    assert made.rows("SELECT id FROM queue_log ORDER BY id") == [(3,), (4,)]
    with crm.database.reading() as connection:
        assert list(crm.rows.every_key(connection)) == ["b"]
        assert crm.rows.live(connection, ["a", "b"]) == ["b"]


def test_a_row_that_appears_under_the_lock_keeps_its_call(make):
    made = make("postgresql").run(*TABLES)
    crm = opened(made)

    def keep(*_: object) -> dict[str, str]:
        made.run("INSERT INTO cdr VALUES ('2026-01-01', 'a', 'a.3', '9')")
        return {}

    done = purge(crm, ["a"], keep)
    assert done.deleted == ()
    assert done.set_aside["a"].startswith("interfered: cdr: expected to delete 3 rows, the database deleted 4")
    assert made.rows("SELECT count(*) FROM cel WHERE linkedid = 'a'") == [(2,)]


def test_nobody_adds_a_row_while_mariadb_holds_its_locks(make):
    made = make("mariadb").run(*TABLES)
    crm = opened(made)

    def keep(*_: object) -> dict[str, str]:
        for row in ("cdr VALUES ('2026-01-01', 'a', 'a.3', '9')", "cel VALUES (9, 'a', 'z')"):
            with pytest.raises(sa.exc.OperationalError, match="Lock wait timeout"):
                made.run("SET innodb_lock_wait_timeout = 1", f"INSERT INTO {row}")
        return {}

    assert purge(crm, ["a"], keep).deleted == ("a",)
    assert made.rows("SELECT count(*) FROM cdr WHERE linkedid = 'a'") == [(0,)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{table: cdr, match: {linkedid", "{table: cdr, match: {uniqueid", "expected its rows among the children"),
        ("group_by: linkedid,", "group_by: linkedid, key: uniqueid,", "expected key or group_by, found both"),
        ("where: {linkedid: {not: ['', null]}}", "where: {dst: '1'}", "goes whole"),
        ("group_by: linkedid,", "group_by: linkedid, modified: calldate,", "no row of its own"),
        ("found_by", "components: {tape: {tables: [cel]}}\nfound_by", "goes whole, and has none"),
    ],
)  # fmt: skip
def test_what_a_call_of_several_rows_cannot_say_is_refused(make, old, new, said):
    made = make("sqlite").run(*TABLES)
    assert old in MAPPING
    with pytest.raises(SourceError, match=said):
        opened(made, MAPPING.replace(old, new))
