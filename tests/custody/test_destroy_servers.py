"""Every write of a destruction failing, in a bucket with versions and on a server: not done, and the answer lost."""

from typing import Any

import pytest

from lifecycle.archive.s3_store import S3Store
from lifecycle.crm.database import Database
from tests.builders import CLOCK, World
from tests.custody.copies import archived
from tests.custody.test_destroy_faults import is_made_good
from tests.custody.test_destroy_s3 import below

STEP = 6  # every write is tried in a folder; here the kinds of them


@pytest.mark.slow
@pytest.mark.parametrize(("database", "when", "first"), [("postgresql", "after", 2), ("mariadb", "before", 5)])
def test_a_write_that_fails_is_made_good_by_the_next_run(
    new_world: Any, s3_server: Any, monkeypatch: pytest.MonkeyPatch, database: str, when: str, first: int
) -> None:
    monkeypatch.setattr(S3Store, "now", lambda _: CLOCK)
    monkeypatch.setattr(Database, "now", lambda _: CLOCK)
    at, ended = first, False
    while not ended:
        world: World = archived(new_world(database, "s3"))
        world.hold("[{call_ids: [id-2, id-4]}]")
        ended = is_made_good(world, at, when, S3Store)
        assert len({key.rpartition("/")[0] for key, _ in below(s3_server, world) if "/files/" not in key}) == 1
        at += STEP
    assert at > 20
