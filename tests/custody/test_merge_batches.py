"""Small batches merged: each copy once, on its record; a kill loses none; what may not wait stays apart."""

from datetime import date, datetime

import pytest

from lifecycle.audit.proof import certify_deletions
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.custody.find import find_calls
from lifecycle.custody.merge_batches import merge_small_batches
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK, RUN, World, run_night
from tests.custody.copies import committed_copies, copies, copy_of, destroy
from tests.night.driver import night_killed

DAYS = (5, 12, 20)
NIGHTS = (date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22))
CALLS = frozenset(f"id-{n}-{part}" for n in range(3) for part in "ab")


def three_nights(world: World) -> World:
    """Three nights of two calls each, whose copies go in one month: three batches."""
    account = world.account("Banking")
    for number, day in enumerate(DAYS):
        for part in "ab":
            key = world.call(f"id-{number}-{part}", account, datetime(2021, 3, day, 10))  # noqa: DTZ001
            world.note(key)
        world.recorded(key, f"r/{number}.wav", b"the same bytes")
        world.flush()
        assert run_night(world.lifecycle(), night=NIGHTS[number]).calls == 2
    return world


@pytest.fixture(scope="module")
def nights(new_world) -> World:
    return three_nights(new_world("sqlite"))


@pytest.fixture
def copy(nights, tmp_path) -> World:
    return copy_of(nights, tmp_path)


def merging(lifecycle: Lifecycle, run: Run) -> None:
    merge_small_batches(lifecycle, NIGHTS[-1], run)
    seal_ledger(lifecycle)


def batches(world: World) -> int:
    return sum(key.endswith("/manifest.json") for key in world.lifecycle().store.list("archive/"))


def test_three_small_batches_become_one_and_every_copy_is_found_and_on_record(copy):
    looked = merge_small_batches(copy.lifecycle(), NIGHTS[-1], RUN, act=False)
    assert (looked.small, [len(old) for old in looked.merged.values()], batches(copy)) == (3, [3], 3)
    merging(copy.lifecycle(), RUN)
    assert (batches(copy), committed_copies(copy), copies(copy)) == (1, *[dict.fromkeys(CALLS, 1)] * 2)
    found = audit_archive_and_ledger(copy.lifecycle())
    assert (found.damaged, found.uncompared, found.reconciled.recorded) == ({}, {}, len(CALLS))
    answers = find_calls(copy.lifecycle(), SearchQuestion(calls=frozenset(CALLS)))
    assert {(one.call_id, str(one.state)) for one in answers.calls} == {(call, "archived") for call in CALLS}
    assert destroy(copy, date(2028, 3, 20)).done.copies == 0  # the latest of their days is the batch's
    assert (destroy(copy, date(2028, 3, 21)).done.copies, copies(copy)) == (len(CALLS), {})
    assert audit_archive_and_ledger(copy.lifecycle()).sound


def test_a_certificate_counts_what_went_wherever_the_copies_are(copy):
    seal_ledger(copy.lifecycle())
    batch = next(leaf["batch"] for leaf in copy.leaves() if leaf["kind"] == "purged")
    before = certify_deletions(copy.lifecycle(), batch)["records"]["rows_deleted_by_table"]
    merging(copy.lifecycle(), RUN)
    assert batches(copy) == 1
    assert certify_deletions(copy.lifecycle(), batch)["records"]["rows_deleted_by_table"] == before
    destroy(copy, date(2028, 3, 21))
    assert "destroyed" in str(certify_deletions(copy.lifecycle(), batch)["records"]["rows_deleted_by_table"])


def test_a_batch_whose_calls_may_not_wait_for_the_others_stays_apart(copy):
    copy.regime("most", "trigger: ended_at, maximum: P7Y")
    copy.schedule(BANK.replace("destroy_after: P7Y,", "destroy_after: P7Y, regimes: [most],"))
    found = merge_small_batches(copy.lifecycle(), NIGHTS[-1], RUN)
    assert {why.partition(" lets")[0] for why in found.apart.values()} == {"a maximum of the law"}
    assert (len(found.apart), found.merged, batches(copy)) == (2, {}, 3)


def test_a_call_that_is_in_the_crm_again_keeps_its_batch_apart(copy):
    copy.call("id-0-a", None, None)
    copy.flush()
    found = merge_small_batches(copy.lifecycle(), NIGHTS[-1], RUN)
    assert (list(found.apart.values()), [len(old) for old in found.merged.values()]) == (
        ["live: it is in the CRM"],
        [2],
    )


@pytest.mark.parametrize(
    ("when", "step"),
    [
        pytest.param("before", 1, marks=pytest.mark.slow),
        pytest.param("after", 1, marks=pytest.mark.slow),
        ("after", 13),
    ],
)
def test_a_merge_killed_at_any_write_loses_no_copy_and_is_finished_by_the_next(nights, tmp_path_factory, when, step):
    at, ended = 2, None
    while ended is None:
        world = copy_of(nights, tmp_path_factory.mktemp("copy"))
        ended = night_killed(world, at, when, work=merging)
        assert committed_copies(world).keys() == CALLS, f"killed {when} write {at}"
        merging(world.lifecycle(), RUN)
        assert (batches(world), copies(world)) == (1, dict.fromkeys(CALLS, 1)), f"killed {when} write {at}"
        found = audit_archive_and_ledger(world.lifecycle())
        assert (found.damaged, found.uncompared) == ({}, {}), f"killed {when} write {at}"
        at += step
