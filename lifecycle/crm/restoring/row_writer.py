"""Rows of an Arrow table written into a table of the database, set by set. What comes of them others look at."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import plain_bind
from lifecycle.crm.reading.copy_reader import driver_errors
from lifecycle.crm.restoring.value_texts import copy_lines, value_lists

_RESTORING_MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"


@contextmanager
def taking_values_as_they_are(connection: sa.Connection, dialect: str) -> Iterator[None]:
    """MariaDB and MySQL take a key of 0 and a day that no calendar has, as the rows had them. What they change is seen
    afterwards, for every column is compared."""
    if dialect != "mysql":
        yield
        return
    before = connection.scalar(sa.text("SELECT @@SESSION.sql_mode"))
    connection.execute(sa.text("SET SESSION sql_mode = :mode"), {"mode": _RESTORING_MODE})
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(sa.text("SET SESSION sql_mode = :mode"), {"mode": before})


def insert_rows(connection: sa.Connection, dialect: str, table: sa.TableClause, rows: pa.Table) -> None:
    """Insert rows whose columns are named as the table's. Raises DBAPIError."""
    if not rows.num_rows:
        return
    quoted = connection.dialect.identifier_preparer
    named, names = quoted.format_table(table), ", ".join(map(quoted.quote_identifier, rows.column_names))
    driver: Any = connection.connection.driver_connection
    if dialect == "postgresql":
        statement = f"COPY {named} ({names}) FROM STDIN"
        with driver_errors(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
            for lines in copy_lines(rows):
                copy.write(lines)
    elif dialect == "mysql":
        statement = f"INSERT INTO {named} ({names}) VALUES "
        with driver_errors(connection, statement), driver.cursor() as cursor:
            for values in value_lists(rows):
                cursor.execute(b"".join((statement.encode(), values)))
    else:
        statement = f"INSERT INTO {named} ({names}) VALUES ({', '.join('?' * rows.num_columns)})"
        with driver_errors(connection, statement):
            driver.executemany(statement, zip(*(column.to_pylist() for column in rows.columns), strict=True))


def set_where_empty(
    connection: sa.Connection,
    table: sa.TableClause,
    key: Sequence[str],
    columns: Sequence[str],
    as_is: Sequence[str],
    rows: pa.Table,
) -> list[Mapping[str, Any]]:
    """Set columns of rows that are there, where all of them are NULL; gives the rows that have other values.

    `as_is`: columns that the database would write anew at any update, and must not.
    """
    missed = []
    for row in rows.select([*key, *columns]).to_pylist():
        mine = [table.c[name] == plain_bind(row[name]) for name in key]
        empty = [table.c[name].is_(None) for name in columns]
        values = {name: plain_bind(row[name]) for name in columns} | {name: table.c[name] for name in as_is}
        if connection.execute(table.update().where(*mine, *empty).values(values)).rowcount == 1:
            continue
        there = sa.select(sa.func.count()).select_from(table).where(*mine)
        same = [table.c[name] == plain_bind(row[name]) for name in columns]
        if connection.scalar(there) and not connection.scalar(there.where(*same)):
            missed.append(row)
    return missed
