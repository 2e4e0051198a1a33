"""Sealing: one leaf a purged call and no fork, killed at every write, killed again, twice at once, after restores."""

import hashlib
import shutil
import zlib
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from lifecycle.audit.ledger_consistency import check_ledger_consistency
from lifecycle.crm.database import Database
from lifecycle.errors import FixityError, LeaseTaken, LedgerError, SettingsError
from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.expected_records import records_are_as_expected
from lifecycle.ledger.keys import new_signing_key, write_secret
from lifecycle.night.seal import LEDGER_LEASE, seal_ledger
from lifecycle.night.seal_check import epochs_by_id, recorded_batch
from tests.builders import BANK_DAY, NIGHT, SHOP, SHOP_DAY, World, run_night
from tests.night.driver import begin, night_killed, processes, sealing

FIRST, SECOND = {"id-1", "id-2", "id-3"}, {"id-4", "id-5"}


def purged(world: World) -> World:
    """Five due calls in two industries, purged and not sealed: two purge rows."""
    bank, shop = world.account("Banking"), world.account("Retail")
    for key in sorted(FIRST):
        world.call(key, bank, BANK_DAY)
    for key in sorted(SECOND):
        world.call(key, shop, SHOP_DAY)
    run_night(world.lifecycle(), sealing=False)
    return world


@pytest.fixture(scope="module")
def template(new_world) -> World:
    world = purged(new_world("sqlite"))
    world.lifecycle().crm.database.engine.dispose()
    return world


@pytest.fixture
def again(template, tmp_path_factory):
    """Makes copies of a world whose purges wait to be sealed."""

    def copy(of: World = template) -> World:
        folder = tmp_path_factory.mktemp("copy") / "world"
        shutil.copytree(of.policies.parent, folder)
        world = World(f"sqlite:///{folder / 'crm.db'}", (folder / "store").as_uri(), folder / "policies")
        world._ids = count(1000)
        return world

    return copy


def files(world: World) -> dict[str, bytes]:
    """The ledger in the store, object by object."""
    top = world.policies.parent / "store"
    found = (path for path in (top / "ledger").rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in found}


def restore(world: World, database: Path) -> None:
    shutil.copy(database, world.policies.parent / "crm.db")


def backup(world: World, name: str = "backup.db") -> Path:
    return Path(shutil.copy(world.policies.parent / "crm.db", world.policies.parent / name))


def one_more(world: World) -> None:
    """The next night, with another due call."""
    world.call("id-6", world.account("Retail"), SHOP_DAY)
    run_night(world.lifecycle(), night=NIGHT + timedelta(days=1))


def logged(world: World) -> set[str]:
    """Assert that the ledger has exactly one leaf for each purged call, and that it adds up; gives the calls."""
    lifecycle = world.lifecycle()
    log = lifecycle.log()
    published = log.published()
    assert published is not None
    assert log.edge(published.checkpoint).size == published.size
    records = world.records()
    assert Counter(r["call_id"] for r in records) == Counter(r["call_id"] for r in world.purge_rows())
    assert len({(r["batch"], r["row"]) for r in records}) == len(records)
    assert [leaf["kind"] for leaf in world.leaves()].count("genesis") == 1
    return {record["call_id"] for record in records}


def test_a_sealing_logs_a_genesis_and_one_leaf_a_call_and_says_where_it_stands(again):
    world = again()
    found = seal_ledger(world.lifecycle())
    assert (found.records, found.leaves, found.size) == (5, 10, 10)
    assert logged(world) == FIRST | SECOND
    assert found.checkpoint == files(world)["ledger/checkpoint"].decode()
    assert set(files(world)) == {"ledger/checkpoint", "ledger/tile/0/000.p/10", "ledger/tile/entries/000.p/10"}
    assert world.leaves()[0]["keys"] == [
        one.verifier.vkey for one in world.lifecycle().keys.signers("call-lifecycle/demo")
    ]


def test_a_second_sealing_has_nothing_to_do(again):
    world = again()
    seal_ledger(world.lifecycle())
    before = files(world)
    assert seal_ledger(world.lifecycle()).leaves == 0
    assert files(world) == before


def test_leaves_name_no_call(again):
    world = again()
    seal_ledger(world.lifecycle())
    everything = b"".join(files(world).values())
    assert [key for key in FIRST | SECOND if key.encode() in everything] == []


