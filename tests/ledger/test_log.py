"""The log in a store: appended to, read back, and every damage named by its object."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive.folder_store import FolderStore
from lifecycle.errors import FixityError, LedgerError, ObjectExists
from lifecycle.ledger.log import CHECKPOINT, Appending, Log
from lifecycle.ledger.log_check import check_log
from tests.ledger.conftest import ORIGIN, Grown, opened, some_leaves


def damage(grown: Grown) -> dict[str, str]:
    try:
        published = grown.published()
    except FixityError as error:
        return {CHECKPOINT: str(error)}
    return check_log(grown.log, published, lambda *_: None)


def key_of(grown: Grown, path: Path) -> str:
    return path.relative_to(grown.folder / "store").as_posix()


def needed(grown: Grown) -> list[Path]:
    """The objects of the newest checkpoint; partial tiles of older ones are nobody's any more."""
    old = {"001.p", "000.p"}
    return [path for path in grown.objects() if path.parent.name not in old or "tile/1" in str(path)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_of_any_object_is_found_and_the_object_named(grown, data):
    path = data.draw(st.sampled_from(needed(grown)))
    body = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(body) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]]))
    try:
        assert list(damage(grown)) == [key_of(grown, path)]
    finally:
        path.write_bytes(body)


def test_each_missing_or_short_object_is_named(grown):
    for path in needed(grown):
        body = path.read_bytes()
        path.write_bytes(body[:-1])
        assert list(damage(grown)) == [key_of(grown, path)]
        path.unlink()
        if key_of(grown, path) != CHECKPOINT:
            assert list(damage(grown)) == [key_of(grown, path)]
        path.write_bytes(body)
    assert damage(grown) == {}


def test_where_a_leaf_and_its_hash_were_changed_both_are_named(grown):
    for name in ("tile/0/001", "tile/entries/001"):
        path = grown.ledger / name
        path.write_bytes(bytes([path.read_bytes()[0], path.read_bytes()[1] ^ 1, *path.read_bytes()[2:]]))
    assert "ledger/tile/0/001" in damage(grown) or "ledger/tile/entries/001" in damage(grown)


def test_a_checkpoint_of_another_log_is_refused(grown):
    other = Log(FolderStore(grown.folder / "store"), "other.example/log", lambda: grown.keys.verifiers(ORIGIN))
    with pytest.raises(LedgerError, match=r"expected the log other\.example/log, found records"):
        other.published()


def test_a_log_grows_the_same_in_one_go_or_many(grown, tmp_path):
    once = opened(tmp_path / "once")
    once.append(some_leaves(0, 700))
    assert once.published().checkpoint == grown.published().checkpoint


def test_a_second_writer_behind_the_same_checkpoint_is_refused(grown):
    first, second = (Appending(grown.log, grown.published()) for _ in range(2))
    first.append(b"one")
    second.append(b"two")
    first.publish(grown.keys.signers(ORIGIN))
    with pytest.raises(ObjectExists):
        second.publish(grown.keys.signers(ORIGIN))
    assert grown.published().size == 701


def test_appending_needs_little_memory_however_long_the_log(tmp_path):
    grown = opened(tmp_path / "long")
    tracemalloc.start()
    try:
        grown.append(some_leaves(0, 8_000))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
