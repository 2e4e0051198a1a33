"""Planners in the restore's transaction alone: PostgreSQL joins by sets, MariaDB takes long lists for what they are."""

import pytest
import sqlalchemy as sa

from lifecycle.crm.restoring.planner_beliefs import KEYS_OF_LONG_LISTS, long_lists
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


def test_mariadb_searches_its_index_for_each_of_five_thousand_keys_and_only_in_the_restore(make, tmp_path):
    """With the setting of elsewhere it makes a table of the list, and reads the calls from end to end beside it."""
    made = make("mariadb").run("CREATE TABLE t (id INTEGER PRIMARY KEY, word VARCHAR(20))")
    made.run("INSERT INTO t SELECT seq, 'x' FROM seq_1_to_200000", "ANALYZE TABLE t")
    crm = made.crm()
    tables = archived(crm, [1], tmp_path)
    purge(crm, [1])
    asked = sa.text("SELECT @@SESSION.in_predicate_conversion_threshold")
    explained: list[tuple[str, ...]] = []

    def note(connection, _):
        keys = ", ".join(map(str, range(1, KEYS_OF_LONG_LISTS["mysql"] + 1)))
        plan = connection.execute(sa.text(f"EXPLAIN SELECT count(word) FROM t WHERE id IN ({keys})")).mappings()
        explained.extend((row["table"], row["type"]) for row in plan)
        assert connection.scalar(asked) == 0

    assert restoring(made, crm, [1], tables, note).restored == [1]
    assert explained == [("t", "range")]
    with crm.database.reading() as connection:
        before = connection.scalar(asked)
        with long_lists(connection):
            assert connection.scalar(asked) == 0
        assert connection.scalar(asked) == before == 1000
