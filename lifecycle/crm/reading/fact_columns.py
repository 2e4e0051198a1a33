"""What the database says of each column of a facts query before it gives a row: its kind, and whether it is computed.

No rows are read here, and nothing is decided.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.reading.column_origin import clocked_in_sqlite, plain_in_mysql, plain_in_postgresql

_NO_ROW = "SELECT * FROM ({text}) AS f WHERE 1 = 0"


class Kind(StrEnum):
    """What a fact is, as far as it matters how it is read or compared."""

    DATE = "date"
    NAIVE = "time without a zone"
    UTC = "time in UTC"
    NUMBER = "number"
    SINGLE = "number of single precision"
    BITS = "bits"
    MONEY = "money"
    BYTES = "bytes"
    TEXT = "text"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FactColumn:
    """One column. `computed`: not, for all we know, the bare column of a table: its kind tells nothing of its zone.

    `as_text`: the text that the server writes of a value, as it is selected, is that of the driver's value.
    """

    name: str
    kind: Kind
    computed: bool
    as_text: bool = False


MOST_EXACT_SINGLE: sa.ColumnElement[Any] = sa.literal_column(str(2**24 - 1))
TIMES = (Kind.DATE, Kind.NAIVE, Kind.UTC)
_GIVEN_AS_IS = (Kind.NUMBER, Kind.BYTES, Kind.TEXT)
# https://mariadb.com/kb/en/result-set-packets/#field-types; 63 is the character set of bytes
_MYSQL = {
    7: Kind.UTC,
    10: Kind.DATE,
    12: Kind.NAIVE,
    4: Kind.SINGLE,
    16: Kind.BITS,
    **dict.fromkeys((0, 1, 2, 3, 5, 8, 9, 13, 246), Kind.NUMBER),
}
_MYSQL_TEXTS, _BYTES = {15, 249, 250, 251, 252, 253, 254}, 63
# pg_type.dat
_POSTGRESQL = {
    1082: Kind.DATE,
    1114: Kind.NAIVE,
    1184: Kind.UTC,
    17: Kind.BYTES,
    **dict.fromkeys((20, 21, 23, 701, 1700), Kind.NUMBER),
    700: Kind.SINGLE,
    790: Kind.MONEY,
    **dict.fromkeys((16, 18, 19, 25, 1042, 1043, 2950), Kind.TEXT),
}


# Not yes and no, of which Python has other words; not decimals, some of which it writes with an exponent.
_POSTGRESQL_AS_TEXT = {19, 20, 21, 23, 25, 1042, 1043, 2950}
_MYSQL_WHOLE, _ZEROFILL = {1, 2, 3, 8, 9}, 64


def fact_columns(connection: sa.Connection, text: str) -> list[FactColumn]:
    """The columns that a SELECT gives, in its order."""
    result = connection.execute(sa.text(_NO_ROW.format(text=text)))
    names, cursor, bare = list(result.keys()), result.cursor, text.replace("\\:", ":")
    kinds, plain, as_text = [Kind.UNKNOWN] * len(names), [True] * len(names), [False] * len(names)
    if connection.dialect.name == "postgresql":
        raw = getattr(cursor, "pgresult")  # noqa: B009 - psycopg's own
        kinds = [_POSTGRESQL.get(raw.ftype(place), Kind.OTHER) for place in range(len(names))]
        as_text = [_as_text_in_postgresql(raw.ftype(place), kind) for place, kind in enumerate(kinds)]
        origins = [(raw.ftable(place), raw.ftablecol(place)) for place in range(len(names))]
        result.close()
        plain = plain_in_postgresql(connection, origins)
    elif connection.dialect.name in ("mysql", "mariadb"):
        fields = getattr(cursor, "_result").fields  # noqa: B009
        kinds, as_text = [_mysql(field) for field in fields], [_as_text_in_mysql(field) for field in fields]
        result.close()
        plain = plain_in_mysql(connection, bare)
    else:
        result.close()
        plain = [not clocked for clocked in clocked_in_sqlite(connection, bare, names).values()]
    computed = (not one for one in plain)
    return [FactColumn(*column) for column in zip(names, kinds, computed, as_text, strict=True)]


def readable(dialect: str, kind: Kind, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A fact as the driver can give it, whatever is in it; bits and money as the number that they are.

    MySQL writes six digits of a FLOAT, which has up to eight: as a double it gives all. Beyond 2**24 it has kept one of
    several whole numbers, and nobody knows which.
    """
    if kind is Kind.SINGLE:
        exact: sa.ColumnElement[Any] = column.op("+")(sa.literal_column("0e0"))
        return sa.case((sa.func.abs(exact) <= MOST_EXACT_SINGLE, exact))
    if kind in (Kind.BITS, Kind.MONEY):
        return as_number(kind, column)
    if dialect != "postgresql" or kind in _GIVEN_AS_IS:
        return column
    if kind not in TIMES:
        return sa.cast(column, sa.Text)
    # 'infinity' and years before Christ are no dates for Python: they are no usable trigger either
    usable = column.between(sa.literal_column("'0001-01-02'"), sa.literal_column("'9999-12-30'"))
    return sa.case((usable, column))


def as_number(kind: Kind, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A column of bits or money as a number; any other as it is."""
    if kind is Kind.BITS:
        return column.op("+")(sa.literal_column("0"))
    return sa.cast(column, sa.Numeric) if kind is Kind.MONEY else column


def _as_text_in_postgresql(oid: int, kind: Kind) -> bool:
    return oid in _POSTGRESQL_AS_TEXT or kind is Kind.OTHER  # which is selected as text


def _as_text_in_mysql(field: Any) -> bool:
    whole = field.type_code in _MYSQL_WHOLE and not field.flags & _ZEROFILL
    return whole or _mysql(field) is Kind.TEXT


def _mysql(field: Any) -> Kind:
    if field.type_code in _MYSQL_TEXTS:
        return Kind.BYTES if field.charsetnr == _BYTES else Kind.TEXT
    return _MYSQL.get(field.type_code, Kind.OTHER)
