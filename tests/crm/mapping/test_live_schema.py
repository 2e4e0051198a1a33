"""A mapping that does not fit its database is refused, each misfit by name, before anything is read or deleted."""

import pytest

from lifecycle.crm.mapping.foreign_keys import unmapped_references
from lifecycle.errors import SettingsError, SourceError

TABLES = (
    "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v INTEGER)",
    "CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER)",
)
C = "[{table: c, match: {t_id: id}}]"


@pytest.mark.parametrize(
    ("children", "key", "message"),
    [
        ("[{table: nowhere, match: {t_id: id}}]", "id", "the database has no table nowhere"),
        ("[{table: c, match: {other: id}}]", "id", "table c has no column other"),
        ("[{table: c, match: {t_id: other}}]", "id", "table t has no column other"),
        ("[{table: c, match: {t_id: id}, where: {kind: x}}]", "id", "table c has no column kind"),
        ("[{table: c, match: {t_id: id}, detach: [gone]}]", "id", "table c has no column gone"),
        (
            "[{table: c, match: {t_id: id}, children: [{table: c, match: {t_id: none}}]}]",
            "id",
            "table c has no column none",
        ),
    ],
)
def test_a_mapping_names_each_table_and_column_that_is_not_there(made, children, key, message):
    made.run(*TABLES)
    with pytest.raises(SourceError, match=message):
        made.crm(children=children, key=key)


def test_all_misfits_are_said_at_once(made):
    made.run(*TABLES)
    with pytest.raises(SourceError) as caught:
        made.crm(children="[{table: c, match: {a: b}}]")
    assert str(caught.value).splitlines() == [
        "source mapped: table c has no column a",
        "source mapped: table t has no column b",
    ]


def test_a_table_whose_rows_cannot_be_named_is_refused(made):
    made.run("CREATE TABLE t (id INTEGER, t_id INTEGER)", "CREATE TABLE c (t_id INTEGER, n INTEGER UNIQUE)")
    below = "[{table: c, match: {t_id: id}, children: [{table: t, match: {t_id: n}}]}]"
    with pytest.raises(SourceError) as caught:
        made.crm(children=below)
    why = "has no primary key and no unique key without NULLs"
    assert f"table t {why}: its rows cannot be named" in str(caught.value)
    assert f"table c {why}: nothing can hang on its rows" in str(caught.value)


def test_a_unique_key_without_nulls_names_rows_where_there_is_no_primary_key(made):
    made.run(TABLES[0], "CREATE TABLE c (t_id INTEGER NOT NULL, n INTEGER NOT NULL, UNIQUE (t_id, n))")
    assert made.crm(children=C).tables["c"].key == ("t_id", "n")


def test_a_source_for_other_databases_is_refused(make, tmp_path):
    made = make("sqlite").run(*TABLES)
    made.crm()
    mapping = tmp_path / "mapped.yaml"
    mapping.write_text(mapping.read_text().replace("[sqlite, postgresql, mysql]", "[mysql]"))
    from lifecycle.crm.crm import Crm
    from lifecycle.crm.database import open_database
    from lifecycle.crm.mapping.source import read_source
    from tests.crm.conftest import TIMES

    with pytest.raises(SourceError, match="is for mysql; the CRM is sqlite"):
        Crm(open_database(made.url), read_source(str(mapping)), TIMES)


def test_a_file_that_is_no_database_is_not_made_one(make, tmp_path):
    made = make("sqlite")
    (tmp_path / "crm.db").unlink()
    with pytest.raises(SettingsError, match="found no file"):
        made.crm()
    assert not (tmp_path / "crm.db").exists()


LATER = (
    "CREATE TABLE {} (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER,"
    " FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE)"
)


def test_a_foreign_key_to_a_call_that_the_mapping_does_not_name_refuses_the_purge(made):
    made.run(*TABLES, LATER.format("stranger"))
    crm = made.crm(children=C)
    crm.control.create()
    with pytest.raises(SourceError, match=r"stranger\.t_id names a row of t and is not mapped"):
        crm.purger()


def test_a_mapped_foreign_key_does_not(made):
    made.run(TABLES[0], LATER.format("c"))
    crm = made.crm(children=C)
    assert unmapped_references(crm.database, crm.source) == []


def test_a_foreign_key_to_a_child_counts_as_well(made):
    made.run(
        *TABLES, "CREATE TABLE f (id INTEGER NOT NULL PRIMARY KEY, c_id INTEGER, FOREIGN KEY (c_id) REFERENCES c (id))"
    )
    crm = made.crm(children=C)
    assert unmapped_references(crm.database, crm.source) == ["f.c_id names a row of c and is not mapped"]


def test_a_second_foreign_key_of_a_mapped_table_counts_as_well(made):
    made.run(
        TABLES[0],
        "CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER, other_id INTEGER,"
        " FOREIGN KEY (t_id) REFERENCES t (id), FOREIGN KEY (other_id) REFERENCES t (id))",
    )
    crm = made.crm(children=C)
    assert unmapped_references(crm.database, crm.source) == ["c.other_id names a row of t and is not mapped"]


def test_a_foreign_key_from_another_schema_counts_as_well(make):
    made = make("postgresql").run(*TABLES, "CREATE SCHEMA billing", LATER.format("billing.invoices"))
    crm = made.crm(children=C)
    assert unmapped_references(crm.database, crm.source) == ["invoices.t_id names a row of t and is not mapped"]


def test_a_foreign_key_from_another_database_counts_as_well(make):
    made, other = make("mariadb"), make("mariadb")
    here, there = (one.url.rpartition("/")[2].partition("?")[0] for one in (made, other))
    made.run(*TABLES, LATER.format(f"{there}.invoices").replace("REFERENCES t", f"REFERENCES {here}.t"))
    crm = made.crm(children=C)
    assert unmapped_references(crm.database, crm.source) == ["invoices.t_id names a row of t and is not mapped"]


def test_a_table_that_cannot_roll_back_refuses_the_purge(make):
    made = make("mariadb").run(TABLES[0], f"{TABLES[1]} ENGINE=MyISAM")
    crm = made.crm(children=C)
    crm.control.create()
    with pytest.raises(SourceError, match=r"c: its engine MyISAM has no transactions"):
        crm.purger()


def test_a_crm_without_control_tables_refuses_the_purge(made):
    made.run(*TABLES)
    with pytest.raises(SourceError, match="lifecycle init"):
        made.crm(children=C).purger()


def test_control_tables_are_made_once_and_stay(made):
    crm = made.run(*TABLES).crm()
    crm.control.create()
    crm.control.create()
    crm.control.require()


def test_tables_of_another_schema_are_mapped_by_their_full_name(make):
    made = make("postgresql").run(
        "CREATE SCHEMA crm",
        "CREATE TABLE crm.t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE crm.c (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES crm.t (id))",
        "INSERT INTO crm.t VALUES (1)",
        "INSERT INTO crm.c VALUES (1, 1)",
    )
    from tests.crm.conftest import purge

    crm = made.crm(table="crm.t", children="[{table: crm.c, match: {t_id: id}}]")
    assert purge(crm, [1]).rows == {"calls": 1, "c": 1}
