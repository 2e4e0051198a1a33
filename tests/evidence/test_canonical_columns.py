"""Records made a column at a time are the bytes that they are one by one."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.evidence.canonical_columns import json_text, plain_value, records_as_json, rows_as_json
from lifecycle.policy.canonical import canonical_json

LETTERS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = {
    pa.string(): LETTERS,
    pa.large_string(): LETTERS,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(timedelta(days=-9), timedelta(days=9)),
    pa.binary(): st.binary(),
    pa.decimal128(38, 10): st.decimals(-(10**20), 10**20, places=10),
    pa.decimal256(60, 30): st.decimals(-(10**20), 10**20, places=30),
}


@st.composite
def tables(draw) -> pa.Table:
    count = draw(st.integers(0, 4))
    names = draw(st.lists(LETTERS, unique=True, max_size=5))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(VALUES)))
        columns[name] = pa.array(draw(st.lists(st.none() | VALUES[kind], min_size=count, max_size=count)), kind)
    return pa.table({"_call_id": pa.array(range(count)), **columns})


@given(tables())
def test_a_row_is_the_same_bytes_as_one_by_one(table):
    plain = [{n: plain_value(v) for n, v in row.items() if not n.startswith("_")} for row in table.to_pylist()]
    assert list(rows_as_json(table)) == [canonical_json(row) for row in plain]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, '"0.0"'), (-0.0, '"-0.0"'), (math.nan, '"nan"'), (Decimal("1.10"), '"1.10"'), (b"\x00\xff", '"00ff"'),
        (time(1, 2), '"01:02:00"'), (date(2021, 3, 1), '"2021-03-01"'), ('a"\n😀', '"a\\"\\n😀"'), (True, "true"),
        (None, "null"), (7, "7"),
    ],
)  # fmt: skip
def test_values_are_written_as_the_ledger_has_always_written_them(value, written):
    assert json_text(plain_value(value)) == written
    table = pa.table({"v": pa.array([value, 0.0] if isinstance(value, float) else [value])})
    assert next(rows_as_json(table)).decode() == f'{{"v":{written}}}'


def test_a_field_that_a_record_lacks_is_not_in_it():
    own = {"b": ["1", None], "a": ['"x"', '"y"']}
    assert list(records_as_json({"c": None}, own, 2)) == [b'{"a":"x","b":1,"c":null}', b'{"a":"y","c":null}']


def test_no_record_has_no_bytes():
    assert list(records_as_json({"c": 1}, {}, 0)) == []
