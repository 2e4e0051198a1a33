"""Which calls a foreign key ties together: only those may have to wait for each other's rows."""

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.crm.restoring.references import Reference, tied_calls
from lifecycle.evidence.comparison import CALL_ID


def reference(table: str, column: str, named: str) -> Reference:
    return Reference(table, (column,), sa.table(named, sa.column("id")), ("id",), named)


def rows(**columns) -> pa.Table:
    return pa.table({CALL_ID: columns.pop("of"), **columns})


UP, BELOW = reference("t", "up", "t"), reference("n", "t_id", "t")


@pytest.mark.parametrize(
    ("up", "tied"),
    [
        ([None, None, None], set()),
        (["a", "b", "c"], set()),  # each itself
        (["elsewhere", None, None], set()),
        ([None, "a", None], {"a", "b"}),
        ([None, "A ", None], {"a", "b"}),  # what MariaDB takes for the same
        ([None, "é", None], None),  # nobody knows what a collation makes of it
    ],
)
def test_calls_are_tied_where_one_names_a_row_of_another(up, tied):
    found = {"t": [rows(of=["a", "b", "c"], id=["a", "b", "c"], up=pa.array(up, pa.string()))]}
    assert tied_calls([UP], found) == tied


@pytest.mark.parametrize(("owner", "tied"), [([1, 2, 2], set()), ([1, 2, 1], {1, 2})])
def test_children_tie_calls_where_they_name_those_of_others(owner, tied):
    calls = rows(of=[1, 2, 3], id=[1, 2, 3])
    assert tied_calls([BELOW], {"t": [calls], "n": [rows(of=owner, t_id=[1, 2, 2])]}) == tied


def test_what_values_alone_do_not_tell_ties_all():
    calls, other = rows(of=[1], id=[1]), rows(of=[1], t_id=pa.array([1], pa.int16()))
    assert tied_calls([BELOW], {"t": [calls], "n": [other]}) is None
    assert tied_calls([BELOW], {"t": [calls, calls], "n": [rows(of=[1], t_id=[1])]}) is None
    assert tied_calls([BELOW], {"t": [rows(of=["a", "b"], id=["x", "X"])], "n": [rows(of=["a"], t_id=["x"])]}) is None
    assert tied_calls([BELOW], {"n": [other]}) == set()
