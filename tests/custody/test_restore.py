"""Restore: calls with everything below them put back as they were, on record, left alone for a while, gone again."""

import hashlib
import json
import shutil
import zlib
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.archive.batches import manifest_keys, read_manifest
from lifecycle.audit.restored_calls import find_restored_calls
from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.crm.mapping.source import read_source
from lifecycle.custody.find import find_calls
from lifecycle.custody.restore import RestoreResult, restore_calls
from lifecycle.custody.restore_record import RestoreOrder
from lifecycle.custody.restore_target import crm_target, other_target
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.errors import SettingsError
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, CLOCK, DUE, DUE_BANK, DUE_SHOP, NIGHT, World, around, run_night
from tests.night.test_statistics import everything
from tests.roles import restore_url

ORDER = RestoreOrder("clerk", "asked for by the court")
UNTIL = date(2026, 12, 21)
FILED = "id-filed"


def restored(world: World, *calls: str, order: RestoreOrder = ORDER, **changed) -> RestoreResult:
    lifecycle = world.lifecycle(restore_url=world_restore_url(world), **changed)
    return restore_calls(lifecycle, calls, crm_target(lifecycle), order)


def world_restore_url(world: World) -> str:
    return restore_url(world.url, read_source("demo")).engine.url.render_as_string(hide_password=False)


def states(world: World, *calls: str) -> dict[str, str]:
    found = find_calls(world.lifecycle(), SearchQuestion(calls=frozenset(calls)))
    return {one.call_id: str(one.state) for one in found.calls}


@pytest.fixture
def purged(world) -> tuple[World, dict]:
    """A night's purge on each database, and the rows of before."""
    start = world.furnish().dump()
    run_night(world.lifecycle())
    return world, start


@pytest.fixture
def purged_sqlite(sqlite_world) -> tuple[World, dict]:
    start = sqlite_world.furnish().dump()
    run_night(sqlite_world.lifecycle())
    return sqlite_world, start


@pytest.fixture
def with_file(sqlite_world) -> tuple[World, dict]:
    """Three purged calls, one of them with a recording."""
    bank = sqlite_world.account("Banking")
    for key in ("id-a", "id-b", FILED):
        sqlite_world.call(key, bank, BANK_DAY)
    sqlite_world.recorded(FILED, "2021/a.wav", b"RIFF one")
    start = sqlite_world.dump()
    run_night(sqlite_world.lifecycle())
    assert (sqlite_world.live(), sqlite_world.on_disk()) == (set(), {})
    return sqlite_world, start


def test_every_row_of_every_call_is_as_it_was(purged):
    world, start = purged
    result = restored(world, *sorted(DUE))
    assert (result.refused, result.links_left, result.files_left) == ({}, 0, {})
    assert result.restored == dict.fromkeys(DUE, UNTIL)
    assert world.dump() == start


def test_files_lie_again_where_they_lay(with_file):
    world, start = with_file
    result = restored(world, FILED, "id-a", "id-b")
    assert (result.refused, result.files) == ({}, 1)
    assert (world.dump(), world.on_disk()) == (start, {"2021/a.wav": b"RIFF one"})


def test_one_call_comes_back_with_its_children_alone(purged):
    world, start = purged
    assert restored(world, DUE_BANK[0]).refused == {}
    assert around(world.dump(), DUE_BANK[0]) == around(start, DUE_BANK[0])
    assert DUE_BANK[1] not in world.live()


def test_a_restore_is_a_leaf_that_says_who_and_why(purged_sqlite):
    world, _ = purged_sqlite
    restored(world, DUE_BANK[2])
    seal_ledger(world.lifecycle())
    (leaf,) = [leaf for leaf in world.leaves() if leaf["kind"] == "restored"]
    epoch = world.lifecycle().keys.epoch()
    assert leaf["call"] == epoch.commitment("demo", DUE_BANK[2])
    assert (leaf["by"], leaf["reason"], leaf["restored_until"]) == ("clerk", "asked for by the court", str(UNTIL))
    assert states(world, DUE_BANK[2], DUE_BANK[3]) == {DUE_BANK[2]: "restored", DUE_BANK[3]: "archived"}


