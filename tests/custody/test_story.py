"""The second half of a call's life, as one story: ten years of calls, a purge, what is asked of them since, the end."""

import json
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from lifecycle.audit.proof import certify_destruction
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.custody.destroy import destroy_copies
from lifecycle.custody.drill import drill_archive
from lifecycle.custody.export import ExportOrder, export_calls
from lifecycle.custody.find import find_calls
from lifecycle.custody.restore import restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.errors import InputError
from lifecycle.inquiry.call_statistics import StatisticsQuestion, statistics_report
from lifecycle.night.publish_statistics import publish_statistics
from lifecycle.night.seal import seal_ledger
from tests.builders import NIGHT, RUN, World, around, run_night
from tests.custody.copies import below_archive, copies

YEARS = range(2016, 2026)
VERIFY = Path(__file__).resolve().parents[2] / "docs" / "verify.sh"


def found(world: World, **question) -> dict[str, str]:
    return {one.call_id: str(one.state) for one in find_calls(world.lifecycle(), SearchQuestion(**question)).calls}


def statistics(world: World) -> list[dict[str, object]]:
    """How many calls a year there were, and how long they took, of those that have left the CRM."""
    return statistics_report(world.lifecycle(statistics_group=1), StatisticsQuestion("year")).rows


def test_ten_years_are_purged_answered_for_and_destroyed_and_what_they_were_for_is_left(sqlite_world, tmp_path):
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

    # What the calls were for is kept without them: two a year.
    assert publish_statistics(world.lifecycle(statistics_group=1)) == 12
    counted = statistics(world)
    assert {row["period"]: row["calls"] for row in counted} == {str(year): 2 for year in range(2016, 2022)}

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

    # After its time it goes again: the archive has two copies of it now, and the record says both.
    assert run_night(world.lifecycle(), night=NIGHT + timedelta(days=40)).calls == 1
    assert found(world, calls=frozenset(["c-2021-3"])) == {"c-2021-3": "archived"}

    # All of it is on record, and the archive, the ledger and the CRM agree.
    seal_ledger(world.lifecycle())
    kinds = [leaf["kind"] for leaf in world.leaves()]
    assert {kind: kinds.count(kind) for kind in ("drilled", "purged", "exported", "restored")} == {
        "drilled": 1,
        "purged": 13,
        "exported": 1,
        "restored": 1,
    }
    audit = audit_archive_and_ledger(world.lifecycle())
    assert (audit.sound, audit.reconciled.returned) == (True, [])

    # Seven years after the last of them every copy may go. A court wants two kept: the others are destroyed.
    world.hold("[{call_ids: [c-2018-9, c-2021-3]}]")
    with pytest.raises(InputError, match="1 of 1 are there still"):
        certify_destruction(world.lifecycle(), "c-2016-3")
    lifecycle = world.lifecycle(destroy=True)
    destroyed = destroy_copies(lifecycle, date(2028, 9, 15), RUN)
    seal_ledger(lifecycle)
    assert (destroyed.done.copies, destroyed.needs_person) == (10, False)
    assert copies(world) == {"c-2018-9": 1, "c-2021-3": 2}
    answer = found(world, calls=frozenset(gone))
    assert {call for call, state in answer.items() if state != "destroyed"} == {"c-2018-9", "c-2021-3"}
    assert len([path for path in below_archive(world) if "/files/" in path]) == 3

    # She is sent the certificate of one of hers. A shell checks it: bash and openssl, nothing of ours.
    certificate, (proof,) = certify_destruction(world.lifecycle(), "c-2016-3")
    assert (certificate["title"], certificate["records"]["count"]) == ("Certificate of destruction", 1)
    for name, body in (("proof", proof.proof), ("leaf", proof.leaf), ("opening", proof.opening)):
        (tmp_path / name).write_bytes(body)
    given = [proof.vkey, *(str(tmp_path / name) for name in ("proof", "leaf", "opening"))]
    shell = {"PATH": "/usr/bin:/bin"}
    checked = subprocess.run(["bash", VERIFY, *given], env=shell, capture_output=True, text=True, check=True)
    assert "OPENED: the leaf speaks of call c-2016-3 of demo" in checked.stdout
    assert json.loads((tmp_path / "leaf").read_text())["kind"] == "destroyed"

    # The court is done: the last copies go. What is left is the record, which holds, and what the calls were for.
    world.release()
    lifecycle = world.lifecycle(destroy=True)
    assert destroy_copies(lifecycle, date(2028, 9, 16), RUN).done.copies == 3
    seal_ledger(lifecycle)
    assert below_archive(world) == set()
    assert set(found(world, calls=frozenset(gone)).values()) == {"destroyed"}
    assert audit_archive_and_ledger(world.lifecycle()).sound
    publish_statistics(world.lifecycle(statistics_group=1))
    assert statistics(world) == counted
