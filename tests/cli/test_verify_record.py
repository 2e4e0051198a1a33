"""verify and record: what they find, and what they say of it."""

import shutil

import pytest

from tests.cli.conftest import Place, Run_

VERIFY_KEYS = [
    "sound",
    "batches",
    "bytes",
    "archived",
    "components",
    "recorded",
    "live",
    "damaged",
    "vanished",
    "returned",
    "orphans",
    "unsealed",
    "ledger",
    "files_waiting",
    "compared",
    "uncompared",
]


def test_a_sound_archive_is_exit_0(lifecycle: Run_, purged: Place) -> None:
    said = lifecycle("verify", "--json")
    assert (said.code, list(said.json)) == (0, VERIFY_KEYS)
    assert said.json["archived"] == said.json["recorded"] == len(purged.purged()) == 28
    assert (said.json["live"], said.json["damaged"], said.json["orphans"], said.json["unsealed"]) == (0, {}, [], 0)
    told = lifecycle("verify").out
    assert "Archive and ledger are sound." in told
    assert "proved: 28 calls; " in told


def test_before_init_verify_says_what_to_run(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("verify")
    assert (said.code, said.out) == (2, "")
    assert "Run `lifecycle init` once" in said.err


def test_every_damage_is_listed_not_only_the_first(lifecycle: Run_, purged: Place) -> None:
    truncated, replaced, deleted, *_ = purged.objects("calls.parquet")
    truncated.write_bytes(truncated.read_bytes()[:100])
    shutil.copy(_[0], replaced)
    deleted.unlink()
    said = lifecycle("verify", "--json")
    assert said.code == 1
    keys = [path.relative_to(purged.store).as_posix() for path in (truncated, replaced, deleted)]
    assert sorted(said.json["damaged"]) == sorted(keys)
    assert "(100 bytes)" in said.json["damaged"][keys[0]]
    assert "no object" in said.json["damaged"][keys[2]]
    assert said.json["batches"] == len(purged.objects("manifest.json")) - 3
    told = lifecycle("verify")
    assert told.code == 1
    assert [key for key in keys if key not in told.out] == []
    assert "Archive and ledger are NOT sound." in told.out


def test_two_damaged_objects_of_one_batch_are_both_listed(lifecycle: Run_, purged: Place) -> None:
    folder = next(path.parent for path in purged.objects("notes.parquet"))
    for name in ("calls.parquet", "notes.parquet"):
        (folder / name).write_bytes(b"")
    said = lifecycle("verify", "--json")
    assert sorted(key.rpartition("/")[2] for key in said.json["damaged"]) == ["calls.parquet", "notes.parquet"]


def test_a_lost_manifest_is_damage_and_its_objects_no_orphans(lifecycle: Run_, purged: Place) -> None:
    manifest = purged.objects("manifest.json")[0]
    manifest.unlink()
    said = lifecycle("verify", "--json")
    assert said.code == 1
    assert list(said.json["damaged"]) == [manifest.relative_to(purged.store).as_posix()]
    assert said.json["orphans"] == []


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff"])
def test_a_manifest_that_is_none_is_damage(lifecycle: Run_, purged: Place, body: bytes) -> None:
    manifest = purged.objects("manifest.json")[0]
    manifest.write_bytes(body)
    said = lifecycle("verify", "--json")
    assert (said.code, len(said.json["damaged"])) == (1, 1)


def test_a_manifest_that_was_swapped_is_damage(lifecycle: Run_, purged: Place) -> None:
    manifest = purged.objects("manifest.json")[0]
    manifest.write_bytes(manifest.read_bytes().replace(b'"run_id":"run-1"', b'"run_id":"run-2"'))
    said = lifecycle("verify", "--json")
    assert said.code == 1
    assert next(iter(said.json["damaged"].values())).startswith("replaced: sha256 ")


def test_a_changed_leaf_a_missing_tile_and_a_changed_checkpoint_are_damage(lifecycle: Run_, purged: Place) -> None:
    (bundle,), (tile,) = purged.store.glob("ledger/tile/entries/*/*"), purged.store.glob("ledger/tile/0/*/*")
    checkpoint = purged.store / "ledger/checkpoint"
    for path, body in (
        (bundle, bundle.read_bytes().replace(b"a tester", b"A tester")),
        (tile, None),
        (checkpoint, checkpoint.read_bytes().replace(b"\n\n", b"x\n\n")),
    ):
        kept = path.read_bytes()
        path.unlink() if body is None else path.write_bytes(body)
        said = lifecycle("verify", "--json")
        key = path.relative_to(purged.store).as_posix()
        assert (said.code, key in said.json["damaged"]) == (1, True), said.out
        path.write_bytes(kept)
    assert lifecycle("verify").code == 0


def test_what_no_manifest_names_is_a_note(lifecycle: Run_, purged: Place) -> None:
    crashed = purged.store / "archive/industry=finance/night=2026-11-20/destroy=never/2026-11-20-dead"
    crashed.mkdir(parents=True)
    (crashed / "calls.parquet").write_bytes(b"half")
    (purged.objects("manifest.json")[-1].parent / "extra.parquet").write_bytes(b"extra")
    said = lifecycle("verify", "--json")
    assert (said.code, said.json["sound"]) == (0, True)
    assert [key.rpartition("/")[2] for key in said.json["orphans"]] == ["calls.parquet", "extra.parquet"]


def test_a_call_deleted_behind_our_back_has_vanished(lifecycle: Run_, purged: Place) -> None:
    batch = purged.sql("SELECT id, batch FROM lifecycle_purges ORDER BY id LIMIT 1")[0]
    purged.sql("DELETE FROM lifecycle_purges WHERE id = ?", [batch[0]])  # archived, gone, and nobody wrote it down
    said = lifecycle("verify", "--json")
    assert said.code == 1
    assert len(said.json["vanished"]) >= 1
    assert [batch[0] in reason for reason in said.json["damaged"].values()] == [True]
    told = lifecycle("verify").out
    assert "Vanished: " in told
    assert said.json["vanished"][0] in told


def test_a_purged_call_that_is_back_has_returned(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    purged.sql("INSERT INTO calls (id, direction, deleted) VALUES (?, 'in', 0)", [call])
    said = lifecycle("verify", "--json")
    assert (said.code, said.json["returned"]) == (1, [call])
    assert f"Call {call} is in the CRM again." in lifecycle("record", call).out
    assert "Returned: on record as purged, and in the CRM again (1):" in lifecycle("verify").out


def test_a_crm_restored_from_a_backup_is_noticed(lifecycle: Run_, place: Place, purged_again: list[str]) -> None:
    said = lifecycle("verify", "--json")
    assert (said.code, sorted(said.json["returned"])) == (1, sorted(purged_again))
    assert "was its database restored from a backup?" in lifecycle("verify").out


def test_record_says_who_when_why_and_where(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    said, raw = lifecycle("record", call), lifecycle("record", call, "--json")
    assert (said.code, raw.code) == (0, 0)
    assert list(raw.json) == ["call_id", "live", "records"]
    (one,) = raw.json["records"]
    record = one["record"]
    words = (
        "a tester, in run run-1 of the night 2026-11-20",
        f"{record['rule_id']}: {one['rule']['title']}",
        one["rule"]["kept"],
        *(citation for _, citation in one["rule"]["provisions"]),
        record["schedule"]["sha256"],
        record["object"]["key"],
        record["object"]["version_id"],
        record["object"]["sha256"],
        f"destroyed on {record['destroy_on']}",
        f"leaf {one['index']} of the ledger",
    )
    assert [text for text in words if text not in said.out] == []


def test_a_record_that_is_not_sealed_yet_is_found_in_the_crm(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    shutil.rmtree(purged.store / "ledger")
    purged.sql("UPDATE lifecycle_purges SET sealed_key = NULL, sealed_at = NULL")
    for table in ("places", "checkpoints"):
        purged.sql(f"DELETE FROM lifecycle_{table}")
    said = lifecycle("record", call)
    assert said.code == 0
    assert "The record is in the CRM, not sealed yet." in said.out
    assert lifecycle("verify", "--json").json["unsealed"] > 0


def test_a_call_without_a_record_is_exit_1(lifecycle: Run_, place: Place) -> None:
    nobody = lifecycle("record", "nobody")
    assert (nobody.code, nobody.out) == (1, "Call nobody is not on record; the CRM does not have it either.\n")
    call = place.sql("SELECT id FROM calls LIMIT 1")[0][0]
    live = lifecycle("record", call)
    assert (live.code, live.out) == (1, f"Call {call} is not on record; it is in the CRM.\n")
    assert lifecycle("record", call, "--json").json == {"call_id": call, "live": True, "records": []}
