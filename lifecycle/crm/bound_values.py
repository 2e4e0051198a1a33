"""Values bound into statements, where PostgreSQL, MySQL/MariaDB and SQLite differ: one, many, text as written."""

import json
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql


def plain_bind(value: Any) -> sa.BindParameter[Any]:
    """A value bound as the driver's plain type: the database reads it in the type of the column beside it."""
    return sa.bindparam(None, value, type_=sa.types.NullType())


def largest_statement(connection: sa.Connection) -> float:
    """How many bytes a statement may have: MySQL ends a session that sends more, at every try alike."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return inf
    return float(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one())


def column_in(
    dialect: str, column: sa.ColumnElement[Any], values: Sequence[Any] | sa.BindParameter[Any]
) -> sa.ColumnElement[bool]:
    """The rows whose column has one of the values, compared in the column's own type.

    On PostgreSQL a parameter may stand for them, which is given an `array_literal` later: so a statement is made once.

    As one parameter, however many they are: a statement with a thousand placeholders takes the client longer to make
    than the database to run. PostgreSQL takes an array literal, PyMySQL writes a tuple out, SQLite reads JSON.
    """
    if isinstance(values, sa.BindParameter):
        return column == sa.func.any(values)
    if dialect == "postgresql":
        return column == sa.func.any(plain_bind(array_literal(values)))
    if dialect in ("mysql", "mariadb") and values:
        return column.op("IN", is_comparison=True)(plain_bind(tuple(values)))
    if dialect == "sqlite" and (listed := _json_list(values)):
        return column.in_(sa.select(sa.literal_column("value")).select_from(sa.func.json_each(plain_bind(listed))))
    return column.in_(sa.bindparam(None, list(values), expanding=True, type_=sa.types.NullType()))


def value_chunks(dialect: str, values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Values, as many at a time as `column_in` takes without harm.

    From a thousand on MariaDB makes a table of a list, and reads all of the other table, or locks it, to join them.
    SQLite takes no more than 32,766 parameters, where each value is one.
    """
    many = 900 if dialect in ("mysql", "mariadb") else 20_000
    return (values[start : start + many] for start in range(0, len(values), many))


def _json_list(values: Sequence[Any]) -> str | None:
    """Whole numbers or texts as JSON; None for what JSON, or SQLite's reading of it, would change."""
    if {*map(type, values)} not in ({int}, {str}):
        return None
    text = json.dumps(values, ensure_ascii=False)
    return text if "\\u0000" not in text and is_utf8(text) else None


def is_utf8(text: str) -> bool:
    """Whether a text can be written: one with bytes in it that are no UTF-8 cannot."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def exact_text(dialect: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A text as it is written: the collations of MySQL and MariaDB would put `é` with `e`."""
    if dialect not in ("mysql", "mariadb"):
        return column
    return sa.collate(sa.cast(column, mysql.CHAR(charset="utf8mb4")), "utf8mb4_bin")


ValuesOrSelect = Sequence[Any] | sa.Select[Any]


def column_named_in(dialect: str, column: sa.ColumnElement[Any], named: ValuesOrSelect) -> sa.ColumnElement[bool]:
    """The rows whose column has a value that is listed, or that a statement gives."""
    return column.in_(named) if isinstance(named, sa.Select) else column_in(dialect, column, named)


def array_literal(values: Sequence[Any]) -> str:
    """Values as PostgreSQL writes an array of them."""
    texts = [f"\\x{value.hex()}" if isinstance(value, bytes) else str(value) for value in values]
    together = "".join(texts)
    if "\\" in together or '"' in together:
        texts = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(texts) + '"}' if texts else "{}"
