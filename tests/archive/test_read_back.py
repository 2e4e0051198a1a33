"""What was stored is compared with what was written, a row group at a time: nothing that differs passes."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from lifecycle.archive import parquet
from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.parquet import is_stored_as_written, put_table
from lifecycle.errors import FixityError

ROWS = 25
TABLE = pa.table({
    "_call_id": [f"c{n:02}" for n in range(ROWS)],
    "cost": [float("nan") if n % 7 == 0 else n / 3 for n in range(ROWS)],
    "said": [None if n % 5 == 0 else f"words {n}" for n in range(ROWS)],
})  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> FolderStore:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 10)
    return FolderStore(tmp_path / "store")


def changed(place: int) -> pa.Table:
    said = TABLE["said"].to_pylist()
    said[place] = "other words"
    return TABLE.set_column(2, "said", pa.array(said, pa.string()))


def test_a_table_is_what_was_stored_nan_and_null_too(store):
    assert is_stored_as_written(store, put_table(store, "t.parquet", TABLE), TABLE)


@pytest.mark.parametrize("place", [0, 9, 10, 19, 20, 24])
def test_one_value_that_differs_is_found_in_whichever_row_group_it_lies(store, place):
    assert not is_stored_as_written(store, put_table(store, "t.parquet", changed(place)), TABLE)


@pytest.mark.parametrize("rows", [0, 1, 10, 20, 24])
def test_rows_that_are_missing_or_too_many_are_found(store, rows):
    fewer = TABLE.slice(0, rows)
    assert not is_stored_as_written(store, put_table(store, "fewer.parquet", fewer), TABLE)
    assert not is_stored_as_written(store, put_table(store, "more.parquet", TABLE), fewer)


def test_columns_of_another_name_order_or_type_are_found(store):
    stored = put_table(store, "t.parquet", TABLE)
    renamed, turned = TABLE.rename_columns(["_call_id", "cost", "text"]), TABLE.select(["_call_id", "said", "cost"])
    typed = TABLE.set_column(2, "said", TABLE["said"].cast(pa.large_string()))
    for other in (renamed, turned, typed):
        assert not is_stored_as_written(store, stored, other)


def test_bytes_that_are_not_the_promised_ones_are_refused(store):
    stored = put_table(store, "t.parquet", TABLE)
    for promised in (replace(stored, sha256="0" * 64), replace(stored, bytes=stored.bytes + 1)):
        with pytest.raises(FixityError, match=r"t\.parquet: expected"):
            is_stored_as_written(store, promised, TABLE)