def test_many_restores_share_a_note_and_each_has_its_leaf(purged_sqlite):
    world, _ = purged_sqlite
    restored(world, *sorted(DUE))
    asked = "SELECT id, body FROM lifecycle_leaves WHERE id LIKE 'restored:%'"
    with world.engine.connect() as connection:
        notes = {note: zlib.decompress(body).splitlines() for note, body in connection.exec_driver_sql(asked)}
    assert sum(map(len, notes.values())) == len(DUE) > len(notes)  # one for each batch, each a transaction
    note, lines = max(notes.items(), key=lambda one: len(one[1]))
    assert set(states(world, *DUE).values()) == {"restored"}
    seal_ledger(world.lifecycle())
    noted = [json.loads(line) for lines in notes.values() for line in lines]
    logged = [leaf for leaf in world.leaves() if leaf["kind"] == "restored"]
    assert sorted(logged, key=repr) == sorted(noted, key=repr)
    assert audit_archive_and_ledger(world.lifecycle()).damaged == {}
    for cut in (zlib.compress(b"\n".join(lines[1:])), b"\x78 no such bytes"):
        world.execute(sa.text("UPDATE lifecycle_leaves SET body = :cut WHERE id = :note"), cut=cut, note=note)
        (why,) = audit_archive_and_ledger(world.lifecycle()).damaged.values()
        assert why == f"the note {note} in the CRM has other bytes, or another place"


def test_running_it_again_puts_nothing_back_twice(purged):
    world, _ = purged
    restored(world, DUE_BANK[2])
    before = world.dump()
    again = restored(world, DUE_BANK[2])
    assert (again.restored, again.before, again.refused) == ({}, [DUE_BANK[2]], {})
    assert world.dump() == before


def test_the_next_night_leaves_it_alone_and_a_later_one_takes_it_again_and_says_so(purged):
    world, _ = purged
    restored(world, DUE_BANK[2])
    seal_ledger(world.lifecycle())
    night = run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert night.calls == 0
    assert night.plans["bank"].dispositions["on_hold"] == 1
    assert DUE_BANK[2] in world.live()
    later = UNTIL + timedelta(days=1)
    lifecycle = world.lifecycle()
    object.__setattr__(lifecycle, "now", lambda: CLOCK + (later - NIGHT))
    assert run_night(lifecycle, night=later).calls == 1
    assert DUE_BANK[2] not in world.live()
    records = [record for record in world.records() if record["call_id"] == DUE_BANK[2]]
    assert ["restored_at" in record for record in records] == [False, True]
    assert states(world, DUE_BANK[2]) == {DUE_BANK[2]: "archived"}


def test_a_restored_call_is_explained_and_one_that_somebody_put_back_is_not(purged_sqlite):
    world, _ = purged_sqlite
    restored(world, DUE_BANK[2])
    world.call(DUE_BANK[3], None, BANK_DAY)
    seal_ledger(world.lifecycle())
    assert find_restored_calls(world.lifecycle()).returned == [DUE_BANK[3]]
    audit = audit_archive_and_ledger(world.lifecycle())
    assert (audit.reconciled.returned, audit.reconciled.restored) == ([DUE_BANK[3]], 1)


def test_a_row_in_the_control_table_explains_nothing_without_its_leaf(purged_sqlite):
    world, _ = purged_sqlite
    restored(world, DUE_BANK[2])
    world.execute("DELETE FROM lifecycle_leaves WHERE id LIKE 'restored:%'")
    assert find_restored_calls(world.lifecycle()).returned == [DUE_BANK[2]]


def test_a_copy_restored_and_purged_anew_explains_no_later_return(purged_sqlite):
    world, _ = purged_sqlite
    restored(world, DUE_BANK[2], order=RestoreOrder("clerk", "trial", until=NIGHT))
    night = run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))
    assert night.calls == 1
    world.call(DUE_BANK[2], None, BANK_DAY)
    assert find_restored_calls(world.lifecycle()).returned == [DUE_BANK[2]]


