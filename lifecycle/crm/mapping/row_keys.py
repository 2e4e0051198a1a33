"""What tells a row of a table from every other: its primary key, or a unique index without NULL and condition."""

from typing import Any

import sqlalchemy as sa


def _row_key(inspector: sa.Inspector, table: str, schema: str | None) -> tuple[str, ...]:
    """The primary key, or the first unique key without NULLs."""
    primary = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    if primary:
        return tuple(primary)
    required = {str(c["name"]) for c in inspector.get_columns(table, schema=schema) if not c["nullable"]}
    return next((names for names in _unique(inspector, table, schema) if required.issuperset(names)), ())


def _unique(inspector: sa.Inspector, table: str, schema: str | None) -> list[tuple[str, ...]]:
    """The columns of every unique key of whole columns and all rows: no index over a part of the rows, or a prefix."""
    primary = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    unique: list[list[Any]] = [c["column_names"] for c in inspector.get_unique_constraints(table, schema=schema)]
    indexes = [i for i in inspector.get_indexes(table, schema=schema) if i["unique"] and not _partial(i)]
    unique += [list(i["column_names"]) for i in indexes if None not in i["column_names"]]
    return [tuple(map(str, names)) for names in ([primary] if primary else []) + unique]


def _partial(index: Any) -> bool:
    options = index.get("dialect_options", {})
    return any(name.endswith(("_where", "_length")) and value for name, value in options.items())


def _indexes(inspector: sa.Inspector, table: str, schema: str | None) -> dict[str, tuple[str, ...]]:
    """The columns of every index by its name, expressions left out."""
    found: list[Any] = [i for i in inspector.get_indexes(table, schema=schema) if None not in i["column_names"]]
    primary = inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]
    named = {str(index["name"]): tuple(map(str, index["column_names"])) for index in found}
    return {"PRIMARY": tuple(primary), **named} if primary else named
