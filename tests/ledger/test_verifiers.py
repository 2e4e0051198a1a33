"""Verifiers written by others accept our log and our proofs, and refuse each once one byte of it is another.

Go's golang.org/x/mod/sumdb, tlog-scales, and openssl through docs/verify.sh.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tlog_scales.backend import make_backend
from tlog_scales.cli import build_parser
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import InclusionProofInvalid

from lifecycle.evidence.leaf import EpochKey, make_leaf
from lifecycle.evidence.merkle import leaf_hash
from lifecycle.ledger.log_check import check_log
from tests.ledger.conftest import Grown, opened

VERIFY = Path(__file__).resolve().parents[2] / "docs" / "verify.sh"
INDEXES = [0, 1, 255, 256, 511, 699]


def flip(path: Path, at: int = -20) -> None:
    """Change one byte well inside: the last letter of a base64 text has bits that say nothing."""
    body = bytearray(path.read_bytes())
    body[at] ^= 1
    path.write_bytes(body)


def handed_over(grown: Grown, index: int, folder: Path) -> list[Path]:
    """The key, the proof and the leaf, as `lifecycle prove` writes them."""
    bodies = {"key": grown.vkey.encode(), "proof": grown.proof(index).to_bytes(), "leaf": grown.leaf(index)}
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    return [folder / name for name in bodies]


def test_go_finds_every_leaf_in_the_signed_tree_and_every_prefix_consistent(grown, go_verifier):
    done = go_verifier("log", grown.ledger, grown.vkey)
    assert (done.returncode, done.stdout) == (0, "700 leaves\n"), done.stderr


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001"])
def test_go_refuses_a_log_with_one_byte_changed(grown, go_verifier, name):
    flip(grown.ledger / name)
    assert go_verifier("log", grown.ledger, grown.vkey).returncode == 1


@pytest.mark.parametrize("index", INDEXES)
def test_go_accepts_a_proof_and_refuses_another_leaf_under_it(grown, go_verifier, tmp_path, index):
    key, proof, one = handed_over(grown, index, tmp_path)
    assert go_verifier("proof", key.read_text(), proof, one).returncode == 0
    flip(one)
    assert go_verifier("proof", key.read_text(), proof, one).returncode == 1


@pytest.mark.parametrize("index", INDEXES)
def test_tlog_scales_makes_the_same_proof_byte_for_byte(grown, capsys, index):
    arguments = build_parser().parse_args(["gen-proof", str(grown.ledger), str(index)])
    arguments.func(arguments)
    assert capsys.readouterr().out.encode() == grown.proof(index).to_bytes()


def test_tlog_scales_reads_our_leaves_root_and_signature_and_refuses_another_key(grown, tmp_path):
    reader = TilesReader(make_backend(str(grown.ledger)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(grown.vkey))
    assert reader.calculate_root_hash() == grown.published().checkpoint.root
    assert [reader.get_entry(index) for index in INDEXES] == [grown.leaf(index) for index in INDEXES]
    with pytest.raises(Exception, match=r"."):
        checkpoint.verify(Vkey.from_string(opened(tmp_path / "other").vkey))


def test_tlog_scales_refuses_a_proof_from_a_tile_with_one_byte_changed(grown):
    def held() -> None:
        reader = TilesReader(make_backend(str(grown.ledger)))
        checkpoint = reader.get_checkpoint()
        reader.get_inclusion_proof(510, checkpoint.size).check(leaf_hash(grown.leaf(510)), checkpoint.root_hash)

    held()
    flip(grown.ledger / "tile/0/001")  # the hash of leaf 511, the sibling
    with pytest.raises(InclusionProofInvalid):
        held()


def verified(*files: Path | str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    command = ["bash", str(VERIFY), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path})


@pytest.mark.parametrize("index", INDEXES)
def test_verify_sh_accepts_a_proof(grown, tmp_path, index):
    done = verified(*handed_over(grown, index, tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"PROVED: the log {grown.log.origin} of 700 leaves")


def test_verify_sh_accepts_the_only_leaf_of_a_log(tmp_path):
    alone = opened(tmp_path / "alone")
    alone.append([b"x"])
    assert verified(*handed_over(alone, 0, tmp_path)).returncode == 0


@pytest.mark.parametrize("at", [0, 30, 60, 200, -200, -90, -3])
def test_verify_sh_refuses_a_proof_with_one_byte_changed(grown, tmp_path, at):
    files = handed_over(grown, 300, tmp_path)
    flip(files[1], at)
    done = verified(*files)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT PROVED: ")


def test_verify_sh_refuses_another_leaf_and_another_key(grown, tmp_path):
    key, proof, one = handed_over(grown, 300, tmp_path)
    other = opened(tmp_path / "other").vkey
    assert "no signature of" in verified(other, proof, one).stderr
    assert "its id is" in verified(key.read_text().replace("calls+", "callz+"), proof, one).stderr
    flip(one)
    assert "do not lead from this leaf" in verified(key, proof, one).stderr


def test_verify_sh_opens_the_call_and_no_other(tmp_path):
    alone, epoch = opened(tmp_path / "alone"), EpochKey.of_key(2026, bytes(32))
    alone.append([make_leaf("purged", {"call": epoch.commitment("demo", "c-1"), "source": "demo"})])
    files = handed_over(alone, 0, tmp_path)
    opening = {"call_id": "c-1", "salt": epoch.salt("demo", "c-1").hex(), "source": "demo"}
    for call_id, code in (("c-1", 0), ("c-2", 1)):
        said = json.dumps({**opening, "call_id": call_id}, separators=(",", ":"), sort_keys=True)
        (tmp_path / "opening").write_text(said)
        done = verified(*files, tmp_path / "opening")
        assert done.returncode == code
        assert ("OPENED: the leaf speaks of call c-1 of demo" in done.stdout) is (code == 0)


def test_verify_sh_needs_bash_openssl_and_coreutils_only(grown, tmp_path):
    tools = ["bash", "openssl", "cat", "cut", "tr", "od", "basenc", "base64", "sha256sum", "mktemp", "rm"]
    (tmp_path / "bin").mkdir()
    for tool in tools:
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    assert verified(*handed_over(grown, 300, tmp_path), path=str(tmp_path / "bin")).returncode == 0


def test_our_own_check_reads_what_the_others_read(grown):
    seen: list[int] = []
    assert check_log(grown.log, grown.published(), lambda index, _: seen.append(index)) == {}
    assert seen == list(range(700))
