"""Find: one answer to where a call is, on each database, live and archived alike, by whatever people know of it."""

import json
from datetime import date, datetime, timedelta

import pytest

from lifecycle.archive.batch_index import BATCH_INDEXES, indexed_batches, remove_batch_index
from lifecycle.archive.batches import manifest_keys
from lifecycle.custody.find import CallState, find_calls
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, DUE, DUE_BANK, DUE_BOTH, SHOP_DAY, World, committed, run_night

PHONE = "+44 20 7946 0001"


def asked(**given) -> SearchQuestion:
    facts = {name: frozenset(values) for name, values in given.pop("facts", {}).items()}
    sets = {n: frozenset(v) if isinstance(v, list | tuple) else v for n, v in given.items()}
    return SearchQuestion(facts=facts, **sets)


def states(world: World, **given) -> dict[str, str]:
    found = find_calls(world.lifecycle(), asked(**given))
    assert found.search.unread == {}
    return {one.call_id: str(one.state) for one in found.calls}


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def purged(request, new_world) -> World:
    """A night's purge on each database, one call of the archived ones live still, one deleted by somebody."""
    world = new_world(request.param).furnish()
    run_night(world.lifecycle())
    return world


def test_a_call_is_found_by_its_id_wherever_it_is(purged):
    ids = [DUE_BANK[0], "id-new", "id-nowhere"]
    assert states(purged, calls=ids) == {DUE_BANK[0]: "archived", "id-new": "live", "id-nowhere": "never seen"}


def test_the_answer_names_batch_object_and_row(purged):
    (one,) = find_calls(purged.lifecycle(), asked(calls=[DUE_BANK[1]])).calls
    ((manifest, tables),) = [
        (m, t) for m, t in committed(purged.lifecycle().store) if DUE_BANK[1] in t["calls"]["_call_id"].to_pylist()
    ]
    (copy,) = one.copies
    assert (copy.manifest.batch, copy.object_key) == (manifest.batch, manifest.objects[0].key)
    assert tables["calls"]["_call_id"][copy.row].as_py() == DUE_BANK[1]
    assert (copy.rule_id, one.facts["phone"], str(one.facts["started_at"])[:10]) == ("BANK-TALK", PHONE, "2021-03-01")


@pytest.mark.parametrize("number", ["020 7946 0001", "+442079460001", "0044 (20) 7946-0001", "7946 0001"])
def test_a_phone_is_found_in_any_notation(purged, number):
    assert states(purged, phones=[number]) == dict.fromkeys(DUE_BANK, "archived")


def test_a_live_call_is_found_by_phone_too(purged):
    purged.call("id-live-phone", None, BANK_DAY, phone="(030) 555-1234")
    purged.flush()
    assert states(purged, phones=["+49 30 5551234"]) == {"id-live-phone": "live"}
    purged.execute("DELETE FROM calls WHERE id = 'id-live-phone'")


def test_facts_days_durations_rules_and_batches_narrow(purged):
    bank = set(states(purged, facts={"industry": ["banking"]}))
    assert set(DUE_BANK) <= bank
    assert set(states(purged, first=date(2025, 4, 1), last=date(2025, 4, 30), rules=["SHOP-CALL"])) == {
        key for key in DUE if "shop" in key
    }
    assert states(purged, rules=["BANK-TALK"]) == {DUE_BANK[1]: "archived", DUE_BANK[3]: "archived"}
    assert set(states(purged, longest=0, rules=["BANK-TALK"])) == {DUE_BANK[1], DUE_BANK[3]}
    assert states(purged, shortest=1, rules=["BANK-TALK"]) == {}
    manifest, tables = next(committed(purged.lifecycle().store))
    assert set(states(purged, batches=[manifest.batch])) == set(tables["calls"]["_call_id"].to_pylist())
    assert BANK_DAY.date() < SHOP_DAY.date()


def test_an_account_and_a_contact_are_found_by_the_facts_that_were_archived(purged):
    with purged.engine.connect() as connection:
        account = connection.exec_driver_sql("SELECT account_id FROM calls WHERE id = 'id-new'").scalar()
    archived = {
        call for call, state in states(purged, facts={"account_id": [str(account)]}).items() if state == "archived"
    }
    assert archived == set(DUE_BANK)
    contacts = [t["call_contacts"].to_pylist() for _, t in committed(purged.lifecycle().store) if "call_contacts" in t]
    (contact,) = {row["contact_id"] for rows in contacts for row in rows if row["_call_id"] == DUE_BANK[2]}
    assert states(purged, facts={"contact_id": [str(contact)]}) == {DUE_BANK[2]: "archived"}


def test_a_page_is_a_part_in_a_fixed_order(purged):
    lifecycle, question = purged.lifecycle(), asked(phones=[PHONE])
    whole = [one.call_id for one in find_calls(lifecycle, question).calls]
    pages = [[one.call_id for one in find_calls(lifecycle, question, skip, 2).calls] for skip in (0, 2, 4)]
    assert [call for page in pages for call in page] == whole == sorted(DUE_BANK)
    assert find_calls(lifecycle, question, 0, 2).total == 5


def test_a_call_under_a_hold_says_so(purged):
    purged.hold("{phones: ['+44 20 7946 0001']}")
    (one,) = find_calls(purged.lifecycle(), asked(calls=[DUE_BANK[0]])).calls
    purged.release()
    assert one.held == "hold-1"


