"""A component goes while its call stays: exactly the due ones, archived value for value, the rest as it was."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.audit.restored_calls import find_restored_calls
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.cli.record_output import print_record
from lifecycle.custody.record_lookup import find_records
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.night.survey import night_cutoffs
from tests.builders import BANK_DAY, NIGHT, RUN, archive, committed, plan, purge, run_night
from tests.night.parts import GOING, PARTS, account_for_parts, furnish, parts_of, small_parts
from tests.plain_readers import planned_calls

DEMO_SOURCE = Path(__file__).parents[2] / "lifecycle" / "crm" / "mapping" / "sources" / "demo.yaml"
OLD_DAY = datetime(2010, 3, 1, 10, 0)  # noqa: DTZ001


WHERE = [("sqlite", "folder"), ("postgresql", "folder"), ("mariadb", "folder")]
SLOWLY = pytest.param(("postgresql", "s3"), marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[*WHERE, SLOWLY], ids="-".join)
def done(request, new_world):
    """A world with due components after its night, the dump and the files before it, and what the steps said."""
    world = small_parts(new_world(*request.param))
    account = world.account("Banking")
    furnish(world, world.call("id-held", account, BANK_DAY, transcript="t"), account)
    furnish(world, world.call("id-no-end", account, None, transcript="t"), account)
    furnish(world, world.call("id-open", account, BANK_DAY, transcript="t"), account)
    world.deal("id-open", account, "open")
    furnish(world, world.call("id-nobody", None, BANK_DAY, transcript="t"), account)
    furnish(world, world.call("id-both", world.account("Banking", "Unheard of"), BANK_DAY, transcript="t"), account)
    world.hold("{call_ids: [id-held]}")
    start, files = world.dump(), world.on_disk()
    return world, start, files, run_night(world.lifecycle())


def test_exactly_the_due_components_go_and_every_other_row_value_and_file_is_as_it_was(done):
    world, start, files, night = done
    assert account_for_parts(world, start, files) == GOING
    assert (night.calls, night.sealed, night.set_aside) == (0, len(GOING), {})


def test_the_plan_counts_components_apart_from_calls(done):
    _, _, _, night = done
    plan = night.plans["bank"]
    assert (plan.due, dict(plan.components)) == (0, {"notes": 1, "recording": 2, "transcript": 2})
    assert plan.rules == {"BANK-NOTES": 1, "BANK-REC": 2, "BANK-TEXT": 2}
    assert plan.planned == len(GOING)
    (purged,) = night.purged.values()
    assert (purged.components, purged.files) == ({"recording": 2, "transcript": 2, "notes": 1}, 2)
    assert purged.rows == {"recordings": 3, "calls-cleared": 2, "notes": 2, "note_files": 1}


def test_each_component_lies_under_its_own_destroy_date(done):
    world, _, _, _ = done
    dates = {m.component: m.destroy_on for m, _ in committed(world.lifecycle().store)}
    assert dates == {
        "notes": date(2027, 3, 2),
        "recording": date(2028, 3, 2),
        "transcript": date(2029, 3, 2),
    }


def test_the_next_night_finds_nothing_more(done):
    world, _, _, _ = done
    assert plan(world, night=NIGHT.replace(day=21))["bank"].components == {}


@pytest.mark.slow
def test_a_night_run_twice_is_the_night_run_once(done):
    world, start, files, _ = done
    again = run_night(world.lifecycle())
    assert (again.sealed, again.set_aside, [p.before for p in again.purged.values()]) == (0, {}, [len(GOING)])
    assert account_for_parts(world, start, files) == GOING


def test_the_archive_is_sound_while_the_calls_live(done):
    world, _, _, _ = done
    found = audit_archive_and_ledger(world.lifecycle())
    assert (found.sound, found.orphans, found.unsealed, found.files_waiting) == (True, [], 0, 0)
    assert (found.reconciled.archived, found.reconciled.recorded, found.reconciled.live) == (5, 5, 0)
    assert (found.reconciled.components.keys(), found.reconciled.components.total()) == (
        {"notes", "recording", "transcript"},
        5,
    )


def test_a_call_whose_components_are_gone_is_no_candidate(done):
    world, _, _, _ = done
    lifecycle = world.lifecycle()
    limits = night_cutoffs(lifecycle.policies.schedules, NIGHT)
    with lifecycle.crm.database.reading() as connection:
        tables = list(lifecycle.crm.facts.candidates(connection, limits))
    found = {key for table in tables for key in table["call_id"].to_pylist()}
    assert found & {"id-1", "id-2", "id-3", "id-young"} == set()
    assert {"id-held", "id-no-end", "id-open"} <= found


def test_the_records_of_a_component_say_so(done):
    world, _, _, _ = done
    found = find_records(world.lifecycle(), "id-1")
    assert (found.live, {one.record["component"] for one in found.records}) == (
        True,
        {"recording", "transcript", "notes"},
    )
    assert not any("r/id-1" in str(one.record) for one in found.records)  # a path may hold a telephone number


def test_record_says_of_what_it_speaks(done, monkeypatch, capsys):
    world, _, _, _ = done
    found = find_records(world.lifecycle(), "id-1")
    for one in found.records:
        print_record(one)
    said = capsys.readouterr().out
    for component in ("recording", "transcript", "notes"):
        assert f"The {component} of call id-1 (demo) was deleted from the CRM at " in said
        assert f"its {component}; the call itself stayed" in said
    assert "2 went with it" in said
    assert said.count(f"File: archive/industry=bank/night={NIGHT}/") == 2


def test_what_came_back_is_found_and_what_is_new_is_not(sqlite_world):
    world = small_parts(sqlite_world)
    start = world.dump()
    run_night(world.lifecycle())
    world.note("id-1")  # somebody writes another note about the call that stayed
    assert audit_archive_and_ledger(world.lifecycle()).sound
    (row,) = (row for row in start["recordings"] if row["path"] == "r/id-1.wav")
    names = ", ".join(row)
    world.execute(f"INSERT INTO recordings ({names}) VALUES ({', '.join(f':{n}' for n in row)})", **row)
    world.execute("UPDATE calls SET transcript = 'said' WHERE id = 'id-3'")
    world.execute("UPDATE calls SET transcript = 'another' WHERE id = 'id-1'")
    found = audit_archive_and_ledger(world.lifecycle()).reconciled
    assert sorted(found.returned) == ["id-1 (recording)", "id-3 (transcript)"]


def test_components_that_a_restored_backup_brings_back_are_found(sqlite_world):
    world = small_parts(sqlite_world)
    world.flush()
    database = Path(world.url.removeprefix("sqlite:///"))
    backup = database.read_bytes()
    run_night(world.lifecycle())
    database.write_bytes(backup)
    everything = sorted(f"{key} ({component})" for key, component in GOING)
    found = audit_archive_and_ledger(world.lifecycle())
    assert (found.sound, found.reconciled.returned) == (False, everything)
    assert "`lifecycle replay` names what came back" in " ".join(found.damaged.values())
    again = find_restored_calls(world.lifecycle())
    assert (again.unknown, again.returned) == (len(GOING), everything)
    world.execute("DELETE FROM recordings WHERE call_id = 'id-1'")
    world.execute("UPDATE calls SET transcript = 'another' WHERE id = 'id-3'")
    left = {"id-1 (recording)", "id-3 (transcript)"}
    assert set(everything) - set(find_restored_calls(world.lifecycle()).returned) == left


def test_a_night_after_a_restored_backup_purges_components_anew(sqlite_world):
    world = small_parts(sqlite_world)
    world.flush()
    database = Path(world.url.removeprefix("sqlite:///"))
    start, files, backup = world.dump(), world.on_disk(), database.read_bytes()
    run_night(world.lifecycle())
    database.write_bytes(backup)
    run_night(world.lifecycle())
    assert account_for_parts(world, start, files) == GOING
    assert (
        find_restored_calls(world.lifecycle()).returned
        == audit_archive_and_ledger(world.lifecycle()).reconciled.returned
        == []
    )


@pytest.mark.slow
def test_a_component_deleted_behind_our_back_has_vanished(sqlite_world):
    small_parts(sqlite_world)
    archive(sqlite_world)
    sqlite_world.execute("DELETE FROM recordings WHERE call_id = 'id-2'")
    night = purge(sqlite_world)
    assert night.set_aside == {"id-2": "recording: gone: deleted by somebody else, on no record"}
    assert audit_archive_and_ledger(sqlite_world.lifecycle()).reconciled.vanished == ["id-2 (recording)"]


def test_a_whole_call_that_is_due_takes_its_components_along(sqlite_world):
    world = small_parts(sqlite_world)
    account = world.account("Banking")
    furnish(world, world.call("id-old", account, OLD_DAY, transcript="t"), account)
    start, files = world.dump(), world.on_disk()
    night = run_night(world.lifecycle())
    assert (night.plans["bank"].due, night.calls, night.set_aside) == (1, 1, {})
    (record,) = (record for record in world.records() if record["call_id"] == "id-old")
    assert record["component"] is None
    assert world.lifecycle().store.get(record["files"][0]["key"]) == files["r/id-old.wav"]
    assert "r/id-old.wav" not in world.on_disk()
    assert parts_of(start, "id-old", "recording")["recordings"] != []


def test_the_whole_call_goes_later_with_what_is_left_of_it(sqlite_world):
    world = small_parts(sqlite_world)
    run_night(world.lifecycle())
    left = world.dump()
    world.schedule(PARTS.replace("purge_after: P10Y", "purge_after: P5Y"))
    later = run_night(world.lifecycle(), night=NIGHT.replace(day=21))
    assert (later.calls, later.set_aside) == (3, {})
    whole = {m.batch: t for m, t in committed(world.lifecycle().store) if m.component is None}
    (tables,) = whole.values()
    assert sorted(tables["calls"]["_call_id"].to_pylist()) == ["id-1", "id-2", "id-3"]
    assert set(tables["calls"]["transcript"].to_pylist()) == {None}
    assert "recordings" not in tables
    assert {row["id"] for row in left["calls"]} - world.live() == {"id-1", "id-2", "id-3"}
    assert audit_archive_and_ledger(world.lifecycle()).sound


def test_a_whole_call_archived_before_its_component_went_is_set_aside_and_planned_anew(sqlite_world):
    world = small_parts(sqlite_world)
    world.schedule(PARTS.replace("purge_after: P10Y", "purge_after: P5Y"))
    archive(world, night=NIGHT.replace(day=19))  # whole calls, and then a schedule by which only components go
    world.schedule(PARTS)
    start, files = world.dump(), world.on_disk()
    run_night(world.lifecycle())
    assert account_for_parts(world, start, files) == GOING
    world.schedule(PARTS.replace("purge_after: P10Y", "purge_after: P5Y"))
    lifecycle = world.lifecycle()
    work = open_industry_night(lifecycle, "bank", NIGHT.replace(day=19))
    late = purge_night(lifecycle, work, RUN)
    assert (late.calls, set(late.set_aside)) == (0, {"id-1", "id-2", "id-3"})
    assert all(reason.startswith("changed: ") for reason in late.set_aside.values())
    assert run_night(world.lifecycle(), night=NIGHT.replace(day=21)).calls == 3
    assert audit_archive_and_ledger(world.lifecycle()).sound


ROWS_CHANGED, VALUES_CHANGED = "changed: {}: the rows changed", "changed: calls: the rows changed"
CHANGES = {
    "UPDATE recordings SET bytes = 1 WHERE call_id = 'id-2'": {
        "id-2": f"recording: {ROWS_CHANGED.format('recordings')}",
    },
    "UPDATE calls SET transcript = 'other' WHERE id = 'id-3'": {"id-3": f"transcript: {VALUES_CHANGED}"},
    "UPDATE calls SET ended_at = '2026-01-01 00:00:00' WHERE id = 'id-2'": {
        "id-2": "recording: retained: BANK-REC from 2031-01-02",
    },
    "UPDATE notes SET body = 'x' WHERE parent_id = 'id-1'": {"id-1": f"notes: {ROWS_CHANGED.format('notes')}"},
    "UPDATE note_files SET filename = 'x'": {"id-1": f"notes: {ROWS_CHANGED.format('note_files')}"},
    "UPDATE calls SET subject = 'x'": {},  # it is of no component
    "UPDATE calls SET transcript = NULL WHERE id = 'id-3'": {
        "id-3": "transcript: gone: deleted by somebody else, on no record",
    },
}


SELDOM = [pytest.param(*change, marks=pytest.mark.slow) for change in list(CHANGES.items())[3:]]


@pytest.mark.parametrize(("statement", "aside"), [*list(CHANGES.items())[:3], *SELDOM])
def test_a_component_changed_after_archiving_stays_and_its_neighbours_go(sqlite_world, statement, aside):
    world = small_parts(sqlite_world)
    archive(world)
    world.execute(statement)
    start, files = world.dump(), world.on_disk()
    night = purge(world)
    assert night.set_aside == aside
    kept = {(key, reason.partition(":")[0]) for key, reason in aside.items()}
    records = {(r["call_id"], r["component"]) for r in world.purge_rows()}
    assert records == GOING - kept
    assert world.dump().keys() == start.keys()
    for key, component in kept:
        assert parts_of(world.dump(), key, component) == parts_of(start, key, component)
    assert {"r/shared.wav"} <= set(world.on_disk()) or ("id-2", "recording") not in kept
    assert files.items() >= world.on_disk().items()


def test_a_hold_placed_after_archiving_keeps_every_component(sqlite_world):
    world = small_parts(sqlite_world)
    archive(world)
    start, files = world.dump(), world.on_disk()
    world.hold("{call_ids: [id-1, id-2, id-3]}")
    lifecycle = world.lifecycle()
    late = purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    assert (late.components, set(late.set_aside)) == ({}, {"id-1", "id-2", "id-3"})
    assert late.set_aside["id-2"] == "recording: on_hold: hold-1"
    assert (world.dump(), world.on_disk()) == (start, files)


def test_what_is_not_known_to_be_there_is_never_due_and_holds_its_call(sqlite_world, tmp_path):
    world = small_parts(sqlite_world)
    text = DEMO_SOURCE.read_text().replace("EXISTS (SELECT 1 FROM recordings r WHERE r.call_id = c.id)", "NULL")
    assert text != DEMO_SOURCE.read_text()
    source = tmp_path / "unknown.yaml"
    source.write_text(text)
    start = world.dump()
    night = run_night(world.lifecycle(source=str(source)))
    assert night.plans["bank"].components == {"notes": 1, "transcript": 2}
    assert parts_of(world.dump(), "id-1", "recording") == parts_of(start, "id-1", "recording")
    rule = "purge_after: P10Y, destroy_after: P12Y"
    world.schedule(PARTS.replace(rule, "purge_after: P2Y, destroy_after: P12Y"))
    later = run_night(world.lifecycle(source=str(source)), night=NIGHT.replace(day=21))
    assert later.calls == 3  # the recordings' own rule lets them go by now too


def test_a_component_stays_until_its_own_floor(sqlite_world):
    world = small_parts(sqlite_world)
    world.regime("floor", "trigger: relationship_ended_at, minimum: P5Y, components: [recording]")
    world.schedule(PARTS.replace("component: recording,", "component: recording, regimes: [floor],"))
    assert plan(world)["bank"].components == {"notes": 1, "transcript": 2}


def test_a_component_that_the_mapping_does_not_know_is_never_planned(sqlite_world, tmp_path):
    world = small_parts(sqlite_world)
    text = DEMO_SOURCE.read_text().partition("components:")[0]
    source = tmp_path / "unmapped.yaml"
    source.write_text(text)
    made = plan_night(world.lifecycle(source=str(source)), NIGHT, RUN)[1]["bank"]
    assert (made.components, made.calls) == ({}, None)


def test_a_component_that_only_the_facts_know_of_is_set_aside_and_not_on_record(sqlite_world, tmp_path):
    world = small_parts(sqlite_world)
    text = DEMO_SOURCE.read_text().replace("EXISTS (SELECT 1 FROM recordings r WHERE r.call_id = c.id)", "1")
    source = tmp_path / "wrong.yaml"
    source.write_text(text)
    night = run_night(world.lifecycle(source=str(source)))
    assert night.set_aside == {
        "id-3": "recording: empty: its facts say that it is there, and the mapping finds nothing of it"
    }
    assert ("id-3", "recording") not in {(r["call_id"], r["component"]) for r in world.purge_rows()}


def test_the_brake_stops_components_before_the_first(sqlite_world):
    world = small_parts(sqlite_world)
    world.schedule(PARTS.replace("max_share: 100%", "max_share: 40%"))
    start = world.dump()
    night = run_night(world.lifecycle())
    assert night.plans["bank"].waits_for == (
        "brake: 2 of 4 live calls are due to lose their recording, 50.00%; max_share is 40%",
        "brake: 2 of 4 live calls are due to lose their transcript, 50.00%; max_share is 40%",
    )
    assert (night.archived, world.dump()) == ({}, start)


def test_a_plain_reader_finds_the_component_in_the_plan(sqlite_world):
    world = small_parts(sqlite_world)
    made = plan(world)["bank"]
    (key_file,) = world.policies.parent.glob("lifecycle.epochs/*.key")
    table = planned_calls(world.lifecycle().store.get(made.calls.key), key_file)
    assert {(row["call_id"], row["component"]) for row in table.to_pylist()} == GOING


def test_on_the_first_night_of_an_old_crm_a_part_with_a_maximum_goes_first_and_its_call_the_night_after(sqlite_world):
    """Both were due for years. Whole, the recording's copy would live as long as the call's."""
    world = small_parts(sqlite_world)
    world.regime("voice", "components: [recording], trigger: ended_at, maximum: P5Y6M")
    rules = PARTS.replace(
        "purge_after: P10Y, destroy_after: P12Y", "purge_after: P5Y, destroy_after: P12Y, regimes: [voice]"
    )
    world.schedule(rules.replace("purge_after: P5Y, destroy_after: P7Y", "purge_after: P5Y, destroy_after: P5Y6M"))
    start = world.dump()
    first = run_night(world.lifecycle())
    assert dict(first.plans["bank"].components)["recording"] == 2
    assert {row["id"] for row in start["calls"]} - world.live() == {"id-3"}  # it has no recording
    (recording,) = [found for found, _ in committed(world.lifecycle().store) if found.component == "recording"]
    assert recording.destroy_on == date(2026, 9, 2)  # the day after the maximum's last
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert {row["id"] for row in start["calls"]} - world.live() == {"id-1", "id-2", "id-3"}
    whole = [tables for found, tables in committed(world.lifecycle().store) if found.component is None]
    assert all("recordings" not in tables for tables in whole)
    assert audit_archive_and_ledger(world.lifecycle()).sound
