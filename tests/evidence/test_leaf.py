"""Leaves: golden bytes, what they refuse, and that they name no call to whoever has no salt."""

import hashlib
import hmac
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lifecycle.errors import FixityError, LedgerError
from lifecycle.evidence.leaf import EpochKey, commitment, make_leaf, read_leaf, row_digest

EPOCH = EpochKey.of_key(2026, bytes(range(32)))


def test_a_leaf_has_these_bytes_and_carries_unknown_fields():
    body = make_leaf("set_aside", {"new_field": [1, None], "call": "c0"})
    assert body == b'{"call":"c0","kind":"set_aside","new_field":[1,null],"v":2}'
    assert read_leaf("leaf 0", body) == {"call": "c0", "kind": "set_aside", "new_field": [1, None], "v": 2}


def test_a_leaf_of_no_kind_or_too_long_is_not_made():
    with pytest.raises(LedgerError, match="found 'purge'"):
        make_leaf("purge", {})
    with pytest.raises(LedgerError, match="expected at most 65535"):
        make_leaf("purged", {"actor": "a" * 65_535})


@pytest.mark.parametrize("body", [b"", b"[]", b'{"v":1,"kind":"purged"}', b'{"v":2}', b"\xff"])
def test_what_is_no_leaf_is_refused_by_name(body):
    with pytest.raises(FixityError, match=r"^leaf 7: "):
        read_leaf("leaf 7", body)


def test_a_commitment_is_what_the_documentation_says():
    salt = hmac.new(bytes(range(32)), b"demo\nc-1", hashlib.sha256).digest()
    assert EPOCH.salt("demo", "c-1") == salt
    assert EPOCH.commitment("demo", "c-1") == hashlib.sha256(b"demo\nc-1\n" + salt).hexdigest()
    assert commitment("demo", "c-1", salt) == EPOCH.commitment("demo", "c-1")
    assert EPOCH.id == f"2026-{hashlib.sha256(bytes(range(32))).hexdigest()[:8]}"


def test_another_epoch_names_the_same_call_otherwise():
    assert EpochKey.of_key(2026, bytes(32)).commitment("demo", "c-1") != EPOCH.commitment("demo", "c-1")


def test_a_row_has_one_digest_whatever_the_types():
    row = {"b": b"\xff", "d": date(2026, 1, 2), "n": Decimal("1.50"), "t": datetime(2026, 1, 2, tzinfo=UTC), "f": 0.5}
    text = '{"b":"ff","d":"2026-01-02","f":"0.5","n":"1.50","t":"2026-01-02T00:00:00+00:00"}'
    assert row_digest({**row, "_rule_id": "X"}, b"salt") == hashlib.sha256(b"salt" + text.encode()).hexdigest()
    assert row_digest({"f": float("nan"), "x": None}, b"") == hashlib.sha256(b'{"f":"nan","x":null}').hexdigest()
