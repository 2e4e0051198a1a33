"""Arrow values as the texts by which a database reads them back exactly: fields of COPY, literals of SQL.

A column at a time. What a database makes of a text is compared afterwards, so a doubt here loses nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

_COPY_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_SQL_ESCAPES = (("\\", "\\\\"), ("'", "\\'"))
_HOUR, _MINUTE = 3_600_000_000, 60_000_000
PIECE_BYTES = 2**20  # the server works at one while the next is made


def copy_lines(rows: pa.Table) -> Iterator[bytes]:
    """Rows in PostgreSQL's text format of COPY, some MiB a piece."""
    for some in pieces(rows):
        yield _texts([_copy_field(some[name]) for name in some.column_names], ("", "\t", "\n"), "\\N")


def value_lists(rows: pa.Table) -> Iterator[bytes]:
    """Rows as the lists after VALUES, some MiB a piece, for MariaDB and MySQL."""
    for some in pieces(rows):
        yield _texts([_sql_literal(some[name]) for name in some.column_names], ("(", ",", "),"), "NULL")[:-1]


def pieces(rows: pa.Table) -> Iterator[pa.Table]:
    """A table cut into slices of about PIECE_BYTES, a row at least."""
    each = max(1, rows.num_rows * PIECE_BYTES // max(rows.nbytes, 1))
    yield from (rows.slice(start, each) for start in range(0, rows.num_rows, each))


def _texts(columns: Sequence[pa.Array], marks: tuple[str, str, str], null: str) -> bytes:
    """The fields of every row, with what begins, parts and ends a row: one after the other, as Arrow lays them down."""
    begin, between, end = (pa.scalar(mark, pa.large_string()) for mark in marks)
    filled = [pc.fill_null(column, pa.scalar(null, pa.large_string())) for column in columns]
    cells = [begin, *(cell for column in filled for cell in (column, between))][:-1]
    lines = pc.binary_join_element_wise(*cells, end, pa.scalar("", pa.large_string()))
    return memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()].tobytes()


def _copy_field(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    if _is_binary(values.type):
        return pa.array([None if v is None else "\\\\x" + v.hex() for v in values.to_pylist()], pa.large_string())
    texts = _as_text(values)
    for letter, escape in _COPY_ESCAPES if _is_text(values.type) else ():
        texts = pc.replace_substring(texts, letter, escape)
    return texts


def _sql_literal(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    kind = values.type
    if _is_binary(kind):
        return pa.array([None if v is None else f"x'{v.hex()}'" for v in values.to_pylist()], pa.large_string())
    if pa.types.is_duration(kind):
        return pa.array([None if v is None else f"'{_span(v)}'" for v in values.to_pylist()], pa.large_string())
    if pa.types.is_timestamp(kind) and kind.tz is not None:  # the session's zone is UTC
        values = values.cast(pa.timestamp(kind.unit))
    texts = _as_text(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return texts
    for letter, escape in _SQL_ESCAPES if _is_text(kind) else ():
        texts = pc.replace_substring(texts, letter, escape)
    quote = pa.scalar("'", texts.type)
    return pc.binary_join_element_wise(quote, texts, quote, pa.scalar("", texts.type))


def _as_text(values: pa.Array) -> pa.Array:
    if _is_text(values.type):
        return values.cast(pa.large_string())
    if pa.types.is_decimal(values.type):  # Arrow writes 1E-10, which some types refuse
        return pa.array([None if v is None else f"{v:f}" for v in values.to_pylist()], pa.large_string())
    return values.cast(pa.string()).cast(pa.large_string())


def _span(value: timedelta) -> str:
    """MySQL's TIME."""
    micro = value // timedelta(microseconds=1)
    hours, rest = divmod(abs(micro), _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return f"{'-' if micro < 0 else ''}{hours:02}:{minutes:02}:{rest // 1_000_000:02}.{rest % 1_000_000:06}"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
