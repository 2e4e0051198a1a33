"""How a database column becomes an Arrow column, and back to nothing lost.

Each column gets one Arrow type from the database's own declaration. What Arrow has no exact type for is read as the
text the database itself makes of it. A value that does not fit the declared type (SQLite allows that; MySQL has
zero dates) is unreadable: its call is kept and reported, never rounded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from lifecycle.crm.mapping.type_families import NUMBER, TEXT, type_family

_BITS = {sa.SmallInteger: 16, sa.BigInteger: 64, mysql.TINYINT: 8}
_BINARY = (sa.LargeBinary, sa.BINARY, sa.VARBINARY, mysql.TINYBLOB, mysql.MEDIUMBLOB, mysql.LONGBLOB, mysql.BIT)
_ONLY_BYTES = re.compile(r"geometry|(multi)?(point|linestring|polygon)|geom(etry)?collection|vector")
_SQLITE_ONLY = {
    pa.int64(): frozenset({int}),
    pa.float64(): frozenset({int, float}),
    pa.string(): frozenset({str}),
    pa.binary(): frozenset({bytes}),
}
_SQLITE_FAMILIES = {pa.int64(): NUMBER, pa.float64(): NUMBER, pa.string(): TEXT, pa.binary(): "bytes"}


class UnreadableValue(Exception):
    """A value does not fit its column's type. Carries the column and the reason, not the value."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, its Arrow type, and whether it is read through a cast in the database.

    `only`: what the driver's values must be, where the database takes any (SQLite) and Arrow would convert in silence.
    `family`: of the types that the database compares with it value by value.
    """

    name: str
    type: pa.DataType
    cast: TypeEngine[Any] | None = None
    only: frozenset[type] = frozenset()
    family: str = ""

    @property
    def is_number(self) -> bool:
        """Whether a database compares its values as numbers."""
        return any(is_one(self.type) for is_one in (pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating))

    def expression(self, table: sa.FromClause) -> sa.ColumnElement[Any]:
        """What to select so that the driver hands over the exact value."""
        column = table.c[self.name]
        return column if self.cast is None else sa.cast(column, self.cast).label(self.name)

    def parse(self, texts: Sequence[str]) -> list[Any]:
        """Keys as records name them, back in the type that the database compares. Raises ValueError."""
        if pa.types.is_binary(self.type):
            return [bytes.fromhex(text) for text in texts]
        found: list[Any] = pa.array(texts, pa.string()).cast(self.type).to_pylist()
        return found

    def array(self, values: Sequence[Any]) -> pa.Array:
        """The driver's values as one Arrow array. Raises UnreadableValue."""
        try:
            strange = set(map(type, values)) - self.only - {type(None)} if self.only else ()
            if strange:
                raise TypeError
            return self._fitting(values)
        except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError) as error:
            raise UnreadableValue(
                f"{self.name} holds a value that is no {self.type} ({type(error).__name__})"
            ) from error

    def _fitting(self, values: Sequence[Any]) -> pa.Array:
        """An array of the column's type, or of its large one where 32 bits cannot count the bytes."""
        try:
            found = pa.array(values, self.type)
        except pa.ArrowCapacityError:
            return pa.array(values, large_type(self.type))
        return pa.array(values, large_type(self.type)) if isinstance(found, pa.ChunkedArray) else found


def large_type(kind: pa.DataType) -> pa.DataType:
    """The type for more than 2 GiB of texts or bytes."""
    return {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}.get(kind, kind)


def column_of(dialect: str, name: str, declared: TypeEngine[Any], nameless: str = "") -> Column:
    """The Arrow side of a declared column. `nameless`: the database's name of a type that SQLAlchemy has none for."""
    if dialect == "sqlite":
        kind = _sqlite_affinity(str(declared.compile()) if not _null(declared) else "")
        return Column(name, kind, only=_SQLITE_ONLY[kind], family=_SQLITE_FAMILIES[kind])
    found = _column(dialect, name, declared, nameless)
    return replace(found, family=type_family(dialect, declared, nameless))


def _column(dialect: str, name: str, declared: TypeEngine[Any], nameless: str) -> Column:
    found = _exact(declared, dialect)
    if found is not None:
        return Column(name, found)
    if isinstance(declared, sa.Float) and dialect == "mysql":
        return Column(name, pa.float64(), mysql.DOUBLE(asdecimal=False))  # as text a FLOAT has six digits only
    if dialect == "mysql" and _null(declared):  # an inet6 has a text, a geometry has bytes alone
        return Column(name, pa.binary()) if _ONLY_BYTES.fullmatch(nameless) else Column(name, pa.string(), sa.String())
    if dialect == "mysql":
        return Column(name, pa.string())
    return Column(name, pa.string(), None if isinstance(declared, sa.String) else sa.Text())


_PLAIN: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
    (sa.Boolean, pa.bool_()),
    (sa.Date, pa.date32()),
    (mysql.YEAR, pa.int16()),
    *((base, pa.binary()) for base in _BINARY),
)


def _exact(declared: TypeEngine[Any], dialect: str) -> pa.DataType | None:
    if isinstance(declared, sa.Integer):
        return _integer(declared)
    if isinstance(declared, sa.Float):
        return None if dialect == "mysql" and not isinstance(declared, sa.Double) else pa.float64()
    if isinstance(declared, sa.Numeric):
        return _decimal(declared)
    if isinstance(declared, sa.DateTime):
        aware = declared.timezone or (isinstance(declared, sa.TIMESTAMP) and dialect == "mysql")
        return pa.timestamp("us", "UTC") if aware else pa.timestamp("us")
    if isinstance(declared, sa.Time):
        if dialect == "mysql":
            return pa.duration("us")  # MySQL's TIME is a span of up to 838 hours, not a time of day
        return None if declared.timezone else pa.time64("us")
    return next((kind for base, kind in _PLAIN if isinstance(declared, base)), None)


def _integer(declared: sa.Integer) -> pa.DataType:
    bits = next((bits for base, bits in _BITS.items() if isinstance(declared, base)), 32)
    unsigned = getattr(declared, "unsigned", False)
    return getattr(pa, f"{'u' if unsigned else ''}int{bits}")()


def _decimal(declared: sa.Numeric[Any]) -> pa.DataType | None:
    if declared.precision is None:
        return None
    make = pa.decimal128 if declared.precision <= 38 else pa.decimal256
    return make(declared.precision, declared.scale or 0)


def _null(declared: TypeEngine[Any]) -> bool:
    return isinstance(declared, sa.types.NullType)


def _sqlite_affinity(declared: str) -> pa.DataType:
    """SQLite's own rules (datatype3.html, 3.1), with NUMERIC split by what people mean by it: times are texts there."""
    name = declared.upper()
    if "INT" in name or "BOOL" in name:
        return pa.int64()
    if any(word in name for word in ("CHAR", "CLOB", "TEXT", "DATE", "TIME", "JSON", "UUID")):
        return pa.string()
    return pa.binary() if "BLOB" in name or not name else pa.float64()