def test_an_index_spells_nothing_out_and_without_it_all_is_found_as_well(purged):
    lifecycle = purged.lifecycle()
    keys = list(manifest_keys(lifecycle.store))
    body = b"".join(lifecycle.store.get(key) for key in lifecycle.store.list(BATCH_INDEXES))
    assert body
    assert [word for word in (b"7946", b"id-bank", b"Banking", b"order") if word in body] == []
    before = states(purged, phones=[PHONE])
    for key in keys:
        remove_batch_index(lifecycle.store, key)
    assert list(lifecycle.store.list(BATCH_INDEXES)) == []
    assert states(purged, phones=[PHONE]) == before
    assert states(purged, calls=["id-nowhere"]) == {"id-nowhere": "never seen"}
    seal_ledger(purged.lifecycle())
    assert len(indexed_batches(lifecycle.store, [one.id for one in lifecycle.keys.epochs()])) == len(keys)


def test_a_night_lists_no_archive_and_a_sunday_finds_what_was_lost_long_ago(purged, monkeypatch):
    lifecycle = purged.lifecycle()
    keys, listed = list(manifest_keys(lifecycle.store)), list[str]()
    remove_batch_index(lifecycle.store, keys[0])
    real = type(lifecycle.store).list
    monkeypatch.setattr(type(lifecycle.store), "list", lambda store, at: listed.append(at) or real(store, at))

    def sealed_on(day: datetime) -> int:
        listed.clear()
        seal_ledger(Lifecycle(lifecycle.settings, lambda: day))
        return len(set(real(lifecycle.store, BATCH_INDEXES)))

    saturday = lifecycle.now() + timedelta(days=21 - (lifecycle.now().weekday() - 5) % 7)
    assert sealed_on(saturday) == len(keys) - 1
    assert [prefix for prefix in listed if prefix.startswith(("archive/", BATCH_INDEXES))] == []
    assert sealed_on(saturday + timedelta(days=1)) == len(keys)
    assert "archive/" in listed


def test_an_index_narrows_what_is_read(purged):
    search = find_calls(purged.lifecycle(), asked(phones=[PHONE])).search
    assert (search.batches, search.indexed) == (search.indexed, search.batches)
    assert search.read == 2 < search.batches
    assert find_calls(purged.lifecycle(), asked(phones=["+1 212 555 0000"])).search.read == 0


def test_a_cut_or_strange_index_costs_time_only(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle())
    lifecycle = sqlite_world.lifecycle()
    first, *others = sorted((sqlite_world.policies.parent / "store" / BATCH_INDEXES).rglob("*-*/*"))
    first.write_bytes(first.read_bytes()[:-1])
    for other in others:
        other.write_bytes(b"{}\n")
    assert states(sqlite_world, phones=[PHONE]) == dict.fromkeys(DUE_BANK, "archived")
    assert find_calls(lifecycle, asked(phones=[PHONE])).search.indexed == 0


def test_a_damaged_batch_is_named_and_nothing_is_called_never_seen(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle())
    folder = sqlite_world.policies.parent / "store"
    for index in (folder / BATCH_INDEXES).rglob("*-*/*"):
        index.unlink()
    damaged = sorted(folder.glob("archive/**/calls.parquet"))[0]
    damaged.write_bytes(b"rotten")
    found = find_calls(sqlite_world.lifecycle(), asked(calls=["id-nowhere"]))
    assert [one.state for one in found.calls] == [CallState.UNKNOWN]
    assert list(found.search.unread) == [damaged.with_name("manifest.json").relative_to(folder).as_posix()]


def test_what_somebody_deleted_or_put_back_is_said(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle(), purge=False)
    sqlite_world.execute("DELETE FROM calls WHERE id = 'id-both-due'")
    run_night(sqlite_world.lifecycle())
    sqlite_world.call(DUE_BANK[0], None, BANK_DAY)
    assert states(sqlite_world, calls=[DUE_BANK[0]]) == {DUE_BANK[0]: "returned"}
    assert states(sqlite_world, calls=[DUE_BOTH]) == {DUE_BOTH: "vanished"}


def test_without_the_epoch_key_a_copy_is_found_and_no_record_of_it(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle())
    epochs = sqlite_world.lifecycle().keys.folder
    (key,) = epochs.glob("*.key")
    key.rename(key.with_suffix(".destroyed"))
    sqlite_world.lifecycle().keys.make_epoch(2027)
    (one,) = find_calls(sqlite_world.lifecycle(), asked(calls=[DUE_BANK[0]])).calls
    assert (one.state, one.history, len(one.copies)) == (CallState.VANISHED, (), 1)


def test_the_json_can_be_read_again(sqlite_world):
    from lifecycle.cli.find import findings_as_json
    from lifecycle.cli.output import to_json_value

    run_night(sqlite_world.furnish().lifecycle())
    said = findings_as_json(find_calls(sqlite_world.lifecycle(), asked(phones=[PHONE])))
    again = json.loads(json.dumps(said, default=to_json_value))
    assert [call["call_id"] for call in again["calls"]] == sorted(DUE_BANK)
    assert {call["state"] for call in again["calls"]} == {"archived"}
