"""What cannot be purged is said by the plan, and nothing of it is archived first."""

import re

import pytest

from lifecycle.errors import SourceError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.preview import preview_night
from tests.builders import DUE, NIGHT, run_night

SURVEYS = {
    "sqlite": "CREATE TABLE surveys (id INTEGER PRIMARY KEY, call_id REFERENCES Calls(ID) ON DELETE CASCADE)",
    "postgresql": "CREATE TABLE surveys (id int PRIMARY KEY, call_id varchar(36) REFERENCES calls ON DELETE CASCADE)",
    "mysql": "CREATE TABLE surveys (id INTEGER PRIMARY KEY, call_id VARCHAR(36) CHARACTER SET utf8mb4,"
    " FOREIGN KEY (call_id) REFERENCES calls (id) ON DELETE CASCADE)",
}
SAID = "surveys.call_id names a row of calls and is not mapped"


@pytest.fixture
def unfit(world):
    world.furnish()
    world.execute(SURVEYS[world.dialect])
    world.execute("INSERT INTO surveys VALUES (7, 'id-bank-1')")
    yield world
    world.execute("DROP TABLE surveys")


def test_a_key_that_nobody_mapped_stops_the_night_before_anything_is_archived(unfit):
    before = unfit.dump()
    with pytest.raises(SourceError, match=re.escape(SAID)):
        run_night(unfit.lifecycle())
    assert unfit.dump() == before
    store = unfit.policies.parent / "store"
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_whoever_only_looks_is_told_and_sees_the_counts_all_the_same(unfit):
    found = preview_night(unfit.lifecycle(), NIGHT)
    assert (SAID in found.unfit["calls"], found.needs_person) == (True, True)
    assert sum(one.due for one in found.industries.values()) == len(DUE)
    said = [finding.message for finding in check_everything(unfit.lifecycle()) if finding.severity == "error"]
    assert [message for message in said if SAID in message] != []
