"""What each party of SECURITY.md can do, done: so that the page promises neither too much nor too little."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.archive.plans import put_plan
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.authority.approval import draft_approval, store_approval
from lifecycle.authority.approval_subject import find_approval_subject
from lifecycle.errors import PlanHeld
from lifecycle.evidence.leaf import make_leaf
from lifecycle.ledger.log import Appending
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.policy.plan import Plan
from tests.builders import BANK, CLOCK, DUE_BANK, NIGHT, RUN, World, account_for, committed, plan, run_night
from tests.sshkeys import allow, keygen

REVIEWED = BANK.replace("id: BANK-ORDER, title: t", "id: BANK-ORDER, title: t, review: required")
BRAKED = BANK.replace("100%", "2%")


@pytest.fixture
def world(new_world) -> World:
    return new_world("sqlite").furnish()


def test_whoever_edits_a_fact_before_the_night_decides_whether_its_call_is_due(world):
    bank = world.account("Banking")
    world.call("id-young", bank, datetime(2026, 10, 1, 10))  # noqa: DTZ001
    world.flush()
    run_night(world.lifecycle())
    assert "id-young" in world.live()
    world.execute("UPDATE calls SET ended_at = '2021-03-01 10:05:00' WHERE id = 'id-young'")
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert "id-young" not in world.live()


def test_whoever_commits_a_schedule_decides_what_goes_where_no_review_is_asked_for(world):
    bank = world.account("Banking")
    world.call("id-young", bank, datetime(2026, 10, 1, 10))  # noqa: DTZ001
    world.schedule(BANK.replace("P5Y", "P1D").replace("P7Y", "P1Y"))
    run_night(world.lifecycle())
    assert "id-young" not in world.live()


def test_whoever_commits_allowed_signers_names_the_approvers(world, tmp_path):
    """He may be anybody: names and addresses are his to write. The owner's review of the file is what stands there."""
    key = keygen(tmp_path, "nobody-knows@example.com")
    world.schedule(REVIEWED)
    digest = plan(world)["bank"].sha256
    allow(world.policies, key.line())
    lifecycle = world.lifecycle()
    subject = find_approval_subject(lifecycle, digest)
    asked = draft_approval(lifecycle, subject, key.owner)
    store_approval(lifecycle, subject, asked.to_bytes(), key.sign(asked.to_bytes(), asked.namespace))
    open_industry_night(world.lifecycle(), "bank", NIGHT)


def test_whoever_administers_the_database_gets_past_the_brake_with_new_numbers_and_verify_says_so(world):
    world.schedule(BRAKED)
    found = plan(world)["bank"]
    with pytest.raises(PlanHeld):
        open_industry_night(world.lifecycle(), "bank", NIGHT)
    other = found.model_copy(update={"live": 1_000_000, "waits_for": ()})
    values: dict[str, Any] = {"body": other.to_bytes(), "new": other.sha256, "old": found.sha256}
    world.execute(sa.text("UPDATE lifecycle_plans SET body = :body, sha256 = :new WHERE sha256 = :old"), **values)
    start = world.dump()
    run_night(world.lifecycle())
    assert account_for(world, start) >= set(DUE_BANK)  # only what is due, archived and on record, whatever he wrote
    planned = {leaf["plan_sha256"] for leaf in world.leaves() if leaf["kind"] == "plan"}
    assert planned >= {found.sha256}, "what the ledger was told before stays told"


def forged_into_the_ledger(world: World, found: Plan) -> Plan:
    """What the holder of the signing key does who may also write the store: another plan and its acceptance, signed."""
    other = found.model_copy(update={"revision": found.revision + 1, "waits_for": ()})
    lifecycle = world.lifecycle()
    put_plan(lifecycle.store, other)
    log = lifecycle.log()
    appending = Appending(log, log.published())
    common = {"source": other.source, "noted_at": CLOCK.isoformat(), "plan_sha256": other.sha256, "run_id": "x"}
    named = {"night": other.night.isoformat(), "industry": other.industry, "due": other.due, "waits_for": 0}
    appending.append(make_leaf("plan", {**common, **named}))
    appending.append(make_leaf("plan_accepted", {**common, "actor": "the boss"}))
    appending.publish(lifecycle.keys.signers(log.origin))
    return other


@pytest.mark.parametrize(("schedule", "goes"), [(BRAKED, True), (REVIEWED, False)])
def test_whoever_holds_the_signing_key_and_the_store_lets_a_brake_go_as_after_a_restore_and_no_review(
    world, schedule, goes
):
    run_night(world.lifecycle())  # the ledger begins
    again = world.account("Banking")
    world.call("id-more", again, datetime(2021, 3, 3, 10))  # noqa: DTZ001
    world.schedule(schedule)
    forged_into_the_ledger(world, plan(world)["bank"])
    plan_night(world.lifecycle(), NIGHT, RUN)
    if goes:
        open_industry_night(world.lifecycle(), "bank", NIGHT)
    else:
        with pytest.raises(PlanHeld, match="BANK-ORDER asks for one"):
            open_industry_night(world.lifecycle(), "bank", NIGHT)
    assert not audit_archive_and_ledger(world.lifecycle()).sound


def test_whoever_reads_the_bucket_reads_whole_calls(world):
    world.note(world.call("id-said", world.account("Banking"), datetime(2021, 3, 3, 10)))  # noqa: DTZ001
    world.flush()
    run_night(world.lifecycle())
    notes = [parts["notes"] for _, parts in committed(world.lifecycle().store) if "notes" in parts]
    assert "about id-said 山" in [row["body"] for table in notes for row in table.to_pylist()]
