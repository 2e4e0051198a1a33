"""The restore transaction: every type comes back as the database's own client printed it, or the call is named."""

from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.parquet import fetch_table, put_table
from lifecycle.crm.crm import Crm
from lifecycle.crm.restoring.references import foreign_references
from lifecycle.crm.restoring.restore_conflicts import RestoreConflicts
from lifecycle.crm.restoring.restore_transaction import RestoredSlice, RestoreTransaction
from tests.crm.conftest import Made, purge, read
from tests.crm.reading import test_rows
from tests.crm.reading.test_client_values import GIVEN, MORE, asked_of_the_client, printed
from tests.roles import restore_url

KINDS = ["sqlite", "postgresql", "mariadb"]


def archived(crm: Crm, keys, folder: Path) -> dict:
    """The rows of calls, as Parquet gives them back."""
    store = FolderStore(folder / uuid4().hex)
    return {name: fetch_table(store, put_table(store, f"{name}.parquet", t)) for name, t in read(crm, keys).items()}


def restoring(made: Made, crm: Crm, keys, tables, note=lambda connection, keys: None) -> RestoredSlice:
    database = restore_url(made.url, crm.source)
    references = foreign_references(database, crm.tables)
    return RestoreTransaction(database, crm.rows, crm.tables, references).restore(keys, tables, note)


def conflicts(made: Made, crm: Crm, keys, tables) -> dict:
    database = restore_url(made.url, crm.source)
    return RestoreConflicts(database, crm.rows, crm.tables, foreign_references(database, crm.tables)).of(keys, tables)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_as_the_databases_own_client_printed_it(make, tmp_path, kind):
    cases = [(declared, literal) for declared, literal, *_ in GIVEN[kind]] + MORE[kind]
    made = test_rows.prepared(make(kind))
    columns = [
        f"c{n} {declared.removesuffix(' NULL')}{' NULL' if declared else ''}" for n, (declared, _) in enumerate(cases)
    ]
    made.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)})")
    made.run(f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal in cases)})".replace("%", "%%"))
    made.run("INSERT INTO t (id) VALUES (2)")
    asked = [asked_of_the_client(kind, f"c{n}", declared) for n, (declared, _) in enumerate(cases)]
    before = printed(made, asked)
    crm = made.crm()
    tables = archived(crm, [1, 2], tmp_path)
    assert purge(crm, [1, 2]).deleted == (1, 2)
    assert made.rows("SELECT count(*) FROM t") == [(0,)]
    assert conflicts(made, crm, [1, 2], tables) == {}
    assert restoring(made, crm, [1, 2], tables) == RestoredSlice([1, 2])
    after = printed(made, asked)
    assert {case: (one, two) for case, one, two in zip(cases, before, after, strict=True) if one != two} == {}
    assert made.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


TREE = (
    "CREATE TABLE p (id INTEGER PRIMARY KEY)",
    "INSERT INTO p VALUES (7)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, p_id INTEGER, up INTEGER, word VARCHAR(20), UNIQUE (word),"
    " FOREIGN KEY (p_id) REFERENCES p (id), FOREIGN KEY (up) REFERENCES t (id))",
    "CREATE TABLE n (id INTEGER PRIMARY KEY, t_id INTEGER, body VARCHAR(50), FOREIGN KEY (t_id) REFERENCES t (id))",
    "CREATE TABLE f (id INTEGER PRIMARY KEY, n_id INTEGER, FOREIGN KEY (n_id) REFERENCES n (id))",
    "INSERT INTO t VALUES (5, 7, NULL, 'five'), (1, NULL, 5, 'one'), (3, NULL, 1, NULL), (9, NULL, 5, 'stays')",
    "INSERT INTO n VALUES (10, 1, 'a'), (11, 1, NULL), (12, 3, ' b')",
    "INSERT INTO f VALUES (20, 10), (21, 12)",
)
CHILDREN = (
    "[{table: n, match: {t_id: id}, children: [{table: f, match: {n_id: id}}]}, "
    "{table: t, match: {up: id}, detach: [up]}]"
)


@pytest.fixture(params=KINDS)
def tree(request, make, tmp_path):
    """Three purged calls with children, one of them naming another, beside one that stayed and lost its link."""
    made = make(request.param).run(*TREE)
    crm = made.crm(children=CHILDREN)
    before = [made.rows(f"SELECT * FROM {table} ORDER BY id") for table in "tnf"]
    tables = archived(crm, [1, 3, 5], tmp_path)
    assert purge(crm, [1, 3, 5]).deleted == (1, 3, 5)
    assert made.rows("SELECT id, up FROM t") == [(9, None)]
    return made, crm, tables, before


def test_a_call_comes_back_with_everything_below_it_and_the_links_to_it(tree):
    made, crm, tables, before = tree
    noted: list = []
    done = restoring(made, crm, [1, 3, 5], tables, lambda connection, keys: noted.extend(keys))
    assert (done, noted) == (RestoredSlice([1, 3, 5]), [1, 3, 5])
    assert [made.rows(f"SELECT * FROM {table} ORDER BY id") for table in "tnf"] == before


