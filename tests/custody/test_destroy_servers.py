"""Writes of a destruction and of a merge failing, in a bucket with versions and on a server: not done; answer lost."""

from contextlib import suppress
from typing import Any

import pytest

from lifecycle.archive.s3_store import S3Store
from lifecycle.crm.database import Database
from lifecycle.errors import LifecycleError
from tests.builders import CLOCK, RUN, World
from tests.custody import test_merge_batches as merges
from tests.custody.copies import archived, committed_copies
from tests.custody.test_destroy_faults import Fault, is_made_good
from tests.custody.test_destroy_s3 import below

STEP = 6  # every write is tried in a folder; here the kinds of them


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Store, "now", lambda _: CLOCK)
    monkeypatch.setattr(Database, "now", lambda _: CLOCK)


@pytest.mark.slow
@pytest.mark.parametrize(("database", "when", "first"), [("postgresql", "after", 2), ("mariadb", "before", 5)])
def test_a_write_that_fails_is_made_good_by_the_next_run(
    new_world: Any, s3_server: Any, database: str, when: str, first: int
) -> None:
    at, ended = first, False
    while not ended:
        world: World = archived(new_world(database, "s3"))
        world.hold("[{call_ids: [id-2, id-4]}]")
        ended = is_made_good(world, at, when, S3Store)
        assert len({key.rpartition("/")[0] for key, _ in below(s3_server, world) if "/files/" not in key}) == 1
        at += STEP
    assert at > 20


@pytest.mark.slow
@pytest.mark.parametrize(("database", "when", "first"), [("postgresql", "before", 2), ("mariadb", "after", 4)])
def test_a_write_of_a_merge_that_fails_loses_no_copy_and_is_made_good_by_the_next(
    new_world: Any, s3_server: Any, database: str, when: str, first: int
) -> None:
    at, ended = first, False
    while not ended:
        world = merges.three_nights(new_world(database, "s3"))
        with pytest.MonkeyPatch.context() as patch:
            fault = Fault(patch, at, when, S3Store)
            with suppress(LifecycleError):
                merges.merging(world.lifecycle(), RUN)
        assert committed_copies(world).keys() == merges.CALLS, f"{when} write {at}"
        merges.merging(world.lifecycle(), RUN)
        assert committed_copies(world) == dict.fromkeys(merges.CALLS, 1), f"{when} write {at}"
        assert merges.batches(world) == 1, f"{when} write {at}"
        ended = fault.writes < at
        at += STEP
    assert at > first + STEP
