"""Which Arrow type a declared column gets. What comes of its values is test_rows's."""

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from lifecycle.crm.mapping.columns import UnreadableValue, column_of

CASES = [
    ("postgresql", sa.SmallInteger(), pa.int16(), False),
    ("postgresql", sa.Integer(), pa.int32(), False),
    ("postgresql", sa.BigInteger(), pa.int64(), False),
    ("postgresql", sa.Numeric(38, 10), pa.decimal128(38, 10), False),
    ("postgresql", sa.Numeric(39, 10), pa.decimal256(39, 10), False),
    ("postgresql", sa.Numeric(), pa.string(), True),
    ("postgresql", sa.DateTime(timezone=True), pa.timestamp("us", "UTC"), False),
    ("postgresql", sa.DateTime(), pa.timestamp("us"), False),
    ("postgresql", sa.Time(timezone=True), pa.string(), True),
    ("postgresql", postgresql.INTERVAL(), pa.string(), True),
    ("postgresql", postgresql.UUID(), pa.string(), True),
    ("postgresql", postgresql.ARRAY(sa.Integer), pa.string(), True),
    ("postgresql", sa.types.NullType(), pa.string(), True),
    ("mysql", mysql.TINYINT(display_width=1), pa.int8(), False),
    ("mysql", mysql.BIGINT(unsigned=True), pa.uint64(), False),
    ("mysql", mysql.FLOAT(), pa.float64(), True),
    ("mysql", mysql.DOUBLE(), pa.float64(), False),
    ("mysql", mysql.TIMESTAMP(), pa.timestamp("us", "UTC"), False),
    ("mysql", mysql.DATETIME(fsp=6), pa.timestamp("us"), False),
    ("mysql", mysql.TIME(), pa.duration("us"), False),
    ("mysql", mysql.BIT(8), pa.binary(), False),
    ("mysql", mysql.LONGTEXT(), pa.string(), False),
    ("sqlite", sa.Integer(), pa.int64(), False),
    ("sqlite", sa.String(9), pa.string(), False),
    ("sqlite", sa.DateTime(), pa.string(), False),
    ("sqlite", sa.Numeric(10, 2), pa.float64(), False),
    ("sqlite", sa.LargeBinary(), pa.binary(), False),
    ("sqlite", sa.types.NullType(), pa.binary(), False),
]


@pytest.mark.parametrize(("dialect", "declared", "kind", "cast"), CASES, ids=[f"{d}-{t!r}" for d, t, _, _ in CASES])
def test_a_declared_type_has_one_arrow_type(dialect, declared, kind, cast):
    column = column_of(dialect, "c", declared)
    assert (column.type, column.cast is not None) == (kind, cast)


@pytest.mark.parametrize(("declared", "value"), [(sa.Integer(), 1.0), (sa.Integer(), "1"), (sa.String(), 1),
                                                 (sa.String(), b"a"),
                                                 (sa.LargeBinary(), "a"), (sa.Numeric(), "1")])  # fmt: skip
def test_sqlite_values_of_another_kind_than_declared_are_never_converted(declared, value):
    with pytest.raises(UnreadableValue):
        column_of("sqlite", "c", declared).array([None, value])


def test_an_unreadable_value_names_its_column_and_not_itself():
    with pytest.raises(UnreadableValue, match=r"^c holds a value that is no int32") as caught:
        column_of("postgresql", "c", sa.Integer()).array(["secret"])
    assert "secret" not in str(caught.value)
