"""Conditions: the database and we say the same of every row."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.mapping.row_condition import read_condition

ROWS = [(None, None), ("Call", 0), ("call", 1), ("Meeting", 2), ("", None), ("Call/x", 7)]
CONDITIONS = [
    {"kind": "Call"},
    {"kind": ["Call", "Meeting"]},
    {"kind": None},
    {"kind": ["Call", None]},
    {"kind": {"not": "Call"}},
    {"kind": {"not": ["Call", None]}},
    {"kind": {"not": ["", None]}, "number": 2},
    {"kind": {"begins": "Call"}},
    {"number": 0},
    [{"kind": "Meeting"}, {"number": [1, None]}],
]


@pytest.mark.parametrize("said", CONDITIONS)
def test_the_database_and_we_take_the_same_rows(made, said):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, kind VARCHAR(20), number INTEGER)")
    collation = " COLLATE utf8mb4_bin" if made.dialect in ("mysql", "mariadb") else ""
    if collation:
        made.run(f"ALTER TABLE t MODIFY kind VARCHAR(20){collation}")
    table = sa.table("t", *(sa.column(name) for name in ("id", "kind", "number")))
    rows = [dict(zip(("id", "kind", "number"), (n, *row), strict=True)) for n, row in enumerate(ROWS)]
    condition = read_condition(said)
    with made.engine.begin() as connection:
        connection.execute(table.insert(), rows)
        found = connection.scalars(sa.select(table.c.id).where(*condition.expressions(table)).order_by(table.c.id))
        assert list(found) == [row["id"] for row in rows if condition.holds(row)]


@pytest.mark.parametrize("said", [{}, [], "Call", {"a": {}}, {"a": []}, {"a": {"like": "x"}}, {"a": [["x"]]}])
def test_what_is_no_condition_is_refused(said):
    with pytest.raises(ValueError, match="expected"):
        read_condition(said)
