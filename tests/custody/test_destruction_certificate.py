"""A certificate of destruction: refused while a copy is there; then checked by verify.sh with nothing of ours."""

import json
import subprocess
from pathlib import Path

import pypdf
import pytest

from lifecycle.audit.proof import certify_destruction
from lifecycle.errors import InputError
from lifecycle.evidence.certificate_page import certificate_html
from lifecycle.evidence.certificate_pdf import certificate_pdf
from tests.builders import World
from tests.custody.copies import archived, copy_of, destroy

VERIFY = Path(__file__).resolve().parents[2] / "docs" / "verify.sh"
COPIES = """copies:
  - {id: database-backups, holds: nightly dumps, held_by: operations@example.com, kept: P35D}
  - {id: replica, holds: x, held_by: y}
"""


@pytest.fixture(scope="module")
def bank(new_world) -> World:
    world = archived(new_world("sqlite"))
    (world.policies / "copies.yaml").write_text(COPIES)
    return world


@pytest.fixture
def copy(bank, tmp_path) -> World:
    return copy_of(bank, tmp_path)


def batch_of(world: World) -> str:
    return str(next(leaf["batch"] for leaf in world.leaves() if leaf["kind"] == "purged"))


def test_asked_too_early_it_says_so_and_writes_nothing(copy):
    with pytest.raises(InputError, match="5 of 5 are there still"):
        certify_destruction(copy.lifecycle(), batch_of(copy))
    copy.hold("[{call_ids: [id-2]}]")
    destroy(copy)
    with pytest.raises(InputError, match="1 of 5 are there still"):
        certify_destruction(copy.lifecycle(), batch_of(copy))
    with pytest.raises(InputError, match="1 of 1 are there still"):
        certify_destruction(copy.lifecycle(), "id-2")
    found, (proof,) = certify_destruction(copy.lifecycle(), "id-1")
    assert (found["title"], proof.record["kind"]) == ("Certificate of destruction", "destroyed")


def test_it_says_what_the_form_of_nist_asks(copy):
    batch = batch_of(copy)
    destroy(copy)
    found, proofs = certify_destruction(copy.lifecycle(), batch)
    said = found["sanitization"]["destruction_of_the_copies"]
    assert said["media"]["batches"] == [batch]
    assert said["method_type"].startswith("Clear: logical")
    assert said["method_used"] == ["delete: every version of every object of the batch, by its version id"]
    assert said["not_reached"] == [
        "database-backups: nightly dumps; gone by 2026-12-26",
        "replica: x; nobody said until when they are kept",
    ]
    assert said["performed_by"] == ["tester"]
    assert [entry["leaf_of_destruction"] for entry in found["evidence"]["entries"]] == [one.index for one in proofs]
    assert "how the copies" not in certificate_html(found)
    assert "destruction of the copies" in certificate_html(found)


def test_copies_that_were_moved_before_they_went_are_certified_under_the_batch_of_their_record(copy):
    batch = batch_of(copy)
    copy.hold("[{call_ids: [id-2, id-4]}]")
    destroy(copy)
    copy.release()
    destroy(copy)
    found, proofs = certify_destruction(copy.lifecycle(), batch)
    assert (found["records"]["count"], len(proofs)) == (5, 5)
    assert len(found["sanitization"]["destruction_of_the_copies"]["media"]["batches"]) == 2


def test_the_proof_of_a_destruction_is_checked_without_us(copy, tmp_path):
    destroy(copy)
    _, (proof,) = certify_destruction(copy.lifecycle(), "id-3")
    for name, body in (("proof", proof.proof), ("leaf", proof.leaf), ("opening", proof.opening)):
        (tmp_path / name).write_bytes(body)
    given = [proof.vkey, str(tmp_path / "proof"), str(tmp_path / "leaf"), str(tmp_path / "opening")]
    done = subprocess.run(["bash", str(VERIFY), *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(proof.leaf)["kind"] == "destroyed"
    (tmp_path / "leaf").write_bytes(proof.leaf.replace(b"delete: every", b"delete: some "))
    assert subprocess.run(["bash", str(VERIFY), *given], capture_output=True, check=False).returncode == 1


def test_the_pdf_says_what_the_page_says_and_is_the_same_for_the_same_values(copy, tmp_path):
    destroy(copy)
    found, _ = certify_destruction(copy.lifecycle(), batch_of(copy))
    body = certificate_pdf(found)
    assert certificate_pdf(found) == body
    (tmp_path / "c.pdf").write_bytes(body)
    reader = pypdf.PdfReader(tmp_path / "c.pdf")
    size = reader.pages[0].mediabox
    assert (round(size.width), round(size.height)) == (595, 842)  # A4
    said = " ".join("".join(page.extract_text() for page in reader.pages).split())
    for text in ("Certificate of destruction", "database-backups: nightly dumps", found["evidence"]["root"][:40]):
        assert text in said