@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
def test_a_sealing_killed_at_any_write_and_killed_again_ends_as_if_never_killed(again, when):
    whole = again()
    writes = night_killed(whole, 0, when, work=sealing)
    expected = {name: body for name, body in files(whole).items()}
    assert writes is not None
    assert writes >= 7  # notes, places, a bundle, a tile, the checkpoint, what the database saw
    for at in range(1, writes + 1):
        world = again()
        assert night_killed(world, at, when, work=sealing) is None, at
        night_killed(world, 1 + at % 3, "after", run="run-2", work=sealing)
        seal_ledger(world.lifecycle())
        assert logged(world) == FIRST | SECOND, at
        assert set(files(world)) == set(expected), at


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_sealing_killed_at_any_write_and_at_any_write_of_its_recovery(again, when):
    writes = night_killed(again(), 0, when, work=sealing)
    assert writes is not None
    for at in range(1, writes + 1):
        for second in range(1, writes + 1):
            for also in ("before", "after"):
                world = again()
                night_killed(world, at, when, work=sealing)
                night_killed(world, second, also, run="run-2", work=sealing)
                seal_ledger(world.lifecycle())
                assert logged(world) == FIRST | SECOND, (at, second, also)


SELDOM = [pytest.param(*point, marks=pytest.mark.slow) for point in ((3, "after"), (6, "before"))]


@pytest.mark.parametrize(("at", "when"), [(6, "after"), *SELDOM])
def test_on_a_server_too_a_killed_sealing_is_finished_by_the_next(new_world, at, when):
    """After the places are given; with tiles there and no checkpoint; with the checkpoint there, and nobody told."""
    world = purged(new_world("postgresql"))
    assert night_killed(world, at, when, work=sealing) is None
    seal_ledger(world.lifecycle())
    assert logged(world) == FIRST | SECOND


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_on_a_server_too_a_sealing_killed_at_any_write_is_finished_by_the_next(new_world, database, when):
    at, ended = 0, None
    while ended is None:
        at += 1
        world = purged(new_world(database))
        ended = night_killed(world, at, when, work=sealing)
        seal_ledger(world.lifecycle())
        assert logged(world) == FIRST | SECOND, at
    assert at > 6


def test_what_was_purged_meanwhile_is_logged_after_what_a_killed_sealing_had_begun(again):
    for at in (3, 5, 6):
        world = again()
        night_killed(world, at, "after", work=sealing)
        one_more(world)
        assert logged(world) == FIRST | SECOND | {"id-6"}


def test_two_sealers_at_once_log_each_call_once(again):
    for _ in range(3):
        world, barrier = again(), processes.Barrier(2)
        both = [begin(world, f"run-{n}", barrier=barrier, work=sealing) for n in range(2)]
        for process, said in both:
            process.join()
            assert process.exitcode in (0, 3), said.read_text()
        seal_ledger(world.lifecycle())
        assert logged(world) == FIRST | SECOND


def test_a_second_sealer_is_told_and_does_nothing(again):
    world = again()
    with world.lifecycle().crm.control.lease(LEDGER_LEASE), pytest.raises(LeaseTaken, match="the lease of ledger"):
        seal_ledger(world.lifecycle())
    assert files(world) == {}


def test_two_sealers_whose_lease_failed_still_make_no_fork(again, monkeypatch):
    world = again()
    other, swap = world.lifecycle(), type(world.lifecycle().store).swap
    monkeypatch.setattr(Database, "lease", lambda *_: nullcontext())

    def overtaken(store, key, body, expected):
        monkeypatch.setattr(type(store), "swap", swap)
        seal_ledger(other)  # the whole of it, just before the first one's checkpoint
        return swap(store, key, body, expected)

    monkeypatch.setattr(type(other.store), "swap", overtaken)
    seal_ledger(world.lifecycle())
    assert logged(world) == FIRST | SECOND
    assert [leaf["kind"] for leaf in world.leaves()] == ["genesis", "plan", "plan", "policy", "policy", *["purged"] * 5]


def test_a_database_restored_from_before_a_sealing_is_noticed_and_the_ledger_goes_on(again):
    world = again()
    old = backup(world)
    seal_ledger(world.lifecycle())
    restore(world, old)  # it knows the purges, and no ledger
    assert seal_ledger(world.lifecycle()).leaves == 1
    assert logged(world) == FIRST | SECOND
    assert [leaf["kind"] for leaf in world.leaves()][-1] == "recovery"
    assert seal_ledger(world.lifecycle()).leaves == 0