def test_a_call_that_goes_again_is_counted_once(purged_sqlite):
    world, _ = purged_sqlite
    counted = everything(world.lifecycle())
    restored(world, DUE_BANK[2], order=RestoreOrder("clerk", "trial", until=NIGHT))
    assert run_night(world.lifecycle(), night=NIGHT + timedelta(days=1)).calls == 1
    assert everything(world.lifecycle()) == counted != {}


def test_what_stands_against_it_is_named_before_anything_is_written(purged):
    world, _ = purged
    contact = world.account("Nobody")
    world.flush()
    world.call(DUE_BANK[3], contact, BANK_DAY)
    world.execute("DELETE FROM call_contacts WHERE contact_id IN (SELECT id FROM contacts WHERE last_name = 'Nobody')")
    world.execute("DELETE FROM contacts")
    before = world.dump()
    dry = restored(world, DUE_BANK[2], DUE_BANK[3], "id-nowhere", order=RestoreOrder("clerk", "", dry_run=True))
    assert dry.restored == {}
    assert dry.refused == {
        DUE_BANK[2]: ["a row of contacts that its call_contacts.contact_id names is gone"],
        DUE_BANK[3]: ["a call with its id is in the CRM, put there by nobody's restore"],
        "id-nowhere": ["it is not on record as purged"],
    }
    assert restored(world, DUE_BANK[2], DUE_BANK[3], "id-nowhere").refused == dry.refused
    assert world.dump() == before


def test_a_call_that_names_one_of_another_batch_comes_after_it(purged_sqlite):
    world, start = purged_sqlite
    repeats = DUE_SHOP[1]  # its repeat_parent_id is a call of the other industry
    assert (
        "is gone"
        in restored(world, repeats, order=RestoreOrder("clerk", "", dry_run=True)).refused.get(repeats, [""])[0]
    )
    assert restored(world, repeats, DUE_BANK[0]).refused == {}
    assert around(world.dump(), repeats) == around(start, repeats)


def test_a_request_to_erase_and_a_copy_past_its_day_stay_where_they_are(purged_sqlite):
    world, _ = purged_sqlite
    lifecycle = world.lifecycle()
    object.__setattr__(lifecycle, "now", lambda: datetime(2028, 6, 1, tzinfo=CLOCK.tzinfo))
    refused = restore_calls(lifecycle, [DUE_BANK[0]], crm_target(lifecycle), ORDER).refused
    assert refused == {DUE_BANK[0]: ["its copy may be kept no longer than 2028-03-02"]}


def test_a_damaged_batch_is_named_with_its_calls_and_the_others_come_back(purged_sqlite):
    world, _ = purged_sqlite
    (manifest,) = [one for one in find_calls(world.lifecycle(), SearchQuestion(calls=frozenset([DUE_SHOP[0]]))).calls]
    path = world.policies.parent / "store" / manifest.copies[0].object_key
    path.write_bytes(b"rotten")
    result = restored(world, DUE_SHOP[0], DUE_BANK[0])
    assert list(result.restored) == [DUE_BANK[0]]
    assert list(result.refused) == [DUE_SHOP[0]]
    assert "cannot be read" in result.refused[DUE_SHOP[0]][0]


def test_a_file_where_another_lies_keeps_the_call_out(with_file):
    world, _ = with_file
    (world.files / "2021").mkdir(parents=True, exist_ok=True)
    (world.files / "2021/a.wav").write_bytes(b"another")
    assert restored(world, FILED).refused == {FILED: ["where a file of it lay, another one lies"]}
    assert world.on_disk() == {"2021/a.wav": b"another"}


