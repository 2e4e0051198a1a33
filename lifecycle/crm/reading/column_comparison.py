"""Two columns compared in the database, so that text and a number are equal only where they are written alike.

MySQL takes `7 rue de la Paix` for 7 and `1e2` for 100, SQLite the second, and PostgreSQL refuses.
"""

from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.mapping.columns import Column

Placed = tuple[sa.FromClause, Column]


def are_of_one_type(left: Column, right: Column) -> bool:
    """Whether both are text to the database, or neither is."""
    return _is_text(left) == _is_text(right)


def columns_equal(dialect: str, left: Placed, right: Placed) -> sa.ColumnElement[bool]:
    """The rows in which both are the same value; one that is no text is compared as its text to one that is."""
    (_, mine), (_, other) = left, right
    if are_of_one_type(mine, other) or pa.types.is_binary(mine.type) or pa.types.is_binary(other.type):
        return left[0].c[mine.name] == right[0].c[other.name]
    return _as_text(dialect, left) == _as_text(dialect, right)


def _is_text(column: Column) -> bool:
    return pa.types.is_string(column.type) and column.cast is None


def _as_text(dialect: str, placed: Placed) -> sa.ColumnElement[Any]:
    table, column = placed
    value: sa.ColumnElement[Any] = table.c[column.name]
    if _is_text(column):
        return value
    # Not CAST on MySQL: its text has a collation of its own, and the comparison would be refused or use no index.
    return sa.func.concat(value, sa.literal_column("''")) if dialect == "mysql" else sa.cast(value, sa.Text)
