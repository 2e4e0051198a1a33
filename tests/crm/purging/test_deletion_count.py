"""The second look: what the database itself counts as deleted is what was compared, or nothing is committed."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.purging.deletion_count import UncomparedDeletion, deletions_counted
from tests.crm.conftest import Made, purge

TABLES = (
    "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, up INTEGER)",
    "CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER)",
    "CREATE TABLE other (id INTEGER NOT NULL PRIMARY KEY)",
    "INSERT INTO t VALUES (1, NULL), (2, NULL), (3, 2)",
    "INSERT INTO c VALUES (10, 1), (20, 2)",
    "INSERT INTO other VALUES (1)",
)
MAPPED = "[{table: c, match: {t_id: id}}, {table: t, match: {up: id}, detach: [up]}]"
BODY = {
    "a deletion": "DELETE FROM other WHERE id = OLD.id",
    "a deletion by a detour": "DELETE FROM c WHERE id > 10 AND OLD.id = 1",
}


def triggered(made: Made, body: str, on: str = "t", timing: str = "AFTER DELETE", options: str = "") -> Made:
    """A trigger that nobody named, of whoever owns the tables."""
    if made.dialect == "postgresql":
        made.run(
            f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN {body}; RETURN OLD; END'",
            f"CREATE {'CONSTRAINT ' if options else ''}TRIGGER hidden {timing} ON {on} {options} FOR EACH ROW"
            " EXECUTE FUNCTION f()",
        )
    elif made.dialect == "sqlite":
        made.run(f"CREATE TRIGGER hidden {timing} ON {on} BEGIN {body}; END")
    else:
        made.run(f"CREATE TRIGGER hidden {timing} ON {on} FOR EACH ROW {body}")
    return made


def everything(made: Made) -> list[list[tuple[object, ...]]]:
    return [made.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("t", "c", "other")]


@pytest.mark.parametrize("body", BODY.values(), ids=list(BODY))
def test_what_a_trigger_deletes_that_nobody_named_rolls_back_and_sets_its_call_aside(made, body):
    triggered(made.run(*TABLES), body)
    made.crm()
    before = everything(made)
    done = purge(made.crm(children="[{table: c, match: {t_id: id}}]"), [1])
    assert done.deleted == ()
    assert "the database deleted other rows than those compared" in done.set_aside[1]
    assert everything(made) == before


def test_the_other_calls_of_the_slice_go(made):
    triggered(made.run(*TABLES), BODY["a deletion"])
    done = purge(made.crm(children=MAPPED), [1, 2])
    assert (done.deleted, list(done.set_aside)) == ((2,), [1])
    assert made.rows("SELECT id, up FROM t ORDER BY id") == [(1, None), (3, None)]


def test_a_trigger_that_deletes_nothing_is_none_of_its_business(make):
    made = make("postgresql").run(*TABLES, "CREATE TABLE gone (id integer)")
    triggered(made, "INSERT INTO gone VALUES (OLD.id)")
    assert purge(made.crm(children=MAPPED), [1, 2]).deleted == (1, 2)
    assert made.rows("SELECT id FROM gone ORDER BY 1") == [(1,), (2,)]


def test_a_deferred_trigger_deletes_before_the_look_and_not_after(make):
    made = triggered(make("postgresql").run(*TABLES), BODY["a deletion"], options="DEFERRABLE INITIALLY DEFERRED")
    done = purge(made.crm(children=MAPPED), [1])
    assert (done.deleted, list(done.set_aside)) == ((), [1])
    assert made.rows("SELECT id FROM other") == [(1,)]


def test_a_trigger_that_truncates_is_seen_though_no_row_of_it_is_counted(make):
    made = triggered(make("postgresql").run(*TABLES), "TRUNCATE other")
    done = purge(made.crm(children=MAPPED), [1])
    assert (done.deleted, "truncated" in done.set_aside[1]) == ((), True), done.set_aside
    assert made.rows("SELECT id FROM other") == [(1,)]


def test_a_trigger_that_unlinks_large_objects_is_seen(make):
    made = make("postgresql").run(*TABLES)
    made.run("SELECT lo_from_bytea(4711, 'content')", "UPDATE c SET t_id = 1 WHERE id = 10")
    triggered(made, "PERFORM lo_unlink(4711)")
    assert purge(made.crm(children=MAPPED), [1]).deleted == ()
    assert made.rows("SELECT convert_from(lo_get(4711), 'UTF8')") == [("content",)]


def test_deletions_of_partitions_are_the_tables_own(make):
    made = make("postgresql").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (10) TO (20)",
        "INSERT INTO t VALUES (1), (11), (12)",
    )
    assert purge(made.crm(), [1, 11]).deleted == (1, 11)
    alone = made.crm(table="t_high", facts="SELECT id AS call_id, 'x' AS industry FROM t_high", more="control: high")
    assert purge(alone, [12]).rows == {"calls": 1}


def test_mariadbs_double_count_of_partitions_is_known(make):
    made = make("mariadb").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3",
        "INSERT INTO t VALUES (1), (2), (3)",
    )
    assert purge(made.crm(), [1, 2]).deleted == (1, 2)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_count_of_an_earlier_transaction_is_not_taken_for_this_ones(make, kind):
    made = make(kind).run(*TABLES)
    database = made.crm(children=MAPPED).database
    for wanted in (10, 20):
        with database.writing() as connection, deletions_counted(connection, database.dialect) as meant:
            connection.execute(sa.text("DELETE FROM c WHERE id = :id"), {"id": wanted})
            meant.delete("c", 1)
    assert made.rows("SELECT * FROM c") == []


def test_more_said_than_done_is_no_better(made):
    made.run(*TABLES)
    database = made.crm(children=MAPPED).database

    def deleting_one_for_two() -> None:
        with database.writing() as connection, deletions_counted(connection, database.dialect) as meant:
            connection.execute(sa.text("DELETE FROM c WHERE id = 10"))
            meant.delete("c", 2)

    with pytest.raises(UncomparedDeletion):
        deleting_one_for_two()
    assert len(made.rows("SELECT * FROM c")) == 2
