"""Which calls a foreign key ties together: only those may have to wait for each other's rows."""

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.crm.restoring.references import Reference, ties_calls
from lifecycle.evidence.comparison import CALL_ID


def reference(table: str, column: str, named: str) -> Reference:
    return Reference(table, (column,), sa.table(named, sa.column("id")), ("id",), named)


def rows(**columns) -> pa.Table:
    return pa.table({CALL_ID: columns.pop("of"), **columns})


UP, BELOW = reference("t", "up", "t"), reference("n", "t_id", "t")


@pytest.mark.parametrize(
    ("up", "tied"),
    [
        ([None, None], False),
        (["a", "b"], False),  # each itself
        (["elsewhere", None], False),
        ([None, "a"], True),
        ([None, "A "], True),  # what MariaDB takes for the same
        ([None, "é"], True),  # nobody knows what a collation makes of it
    ],
)
def test_calls_are_tied_where_one_names_a_row_of_another(up, tied):
    found = {"t": [rows(of=["a", "b"], id=["a", "b"], up=pa.array(up, pa.string()))]}
    assert ties_calls([UP], found) is tied


@pytest.mark.parametrize(("owner", "tied"), [([1, 2, 2], False), ([1, 2, 1], True)])
def test_children_tie_calls_where_they_name_those_of_others(owner, tied):
    calls = rows(of=[1, 2], id=[1, 2])
    assert ties_calls([BELOW], {"t": [calls], "n": [rows(of=owner, t_id=[1, 2, 2])]}) is tied


def test_what_values_alone_do_not_tell_is_a_tie():
    calls, other = rows(of=[1], id=[1]), rows(of=[1], t_id=pa.array([1], pa.int16()))
    assert ties_calls([BELOW], {"t": [calls], "n": [other]})
    assert ties_calls([BELOW], {"t": [calls, calls], "n": [rows(of=[1], t_id=[1])]})
    assert not ties_calls([BELOW], {"n": [other]})
