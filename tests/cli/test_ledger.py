"""prove, certificate, replay and rotate-key: what they write, and what they say."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.audit.restored_calls import PurgesOnRecord, restored_calls
from lifecycle.audit.restored_calls import purges_in_leaves as gone_by
from lifecycle.evidence.checkpoint import Proof
from lifecycle.evidence.deletion import PurgeRow
from lifecycle.evidence.leaf import commitment, make_leaf
from lifecycle.evidence.notes import Verifier
from lifecycle.ledger.log import Appending
from lifecycle.night.seal import seal_ledger
from tests.cli.conftest import Place, Run_

VERIFY = Path(__file__).resolve().parents[2] / "docs" / "verify.sh"


def test_prove_writes_what_an_auditor_checks_without_us(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    said = lifecycle("prove", call, "--to", "handed-over", "--json")
    assert said.code == 0
    (one,) = said.json["proofs"]
    found, opening = (json.loads((purged.folder / one[name]).read_bytes()) for name in ("leaf", "opening"))
    assert found["call"] == commitment("demo", call, bytes.fromhex(opening["salt"]))
    proof = Proof.from_bytes("p", (purged.folder / one["proof"]).read_bytes())
    key = Verifier.from_vkey((purged.folder / one["vkey"]).read_text())
    assert proof.verified("p", (purged.folder / one["leaf"]).read_bytes(), [key]).size > proof.index == one["index"]
    files = [str(purged.folder / one[name]) for name in ("vkey", "proof", "leaf", "opening")]
    done = subprocess.run(["bash", str(VERIFY), *files], capture_output=True, text=True, check=True)
    assert f"OPENED: the leaf speaks of call {call} of demo" in done.stdout
    assert (purged.folder / one["opening"]).stat().st_mode & 0o777 == 0o600


def test_what_is_not_in_the_ledger_cannot_be_proved(lifecycle: Run_, purged: Place, tmp_path: Path) -> None:
    said = lifecycle("prove", "nobody", "--to", str(tmp_path / "none"))
    assert (said.code, said.out) == (2, "")
    assert "call nobody: expected a leaf in the ledger; the call is not on record" in said.err
    assert not (tmp_path / "none").exists()


def test_without_the_epoch_key_nobody_is_found_and_every_proof_still_holds(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    lifecycle("prove", call, "--to", "before")
    (key,) = (purged.folder / "lifecycle.epochs").glob("*.key")
    key.unlink()
    assert lifecycle("record", call).code == 1
    unopened = lifecycle("verify", "--json")
    assert (unopened.code, list(unopened.json["uncompared"])) == (1, [f"epoch {key.stem}"])
    key.with_suffix(".destroyed").touch()  # on purpose, and said so
    assert lifecycle("verify").code == 0
    (proof,), (one,) = (purged.folder / "before").glob("*.tlog-proof"), (purged.folder / "before").glob("*.leaf.json")
    (vkey,) = (purged.folder / "before").glob("*.vkey")
    subprocess.run(["bash", str(VERIFY), str(vkey), str(proof), str(one)], check=True, capture_output=True)


def test_a_certificate_does_not_say_destroyed_while_a_copy_is_left(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    of_call = lifecycle("certificate", call, "--json").json
    batch = of_call["records"]["batch"]
    of_batch = lifecycle("certificate", batch, "--json").json
    for found in (of_call, of_batch):
        assert found["title"] == "Certificate of deletion from the source system; an archived copy is left"
        assert found["disposition"]["archived_copies"] == "kept"
        assert found["sanitization"]["performed_by"] == ["a tester"]
    assert of_call["evidence"]["entries"][0]["call_id"] == call
    assert "call_id" not in of_batch["evidence"]["entries"][0]
    page = (purged.folder / f"certificate-{batch}.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert of_batch["evidence"]["root"] in page
    assert call not in page
    written = json.loads((purged.folder / f"certificate-{batch}.json").read_text())
    assert {**written, "issued_at": 0} == {**of_batch, "issued_at": 0}


def test_replay_names_the_calls_that_a_restore_brought_back(
    lifecycle: Run_, place: Place, purged_again: list[str]
) -> None:
    said = lifecycle("replay", "--json")
    assert said.code == 1
    assert (said.json["database_size"], said.json["unknown"]) == (0, len(purged_again))
    assert said.json["returned"] == sorted(purged_again)
    told = lifecycle("replay")
    assert f"  {purged_again[0]}" in told.out
    assert "was restored from a backup" in told.out
    seal_ledger(place.lifecycle())  # the ledger goes on; who came back is still named
    assert lifecycle("replay", "--json").json["returned"] == sorted(purged_again)
    assert set(purged_again) <= {row[0] for row in place.sql("SELECT id FROM calls")}


def test_replay_after_an_ordinary_night_names_nobody(lifecycle: Run_, purged: Place) -> None:
    said = lifecycle("replay", "--json")
    assert (said.code, said.json["returned"], said.json["unknown"]) == (0, [], 0)
    assert said.json["ledger_size"] == said.json["database_size"] > 28


@pytest.mark.parametrize("compromised", [False, True])
def test_a_rotation_is_a_leaf_under_a_checkpoint_that_both_keys_sign(
    lifecycle: Run_, purged: Place, compromised: bool
) -> None:
    call = purged.purged()[0]
    done = lifecycle("rotate-key", *["--compromised"] * compromised, "--json").json
    log = purged.lifecycle().log()
    published = log.published()
    assert published is not None
    last = json.loads(next(log.leaves(published.size - 1, published.size, published.size)))
    assert (last["kind"], last["old"], last["new"]) == ("key_change", done["old"], done["new"])
    assert (last["reason"], last["believed_size"]) == ("compromised" if compromised else "rotation", published.size - 1)
    for vkey in (done["old"], done["new"]):
        assert vkey.split("+")[0] == "call-lifecycle/demo"
        purged.lifecycle().log().read("c", published.note)
        assert Verifier.from_vkey(vkey).vkey == vkey
    keys = purged.lifecycle().keys
    believed = [one.vkey for one in keys.verifiers(log.origin)]
    assert believed == ([done["new"]] if compromised else [done["new"], done["old"]])
    assert lifecycle("prove", call, "--to", "p").code == 0
    assert lifecycle("verify").code == 0
    seal_ledger(purged.lifecycle())


def test_a_rotation_that_died_is_finished_by_the_next(
    lifecycle: Run_, purged: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lifecycle.ledger.keys.FileKeys.turn", lambda *_, **__: 1 / 0)
        assert lifecycle("rotate-key").code == 3
    assert (purged.folder / "lifecycle.key.next").exists()
    assert lifecycle("rotate-key", "--json").code == 0
    log = purged.lifecycle().log()
    published = log.published()
    assert published is not None
    kinds = [json.loads(one)["kind"] for one in log.leaves(0, published.size, published.size)]
    assert kinds.count("key_change") == 1
    assert not (purged.folder / "lifecycle.key.next").exists()


def test_records_from_before_the_ledger_are_pinned_by_a_leaf_and_still_found(lifecycle: Run_, place: Place) -> None:
    lifecycle("init")
    record = {"v": 1, "kind": "purged", "source": "demo", "call_id": "old-1", "row": 0, "batch": "b", "night": "n"}
    others = ("actor", "run_id", "rule_id", "trigger_date", "purge_from", "plan_sha256", "archived_at", "verified_at")
    more = {"purged_at": "2026-01-01", "regimes": [], "manifest_key": "m", "manifest_sha256": "s", "destroy_on": None}
    schedule = {"id": "i", "sha256": "s", "git_commit": None, "git_dirty": None}
    archived = {"key": "k", "version_id": None, "sha256": "s"}
    whole = {**record, **dict.fromkeys(others, "x"), **more, "schedule": schedule, "object": archived, "industry": "i"}
    body = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    row = PurgeRow("b-1", "b", "i", "n", "r", "m", "s", "2026-01-01", 1, body)
    opened = place.lifecycle()
    with opened.crm.database.writing() as connection:
        opened.crm.control.insert(connection, replace(row, id="b-2", entries=body.replace(b"old-1", b"old-2")))
        opened.crm.control.insert(connection, row)
    found = seal_ledger(place.lifecycle())
    log = place.lifecycle().log()
    kinds = [json.loads(one) for one in log.leaves(0, found.size, found.size)]
    pinned = [one for one in kinds if one["kind"] == "imported"]
    assert [one["object"]["key"] for one in pinned] == [f"deletions/night=n/industry=i/b-{n}.jsonl" for n in (1, 2)]
    assert "Call old-1 (demo) was deleted from the CRM at 2026-01-01" in lifecycle("record", "old-1").out
    path = place.store / pinned[0]["object"]["key"]
    path.write_bytes(path.read_bytes().replace(b"old-1", b"old-9"))
    assert pinned[0]["object"]["key"] in lifecycle("verify", "--json").json["damaged"]


def test_a_call_of_which_only_a_component_went_did_not_come_back(lifecycle: Run_, purged: Place) -> None:
    call, opened = purged.sql("SELECT id FROM calls LIMIT 1")[0][0], purged.lifecycle()
    (epoch,) = opened.keys.epochs()
    for component in (None, "recording"):
        fields = {"call": epoch.commitment("demo", call), "component": component, "manifest_key": "m"}
        log = opened.log()
        appending = Appending(log, log.published())
        appending.append(make_leaf("purged", fields))
        published = appending.publish(opened.keys.signers(log.origin))
        last = gone_by(log, published, [(published.size - 1, published.size)])
        assert restored_calls(opened, PurgesOnRecord(calls=last.calls)) == ([] if component else [call])
        assert (list(last.parts), last.leaves()) == (["m"] if component else [], [published.size - 1])
