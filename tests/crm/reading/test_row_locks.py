"""How many rows a slice locks on MariaDB: its own, not an index of everybody's."""

import time

import pytest

from tests.crm.conftest import Made, purge

CALLS, SLICE = 20_000, 200


@pytest.fixture(scope="module")
def crowded(mariadb_server, tmp_path_factory) -> Made:
    """A table of calls whose link to other calls is NULL in every row, and a child table where every parent is NULL."""
    made = Made(mariadb_server.new_database(), tmp_path_factory.mktemp("crowded"))
    return made.run(
        "CREATE TABLE t (id varchar(36) PRIMARY KEY, up varchar(36), KEY (up), FOREIGN KEY (up) REFERENCES t (id))",
        "CREATE TABLE c (id int PRIMARY KEY, t_id varchar(36), KEY (t_id), FOREIGN KEY (t_id) REFERENCES t (id))",
        f"INSERT INTO t SELECT concat('id-', seq), NULL FROM seq_1_to_{CALLS}",
        f"INSERT INTO c SELECT seq, NULL FROM seq_1_to_{CALLS}",
        "ANALYZE TABLE t, c",
    )


def test_a_slice_locks_its_own_rows_where_a_link_is_null_everywhere(crowded):
    crm = crowded.crm(children="[{table: c, match: {t_id: id}}, {table: t, match: {up: id}, detach: [up]}]")
    seen = []

    def keep(*_):
        time.sleep(0.2)  # the view is refreshed when nobody has looked for a tenth of a second
        seen.append(crowded.rows("SELECT max(trx_rows_locked) FROM information_schema.innodb_trx")[0][0])
        return {}

    done = purge(crm, [f"id-{n}" for n in range(1, SLICE + 1)], keep)
    assert len(done.deleted) == SLICE
    assert seen[0] < 6 * SLICE  # the row, its place in the index of the link, the gaps beside both
