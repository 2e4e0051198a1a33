"""What the database says of each column of a facts query before it gives a row: its kind, and whether it is computed.

No rows are read here, and nothing is decided.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

_NO_ROW = "SELECT * FROM ({text}) AS f WHERE 1 = 0"


class Kind(StrEnum):
    """What a fact is, as far as it matters how it is read or compared."""

    DATE = "date"
    NAIVE = "time without a zone"
    UTC = "time in UTC"
    NUMBER = "number"
    SINGLE = "number of single precision"
    BYTES = "bytes"
    TEXT = "text"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FactColumn:
    """One column. `computed`: not the bare column of a table, so its kind tells nothing of what it is made of."""

    name: str
    kind: Kind
    computed: bool


MOST_EXACT_SINGLE: sa.ColumnElement[Any] = sa.literal_column(str(2**24 - 1))
_DATED = (Kind.DATE, Kind.NAIVE, Kind.UTC)
_GIVEN_AS_IS = (Kind.NUMBER, Kind.BYTES, Kind.TEXT)
# https://mariadb.com/kb/en/result-set-packets/#field-types; 63 is the character set of bytes
_MYSQL = {
    7: Kind.UTC,
    10: Kind.DATE,
    12: Kind.NAIVE,
    4: Kind.SINGLE,
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
    **dict.fromkeys((16, 18, 19, 25, 1042, 1043, 2950), Kind.TEXT),
}
_VIEWS = """SELECT c.oid FROM pg_catalog.pg_class c
WHERE c.relkind = 'v' AND c.oid = ANY(CAST(:oids AS pg_catalog.oid[]))"""


def fact_columns(connection: sa.Connection, text: str) -> list[FactColumn]:
    """The columns that a SELECT gives, in its order."""
    result = connection.execute(sa.text(_NO_ROW.format(text=text)))
    names, cursor = list(result.keys()), result.cursor
    given: list[tuple[Kind, bool]] = [(Kind.UNKNOWN, False)] * len(names)
    if connection.dialect.name == "postgresql":
        raw = getattr(cursor, "pgresult")  # noqa: B009 - psycopg's own
        tables = [raw.ftable(place) for place in range(len(names))]
        given = [(_POSTGRESQL.get(raw.ftype(place), Kind.OTHER), not table) for place, table in enumerate(tables)]
        result.close()
        views = _views(connection, tables)
        given = [(kind, computed or table in views) for (kind, computed), table in zip(given, tables, strict=True)]
    elif connection.dialect.name in ("mysql", "mariadb"):
        # A bare column is of a database, also through a view that is no more than its query.
        given = [(_mysql(field), not field.db) for field in getattr(cursor, "_result").fields]  # noqa: B009
    result.close()
    return [FactColumn(name, kind, computed) for name, (kind, computed) in zip(names, given, strict=True)]


def readable(dialect: str, kind: Kind, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A fact as the driver can give it, whatever is in it.

    MySQL writes six digits of a FLOAT, which has up to eight: as a double it gives all. Beyond 2**24 it has kept one of
    several whole numbers, and nobody knows which.
    """
    if kind is Kind.SINGLE:
        exact: sa.ColumnElement[Any] = column.op("+")(sa.literal_column("0e0"))
        return sa.case((sa.func.abs(exact) <= MOST_EXACT_SINGLE, exact))
    if dialect != "postgresql" or kind in _GIVEN_AS_IS:
        return column
    if kind not in _DATED:
        return sa.cast(column, sa.Text)
    # 'infinity' and years before Christ are no dates for Python: they are no usable trigger either
    usable = column.between(sa.literal_column("'0001-01-02'"), sa.literal_column("'9999-12-30'"))
    return sa.case((usable, column))


def _mysql(field: Any) -> Kind:
    if field.type_code in _MYSQL_TEXTS:
        return Kind.BYTES if field.charsetnr == _BYTES else Kind.TEXT
    return _MYSQL.get(field.type_code, Kind.OTHER)


def _views(connection: sa.Connection, tables: list[int]) -> set[int]:
    """Which of the tables are views: a column of one may be computed."""
    oids = "{" + ",".join(str(table) for table in sorted(set(tables) - {0})) + "}"
    return set(connection.scalars(sa.text(_VIEWS), {"oids": oids}))
