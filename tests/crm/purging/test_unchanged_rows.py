"""On PostgreSQL rows that were not written since they were archived are not read again; no other is taken for one."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.crm import Crm
from lifecycle.crm.purging.unchanged_rows import ArchivedCopy
from lifecycle.crm.reading.row_versions import is_newer
from lifecycle.crm.reading.rows import Rows
from lifecycle.evidence.comparison import find_differences, rows_of_calls
from tests.crm.conftest import Made, purge_row, read

TABLES = (
    "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, v VARCHAR(9), up INTEGER)",
    "CREATE TABLE c (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER, w INTEGER)",
    "INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "INSERT INTO c VALUES (11, 1, 1), (12, 1, 1), (21, 2, 1), (31, 3, 1)",
)
MAPPED = "[{table: c, match: {t_id: id}}, {table: t, match: {up: id}, detach: [up]}]"
WHOLE = [1, 2, 3]


@pytest.fixture
def pg(make) -> Made:
    return make("postgresql").run(*TABLES)


@pytest.fixture
def reads(monkeypatch) -> list[list[Any]]:
    """The keys of the calls that were read by their values under lock."""
    found, lock = list[list[Any]](), Rows.lock

    def noted(self, connection, keys, skip=False):
        found.append(list(keys))
        return lock(self, connection, keys, skip)

    monkeypatch.setattr(Rows, "lock", noted)
    return found


def opened(made: Made, children: str = MAPPED) -> Crm:
    crm = made.crm(children=children)
    crm.control.create()
    return crm


def copied(crm: Crm) -> ArchivedCopy:
    since = crm.snapshot(None)
    assert since is not None
    return ArchivedCopy(read(crm, WHOLE), since)


def purged(crm: Crm, copy: ArchivedCopy) -> tuple[set[Any], dict[Any, str]]:
    """What went and what was set aside of three calls, compared as a night compares them."""

    def keep(keys: Sequence[Any], live: dict[str, pa.Table], _facts: pa.Table) -> dict[Any, str]:
        mine = rows_of_calls(copy.tables, pa.array(keys, pa.int32()))
        gone = dict.fromkeys(set(keys) - set(live["calls"]["_call_id"].to_pylist()), "gone")
        differ = find_differences(mine, live, ["t-detached"], crm.rows.cleared())
        return {**{key: f"changed: {why}" for key, why in differ.items()}, **gone}

    done = crm.purger(None, copy).purge(WHOLE, keep, purge_row)
    return set(done.deleted), dict(done.set_aside)


def test_rows_that_nobody_wrote_go_without_being_read_again(pg, reads):
    crm = opened(pg)
    assert purged(crm, copied(crm)) == ({1, 2, 3}, {})
    assert reads == []
    assert pg.rows("SELECT count(*) FROM t UNION ALL SELECT count(*) FROM c") == [(0,), (0,)]


CHANGES = {
    "a call edited": ("UPDATE t SET v = 'z' WHERE id = 2", "changed: calls: the rows changed"),
    "a child edited": ("UPDATE c SET w = 9 WHERE id = 21", "changed: c: the rows changed"),
    "a child deleted": ("DELETE FROM c WHERE id = 21", "changed: c: the rows changed"),
    "a child added": ("INSERT INTO c VALUES (22, 2, 1)", "changed: c: the rows changed"),
    "a child for another": (
        "DELETE FROM c WHERE id = 21; INSERT INTO c VALUES (22, 2, 1)",
        "changed: c: the rows changed",
    ),
    "a child under another call": ("UPDATE c SET t_id = 2 WHERE id = 31", "changed: c: the rows changed"),
    "a link made": ("INSERT INTO t VALUES (9, 'x', 2)", "changed: t-detached: the rows changed"),
    "a call deleted": ("DELETE FROM c WHERE id = 21; DELETE FROM t WHERE id = 2", "gone"),
    "a call written anew": (
        "DELETE FROM t WHERE id = 2; INSERT INTO t (id, v) VALUES (2, 'new')",
        "changed: calls: the rows changed",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_call_that_was_written_stays_and_is_the_one_that_is_compared(pg, reads, what):
    crm, (change, reason) = opened(pg), CHANGES[what]
    copy = copied(crm)
    pg.run(*change.split("; "))
    deleted, aside = purged(crm, copy)
    assert aside[2] == reason
    assert deleted == ({1} if what == "a child under another call" else {1, 3})
    assert (reads and 1 not in reads[0]) or what == "a call deleted"


def test_a_row_that_came_by_a_newer_one_above_it_does_not_make_up_for_one_that_is_gone(pg):
    pg.run("CREATE TABLE f (id INTEGER NOT NULL PRIMARY KEY, c_id INTEGER)", "INSERT INTO c VALUES (91, 9, 1)")
    pg.run("INSERT INTO f VALUES (1, 11), (3, 31), (9, 91)")
    crm = opened(pg, "[{table: c, match: {t_id: id}, children: [{table: f, match: {c_id: id}}]}]")
    copy = copied(crm)
    pg.run("UPDATE c SET t_id = 2 WHERE id = 91", "DELETE FROM f WHERE id = 3")  # as many files as before
    deleted, aside = purged(crm, copy)
    assert deleted == {1}
    assert aside == {2: "changed: c: the rows changed", 3: "changed: f: the rows changed"}


def test_where_the_way_to_a_row_is_not_archived_with_it_nothing_tells(pg):
    pg.run("CREATE TABLE f (id INTEGER NOT NULL PRIMARY KEY, c_id INTEGER)")
    more = "components: {file: {tables: [f]}}"
    facts = "SELECT id AS call_id, 'x' AS industry, 1 AS has_file FROM t"
    crm = pg.crm(
        facts=facts, children="[{table: c, match: {t_id: id}, children: [{table: f, match: {c_id: id}}]}]", more=more
    )
    crm.control.create()
    assert crm.snapshot(None) is not None
    assert crm.snapshot("file") is None


SAME = {
    "written with the same values": "UPDATE t SET v = v",
    "moved": "VACUUM FULL t",
    "frozen": "VACUUM FREEZE t",
    "a link taken back": "UPDATE t SET up = 1 WHERE id = 3; UPDATE t SET up = NULL WHERE id = 3",
}


@pytest.mark.parametrize("what", SAME)
def test_rows_that_were_touched_and_are_the_same_go_all_the_same(pg, what):
    crm = opened(pg)
    copy = copied(crm)
    for change in SAME[what].split("; "):
        with pg.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(change)
    assert purged(crm, copy) == ({1, 2, 3}, {})


def test_what_a_subtransaction_wrote_before_the_snapshot_and_committed_after_it_is_newer(pg):
    crm = opened(pg)
    with pg.engine.connect() as other, other.begin():
        other.exec_driver_sql("SELECT pg_current_xact_id()")
        with other.begin_nested():
            other.exec_driver_sql("UPDATE t SET v = 'late' WHERE id = 2")
        pg.run("INSERT INTO c VALUES (99, 9, 9)")  # a higher number that has ended
        copy = copied(crm)
    assert purged(crm, copy) == ({1, 3}, {2: "changed: calls: the rows changed"})


def test_what_is_committed_while_the_purge_waits_for_its_lock_is_newer(pg):
    crm = opened(pg)
    copy = copied(crm)
    with pg.engine.connect() as other, other.begin() as transaction:
        other.exec_driver_sql("UPDATE c SET w = 7 WHERE id = 21")
        found: list[Any] = []
        purge = threading.Thread(target=lambda: found.append(purged(crm, copy)))
        purge.start()
        while not pg.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.01)
        transaction.commit()
        purge.join()
    assert found == [({1, 3}, {2: "changed: c: the rows changed"})]


def test_definitions_written_since_mean_that_values_are_compared(pg, reads):
    crm = opened(pg)
    copy = copied(crm)
    pg.run("ALTER TABLE c ADD COLUMN mood VARCHAR(9) DEFAULT 'angry'")  # every row has it, and none was written
    crm.refresh()
    assert purged(crm, copy) == (set(), dict.fromkeys(WHOLE, "changed: c: the columns changed"))
    assert reads == [WHOLE]


def test_so_does_another_table_of_older_rows_in_its_place(pg, reads):
    pg.run("CREATE TABLE spare (LIKE c INCLUDING ALL)", "INSERT INTO spare SELECT id, t_id, 5 FROM c")
    pg.run("GRANT SELECT, UPDATE, DELETE ON spare TO PUBLIC")
    crm = opened(pg)
    copy = copied(crm)
    pg.run("ALTER TABLE c RENAME TO gone", "ALTER TABLE spare RENAME TO c")
    crm.refresh()
    assert purged(crm, copy) == (set(), dict.fromkeys(WHOLE, "changed: c: the rows changed"))
    assert reads == [WHOLE]


def test_and_columns_that_changed_their_names_and_changed_them_back(pg, reads):
    crm = opened(pg)
    fingerprint, since = crm.fingerprint, crm.snapshot(None)
    assert since is not None
    swap = "ALTER TABLE c RENAME w TO x; ALTER TABLE c RENAME t_id TO w; ALTER TABLE c RENAME x TO t_id"
    pg.run(*swap.split("; "))
    copy = ArchivedCopy(read(crm, WHOLE), since)
    pg.run(*swap.split("; "))
    assert crm.refresh().fingerprint == fingerprint
    purged(crm, copy)
    assert reads == [WHOLE]


def test_and_another_mapping(pg, reads):
    crm = opened(pg)
    copy = copied(crm)
    other = opened(pg, MAPPED.replace("id}}, {table: t,", "id}, where: {w: 1}}, {table: t,"))
    assert purged(other, copy)[0] == {1, 2, 3}
    assert reads == [WHOLE]


def test_and_a_type_whose_text_changes_while_no_row_is_written(pg, reads):
    pg.run("CREATE TYPE mood AS ENUM ('calm', 'angry')", "ALTER TABLE c ADD COLUMN m mood DEFAULT 'calm'")
    crm = opened(pg)
    copy = copied(crm)
    pg.run("ALTER TYPE mood RENAME VALUE 'calm' TO 'bored'")
    assert purged(crm, copy) == (set(), dict.fromkeys(WHOLE, "changed: c: the rows changed"))
    assert reads == [WHOLE]


@pytest.mark.parametrize(
    ("kind", "tells"),
    [("integer[]", True), ("mood[]", False), ("sad", False), ("short", True), ("regclass", False), ("jsonb", True)],
)
def test_arrays_and_domains_are_as_good_as_what_they_are_made_of(pg, reads, kind, tells):
    pg.run("CREATE TYPE mood AS ENUM ('calm')", "CREATE DOMAIN sad AS mood", "CREATE DOMAIN short AS varchar(3)")
    pg.run(f"ALTER TABLE c ADD COLUMN m {kind}")
    crm = opened(pg)
    assert purged(crm, copied(crm)) == ({1, 2, 3}, {})
    assert reads == ([] if tells else [WHOLE])


def test_a_snapshot_that_another_transaction_wrote_down_says_nothing(pg):
    crm, since = opened(pg), Snapshot(5, "q")
    table = crm.control.snapshots
    assert table is not None
    table.add("b-1", since, "proof")
    assert table.of_batch("b-1") == (since, "proof")
    copy = "SELECT batch, horizon, question, written_by, proof FROM lifecycle.snapshots"
    pg.run(f"CREATE TEMPORARY TABLE dumped AS {copy}; DELETE FROM lifecycle.snapshots;"
           "INSERT INTO lifecycle.snapshots SELECT * FROM dumped")  # fmt: skip
    assert table.of_batch("b-1") is None


HIGH = 2**32 + 100  # a horizon of the second round of numbers
NEWER = {HIGH: True, HIGH - 1: False, HIGH + 2**31 - 1: True, HIGH - 2**31: False, 2**32 - 5: False, 3: False}


def test_numbers_that_have_come_round_are_told_apart_within_half_a_round(pg):
    for number, newer in NEWER.items():
        row = sa.text(f"(SELECT CAST('{number % 2**32}' AS xid) AS xmin) t")
        with pg.engine.connect() as connection:
            found = connection.scalar(sa.select(is_newer("t", Snapshot(HIGH, ""))).select_from(row))
        assert found is newer, number


def test_a_horizon_half_a_round_away_tells_nothing(pg, reads):
    crm = opened(pg)
    copy = copied(crm)
    far = ArchivedCopy(copy.tables, Snapshot(copy.since.horizon - 2**30, copy.since.question))
    assert purged(crm, far) == ({1, 2, 3}, {})
    assert reads == [WHOLE]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_other_databases_tell_nothing(make, kind):
    made = make(kind).run(*TABLES)
    assert opened(made).snapshot(None) is None