def test_files_that_a_dead_run_left_are_put_by_the_next(with_file):
    world, _ = with_file
    lifecycle = world.lifecycle()
    target = crm_target(lifecycle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lifecycle.custody.restore.put_files_that_wait", lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            restore_calls(lifecycle, [FILED], target, ORDER)
    assert (FILED in world.live(), world.on_disk()) == (True, {})
    again = restored(world, FILED)
    assert (again.before, again.files, world.on_disk()) == ([FILED], 1, {"2021/a.wav": b"RIFF one"})
    assert restored(world, FILED).files == 0


@pytest.mark.parametrize("edited", [{"path": "other/b.wav"}, {"key": "calls"}, {"key": "ledger"}])
def test_a_row_of_the_control_table_that_somebody_wrote_puts_no_file(with_file, edited):
    """It could name any object of the store, as the calls of a batch, and any path where recordings lie."""
    world, _ = with_file
    store, lifecycle = Path(world.store_url.removeprefix("file://")), world.lifecycle()
    file = next(iter(read_manifest(lifecycle.store, next(manifest_keys(lifecycle.store)))[0].files), None)
    places = {"calls": "archive/**/calls.parquet", "ledger": "ledger/checkpoint"}
    found = next(store.glob(places[edited["key"]])) if "key" in edited else store / str(file and file.key)
    body = found.read_bytes()
    named = {"path": edited.get("path", "stolen.wav"), "key": found.relative_to(store).as_posix(), "bytes": len(body)}
    digest = hashlib.sha256(body).hexdigest()
    files = [{**named, "sha256": digest, "version_id": f"sha256:{digest}"}]
    values = "'r', 'id-x', 'b', '2026-11-20T02:00:00', '2027-01-01', :files"
    world.execute(sa.text(f"INSERT INTO lifecycle_restored VALUES ({values})"), files=json.dumps(files).encode())
    left = restored(world, FILED).files_left
    assert left["id-x"] in ("its row names a file that no manifest has: somebody edited it", _NOT_PUT)
    assert list(world.on_disk()) == ["2021/a.wav"]


_NOT_PUT = "a file of it cannot be put: ObjectMissing"


def test_a_scratch_database_is_made_alike_and_takes_the_rows(purged, tmp_path, request):
    world, start = purged
    url = scratch_url(request, world, tmp_path)
    lifecycle = world.lifecycle()
    target = other_target(lifecycle, url)
    result = restore_calls(lifecycle, sorted(DUE), target, ORDER)
    assert (result.refused, len(result.restored), result.files) == ({}, len(DUE), 0)
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM calls").scalar()
    assert (count, world.live() & DUE) == (len(DUE), set())
    assert start["calls"]


def test_the_crm_itself_is_no_other_database_and_another_no_crm(purged_sqlite, tmp_path):
    world, _ = purged_sqlite
    with pytest.raises(SettingsError, match="found the CRM itself"):
        other_target(world.lifecycle(), world.url)
    shutil.copy(sa.make_url(world.url).database, tmp_path / "copy.db")
    with sa.create_engine(f"sqlite:///{tmp_path}/copy.db").begin() as connection:
        connection.exec_driver_sql("UPDATE lifecycle_secret SET value = 'other'")
    with pytest.raises(SettingsError, match="LIFECYCLE_RESTORE_URL"):
        crm_target(world.lifecycle(restore_url=f"sqlite:///{tmp_path}/copy.db"))


def scratch_url(request, world: World, folder: Path) -> str:
    if world.dialect == "sqlite":
        return f"sqlite:///{folder}/scratch.db"
    server = {"postgresql": "postgres_server"}.get(world.dialect, "mariadb_server")
    return request.getfixturevalue(server).new_database()


COMPONENTS = """
  - {id: BANK-REC, title: t, component: recording, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y}
  - {id: BANK-TEXT, title: t, component: transcript, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y}
"""


def test_a_component_that_went_alone_comes_back_into_its_call_and_with_it(world):
    from tests.builders import BANK

    world.schedule(BANK + COMPONENTS.strip("\n") + "\n")
    bank = world.account("Banking")
    world.call("id-young", bank, datetime(2024, 5, 1, 9), transcript="what was said")  # noqa: DTZ001
    world.recorded("id-young", "2024/y.wav", b"RIFF young")
    start = world.dump()
    run_night(world.lifecycle())
    assert (world.dump() == start, world.on_disk()) == (False, {})
    result = restored(world, "id-young")
    assert (result.refused, list(result.restored)) == ({}, ["id-young"])
    assert (world.dump(), world.on_disk()) == (start, {"2024/y.wav": b"RIFF young"})
    assert find_restored_calls(world.lifecycle()).returned == []
    assert json.dumps(restored(world, "id-young").before) == '["id-young"]'
