"""Canonical JSON of many records at once, a column at a time: byte for byte what `canonical_json` makes of each.

A purge records thousands of calls in one transaction, and the sealing works the same records out again. So columns
become texts in Arrow, and are joined there; Python writes only what Arrow does not write as JSON has it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.canonical import canonical_json

Texts: TypeAlias = Sequence[str | None] | pa.LargeStringArray
_quoted = json.encoder.encode_basestring  # what ensure_ascii=False calls, in C
_ESCAPED = r'["\\\x00-\x1f]'  # what it escapes
_BYTES_AT_ONCE = 2**24


def rows_as_json(table: pa.Table) -> Iterator[bytes]:
    """Each row as the object that `leaf.row_digest` digests: no column that begins `_`, what JSON lacks as text."""
    rows = table.select([name for name in table.column_names if not name.startswith("_")])
    many = max(1, table.num_rows * _BYTES_AT_ONCE // max(rows.nbytes, 1))
    for start in range(0, table.num_rows, many):
        some = rows.slice(start, many)
        own = {name: values_as_json(column) for name, column in zip(some.column_names, some.columns, strict=True)}
        yield from records_as_json({}, own, min(many, table.num_rows - start))


def records_as_json(common: Mapping[str, Any], own: Mapping[str, Texts], count: int) -> list[bytes]:
    """So many objects, with fields in common and fields of their own, given as JSON texts; None: without the field."""
    if not own:
        return [canonical_json(dict(common))] * count
    pieces: list[str | pa.LargeStringArray] = []
    for name in sorted({*common, *own}):
        key = f",{_quoted(name)}:"
        if name not in own:
            pieces.append(key + json_text(common[name]))
            continue
        texts = pa.array(own[name], pa.large_string())
        pieces += [pc.fill_null(_joined([key, texts]), "")] if texts.null_count else [key, texts]
    # The first field has a comma before it, whichever that is in a record: the brace takes its place.
    bodies = pc.binary_replace_slice(_joined([*pieces, "}"]), 0, 1, "{")
    bodies = bodies if common else pc.if_else(pc.equal(bodies, "{"), "{}", bodies)
    found: list[bytes] = bodies.cast(pa.large_binary()).to_pylist()
    return found


def values_as_json(column: pa.ChunkedArray) -> pa.LargeStringArray:
    """A column's values as JSON texts."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    texts = _texts(values)
    if texts is None:
        return pa.array(_written(values), pa.large_string())
    return pc.fill_null(texts, "null")


def _texts(values: pa.Array) -> pa.LargeStringArray | None:
    """Values as JSON texts where Arrow writes them as JSON has them. None: it does not."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return values.cast(pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return None if pc.any(pc.match_substring_regex(values, _ESCAPED)).as_py() else _in_quotes(values)
    if pa.types.is_date32(kind) or pa.types.is_decimal(kind):
        return _in_quotes(values.cast(pa.large_string()))
    if kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        written = pc.binary_replace_slice(values.cast(pa.timestamp("us")).cast(pa.large_string()), 10, 11, "T")
        return _in_quotes(pc.replace_substring(written, ".000000", ""), '+00:00"' if kind.tz else '"')
    return None


def _written(values: pa.Array) -> list[str]:
    """Values as JSON texts, each different one written by Python."""
    found = values.to_pylist()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return ["null" if value is None else _quoted(value) for value in found]
    if pa.types.is_floating(values.type):  # 0.0 equals -0.0, and their texts differ
        return ["null" if value is None else f'"{value}"' for value in found]
    known = {value: json_text(plain_value(value)) for value in set(found)}
    return [known[value] for value in found]


def _in_quotes(texts: pa.Array, end: str = '"') -> pa.LargeStringArray:
    return _joined(['"', texts.cast(pa.large_string()), end])


def _joined(pieces: Iterable[str | pa.LargeStringArray]) -> pa.LargeStringArray:
    """Texts put together row by row; what all rows have in common is one text."""
    merged: list[Any] = []
    for is_text, some in groupby(pieces, lambda piece: isinstance(piece, str)):
        found = list(some)
        merged += [pa.scalar("".join(found), pa.large_string())] if is_text else found
    return pc.binary_join_element_wise(*merged, pa.scalar("", pa.large_string()))


def json_text(value: Any) -> str:
    """One value as canonical JSON."""
    return canonical_json(value).decode()


def plain_value(value: Any) -> Any:
    """A database value as JSON can say it: days and times in ISO 8601, bytes in hex, other numbers as their digits."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
