"""`status` says the same on every database, under the roles that the README makes."""

from collections import Counter

from lifecycle.inquiry.status import read_status
from tests.builders import DUE, NIGHT, World, run_night


def test_the_last_night_is_what_sql_counts_and_nothing_is_written(world: World) -> None:
    world.hold("{account_ids: [nobody]}")
    run_night(world.furnish().lifecycle())
    before, purged = world.dump(), Counter(row["industry"] for row in world.purge_rows())
    found = read_status(world.lifecycle())
    assert {one.industry: one.purged for one in found.nights.nights if one.planned} == dict(purged)
    assert sum(purged.values()) == len(DUE)
    assert {one.night for one in found.nights.nights if one.planned} == {NIGHT}
    assert [line.subject for line in found.lines if "cannot be asked" in line.said] == []
    assert world.dump() == before
