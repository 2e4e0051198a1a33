"""Every way to read rows gives the same Arrow tables: for each type and odd value, or it is not taken."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.copying import copied, copy_expression
from lifecycle.crm.encoded import encoded
from tests.crm.conftest import Made, read
from tests.crm.reading.test_rows import MARIADB, POSTGRESQL, prepared

TEXTS = [
    "''",
    "'\"'",
    "'a,b'",
    "'\"\"'",
    "'line\nline\r\n'",
    "'\\N'",
    "'\\.'",
    "' '",
    "','",
    "'NULL'",
    "'ø\"山😀'",
    "'\t'",
]


def fast(made: Made):
    """The calls of `t` by the fast way of the database, as `Rows` names the columns."""
    crm = made.crm()
    mapped = crm.tables["t"]
    columns = list(mapped.columns.values())
    with crm.database.reading() as connection:
        if made.dialect == "postgresql":
            statement = sa.select(*(copy_expression(column, mapped.table) for column in columns))
            found = list(copied(connection, statement, columns))
        else:
            statement = sa.select(*(column.expression(mapped.table) for column in columns))
            found = list(encoded(connection, statement, columns))
    return sa_free(found)


def sa_free(found):
    import pyarrow as pa

    return pa.concat_tables(found).sort_by("id")


def by_row(made: Made, keys):
    return read(made.crm(), keys)["calls"].drop_columns(["_call_id"])


@pytest.mark.parametrize(
    ("kind", "declared", "literal"),
    [(kind, *case[:2]) for kind, cases in (("postgresql", POSTGRESQL), ("mariadb", MARIADB)) for case in cases]
    + [(kind, "text", text) for kind in ("postgresql", "mariadb") for text in TEXTS],
)
def test_the_fast_way_gives_the_values_that_the_driver_gives(make, kind, declared, literal):
    made = prepared(make(kind)).run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared} NULL)")
    literal = literal.replace("\\", "\\\\") if kind == "mariadb" and declared == "text" else literal
    made.run(f"INSERT INTO t VALUES (1, {literal})".replace("%", "%%"), "INSERT INTO t (id) VALUES (2)")
    slow, quick = by_row(made, [1, 2]), fast(made)
    assert quick.schema == slow.schema
    assert repr(quick.to_pylist()) == repr(slow.to_pylist())
