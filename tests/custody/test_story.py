"""The second half of a call's life, as one story: ten years of calls, a purge, and what is asked of the archive."""

from datetime import datetime, timedelta

import pandas as pd

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.custody.drill import drill_archive
from lifecycle.custody.export import ExportOrder, export_calls
from lifecycle.custody.find import find_calls
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.night.seal import seal_ledger
from tests.builders import NIGHT, World, around, run_night

YEARS = range(2016, 2026)


def found(world: World, **question) -> dict[str, str]:
    return {one.call_id: str(one.state) for one in find_calls(world.lifecycle(), SearchQuestion(**question)).calls}


def test_ten_years_are_purged_and_every_call_of_them_can_still_be_answered_for(sqlite_world, tmp_path):
    world = sqlite_world

    # Ten years of a bank's calls, each with a contact, a note and a recording; one customer rings every spring.
    bank = world.account("Banking")
    for year in YEARS:
        for month in (3, 9):
            key, ended = f"c-{year}-{month}", datetime(year, month, 14, 10, 30)  # noqa: DTZ001
            world.call(
                key, bank, ended, phone="+44 20 7946 0958" if month == 3 else "+44 20 7946 0100", started_at=ended
            )
            world.contact(key, bank)
            world.note(key)
            world.recorded(key, f"{year}/{key}.wav", f"RIFF {key}".encode())
    start, files = world.dump(), world.on_disk()

    # Before anything may go, a drill must have passed: the first night archives, and deletes nothing.
    night = run_night(world.lifecycle(), purge=False)
    assert sum(result.calls for result in night.archived.values()) == 12
    assert drill_archive(world.lifecycle(), 100, by="clerk").passed

    # The night: what ended before November 2021 goes, with its recordings.
    assert run_night(world.lifecycle(purge_needs_drill="P14D")).calls == 12
    gone = {f"c-{year}-{month}" for year in range(2016, 2022) for month in (3, 9)}
    assert world.live() == {row["id"] for row in start["calls"]} - gone
    assert len(world.on_disk()) == 8

    # The customer asks for her calls, by a number as people write it. Six are in the archive, four in the CRM.
    answer = found(world, phones=frozenset(["020 7946 0958"]))
    assert answer == {f"c-{year}-3": "archived" if year <= 2021 else "live" for year in YEARS}
    assert found(world, calls=frozenset(["c-1999-1"])) == {"c-1999-1": "never seen"}

    # Those of the archive are written out for her, on record.
    hers = [call for call, state in answer.items() if state == "archived"]
    order = ExportOrder("clerk", "request 7", ("phone",), "csv", recordings=True)
    exported = export_calls(world.lifecycle(), hers, tmp_path / "hers", order)
    assert (exported.calls, exported.files, exported.left_out) == (6, 6, {})
    assert sorted(pd.read_csv(tmp_path / "hers/calls.csv", dtype=str)["id"]) == sorted(hers)
    assert (tmp_path / "hers/recordings/2021/c-2021-3.wav").read_bytes() == b"RIFF c-2021-3"

    # A court wants one back, with its recording: it is as it was, and the night leaves it alone.
    lifecycle = world.lifecycle()
    back = restore_calls(lifecycle, ["c-2021-3"], crm_target(lifecycle), RestoreOrder("clerk", "court order 12/26"))
    assert (back.refused, back.files) == ({}, 1)
    assert around(world.dump(), "c-2021-3") == around(start, "c-2021-3")
    assert world.on_disk()["2021/c-2021-3.wav"] == files["2021/c-2021-3.wav"]
    assert run_night(world.lifecycle(), night=NIGHT + timedelta(days=1)).calls == 0
    assert found(world, calls=frozenset(["c-2021-3"])) == {"c-2021-3": "restored"}

    # All of it is on record, and the archive, the ledger and the CRM agree.
    seal_ledger(world.lifecycle())
    kinds = [leaf["kind"] for leaf in world.leaves()]
    assert {kind: kinds.count(kind) for kind in ("drilled", "purged", "exported", "restored")} == {
        "drilled": 1,
        "purged": 12,
        "exported": 1,
        "restored": 1,
    }
    audit = audit_archive_and_ledger(world.lifecycle())
    assert (audit.sound, audit.reconciled.returned, audit.reconciled.restored) == (True, [], 1)
