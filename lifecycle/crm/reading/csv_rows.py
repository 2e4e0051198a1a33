"""Rows that the server writes as CSV and Arrow reads in C++: the fast way, exact or not taken.

A NULL is nothing between two commas, every value stands in quotes, so that an empty text is none. What cannot be read
this way raises NotAsCsv, and the caller reads the rows one by one, as the driver gives them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from lifecycle.crm.mapping.columns import Column

BLOCK_BYTES = 8 * 2**20
_READ_AS = {"binary": pa.string(), "decimal256": pa.string(), "duration": pa.int64()}


class NotAsCsv(Exception):
    """These rows cannot be read as CSV exactly: another way must be taken. Carries no value."""


def read_csv(rows: Iterable[bytes], columns: Sequence[Column]) -> Iterator[pa.Table]:
    """Lines of CSV, one a row, as Arrow tables of some BLOCK_BYTES of text each. Raises NotAsCsv."""
    waiting: list[bytes] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += len(row)
        if size >= BLOCK_BYTES:
            yield _table(b"".join(waiting), columns)
            waiting, size = [], 0
    if waiting:
        yield _table(b"".join(waiting), columns)


def _table(body: bytes, columns: Sequence[Column]) -> pa.Table:
    places = [f"c{number}" for number in range(len(columns))]  # two columns may have one name
    types = {place: _as_read(column.type) for place, column in zip(places, columns, strict=True)}
    try:
        found = pacsv.read_csv(
            pa.BufferReader(body),
            pacsv.ReadOptions(column_names=places, use_threads=False, block_size=len(body) + 1),
            pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            pacsv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t", "1"],
                false_values=["f", "0"],
            ),
        )
        arrays = [_converted(found[place], column.type) for place, column in zip(places, columns, strict=True)]
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise NotAsCsv(type(error).__name__) from error
    return pa.table(arrays, names=[column.name for column in columns])


def _as_read(kind: pa.DataType) -> pa.DataType:
    return next((as_read for name, as_read in _READ_AS.items() if str(kind).startswith(name)), kind)


def _converted(found: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """What the CSV reader has no converter for: bytes in hex, decimals beyond 38 digits."""
    if found.type == kind:
        return found
    if pa.types.is_decimal(kind) or pa.types.is_duration(kind):
        return found.cast(kind)
    convert: Callable[[str], bytes] = bytes.fromhex
    return pa.chunked_array([pa.array([v if v is None else convert(v) for v in found.to_pylist()], kind)])