def test_a_database_restored_from_before_the_purge_is_noticed_and_named(again, new_world, tmp_path):
    world = new_world("sqlite")
    before = backup(world)  # the calls are not there yet either: they are written with `purged`
    purged(world)
    seal_ledger(world.lifecycle())
    restore(world, before)
    seal_ledger(world.lifecycle())
    last = world.leaves()[-1]
    assert (last["kind"], last["database_size"], last["ledger_size"], last["unknown_leaves"]) == ("recovery", 0, 10, 8)


def test_what_a_lost_database_had_begun_and_never_logged_is_replaced(again):
    world = again()
    old = backup(world)
    night_killed(world, 6, "before", work=sealing)  # tiles are there, the checkpoint is not
    assert "ledger/checkpoint" not in files(world)
    assert "ledger/tile/0/000.p/10" in files(world)
    restore(world, old)
    world.schedule(f"{SHOP}# so other bytes\n")
    seal_ledger(world.lifecycle())
    assert logged(world) == FIRST | SECOND


def test_a_store_that_went_back_is_not_signed_over(again):
    world = again()
    seal_ledger(world.lifecycle())
    top = world.policies.parent / "store" / "ledger"
    shutil.copytree(top, top.with_name("kept"))
    one_more(world)
    found = check_ledger_consistency(world.lifecycle())
    assert (found.from_size, found.to_size, found.checkpoints) == (10, 13, 2)
    shutil.rmtree(top)
    with pytest.raises(LedgerError, match="saw 13 leaves signed, the store has none"):
        seal_ledger(world.lifecycle())
    with pytest.raises(LedgerError, match="the store has none"):
        check_ledger_consistency(world.lifecycle())
    shutil.move(top.with_name("kept"), top)
    with pytest.raises(LedgerError, match="its 10 leaves do not go on from the 13"):
        seal_ledger(world.lifecycle())
    with pytest.raises(LedgerError, match="its 10 leaves do not go on from the 13"):
        check_ledger_consistency(world.lifecycle())


def test_another_history_under_our_own_key_is_not_signed_over(again):
    world = again()
    forked = again()
    forked.schedule(f"{SHOP}# so other bytes\n")
    for one in (world, forked):
        seal_ledger(one.lifecycle())
    shutil.rmtree(world.policies.parent / "store" / "ledger")
    shutil.copytree(forked.policies.parent / "store" / "ledger", world.policies.parent / "store" / "ledger")
    with pytest.raises(LedgerError, match="do not go on from"):
        seal_ledger(world.lifecycle())


@pytest.mark.parametrize("name", ["ledger/checkpoint", "ledger/tile/0/000.p/10", "ledger/tile/entries/000.p/10"])
def test_over_a_damaged_object_nothing_is_signed_and_it_is_named(again, name):
    world = again()
    seal_ledger(world.lifecycle())
    path = world.policies.parent / "store" / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1, *path.read_bytes()[1:]]))
    with pytest.raises(FixityError, match=name):
        one_more(world)


def test_a_checkpoint_signed_by_nobody_we_know_is_refused(again):
    world = again()
    seal_ledger(world.lifecycle())
    key = world.policies.parent / "lifecycle.key"
    key.unlink()
    with pytest.raises(SettingsError, match="no signing key"):
        seal_ledger(world.lifecycle())
    write_secret(key, new_signing_key(), "")
    with pytest.raises(FixityError, match=r"^ledger/checkpoint: expected a signature by call-lifecycle/demo\+"):
        seal_ledger(world.lifecycle())


def test_a_place_whose_purge_row_somebody_removed_is_named_and_nothing_is_signed(again):
    world = again()
    night_killed(world, 3, "after", work=sealing)
    world.execute("DELETE FROM lifecycle_purges")
    with pytest.raises(LedgerError, match=r"^purge .*: it has a place in the ledger, and its row in the CRM is gone"):
        seal_ledger(world.lifecycle())
    assert "ledger/checkpoint" not in files(world)


