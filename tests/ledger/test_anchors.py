"""Anchors: each shown a checkpoint for real, and checked by a tool of its own kind; what fails is named."""

import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.archive.open_store import open_store
from lifecycle.errors import LedgerError, LifecycleError, OutsideError, SettingsError
from lifecycle.evidence.checkpoint import Proof
from lifecycle.evidence.merkle import EMPTY_ROOT
from lifecycle.evidence.notes import Note
from lifecycle.ledger.anchors import CopyAnchor, GitAnchor, cosigned_checkpoint, kept_answer
from lifecycle.ledger.timestamp import TimestampAnchor
from lifecycle.ledger.witness import WitnessAnchor
from lifecycle.night.anchor import anchor_checkpoint
from lifecycle.settings import Settings
from tests.ledger.conftest import ORIGIN, Grown, opened, some_leaves
from tests.ledger.places import TimeStamper, Witness, served

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    key = tmp_path / "ssh"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"call-lifecycle@localhost {key.with_suffix('.pub').read_text()}")
    git(folder, "config", "gpg.ssh.allowedSignersFile", str(signers))
    return folder


def lifecycle(grown: Grown, **settings: object) -> SimpleNamespace:
    """What the step asks of a lifecycle."""
    given = Settings(**settings)
    return SimpleNamespace(settings=given, store=grown.log.store, log=lambda: grown.log, now=lambda: NOW)


def test_a_checkpoint_is_a_signed_commit_which_git_itself_verifies(grown, repository, tmp_path):
    place = GitAnchor(repository, tmp_path / "ssh")
    first = place.show(grown.published(), NOW).decode()
    assert (
        git(repository, "show", f"{first}:records.example.com_calls.checkpoint")
        == grown.published().note.decode().strip()
    )
    git(repository, "verify-commit", first)
    assert place.show(grown.published(), NOW).decode() == first
    grown.append(some_leaves(700, 701))
    second = place.show(grown.published(), NOW).decode()
    assert git(repository, "rev-list", "--count", "HEAD") == "2"
    git(repository, "verify-commit", second)


def test_a_folder_that_is_no_repository_is_said(grown, tmp_path):
    with pytest.raises(OutsideError, match=r"git add in .*: fatal: not a git repository"):
        GitAnchor(tmp_path, tmp_path / "ssh").show(grown.published(), NOW)


def test_a_copy_under_object_lock_cannot_be_removed(grown, s3_server, monkeypatch):
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    client, bucket = s3_server.client(), "lifecycle-locked"
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    store = open_store(f"s3://{bucket}/{s3_server.new_prefix()}", s3_server.endpoint)
    until = datetime.now(UTC)
    said = CopyAnchor(store, 1).show(grown.published(), until).decode()
    (key,) = store.list("checkpoints/")
    version = said.split()[-1]
    assert store.get(key, version) == grown.published().note
    with pytest.raises(LifecycleError):
        store.delete(key, version)
    assert store.get(key, version) == grown.published().note
    assert CopyAnchor(store, 1).show(grown.published(), until + timedelta(days=1)).decode() == said


def test_a_folder_copies_and_does_not_pretend_to_lock(grown, tmp_path):
    store = open_store((tmp_path / "copy").as_uri(), None)
    CopyAnchor(store, 0).show(grown.published(), NOW)
    assert [store.get(key) for key in store.list("")] == [grown.published().note]
    with pytest.raises(OutsideError, match="Object Lock"):
        CopyAnchor(store, 1).show(grown.published(), NOW)


def test_a_time_stamp_is_verified_by_openssl_too(grown, tmp_path):
    authority = TimeStamper(tmp_path)
    with served(authority.answer) as url:
        reply = TimestampAnchor(url, authority.root).show(grown.published(), NOW)
    (tmp_path / "checkpoint").write_bytes(grown.published().note)
    (tmp_path / "kept").write_bytes(reply)
    command = "openssl ts -verify -in kept -data checkpoint -CAfile root.pem"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Verification: OK" in done.stdout + done.stderr


def test_a_time_stamp_over_something_else_is_refused(grown, tmp_path):
    authority = TimeStamper(tmp_path)
    with served(authority.answer) as url:
        place = TimestampAnchor(url, authority.root)
        reply = place.show(grown.published(), NOW)
    with pytest.raises(LedgerError, match="its answer does not hold"):
        place.verify(reply, grown.published().note + b"x")
    with pytest.raises(LedgerError, match="its answer does not hold"):
        place.verify(b"no response", grown.published().note)


