"""MariaDB's and MySQL's rows, each written by the server as one line of CSV, which Arrow reads.

PyMySQL makes every value of every row in Python, so the lines of a statement come as one value. Texts are quoted, bytes
in hex, so that a line reads one way only; a row too large for `max_allowed_packet` comes as NULL, and is not taken.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.reading.csv_rows import NotAsCsv, read_csv

_AT_ONCE = 5_000


def read_encoded(
    connection: sa.Connection, statement: sa.Select[Any], columns: Sequence[Column]
) -> Generator[pa.Table]:
    """The rows of a statement that selects these columns, some MiB a table. Raises NotAsCsv, and DBAPIError."""
    chosen = list(statement.selected_columns)
    cells = [_cell(column, given) for column, given in zip(columns, chosen, strict=True)]
    line = sa.cast(sa.func.concat_ws(",", *cells), sa.LargeBinary)
    found = _together(connection, statement, line, columns)
    if found is None:
        found = read_csv(_lines(connection.scalars(statement.with_only_columns(line))), columns)
    yield from found


def _together(
    connection: sa.Connection, statement: sa.Select[Any], line: sa.ColumnElement[Any], columns: Sequence[Column]
) -> Iterable[pa.Table] | None:
    """All lines as one value; None where they are too many bytes for one, or each is asked for once or in order.

    What locks needs no order: `IN` on the key finds rows in the key's.
    """
    locks = statement._for_update_arg is not None
    if statement._distinct or (statement._order_by_clauses and not locks):
        return None
    body = sa.func.group_concat(line.op("SEPARATOR")(sa.literal_column(r"'\n'")))
    asked = statement.with_only_columns(body, sa.func.count(), sa.literal_column("@@group_concat_max_len"))
    lines, count, most = connection.execute(asked.order_by(None)).one()
    if count == 0:
        return ()
    if lines is None or len(lines) >= int(most):  # cut off there
        return None
    found = list(read_csv([lines, b"\n"], columns))
    return found if sum(table.num_rows for table in found) == count else None


def _lines(found: sa.ScalarResult[Any]) -> Iterator[bytes]:
    for some in found.partitions(_AT_ONCE):
        if None in some:
            raise NotAsCsv("max_allowed_packet")
        yield b"\n".join(some) + b"\n"


def _cell(column: Column, given: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """One value as CSV; NULL as nothing at all."""
    value = given.element if isinstance(given, sa.Label) else given
    return sa.func.if_(value.is_(None), "", _written(column.type, value))


def _written(kind: pa.DataType, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if pa.types.is_string(kind):
        text = sa.collate(sa.cast(value, mysql.CHAR(charset="utf8mb4")), "utf8mb4_bin")
        return sa.func.concat('"', sa.func.replace(text, '"', '""'), '"')
    if pa.types.is_binary(kind):
        return sa.func.concat('"', sa.func.hex(sa.cast(value, sa.LargeBinary)), '"')
    if pa.types.is_duration(kind):
        return sa.cast(sa.func.time_to_sec(value) * 1_000_000, mysql.BIGINT)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return sa.func.concat(value, "Z")  # the session's time zone is UTC
    return value