def test_what_stands_against_it_is_named_and_nothing_is_written(tree):
    made, crm, tables, _ = tree
    made.run(
        "INSERT INTO t VALUES (1, NULL, NULL, 'five')", "INSERT INTO n VALUES (12, NULL, 'other')", "DELETE FROM p"
    )
    assert conflicts(made, crm, [1, 3, 5], tables) == {
        1: ["its id is taken: a call with it is in the CRM"],
        3: ["a row of n has its id"],
        5: ["a row of t has its word", "a row of p that its t.p_id names is gone"],
    }
    before = [made.rows(f"SELECT * FROM {table} ORDER BY id") for table in "tnf"]
    done = restoring(made, crm, [1, 3, 5], tables)
    assert (done.restored, sorted(done.refused)) == ([], [1, 3, 5])
    assert [made.rows(f"SELECT * FROM {table} ORDER BY id") for table in "tnf"] == before


def test_one_call_that_cannot_come_back_is_named_and_the_others_are_whole(tree):
    made, crm, tables, before = tree
    made.run("INSERT INTO n VALUES (12, NULL, 'other')")
    done = restoring(made, crm, [5, 1, 3], tables)
    assert (done.restored, list(done.refused)) == ([5, 1], [3])
    assert made.rows("SELECT id FROM t ORDER BY id") == [(1,), (5,), (9,)]
    assert made.rows("SELECT * FROM n ORDER BY id") == [*before[1][:2], (12, None, "other")]


def test_rows_that_name_the_call_already_are_another_call_than_was_archived(tree):
    made, crm, tables, _ = tree
    made.run("DROP TABLE f", "DROP TABLE n", "CREATE TABLE n (id INTEGER PRIMARY KEY, t_id INTEGER, body VARCHAR(50))")
    made.run("CREATE TABLE f (id INTEGER PRIMARY KEY, n_id INTEGER)", "INSERT INTO n VALUES (99, 5, 'new')")
    crm = made.crm(children=CHILDREN)
    done = restoring(made, crm, [5], tables)
    assert done.refused == {5: "otherwise: n: the rows changed, compared with the archived ones"}
    assert made.rows("SELECT id FROM t") == [(9,)]


def test_a_trigger_that_rewrites_a_row_is_caught_by_the_second_look(tree):
    made, crm, tables, _ = tree
    made.run(*TRIGGERS[made.dialect])
    done = restoring(made, crm, [5, 1], tables)
    assert (done.restored, sorted(done.refused)) == ([5], [1])
    assert done.refused[1].startswith("otherwise: n: the rows changed")
    assert made.rows("SELECT id FROM t ORDER BY id") == [(5,), (9,)]


def test_a_column_that_was_dropped_or_narrowed_is_named(tree):
    made, crm, tables, _ = tree
    if made.dialect == "sqlite":
        made.run("ALTER TABLE n DROP COLUMN body")
        wanted = {1: ["the column n.body was dropped, and it had a value"]}
        wanted[3] = wanted[1]
    else:
        change = {"postgresql": "ALTER COLUMN body TYPE VARCHAR(1)", "mariadb": "MODIFY body VARCHAR(1)"}
        made.run(f"ALTER TABLE n {change.get(made.dialect, change['mariadb'])}")
        wanted = {3: ["the column n.body takes 1 letters, its value has more"]}
    crm = made.crm(children=CHILDREN)
    assert conflicts(made, crm, [5, 1, 3], tables) == wanted
    if made.dialect != "sqlite":
        done = restoring(made, crm, [5, 1, 3], tables)
        assert (done.restored, list(done.refused)) == ([5, 1], [3])


def test_a_new_column_takes_its_default(tree):
    made, _, tables, _ = tree
    made.run("ALTER TABLE t ADD COLUMN more INTEGER DEFAULT 4")
    crm = made.crm(children=CHILDREN)
    assert restoring(made, crm, [5], tables) == RestoredSlice([5])
    assert made.rows("SELECT id, more FROM t WHERE id = 5") == [(5, 4)]


def test_what_is_noted_commits_with_the_rows_or_not_at_all(tree):
    made, crm, tables, _ = tree

    def refuse(connection, keys):
        connection.execute(sa.text("UPDATE t SET word = 'noted' WHERE id = 9"))
        raise KeyError("no note")

    with pytest.raises(KeyError):
        restoring(made, crm, [5], tables, refuse)
    assert made.rows("SELECT id, word FROM t") == [(9, "stays")]


TRIGGERS = {
    "sqlite": ["CREATE TRIGGER g AFTER INSERT ON n WHEN NEW.id = 11 BEGIN UPDATE n SET body = 'x' WHERE id = 11; END"],
    "postgresql": [
        "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.id = 11 THEN NEW.body = 'x'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER g BEFORE INSERT ON n FOR EACH ROW EXECUTE FUNCTION g()",
    ],
    "mysql": ["CREATE TRIGGER g BEFORE INSERT ON n FOR EACH ROW SET NEW.body = IF(NEW.id = 11, 'x', NEW.body)"],
}
TRIGGERS["mariadb"] = TRIGGERS["mysql"]
