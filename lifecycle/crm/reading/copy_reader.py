"""PostgreSQL's COPY: the rows of a statement, written by the server as CSV and read by Arrow. Locks hold as ever."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.reading.csv_rows import NotAsCsv, read_csv

_NOTHING_YET = 0


def read_by_copy(
    connection: sa.Connection, statement: sa.Select[Any], columns: Sequence[Column]
) -> Generator[pa.Table]:
    """The rows of a statement that selects these columns, some MiB a table. Raises NotAsCsv, and DBAPIError.

    The statement must select each column by `copy_expression`.
    """
    driver = connection.connection.driver_connection
    _require_plain_texts(driver)
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    text = f"COPY ({compiled}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)"
    with driver_errors(connection, text), driver.cursor() as cursor, cursor.copy(text, compiled.params) as rows:  # type: ignore[union-attr]
        lines = _lines(connection, rows)
        try:
            yield from read_csv(lines, columns)
        except NotAsCsv:
            for _ in lines:  # a COPY that is broken off breaks the transaction off
                pass
            raise


def _lines(connection: sa.Connection, copy: Any) -> Iterator[bytes]:
    """The rows of a COPY. What has arrived already is taken from libpq: the driver's own way waits for each row anew,
    which takes longer than the server needs to write one."""
    driver: Any = connection.connection.driver_connection
    pgconn = driver.pgconn
    while True:
        size, row = pgconn.get_copy_data(1)
        if size == _NOTHING_YET:
            row = copy.read()
            size = len(row)
            if not row:
                return
        if size < 0:
            break
        yield bytes(row)
    results = list(iter(pgconn.get_result, None))  # to the last: until then the connection takes no other statement
    failed = next((result for result in results if result.error_message), None)
    if failed is not None:
        raise connection.dialect.loaded_dbapi.errors.error_from_result(failed)


def copy_expression(column: Column, table: sa.FromClause) -> sa.ColumnElement[Any]:
    """What to select so that its text is exact: bytes in hex, whatever the session says of them."""
    return written_for_copy(column, column.expression(table))


def written_for_copy(column: Column, expression: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The same of a value that is selected otherwise."""
    if pa.types.is_binary(column.type):
        return sa.func.pg_catalog.encode(expression, sa.literal_column("'hex'")).label(column.name)
    return expression


def _require_plain_texts(driver: Any) -> None:
    """Dates and letters as Arrow reads them, whatever a role or a database has set."""
    if driver.info.encoding != "utf-8" or not driver.info.parameter_status("DateStyle").startswith("ISO"):
        raise NotAsCsv("session")


@contextmanager
def driver_errors(connection: sa.Connection, text: str) -> Iterator[None]:
    """The driver's errors as every other statement raises them."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise sa.exc.DBAPIError.instance(text, None, error, base, hide_parameters=True) from error
