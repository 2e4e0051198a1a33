"""Signed notes, checkpoints and proofs: other people's notes, golden bytes, and every flipped byte refused."""

import json
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.checkpoint import Checkpoint, Proof
from lifecycle.evidence.merkle import TreeEdge, leaf_hash
from lifecycle.evidence.notes import COSIGNATURE, Note, Signer, Verifier, cosigned_message, signature_line
from lifecycle.evidence.tiles import Tiles, inclusion_proof

ORIGIN = "records.example.com/calls"


def signer(seed: int = 1, name: str = ORIGIN) -> Signer:
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return Signer(Verifier(name, key.public_key().public_bytes_raw()), key.sign)


LEAVES = [b"a", b"b", b"c"]
EDGE = TreeEdge()
for one in LEAVES:
    EDGE.append(leaf_hash(one), lambda *_: None)
TILE = b"".join(EDGE.levels[0])
CHECKPOINT = Checkpoint(ORIGIN, 3, EDGE.root())
SIGNED = CHECKPOINT.signed([signer()])
PROOF = Proof(1, tuple(inclusion_proof(Tiles(3, lambda _: TILE), 1, 3)), SIGNED)
KEYS = [signer().verifier]


def proved(what: str, body: bytes, keys: list[Verifier]) -> Checkpoint:
    return Proof.from_bytes(what, body).verified(what, b"b", keys)


GOLDEN = """c2sp.org/tlog-proof@v1
index 1
Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=
WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=

records.example.com/calls
3
NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

— records.example.com/calls KyPB7mo9Cyuf/wZf2z3FlRgD4nnSXI+b08lDRQz/yMafKFvBWVn4TvIBUbN9f609cIR9G+06/4sTZcQSxhSeS9/o+Ak=
""".encode()


def test_other_peoples_notes_hold(shared):
    for one in json.loads((shared / "tlog/notes.json").read_text()):
        key = Verifier.from_vkey(one["vkey"])
        assert key.vkey == one["vkey"]
        assert Note.from_bytes("note", one["note"].encode()).verified("note", [key]) == (key,)


def test_a_checkpoint_has_these_bytes():
    text, lines = SIGNED.split(b"\n\n")
    assert text.decode().split("\n") == [ORIGIN, "3", b64encode(EDGE.root()).decode()]
    assert lines.decode().startswith(f"— {ORIGIN} ")
    assert Checkpoint.verified("checkpoint", SIGNED, KEYS) == CHECKPOINT
    assert CHECKPOINT.signed([signer()]) == SIGNED  # signed again, the same bytes


def test_a_proof_has_these_bytes_and_is_read_back():
    assert PROOF.to_bytes() == GOLDEN
    assert GOLDEN.endswith(b"\n\n" + SIGNED)
    assert Proof.from_bytes("p", PROOF.to_bytes()) == PROOF
    assert PROOF.verified("p", b"b", KEYS) == CHECKPOINT


def test_a_proof_without_hashes_is_read_back():
    edge = TreeEdge()
    edge.append(leaf_hash(b"a"), lambda *_: None)
    alone = Proof(0, (), Checkpoint(ORIGIN, 1, edge.root()).signed([signer()]))
    assert Proof.from_bytes("p", alone.to_bytes()) == alone
    assert alone.verified("p", b"a", KEYS).size == 1


@given(st.data())
def test_any_flipped_bit_of_a_proof_or_its_checkpoint_is_refused_by_name(data):
    for what, body in (("p.tlog-proof", PROOF.to_bytes()), ("ledger/checkpoint", SIGNED)):
        at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
        changed = bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]])
        read = Checkpoint.verified if what == "ledger/checkpoint" else proved
        with pytest.raises(FixityError, match=f"^{what}: "):
            read(what, changed, KEYS)


@given(st.binary(max_size=200))
def test_what_is_no_note_is_refused_by_name(body):
    with pytest.raises(FixityError, match=r"^it: "):
        Checkpoint.verified("it", body, KEYS)
    with pytest.raises(FixityError, match=r"^it: "):
        Proof.from_bytes("it", body).verified("it", b"b", KEYS)


def test_a_signature_of_nobody_known_is_no_signature():
    with pytest.raises(FixityError, match=r"expected a signature by records\.example\.com/calls\+"):
        Checkpoint.verified("checkpoint", CHECKPOINT.signed([signer(2)]), KEYS)
    both = CHECKPOINT.signed([signer(2), signer()])
    assert Checkpoint.verified("checkpoint", both, KEYS) == CHECKPOINT


def test_a_known_keys_broken_signature_spoils_the_note():
    broken = CHECKPOINT.signed([signer(), Signer(signer(2).verifier, lambda _: bytes(64))])
    with pytest.raises(FixityError, match="does not hold"):
        Checkpoint.verified("checkpoint", broken, [*KEYS, signer(2).verifier])


def test_a_witness_signs_the_time_as_well():
    key = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    witness = Verifier("witness.example/w", key.public_key().public_bytes_raw(), COSIGNATURE)
    body = (1_700_000_000).to_bytes(8, "big") + key.sign(cosigned_message(CHECKPOINT.text, 1_700_000_000))
    note = Note.from_bytes("c", SIGNED + signature_line(witness, body).encode())
    assert note.verified("c", [witness]) == (witness,)
    moved = SIGNED + signature_line(witness, bytes([1, *body[1:]])).encode()
    with pytest.raises(FixityError):
        Note.from_bytes("c", moved).verified("c", [witness])
    assert Verifier.from_vkey(witness.vkey) == witness


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected <name>"),
        ("a+b", "expected <name>"),
        ("example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "its id is 530d903a"),
        ("example.com/foo+530d903a+AuAA", "another kind of key"),
        ("a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "without blank"),
    ],
)
def test_a_key_that_is_none_is_refused(text, said):
    with pytest.raises(LedgerError, match=said):
        Verifier.from_vkey(text)


@pytest.mark.parametrize("size", ["03", "-1", "", "3 ", "٣"])
def test_a_size_is_written_one_way_only(size):
    text = f"{ORIGIN}\n{size}\n{b64encode(EDGE.root()).decode()}\n".encode()
    with pytest.raises(FixityError, match="three lines"):
        Checkpoint.from_text("checkpoint", text)