def test_checkpoints_only_ever_grow_and_each_is_kept_in_the_database(again):
    world = again()
    seal_ledger(world.lifecycle())
    one_more(world)
    with world.engine.connect() as connection:
        notes = connection.exec_driver_sql("SELECT size, note FROM lifecycle_checkpoints ORDER BY size").all()
    assert [size for size, _ in notes] == [10, 13]
    old, new = (Checkpoint.from_text("c", bytes(note).partition(b"\n\n")[0] + b"\n") for _, note in notes)
    assert world.lifecycle().log().continues(old, new)


def edited(world: World) -> tuple[str, bytes]:
    """Somebody makes another actor of one purge row's records, their digest with it; gives its id and what it was."""
    lifecycle = world.lifecycle()
    with lifecycle.crm.database.reading() as connection:
        row = lifecycle.crm.control.by_ids(connection, lifecycle.crm.control.all_ids(connection)[:1])[0]
    write_records(world, row.id, row.entries.replace(b"tester", b"nobody"))
    return row.id, row.entries


def write_records(world: World, row_id: str, records: bytes) -> None:
    values = {"body": zlib.compress(records), "digest": hashlib.sha256(records).hexdigest(), "id": row_id}
    world.execute("UPDATE lifecycle_purges SET entries = :body, entries_sha256 = :digest WHERE id = :id", **values)


@pytest.mark.parametrize("places_given", [False, True])
def test_an_edited_purge_row_is_named_and_not_signed_and_the_others_go_on(again, places_given):
    world = again()
    if places_given:
        assert night_killed(world, 3, "after", work=sealing) is None
    row_id, records = edited(world)
    found = seal_ledger(world.lifecycle())
    assert list(found.refused) == [row_id]
    assert "its id is not the keyed digest of its records" in found.refused[row_id]
    assert found.records == 5 - len(records.splitlines())
    assert not any(b"nobody" in body for body in files(world).values())
    assert seal_ledger(world.lifecycle()).leaves == 0  # it waits, and is named again
    write_records(world, row_id, records)  # the administrator restores it
    mended = seal_ledger(world.lifecycle())
    assert (mended.refused, mended.records) == ({}, len(records.splitlines()))
    assert logged(world) == FIRST | SECOND


def test_an_emptied_purge_row_is_named_and_stops_neither_sealing_nor_verification(again):
    world = again()
    row_id, records = edited(world)
    write_records(world, row_id, b"")
    found = seal_ledger(world.lifecycle())
    assert "found none that is whole" in found.refused[row_id]
    assert found.records == 5 - len(records.splitlines())


def test_without_the_epoch_key_what_waits_is_not_signed_and_goes_on_once_it_is_back(again):
    world = again()
    (key,) = (world.policies.parent / "lifecycle.epochs").glob("*.key")
    kept = key.read_bytes()
    key.unlink()
    refused = seal_ledger(world.lifecycle()).refused
    assert len(refused) == 2
    assert all("is not here: its records cannot be checked" in reason for reason in refused.values())
    key.write_bytes(kept)
    assert seal_ledger(world.lifecycle()).refused == {}
    assert logged(world) == FIRST | SECOND


def test_records_that_a_purge_wrote_are_known_as_a_whole_and_any_other_byte_is_read_and_named(again):
    """What is checked record by record is checked by the bytes too: no edit of a record or a column passes."""
    world = again()
    lifecycle = world.lifecycle()
    epochs = epochs_by_id(lifecycle)
    with lifecycle.crm.database.reading() as connection:
        control = lifecycle.crm.control
        rows = control.by_ids(connection, control.unsealed(connection))
    assert len(rows) == 2
    for row in rows:
        batch = recorded_batch(lifecycle, row.manifest_key)
        assert records_are_as_expected(row, batch, epochs)
        for at in range(0, len(row.entries), 7):
            edited = row.entries[:at] + bytes([row.entries[at] ^ 1]) + row.entries[at + 1 :]
            assert not records_are_as_expected(replace(row, entries=edited), batch, epochs), at
        for name in ("id", "batch", "industry", "night", "run_id", "purged_at", "manifest_key", "manifest_sha256"):
            assert not records_are_as_expected(replace(row, **{name: "x"}), batch, epochs), name
        assert not records_are_as_expected(replace(row, calls=row.calls + 1), batch, epochs)
        fewer = row.entries.partition(b"\n")[2]
        assert not records_are_as_expected(replace(row, entries=fewer, calls=row.calls - 1), batch, epochs)
