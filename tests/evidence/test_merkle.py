"""Trees, tiles and proofs: other people's vectors, and laws for every size."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.merkle import EMPTY_ROOT, TreeEdge, consistency_holds, inclusion_holds, leaf_hash, node_hash
from lifecycle.evidence.notes import Verifier
from lifecycle.evidence.tiles import (
    ENTRIES,
    Tiles,
    consistency_proof,
    decode_bundle,
    encode_bundle,
    inclusion_proof,
    tile_path,
    width_at,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(66_000)]
PLACEHOLDER = "sizes-are-equal-one-and-proof-is-empty"  # its roots have 12 bytes; we ask every hash for its length


def vectors(shared: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    found = sorted((shared / "tlog/transparency-dev-merkle/testdata" / kind).rglob("*.json"))
    return [(path.stem, json.loads(path.read_text())) for path in found]


def raw(text: str | None) -> bytes:
    return b64decode(text or "")


def grown(size: int) -> tuple[TreeEdge, dict[str, bytes]]:
    """A tree of so many leaves, and its tiles by path."""
    edge, tiles = TreeEdge(), {}

    def full(level: int, index: int, hashes: list[bytes]) -> None:
        tiles[tile_path(level, index)] = b"".join(hashes)

    for leaf in LEAVES[:size]:
        edge.append(leaf, full)
    for level, index, hashes in edge.partial():
        tiles[tile_path(level, index, len(hashes))] = b"".join(hashes)
    return edge, tiles


EDGE, TILES = grown(len(LEAVES))


def test_every_inclusion_vector_is_judged_as_its_authors_say(shared):
    cases = vectors(shared, "inclusion")
    found = {
        name: inclusion_holds(
            case["leafIdx"],
            case["treeSize"],
            raw(case["leafHash"]),
            [*map(raw, case["proof"] or ())],
            raw(case["root"]),
        )
        for name, case in ((f"{n}-{number}", case) for number, (n, case) in enumerate(cases))
    }
    assert len(found) == 98
    assert [ok for ok in found.values()] == [not case["wantErr"] for _, case in cases]


def test_every_consistency_vector_is_judged_as_its_authors_say_but_one(shared):
    cases = vectors(shared, "consistency")
    refused = []
    for name, case in cases:
        proof = [*map(raw, case["proof"] or ())]
        held = consistency_holds(case["size1"], case["size2"], raw(case["root1"]), raw(case["root2"]), proof)
        if held is case["wantErr"]:
            assert not held, name
            refused.append(name)
    assert (len(cases), refused) == (98, [PLACEHOLDER])


def test_the_published_roots_come_out(shared):
    constants = json.loads((shared / "tlog/transparency-dev-merkle/constants.json").read_text())
    edge, roots = TreeEdge(), []
    for leaf in [*constants["leaf_inputs"], None]:
        roots.append(edge.root().hex())
        if leaf is not None:
            edge.append(leaf_hash(bytes.fromhex(leaf)), lambda *_: None)
    assert roots == constants["root_hashes"]


def test_another_logs_sixteen_checkpoints_hold_over_its_bundles_and_tiles(shared):
    folder = shared / "tlog/tessera-testdata-log/testdata/log"
    notes = json.loads((shared / "tlog/notes.json").read_text())
    (key,) = [Verifier.from_vkey(one["vkey"]) for one in notes if "tessera" in one["source"]]
    paths = [folder / f"checkpoint.{number}" for number in range(16)]
    seen = [Checkpoint.verified(path.name, path.read_bytes(), [key]) for path in paths]
    tiles = Tiles(15, lambda path: (folder / path).read_bytes())
    body = (folder / tile_path(ENTRIES, 0, 15)).read_bytes()
    leaves = decode_bundle("bundle", body, 15)
    assert (encode_bundle(leaves), [one.size for one in seen]) == (body, list(range(16)))
    for checkpoint in seen:
        size, root = checkpoint.size, checkpoint.root
        assert tiles.root(0, size) == root
        assert consistency_holds(size, 15, root, seen[-1].root, consistency_proof(tiles, size, 15))
        for index, one in enumerate(leaves[:size]):
            assert inclusion_holds(index, size, leaf_hash(one), inclusion_proof(tiles, index, size), root)


def test_the_empty_tree_and_the_first_leaf():
    assert grown(0)[0].root() == EMPTY_ROOT
    assert grown(1)[0].root() == LEAVES[0]
    assert grown(3)[0].root() == node_hash(node_hash(LEAVES[0], LEAVES[1]), LEAVES[2])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (tile_path(0, 0), "tile/0/000"),
        (tile_path(0, 1234067), "tile/0/x001/x234/067"),
        (tile_path(2, 0, 1), "tile/2/000.p/1"),
        (tile_path(ENTRIES, 1000, 112), "tile/entries/x001/000.p/112"),
    ],
)
def test_tiles_are_named_as_the_specification_says(path, expected):
    assert path == expected


def test_a_tree_of_70000_has_the_widths_of_the_specifications_example():
    widths = {
        (level, n): width_at(70_000, level, n) for level, n in ((0, 273), (0, 274), (1, 0), (1, 1), (2, 0), (3, 0))
    }
    assert widths == {(0, 273): 112, (0, 274): 0, (1, 0): 256, (1, 1): 17, (2, 0): 1, (3, 0): 0}


sizes = st.integers(0, len(LEAVES)) | st.sampled_from([0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537])


@given(sizes, st.data())
def test_proofs_from_tiles_hold_and_hold_for_nothing_else(size, data):
    tiles = Tiles(len(LEAVES), TILES.__getitem__)
    root = tiles.root(0, size)
    first = data.draw(st.integers(0, size))
    proof = consistency_proof(tiles, first, size)
    assert consistency_holds(first, size, tiles.root(0, first), root, proof)
    if size:
        index = data.draw(st.integers(0, size - 1))
        proof = inclusion_proof(tiles, index, size)
        assert inclusion_holds(index, size, LEAVES[index], proof, root)
        assert not inclusion_holds(index, size, LEAVES[(index + 1) % len(LEAVES)], proof, root)
        for at in range(len(proof)):
            changed = [bytes([one[0] ^ 1, *one[1:]]) if at == place else one for place, one in enumerate(proof)]
            assert not inclusion_holds(index, size, LEAVES[index], changed, root)


@given(st.integers(0, 1200), st.integers(0, 1200))
def test_a_tree_that_is_taken_up_again_from_its_tiles_grows_as_if_never_left(size, more):
    _, tiles = grown(size)
    again = Tiles(size, tiles.__getitem__).edge()
    for leaf in LEAVES[size : size + more]:
        again.append(leaf, lambda *_: None)
    assert again.root() == grown(size + more)[0].root()
    assert sum(map(len, again.levels)) <= 255 * 2


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_its_leaves_back(leaves):
    assert decode_bundle("b", encode_bundle(leaves), len(leaves)) == leaves


def test_a_leaf_that_does_not_fit_its_length_is_refused():
    encode_bundle([bytes(65_535)])
    with pytest.raises(LedgerError, match="65536 bytes, expected at most 65535"):
        encode_bundle([bytes(65_536)])


@pytest.mark.parametrize("body", [b"\x00", b"\x00\x02a", b"\x00\x01ab", b"", b"\x00\x01a\x00\x01b"])
def test_half_a_bundle_is_refused_by_name(body):
    with pytest.raises(FixityError, match=r"^tile/entries/000\.p/1: expected 1 whole leaves"):
        decode_bundle("tile/entries/000.p/1", body, 1)


def test_a_tile_of_another_length_is_refused_by_name():
    with pytest.raises(FixityError, match=r"^tile/0/000\.p/2: expected 2 hashes"):
        Tiles(2, lambda _: bytes(65)).tile(0, 0)


def test_what_is_not_in_the_tree_has_no_proof():
    tiles = Tiles(5, TILES.__getitem__)
    with pytest.raises(LedgerError, match="expected a leaf below 5"):
        inclusion_proof(tiles, 5, 5)
    with pytest.raises(LedgerError, match="expected sizes up to 5"):
        consistency_proof(tiles, 3, 6)
    assert (width_at(5, 0, 0), width_at(5, 0, 1), width_at(5, 1, 0)) == (5, 0, 0)
