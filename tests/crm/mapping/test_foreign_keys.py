"""Every foreign key to a row that goes is seen, whoever may read its table, whatever it names it by."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.mapping.foreign_keys import unmapped_references
from lifecycle.errors import SourceError
from tests.crm.conftest import Made, purge

CALLS = "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY)"
NOTES = "CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, call_id INTEGER REFERENCES t (id))"
MAPPED = "[{table: notes, match: {call_id: id}}]"


def of(made: Made, **mapping: str) -> list[str]:
    crm = made.crm(**{"children": MAPPED, **mapping})
    return unmapped_references(crm.database, crm.source)


# --- MariaDB: the catalogue of a role ends at its rights ---


def hidden(make, name: str = "surveys") -> Made:
    """A table made after the grants, so that the role has no right on it whatever."""
    made = make("mariadb").run(CALLS, NOTES, "INSERT INTO t VALUES (1)")
    made.crm(children=MAPPED)
    made.run(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, `call nr` INTEGER, score INTEGER,"
        " FOREIGN KEY (`call nr`) REFERENCES t (id) ON DELETE CASCADE)",
        f"INSERT INTO {name} VALUES (7, 1, 5)",
    )
    return made


def as_the_role(made: Made) -> list[str]:
    from lifecycle.crm.crm import Crm
    from lifecycle.crm.database import open_database
    from lifecycle.crm.mapping.source import read_source
    from tests.crm.conftest import TIMES
    from tests.roles import as_role

    crm = Crm(open_database(as_role(made.url)), read_source(str(made._folder / "mapped.yaml")), TIMES)
    crm.control.create()
    return crm.unfit()


def test_a_cascading_key_of_a_table_the_role_has_no_right_on_is_seen(make):
    made = hidden(make)
    assert as_the_role(made) == ["surveys.call nr names a row of t and is not mapped"]
    with pytest.raises(SourceError, match=r"surveys\.call nr names a row of t and is not mapped"):
        purge(made.crm(children=MAPPED), [1])
    assert made.rows("SELECT id FROM surveys") == [(7,)]


def test_so_is_one_of_another_database_whose_names_are_encoded(make):
    made, other = hidden(make, "`a-b c`"), sa.make_url(make("mariadb").url).database
    here = sa.make_url(made.url).database
    made.run(
        f"CREATE TABLE {other}.`Größe/é` (id INTEGER PRIMARY KEY, t_id INTEGER,"
        f" FOREIGN KEY (t_id) REFERENCES {here}.t (id) ON DELETE SET NULL)"
    )
    assert as_the_role(made) == [
        "Größe/é.t_id names a row of t and is not mapped",
        "a-b c.call nr names a row of t and is not mapped",
    ]


def test_a_role_that_may_not_see_every_key_purges_nothing_and_is_told_the_grant(make, mariadb_server):
    made = make("mariadb").run(CALLS, NOTES, "INSERT INTO t VALUES (1)")
    crm = made.crm(children=MAPPED)
    crm.control.create()
    mariadb_server.execute("REVOKE PROCESS ON *.* FROM lifecycle")
    try:
        crm.database.engine.dispose()
        with pytest.raises(SourceError, match=r"GRANT PROCESS ON \*\.\*"):
            crm.purger()
        assert crm.unfit()[0].startswith("the role may not see every foreign key")
        assert crm.refresh() is crm  # it reads as before
    finally:
        mariadb_server.execute("GRANT PROCESS ON *.* TO lifecycle")


# --- PostgreSQL: parts of tables, and tables that are parts ---

PARTITIONED = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (200)",
    NOTES,
)
CASCADING = "CREATE TABLE {} (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES {} (id) ON DELETE CASCADE)"


def test_a_key_that_names_a_partition_of_a_mapped_table_is_seen(make):
    made = make("postgresql").run(*PARTITIONED, CASCADING.format("surveys", "t_low"))
    assert of(made) == ["surveys.t_id names a row of t and is not mapped"]


def test_a_key_that_names_the_table_a_mapped_one_is_a_partition_of_is_seen(make):
    made = make("postgresql").run(*PARTITIONED, CASCADING.format("surveys", "t"))
    made.run("ALTER TABLE notes DROP CONSTRAINT notes_call_id_fkey")
    assert of(made, table="t_low") == ["surveys.t_id names a row of t_low and is not mapped"]


def test_a_key_of_every_partition_of_a_mapped_child_is_a_mapped_one(make):
    made = make("postgresql").run(
        *PARTITIONED[:3],
        "CREATE TABLE notes (id INTEGER, call_id INTEGER REFERENCES t (id), PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE notes_1 PARTITION OF notes FOR VALUES FROM (0) TO (100)",
        "INSERT INTO t VALUES (1), (101)",
        "INSERT INTO notes VALUES (1, 1), (2, 101)",
    )
    assert of(made) == []
    assert purge(made.crm(children=MAPPED), [1, 101]).rows == {"calls": 2, "notes": 2}


def test_a_key_of_a_schema_the_role_may_not_use_is_seen(make):
    made = make("postgresql").run(CALLS, NOTES, "CREATE SCHEMA hr", CASCADING.format("hr.cases", "t"))
    assert of(made) == ["cases.t_id names a row of t and is not mapped"]


# --- Names are compared as the database compares them ---


def test_sqlite_finds_a_table_by_a_name_in_other_letters_and_so_do_we(make):
    made = make("sqlite").run(CALLS, NOTES, "CREATE TABLE surveys (id INTEGER PRIMARY KEY, call_id REFERENCES T(ID))")
    assert of(made) == ["surveys.call_id names a row of t and is not mapped"]


def test_a_mapped_key_in_other_letters_is_a_mapped_key(make):
    made = make("sqlite").run(CALLS, "CREATE TABLE Notes (id INTEGER PRIMARY KEY, Call_ID INTEGER REFERENCES T(ID))")
    assert of(made) == []


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_a_mapping_may_write_names_in_other_letters_where_the_database_may(make, kind):
    made = make(kind).run(
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, up INTEGER)",
        "CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, call_id INTEGER, kind INTEGER)",
        "INSERT INTO t VALUES (1, NULL), (2, 1)",
        "INSERT INTO notes VALUES (7, 1, 3), (8, 2, 3)",
    )
    table, notes = ("T", "NOTES") if kind == "sqlite" else ("t", "notes")
    child = f"{{table: {notes}, match: {{CALL_ID: ID}}, where: {{Kind: 3}}}}"
    link = f"{{table: {table}, match: {{UP: Id}}, detach: [Up]}}"
    crm = made.crm(key="ID", table=table, children=f"[{child}, {link}]")
    assert purge(crm, [1]).rows == {"calls": 1, "notes": 1, "t-detached": 1}
    assert made.rows("SELECT id, up FROM t") == [(2, None)]
    assert made.rows("SELECT id FROM notes") == [(8,)]


def test_postgresql_finds_quoted_names_exactly_and_a_mapping_that_does_not_is_told(make):
    made = make("postgresql").run(CALLS, NOTES)
    with pytest.raises(SourceError, match="the database has no table T"):
        made.crm(table="T", facts="SELECT id AS call_id, 'x' AS industry FROM t")


def test_mariadb_on_linux_keeps_tables_apart_whose_names_differ_in_case(make):
    made = make("mariadb").run(CALLS, "CREATE TABLE T (id INTEGER PRIMARY KEY)", CASCADING.format("surveys", "T"))
    assert of(made, children="[]") == []
