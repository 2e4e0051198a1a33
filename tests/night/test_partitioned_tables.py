"""Calls in a table that is partitioned by time go row by row like any others; the partitions stay (ADR 37).

Every count is asked of the partitions themselves, by plain SQL.
"""

import pytest

from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.purge import purge_night
from tests.builders import RUN, run_night
from tests.night.small import NIGHT

COLUMNS = (
    "(id INT NOT NULL, industry VARCHAR(20), ended_at {time} NOT NULL, account_id INT, PRIMARY KEY (id, ended_at))"
)
TABLES = {
    "postgresql": (
        f"CREATE TABLE calls {COLUMNS.format(time='timestamp')} PARTITION BY RANGE (ended_at)",
        "CREATE TABLE calls_2024 PARTITION OF calls FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE calls_2025 PARTITION OF calls FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "CREATE TABLE calls_later PARTITION OF calls DEFAULT",
        "CREATE TABLE notes (id INT NOT NULL, call_id INT NOT NULL, body TEXT, PRIMARY KEY (id, call_id)) "
        "PARTITION BY HASH (call_id)",
        "CREATE TABLE notes_0 PARTITION OF notes FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE notes_1 PARTITION OF notes FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ),
    "mariadb": (
        f"CREATE TABLE calls {COLUMNS.format(time='datetime')} ENGINE=InnoDB PARTITION BY RANGE COLUMNS (ended_at) ("
        "PARTITION calls_2024 VALUES LESS THAN ('2025-01-01'), PARTITION calls_2025 VALUES LESS THAN ('2026-01-01'), "
        "PARTITION calls_later VALUES LESS THAN (MAXVALUE))",
        "CREATE TABLE notes (id INT NOT NULL, call_id INT NOT NULL, body TEXT, PRIMARY KEY (id, call_id), "
        "KEY (call_id)) ENGINE=InnoDB PARTITION BY HASH (call_id) PARTITIONS 2",
    ),
}
ROWS = (
    "INSERT INTO calls VALUES (1, 'Retail', '2025-11-20 10:00:00', 7), (2, 'Retail', '2026-11-01 10:00:00', 7), "
    "(3, 'Retail', '2024-02-01 10:00:00', 7), (4, 'Retail', '2024-03-01 10:00:00', 7), "
    "(5, 'Retail', '2025-12-20 10:00:00', 7)",
    "INSERT INTO notes VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, 'd'), (5, 4, 'e')",
)
ANOTHER = {
    "postgresql": "CREATE TABLE calls_2023 PARTITION OF calls FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
    "mysql": "ALTER TABLE calls REORGANIZE PARTITION calls_2024 INTO (PARTITION calls_2023 VALUES LESS THAN "
    "('2024-01-01'), PARTITION calls_2024 VALUES LESS THAN ('2025-01-01'))",
}
CHILDREN = "children: [{table: notes, match: {call_id: id}}]"


@pytest.fixture(params=["postgresql", "mariadb"])
def partitioned(request, small):
    """Three due calls in two partitions, two that stay in two, notes in partitions of their own."""
    world = small(request.param, *TABLES[request.param], more=CHILDREN)
    for statement in ROWS:
        world.execute(statement)
    return world.initialised()


def of_partition(world, name):
    """The calls of one partition."""
    table = name if world.dialect == "postgresql" else f"calls PARTITION ({name})"
    return [key for (key,) in world.rows(f"SELECT id FROM {table} ORDER BY id")]


def test_what_is_due_goes_from_its_partitions_and_the_partitions_stay(partitioned):
    done = partitioned.ran()
    assert (done.calls, done.set_aside, done.sealed) == (3, {}, 3)
    left = [of_partition(partitioned, name) for name in ("calls_2024", "calls_2025", "calls_later")]
    assert left == [[], [5], [2]]
    assert partitioned.rows("SELECT id FROM notes") == [(2,)]
    assert {record["call_id"] for record in partitioned.records()} == {"1", "3", "4"}


@pytest.mark.slow
def test_a_call_that_moved_to_another_partition_after_it_was_archived_stays(partitioned):
    run_night(partitioned.lifecycle(), night=NIGHT, purge=False)
    partitioned.execute("UPDATE calls SET ended_at = '2025-03-01 10:00:00' WHERE id = 3")
    lifecycle = partitioned.lifecycle()
    done = purge_night(lifecycle, open_industry_night(lifecycle, "Retail", NIGHT), RUN)
    assert (done.calls, set(done.set_aside)) == (2, {3})
    assert of_partition(partitioned, "calls_2025") == [3, 5]


@pytest.mark.slow
def test_a_row_that_came_into_a_partition_after_it_was_archived_stays(partitioned):
    run_night(partitioned.lifecycle(), night=NIGHT, purge=False)
    partitioned.execute("INSERT INTO calls VALUES (6, 'Retail', '2024-05-01 10:00:00', 7)")
    lifecycle = partitioned.lifecycle()
    done = purge_night(lifecycle, open_industry_night(lifecycle, "Retail", NIGHT), RUN)
    assert (done.calls, done.set_aside) == (3, {})
    assert of_partition(partitioned, "calls_2024") == [6]


@pytest.mark.slow
def test_a_partition_that_is_made_between_archive_and_purge_stops_nobody(partitioned):
    run_night(partitioned.lifecycle(), night=NIGHT, purge=False)
    partitioned.execute(ANOTHER[partitioned.dialect])
    done = partitioned.ran()
    assert (done.calls, done.set_aside) == (3, {})
    assert of_partition(partitioned, "calls_2024") == []
