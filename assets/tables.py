"""Tables of metadata as Dagster's UI draws them, and back again."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

NOBODY = "none"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.MetadataValue[Any]:
    """A table that the UI draws: numbers stay numbers, what is missing is a dash. Without rows the word `none`."""
    given = [dict(zip(columns, map(_cell, row), strict=True)) for row in rows]
    if not given:
        return dg.MetadataValue.text(NOBODY)
    kinds = {name: _kind([row[name] for row in given]) for name in columns}
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in kinds.items()])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in given], schema)


def table_rows(value: Any) -> list[tuple[Any, ...]]:
    """What `table` was given, but for dashes."""
    return [tuple(record.data.values()) for record in value.records] if isinstance(value, dg.TableMetadataValue) else []


def _kind(values: list[Any]) -> str:
    return "int" if values and all(isinstance(value, int) for value in values) else "string"


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, str | int | float):
        return value if value != "" else "-"
    return "-" if value is None else str(value)
