"""The schema is read again where it counts: inside the transaction, behind its locks."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.crm.crm import Crm
from lifecycle.crm.mapping.schema_fingerprint import lock_schema
from lifecycle.errors import DatabaseError, SourceError
from lifecycle.evidence.comparison import find_differences, rows_of_calls
from tests.crm.conftest import Made, purge_row, read

TABLES = (
    "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v INTEGER)",
    "CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER, w INTEGER)",
    "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)",
    "INSERT INTO c VALUES (1, 1, 1)",
)
MAPPED = "[{table: c, match: {t_id: id}}]"


def opened(made: Made) -> Crm:
    crm = made.run(*TABLES).crm(children=MAPPED)
    crm.control.create()
    return crm


def purge_slices(made: Made, change: str) -> tuple[list[Any], list[str]]:
    """Purge two slices of what was archived before either, with a change of the schema between them."""
    crm = opened(made)
    archived, purger = read(crm, [1, 2, 3]), crm.purger()

    def keep(keys: Sequence[Any], live: dict[str, pa.Table], _facts: pa.Table) -> dict[Any, str]:
        mine = rows_of_calls(archived, pa.array(keys, archived["calls"]["_call_id"].type))
        return {key: f"changed: {why}" for key, why in find_differences(mine, live).items()}

    first = purger.purge([1], keep, purge_row)
    made.run(*change.split(";"))
    second = purger.purge([2, 3], keep, purge_row)
    return [first.deleted, second.deleted], list(second.set_aside.values())


def test_a_column_added_between_two_slices_and_filled_is_seen_by_the_second(made):
    change = "ALTER TABLE t ADD COLUMN sentiment VARCHAR(9); UPDATE t SET sentiment = 'angry'"
    deleted, reasons = purge_slices(made, change)
    assert (deleted, reasons) == ([(1,), ()], ["changed: calls: the columns changed"] * 2)
    assert made.rows("SELECT id, sentiment FROM t ORDER BY 1") == [(2, "angry"), (3, "angry")]


def test_so_is_a_column_of_another_type(make):
    deleted, _ = purge_slices(make("postgresql"), "ALTER TABLE t ALTER COLUMN v TYPE numeric(20,4)")
    assert deleted == [(1,), ()]


def test_a_reader_that_is_asked_to_reads_the_new_column_too(made):
    crm = opened(made)
    before = crm.fingerprint
    assert crm.refresh().fingerprint == before
    made.run("ALTER TABLE c ADD COLUMN late INTEGER", "UPDATE c SET late = 5")
    assert read(crm, [1])["c"].column_names == ["_call_id", "id", "t_id", "w"]
    assert read(crm.refresh(), [1])["c"]["late"].to_pylist() == [5]


CASCADE = (
    "CREATE TABLE late (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER,"
    " FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE); INSERT INTO late VALUES (7, 2)"
)


def test_a_cascading_key_added_between_two_slices_stops_the_purge_before_the_second(made):
    with pytest.raises(SourceError, match=r"late\.t_id names a row of t and is not mapped"):
        purge_slices(made, CASCADE)
    assert made.rows("SELECT id FROM t ORDER BY 1") == [(2,), (3,)]
    assert made.rows("SELECT id FROM late") == [(7,)]


def test_row_security_switched_on_between_two_slices_stops_the_purge(make):
    made = make("postgresql")
    with pytest.raises(DatabaseError, match='row-level security policy for table "c"'):
        purge_slices(made, "ALTER TABLE c ENABLE ROW LEVEL SECURITY")
    assert len(made.rows("SELECT * FROM t")) == 2


def test_versioning_switched_on_between_two_slices_stops_the_purge(make):
    made = make("mariadb")
    with pytest.raises(SourceError, match="t: it is system-versioned"):
        purge_slices(made, "ALTER TABLE t ADD SYSTEM VERSIONING")


def test_what_changes_nothing_of_the_mapped_tables_stops_nothing(make):
    made = make("postgresql")
    change = "CREATE TABLE elsewhere (id integer PRIMARY KEY); ANALYZE t; CREATE VIEW v AS SELECT 1"
    deleted, reasons = purge_slices(made, change)
    assert (deleted, reasons) == ([(1,), (2, 3)], [])


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize("change", ["ALTER TABLE t ADD COLUMN late INTEGER", "DROP TABLE c"])
def test_nobody_changes_the_mapped_tables_while_a_transaction_holds_its_locks(make, kind, change):
    made = make(kind)
    crm = opened(made)
    wait = "SET lock_timeout = '300ms'" if kind == "postgresql" else "SET lock_wait_timeout = 1"
    with crm.database.writing() as connection:
        lock_schema(connection, crm.database.dialect, crm.source)
        crm.rows.lock(connection, [1])
        with pytest.raises(sa.exc.OperationalError, match=r"(?i)lock"):
            made.run(wait, change)


def test_on_postgresql_not_even_a_foreign_key_of_a_table_of_somebody_elses(make):
    made = make("postgresql")
    crm = opened(made)
    made.run("CREATE TABLE late (id integer PRIMARY KEY, t_id integer)")
    key = "ALTER TABLE late ADD FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE"
    with crm.database.writing() as connection:
        lock_schema(connection, crm.database.dialect, crm.source)
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            made.run("SET lock_timeout = '300ms'", key)
    made.run(key)
