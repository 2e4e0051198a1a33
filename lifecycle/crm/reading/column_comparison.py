"""Two columns compared in the database, so that text and a number are equal only where they are written alike.

MySQL takes `7 rue de la Paix` for 7 and `1e2` for 100, SQLite the second, and PostgreSQL refuses. Which columns may be
compared at all is asked by `crm.mapping.misfits`.
"""

from typing import Any

import sqlalchemy as sa

from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.type_families import TEXT, differ_in_spelling_alone

Placed = tuple[sa.FromClause, Column]


def columns_equal(dialect: str, left: Placed, right: Placed) -> sa.ColumnElement[bool]:
    """The rows in which both are the same value; one that is no text is compared as its text to one that is."""
    (_, mine), (_, other) = left, right
    if differ_in_spelling_alone(mine.family, other.family):
        return _as_text(dialect, left) == _as_text(dialect, right)
    return left[0].c[mine.name] == right[0].c[other.name]


def _as_text(dialect: str, placed: Placed) -> sa.ColumnElement[Any]:
    table, column = placed
    value: sa.ColumnElement[Any] = table.c[column.name]
    if column.family == TEXT:
        return value
    # Not CAST on MySQL: its text has a collation of its own, and the comparison would be refused or use no index.
    return sa.func.concat(value, sa.literal_column("''")) if dialect == "mysql" else sa.cast(value, sa.Text)
