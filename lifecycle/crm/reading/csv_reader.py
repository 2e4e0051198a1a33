"""Rows as CSV that the server writes, by whichever way a database has. SQLite has none."""

from collections.abc import Generator, Sequence

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.reading.copy_reader import read_by_copy
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.encoded_reader import read_encoded


def read_as_csv(
    connection: sa.Connection, statement: sa.Select[tuple[object, ...]], columns: Sequence[Column]
) -> Generator[pa.Table]:
    """The rows of a statement that selects these columns, some MiB a table. Raises NotAsCsv, and DBAPIError.

    On PostgreSQL the statement must select each column by `copy_expression`.
    """
    if connection.dialect.name == "sqlite":
        raise NotAsCsv("sqlite")
    reader = read_by_copy if connection.dialect.name == "postgresql" else read_encoded
    yield from reader(connection, statement, columns)
