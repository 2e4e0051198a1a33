"""PostgreSQL's planner is kept from joining row by row what it takes for empty, in the restore's transaction alone."""

import pytest
import sqlalchemy as sa

from tests.crm.conftest import purge
from tests.crm.restoring.test_restore_transaction import CHILDREN, TREE, archived, restoring


@pytest.mark.parametrize(("more", "joined_by_rows"), [(0, "off"), (100, "on")])
def test_a_table_that_was_emptied_and_analysed_is_joined_by_sets(make, tmp_path, more, joined_by_rows):
    made = make("postgresql").run(*TREE)
    crm = made.crm(children=CHILDREN)
    tables = archived(crm, [1, 3, 5], tmp_path)
    purge(crm, [1, 3, 5])
    made.run(*(f"INSERT INTO {table} (id) SELECT 1000 + generate_series(1, {more})" for table in "tnf"), "ANALYZE")
    asked = sa.text("SHOW enable_nestloop")
    said: list[str] = []
    done = restoring(made, crm, [1, 3, 5], tables, lambda connection, keys: said.append(connection.scalar(asked)))
    assert (sorted(done.restored), said) == ([1, 3, 5], [joined_by_rows])
    with crm.database.reading() as connection:
        assert connection.scalar(asked) == "on"
