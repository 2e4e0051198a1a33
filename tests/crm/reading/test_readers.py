"""The fast way to read rows gives the very tables that the driver gives, for each type and odd value; or refuses."""

import random
import struct

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.crm.reading.copy_reader import copy_expression, read_by_copy
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.encoded_reader import read_encoded
from lifecycle.crm.reading.part_reader import _by_driver as read_by_driver
from tests.crm.conftest import Made
from tests.crm.reading.test_client_values import MORE as MORE_VALUES
from tests.crm.reading.test_rows import (
    MARIADB,
    MARIADB_UNREADABLE,
    POSTGRESQL,
    POSTGRESQL_UNREADABLE,
    prepared,
)

TEXTS = (
    *("", '"', "a,b", '""', '","', "line\nline\r\n", "\\N", "\\.", " ", ",", "NULL", 'ø"山😀', "\t", "'", "\\", "%s"),
    "long " * 100_000,
)
MORE = {
    kind: [(declared, literal, None) for declared, literal in MORE_VALUES[kind]] for kind in ("postgresql", "mariadb")
}
CASES = {"postgresql": [*POSTGRESQL, *MORE["postgresql"]], "mariadb": [*MARIADB, *MORE["mariadb"]]}
UNREADABLE = {"postgresql": POSTGRESQL_UNREADABLE, "mariadb": MARIADB_UNREADABLE}


def fast(made: Made) -> pa.Table:
    """The calls of `t` by the fast way of the database."""
    crm = made.crm()
    mapped = crm.tables["t"]
    columns = list(mapped.columns.values())
    served = made.dialect == "postgresql"
    chosen = [copy_expression(c, mapped.table) if served else c.expression(mapped.table) for c in columns]
    with crm.database.reading() as connection:
        found = (read_by_copy if served else read_encoded)(connection, sa.select(*chosen), columns)
        return pa.concat_tables(found).sort_by("id").combine_chunks()


def by_driver(made: Made) -> pa.Table:
    """The calls of `t`, each value as the driver gives it."""
    crm = made.crm()
    mapped = crm.tables["t"]
    columns = list(mapped.columns.values())
    with crm.database.reading() as connection:
        chosen = sa.select(*(column.expression(mapped.table) for column in columns))
        return pa.concat_tables(read_by_driver(connection, chosen, columns)).sort_by("id").combine_chunks()


def assert_same(made: Made) -> None:
    slow, quick = by_driver(made), fast(made)
    assert quick.schema == slow.schema
    assert repr(quick.to_pylist()) == repr(slow.to_pylist())  # a NaN is itself, and -0.0 not 0.0


@pytest.mark.parametrize("kind", CASES)
def test_every_type_is_read_as_the_driver_reads_it(make, kind):
    made, cases = prepared(make(kind)), CASES[kind]
    columns = [f"c{number} {declared.removesuffix(' NULL')} NULL" for number, (declared, _, _) in enumerate(cases)]
    made.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)})")
    made.run(f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal, _ in cases)})".replace("%", "%%"))
    made.run("INSERT INTO t (id) VALUES (2)")
    assert_same(made)


@pytest.mark.parametrize("kind", CASES)
def test_every_text_is_read_letter_by_letter(make, kind):
    made = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT, d INTEGER)")
    if kind == "mariadb":
        made.run("ALTER TABLE t MODIFY c LONGTEXT CHARACTER SET utf8mb4")
    with made.engine.begin() as connection:
        rows = [{"id": number, "c": text} for number, text in enumerate(TEXTS)]
        connection.execute(sa.text("INSERT INTO t VALUES (:id, :c, NULL)"), rows)
    assert fast(made)["c"].to_pylist() == list(TEXTS)
    assert_same(made)


@pytest.mark.parametrize("kind", CASES)
def test_every_floating_number_is_read_to_its_last_bit(make, kind):
    given = random.Random(7)
    numbers = [struct.unpack("<d", given.randbytes(8))[0] for _ in range(300)]
    numbers = [n for n in numbers if n == n and abs(n) != float("inf")] + [5e-324, 1.7976931348623157e308, 0.1, 1e15]
    made = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY, c DOUBLE PRECISION, f REAL)")
    with made.engine.begin() as connection:
        rows = [{"id": k, "c": n, "f": n if 1e-30 < abs(n) < 1e30 else 0.1} for k, n in enumerate(numbers)]
        connection.execute(sa.text("INSERT INTO t VALUES (:id, :c, :f)"), rows)
    assert fast(made)["c"].to_pylist() == numbers
    assert_same(made)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_the_driver_cannot_read_the_fast_way_refuses(make, kind):
    made = make(kind)
    if kind == "mariadb":
        made.run("SET GLOBAL sql_mode = ''")
    for declared, literal in UNREADABLE[kind]:
        made.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
        made.run(f"INSERT INTO t (id, c) VALUES (1, {literal})")
        with pytest.raises(NotAsCsv):
            fast(made)


@pytest.mark.parametrize("most", [4, 20, 21, 30, 59, 60, 61, 1000])
def test_lines_that_are_too_long_for_one_value_are_read_all_the_same(make, most):
    made = make("mariadb").run("CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT, d INTEGER)")
    made.run("INSERT INTO t SELECT seq, concat('a\n', seq), 10 * seq FROM seq_1_to_6")
    crm = made.crm()
    columns = list(crm.tables["t"].columns.values())
    chosen = sa.select(*(column.expression(crm.tables["t"].table) for column in columns))
    with crm.database.reading() as connection:
        connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {most}")
        found = pa.concat_tables(read_encoded(connection, chosen, columns)).sort_by("id")
    assert found.to_pylist() == [{"id": n, "c": f"a\n{n}", "d": 10 * n} for n in range(1, 7)]
