"""Destroying copies: on their day and under a plan; what stays is moved; each copy that goes is on the ledger, once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lifecycle.custody.archived_batches import archived_batches
from lifecycle.custody.destroy import destroy_copies
from lifecycle.custody.destroy_plans import going_now
from lifecycle.custody.judged_batch import judge_batch
from lifecycle.errors import NightError, SettingsError
from lifecycle.inquiry.explanation import explain_call
from tests.builders import RUN, World
from tests.custody.copies import CALLS, DAY, archived, below_archive, copies, destroy, destroyed
from tests.policy.build import NO_HOLDS


@pytest.fixture
def bank(sqlite_world) -> World:
    return archived(sqlite_world)


def test_nothing_goes_before_its_day_and_everything_on_it(bank):
    early = destroy(bank, DAY - timedelta(days=1))
    assert (early.done.copies, early.survey.looked_at, copies(bank)) == (0, 0, dict.fromkeys(CALLS, 1))
    done = destroy(bank)
    assert (done.done.copies, len(done.done.batches), done.needs_person) == (5, 1, False)
    assert (below_archive(bank), destroyed(bank)) == (set(), dict.fromkeys(CALLS, 1))
    again = destroy(bank)
    assert (again.done.copies, again.survey.batches, destroyed(bank)) == (0, 0, dict.fromkeys(CALLS, 1))


def test_it_is_off_until_somebody_switches_it_on(bank):

    with pytest.raises(SettingsError, match="LIFECYCLE_DESTROY"):
        destroy_copies(bank.lifecycle(), DAY, RUN)
    assert copies(bank) == dict.fromkeys(CALLS, 1)


def test_copies_under_a_hold_are_moved_and_go_once_it_is_released(bank):
    before = bank.records()
    bank.hold("[{call_ids: [id-2, id-4]}]")
    done = destroy(bank)
    assert (done.done.copies, done.done.moved) == (3, 2)
    assert copies(bank) == {"id-2": 1, "id-4": 1}
    assert destroyed(bank) == {"id-1": 1, "id-3": 1, "id-5": 1}
    files = [path for path in below_archive(bank) if "/files/" in path]
    assert len(files) == 1  # the recording of id-4 alone
    assert destroy(bank).done.copies == 0
    bank.release()
    assert destroy(bank).done.copies == 2
    assert (below_archive(bank), destroyed(bank)) == (set(), dict.fromkeys(CALLS, 1))
    assert len(before) == len(CALLS)


def test_explain_reads_a_copy_where_it_was_moved_and_says_when_it_was_destroyed(bank):
    bank.hold("[{call_ids: [id-2]}]")
    destroy(bank)
    kept, gone = (explain_call(bank.lifecycle(), call, DAY) for call in ("id-2", "id-1"))
    ((copy,), (record,)) = kept.copies, kept.records
    assert (copy.problem, copy.deciding["_rule_id"]) == ("", record.record["rule_id"])
    assert copy.object_key in {f"archive/{path}" for path in below_archive(bank)}
    assert copy.object_key != record.record["object"]["key"]
    assert gone.copies[0].problem.startswith("the archived copy was destroyed at ")


def test_a_hold_by_a_fact_that_only_the_live_call_had_keeps_its_copy(bank):
    bank.hold("[{phones: ['+44 20 7946 0003']}]")
    assert destroy(bank).done.copies == 4
    assert copies(bank) == {"id-3": 1}


def test_a_call_that_is_in_the_crm_again_keeps_its_copy(bank):
    bank.call("id-1", None, None)
    bank.flush()
    assert destroy(bank).done.copies == 4
    assert copies(bank) == {"id-1": 1}


def test_the_brake_stops_a_plan_until_a_person_accepts_exactly_it(bank):
    schedule = bank.policies / "bank.yaml"
    schedule.write_text(schedule.read_text().replace("max_share: 100%", "max_share: 50%"))
    waiting = destroy(bank)
    (plan,) = waiting.survey.plans.values()
    assert waiting.waiting == {"bank": ("brake: 5 of 5 copies go, 100.00%; max_share is 50%",)}
    assert copies(bank) == dict.fromkeys(CALLS, 1)
    with pytest.raises(NightError, match="no plan of this night"):
        destroy(bank, accepted=["0" * 64])
    assert destroy(bank, accepted=[plan.sha256]).done.copies == 5
    assert below_archive(bank) == set()


def test_a_rotten_batch_stays_and_is_named_and_others_go(bank, sqlite_world):
    (calls,) = [path for path in below_archive(bank) if path.endswith("calls.parquet")]
    path = bank.lifecycle().store._root / "archive" / calls
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    done = destroy(bank)
    assert (done.done.copies, list(done.survey.damaged)) == (
        0,
        [f"archive/{calls.replace('calls.parquet', 'manifest.json')}"],
    )
    assert done.needs_person


def test_a_copy_does_not_wait_for_one_that_was_kept_longer_and_moved_with_it(bank):
    """Of moved copies one goes on its own day, whatever the latest of the others is."""
    bank.hold("[{call_ids: [id-2]}, {call_ids: [id-4]}]")
    destroy(bank)
    (batch,) = archived_batches(bank.lifecycle(), {})
    judged = judge_batch(bank.lifecycle(), batch.location, NO_HOLDS, DAY)
    assert going_now(judged, DAY) == [0, 1]
    later = replace(judged, manifest=judged.manifest.model_copy(update={"destroy_on": DAY.replace(year=2030)}))
    one = replace(later, going={0: judged.going[0]}, kept={1: "not before 2030-03-02"})
    assert going_now(one, DAY) == [0]
    same_month = judged.manifest.model_copy(update={"destroy_on": DAY.replace(day=30)})
    assert going_now(replace(one, manifest=same_month), DAY) == []