def test_a_witness_cosigns_what_goes_on_from_what_it_saw(grown, tmp_path):
    log = opened(tmp_path / "young")
    log.append(some_leaves(0, 300))
    witness = Witness(log.keys.verifiers(ORIGIN)[0])
    with served(witness.answer) as url:
        place = WitnessAnchor(url, witness.verifier, log.log.tiles)
        for size in (300, 777):
            log.append(some_leaves(log.published().size, size))
            lines = place.show(log.published(), NOW)
            note = Note.from_bytes("c", log.published().note + lines)
            assert note.verified("c", [witness.verifier]) == (witness.verifier,)
    assert (witness.size, witness.asked) == (777, [0, 0, 300])


def test_a_witness_that_saw_another_history_or_forges_is_refused(grown, tmp_path):
    witness = Witness(grown.keys.verifiers(ORIGIN)[0])
    with served(witness.answer) as url:
        place = WitnessAnchor(url, witness.verifier, grown.log.tiles)
        witness.size, witness.root = 5, bytes(32)
        with pytest.raises(LedgerError, match="found status 422"):
            place.show(grown.published(), NOW)
        witness.size = 9_999
        with pytest.raises(LedgerError, match="cosigned '9999' leaves already"):
            place.show(grown.published(), NOW)
        witness.size, witness.root, witness.forges = 0, EMPTY_ROOT, True
        with pytest.raises(LedgerError, match="none that holds"):
            place.show(grown.published(), NOW)


def test_a_proof_carries_the_witness_and_go_and_we_still_accept_it(grown, go_verifier, tmp_path):
    witness = Witness(grown.keys.verifiers(ORIGIN)[0])
    with served(witness.answer) as url:
        settings = {"anchor_witness": url, "anchor_witness_key": witness.verifier.vkey}
        assert anchor_checkpoint(lifecycle(grown, **settings)).failed == {}
    note = cosigned_checkpoint(grown.log.store, grown.published())
    proof = Proof(grown.proof(3).index, grown.proof(3).hashes, note)
    proof.verified("p", grown.leaf(3), [grown.keys.verifiers(ORIGIN)[0], witness.verifier])
    (tmp_path / "proof").write_bytes(proof.to_bytes())
    (tmp_path / "leaf").write_bytes(grown.leaf(3))
    assert go_verifier("proof", grown.vkey, tmp_path / "proof", tmp_path / "leaf").returncode == 0


def test_each_checkpoint_goes_to_each_place_once_and_one_that_fails_stops_no_other(grown, repository, tmp_path):
    given = {"anchor_git": repository, "anchor_git_key": tmp_path / "ssh", "anchor_copy": (tmp_path / "copy").as_uri()}
    broken = {"anchor_witness": "http://127.0.0.1:9", "anchor_witness_key": "none", "anchor_tsa": "http://127.0.0.1:9"}
    found = anchor_checkpoint(lifecycle(grown, **given, **broken))
    assert sorted(found.done) == ["copy", "git"]
    assert "expected <name>" in found.failed["witness"]
    assert found.failed["timestamp"].startswith("LIFECYCLE_ANCHOR_TSA_ROOT: expected")
    again = anchor_checkpoint(lifecycle(grown, **given))
    assert (again.done, again.failed) == (found.done, {})
    assert git(repository, "rev-list", "--count", "HEAD") == "1"
    assert kept_answer(grown.log.store, grown.published(), "git") == git(repository, "rev-parse", "HEAD").encode()


def test_a_place_that_cannot_be_reached_is_named_and_asked_again(grown, tmp_path):
    witness = Witness(grown.keys.verifiers(ORIGIN)[0])
    settings = {"anchor_witness": "http://127.0.0.1:9", "anchor_witness_key": witness.verifier.vkey}
    failed = anchor_checkpoint(lifecycle(grown, **settings)).failed
    assert "could not be asked" in failed["witness"]
    with served(witness.answer) as url:
        assert "witness" in anchor_checkpoint(lifecycle(grown, **{**settings, "anchor_witness": url})).done


def test_no_setting_is_no_anchor(grown):
    found = anchor_checkpoint(lifecycle(grown))
    assert (found.done, found.failed) == ({}, {})


def test_a_key_that_is_no_witnesss_is_refused(grown):
    with pytest.raises(LedgerError, match="not one for cosignatures"):
        WitnessAnchor("http://127.0.0.1:9", grown.keys.verifiers(ORIGIN)[0], grown.log.tiles)


def test_a_root_that_is_no_certificate_is_refused(tmp_path):
    (tmp_path / "root").write_text("no certificate")
    with pytest.raises(SettingsError, match="LIFECYCLE_ANCHOR_TSA_ROOT: expected a PEM certificate"):
        TimestampAnchor("http://127.0.0.1:9", tmp_path / "root")
