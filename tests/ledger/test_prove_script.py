"""docs/prove.sh takes leaves and proofs out of a copy of the ledger, with nothing of ours: the bytes that we write."""

import subprocess
from pathlib import Path

import pytest

from lifecycle.evidence.checkpoint import Proof
from lifecycle.evidence.tiles import inclusion_proof
from tests.ledger.conftest import Grown

PROVE = Path(__file__).resolve().parents[2] / "docs" / "prove.sh"


def prove(grown: Grown, index: int, to: Path, *checkpoint: Path) -> subprocess.CompletedProcess[str]:
    given = [grown.ledger, str(index), to, *checkpoint]
    return subprocess.run(["bash", PROVE, *given], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("index", [0, 255, 256, 511, 699])
def test_the_leaf_and_its_proof_are_those_of_our_own_prove(grown, tmp_path, index):
    done = prove(grown, index, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / f"out/leaf-{index}.leaf.json").read_bytes() == grown.leaf(index)
    assert (tmp_path / f"out/leaf-{index}.tlog-proof").read_bytes() == grown.proof(index).to_bytes()


def test_an_older_checkpoint_is_proved_from_the_tiles_of_today(grown, tmp_path):
    """Whoever keeps the bucket small removes the parts of tiles that are whole by now."""
    log = grown.log
    grown.append(b'{"n":%d}' % number for number in range(700, 800))
    (tmp_path / "old").write_bytes(grown.published().note)
    older, note = grown.published().size, grown.published().note
    grown.append(b'{"n":%d}' % number for number in range(800, 1030))
    for part in grown.ledger.glob("tile/0/*.p/*"):
        if part.parent.with_suffix("").exists():
            part.unlink()
    for index in (3, 700, 799):
        wanted = Proof(index, tuple(inclusion_proof(log.tiles(grown.published().size), index, older)), note)
        assert prove(grown, index, tmp_path, tmp_path / "old").returncode == 0
        assert (tmp_path / f"leaf-{index}.tlog-proof").read_bytes() == wanted.to_bytes()


def test_what_is_not_there_is_named(grown, tmp_path):
    assert prove(grown, 700, tmp_path).stderr == "NOT FOUND: leaf 700: the log has 700 leaves\n"
    (grown.ledger / "tile/0/001").unlink()
    done = prove(grown, 300, tmp_path / "out")
    assert (done.returncode, "/ledger/tile/0/001 with " in done.stderr) == (1, True)
