"""A plan's list of calls: whoever has the epoch's key reads it, nobody else, and nobody changes it unseen."""

import re
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.errors import FixityError
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.sealed_calls import open_calls, seal_calls
from tests.plain_readers import planned_calls

EPOCH, OTHER = EpochKey.of_key(2026, b"k" * 32), EpochKey.of_key(2026, b"o" * 32)


def test_what_was_sealed_opens_under_its_epoch_also_without_our_code(tmp_path: Path):
    table = pa.table({"call_id": ["id-1", "id-2"]})
    pq.write_table(table, tmp_path / "calls")
    sealed = seal_calls((tmp_path / "calls").read_bytes(), EPOCH)
    key_file = tmp_path / f"{EPOCH.id}.key"
    key_file.write_text(EPOCH.key.hex() + "\n")
    assert pq.read_table(BytesIO(open_calls("calls", sealed, EPOCH))) == table
    assert planned_calls(sealed, key_file) == table


def test_the_same_list_sealed_twice_looks_like_another():
    assert seal_calls(b"id-1", EPOCH) != seal_calls(b"id-1", EPOCH)


def test_it_is_bound_to_the_epoch_by_its_name_too():
    renamed = EpochKey("2027-00000000", EPOCH.key)
    with pytest.raises(FixityError, match=re.escape("calls: it is no list of calls sealed under the epoch 2027-0")):
        open_calls("calls", seal_calls(b"id-1", EPOCH), renamed)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b"", lambda b: b[:5], lambda b: b + b"x", None])
def test_changed_bytes_and_another_key_open_nothing(change):
    sealed = seal_calls(b"id-1" * 9, EPOCH)
    cases = [(change(sealed), EPOCH)] if change else [(sealed, OTHER)]
    cases += [(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], EPOCH) for at in range(len(sealed))]
    for body, epoch in cases:
        with pytest.raises(FixityError, match="it is no list of calls"):
            open_calls("calls", body, epoch)
