"""How a slice finds its rows: on MariaDB it locks its own, not an index of everybody's; PostgreSQL reads no table."""

import time

import pytest
import sqlalchemy as sa

from lifecycle.crm.purging.unchanged_rows import ArchivedCopy
from tests.crm.conftest import Made, purge, purge_row, read

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


@pytest.mark.parametrize("kind", ["mariadb", "sqlite"])
def test_a_child_that_writes_its_call_otherwise_is_locked_compared_and_deleted(make, kind):
    spelled = "COLLATE NOCASE" if kind == "sqlite" else "COLLATE utf8mb4_general_ci"
    made = make(kind).run(
        f"CREATE TABLE t (id varchar(36) {spelled} PRIMARY KEY, v int)",
        f"CREATE TABLE c (id int PRIMARY KEY, t_id varchar(36) {spelled}, FOREIGN KEY (t_id) REFERENCES t (id))",
        "INSERT INTO t VALUES ('one', 1), ('two', 2)",
        "INSERT INTO c VALUES (1, 'one'), (2, 'ONE'), (3, 'Two')",
    )
    crm, seen = made.crm(children="[{table: c, match: {t_id: id}}]"), []

    def keep(_keys, live, _facts):
        seen.extend(sorted(live["c"].select(["_call_id", "id", "t_id"]).to_pylist(), key=lambda row: row["id"]))
        return {"two": "kept"}

    assert purge(crm, ["one", "two"], keep).deleted == ("one",)
    assert [tuple(row.values()) for row in seen] == [("one", 1, "one"), ("one", 2, "ONE"), ("two", 3, "Two")]
    assert made.rows("SELECT id FROM c") == [(3,)]


def test_a_slice_on_postgresql_finds_its_rows_by_the_indexes_however_many_keys_it_has(make):
    made = make("postgresql").run(
        "CREATE TABLE t (id varchar(36) PRIMARY KEY, up varchar(36) REFERENCES t)",
        "CREATE TABLE c (id int PRIMARY KEY, t_id varchar(36) REFERENCES t)",
        f"INSERT INTO t SELECT 'id-' || n FROM generate_series(1, {CALLS}) n",
        f"INSERT INTO c SELECT n, 'id-' || (n + 1) / 2 FROM generate_series(1, {2 * CALLS}) n",
        "CREATE INDEX ON t (up)",
        "CREATE INDEX ON c (t_id)",
    )
    made.run("ANALYZE t, c")
    crm = made.crm(children="[{table: c, match: {t_id: id}}, {table: t, match: {up: id}, detach: [up]}]")
    crm.control.create()
    keys, seen = [f"id-{n}" for n in range(1, 1001)], []
    since = crm.snapshot(None)
    assert since is not None
    copy = ArchivedCopy(read(crm, keys), since)

    def counted(connection):
        asked = "SELECT sum(seq_scan), sum(n_tup_del) FROM pg_stat_xact_user_tables WHERE relname IN ('t', 'c')"
        return connection.exec_driver_sql(asked).one()

    def note_scans(connection):
        (scans, deleted), (scans_before, deleted_before) = counted(connection), connection.info["before"]
        seen.append((scans - scans_before, deleted - deleted_before))

    sa.event.listen(crm.database.engine, "begin", lambda connection: connection.info.update(before=counted(connection)))
    sa.event.listen(crm.database.engine, "commit", note_scans)
    done = crm.purger(None, copy).purge(keys, lambda *_: {}, purge_row)
    assert len(done.deleted) == 1000
    assert [scans for scans, deleted in seen if deleted] == [0]  # of the transaction that deleted
    with crm.database.engine.connect() as connection:
        assert connection.connection.driver_connection.prepare_threshold == 5  # psycopg's own
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar_one() == "auto"
