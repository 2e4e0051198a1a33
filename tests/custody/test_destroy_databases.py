"""A destruction with copies that stay, on each database under the README's role, held against the record."""

import pytest

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.crm.database import Database
from lifecycle.custody.destroy_plans import survey_copies
from tests.builders import CLOCK, World
from tests.custody.copies import CALLS, DAY, archived, copies, destroy, destroyed


def test_copies_go_stay_and_go_later_and_the_record_agrees(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Database, "now", lambda _: CLOCK)  # a server's is today's, and the tests' is not
    archived(world)
    world.hold("[{phones: ['+44 20 7946 0002']}, {call_ids: [id-4]}]")
    looked = survey_copies(world.lifecycle(), DAY)
    assert {name: plan.going for name, plan in looked.plans.items()} == {"bank": 3}
    done = destroy(world)
    assert (done.done.copies, done.done.moved, done.needs_person) == (3, 2, False)
    assert copies(world) == {"id-2": 1, "id-4": 1}
    assert audit_archive_and_ledger(world.lifecycle()).sound
    world.release()
    assert destroy(world).done.copies == 2
    assert (copies(world), destroyed(world)) == ({}, dict.fromkeys(CALLS, 1))
    found = audit_archive_and_ledger(world.lifecycle())
    assert (found.sound, found.compared["destroyed"]) == (True, len(CALLS))
