"""The rows of one part, fetched: as CSV that the server writes where that reads every value exactly, or row by row."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Literal

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.mapping.columns import Column, UnreadableValue
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.reading.copy_reader import copy_expression, read_by_copy
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.encoded_reader import read_encoded
from lifecycle.crm.reading.part_statements import PartStatements
from lifecycle.crm.refusals import Refusal, kind_of_refusal

_FETCHED_ROWS = 20_000  # at most
_LITTLE = 4 * 2**20  # of a fetch: below it the next one takes twice as many rows, above it half as many
_STREAMED = {"stream_results": True, "max_row_buffer": 1000}

Lock = Literal["none", "wait", "skip"]


class UnreadableCalls(Exception):
    """Some row of these calls cannot be read exactly. Carries why."""


class CallsTooLarge(Exception):
    """The rows of these calls are more bytes than are read at once. One call alone never is."""


def read_rows(
    connection: sa.Connection,
    statements: PartStatements,
    part: Part,
    keys: Sequence[Any],
    columns: Sequence[Column],
    most: int | None = None,
    lock: Lock = "none",
) -> list[pa.Table]:
    """The rows of a part that belong to the named calls. `columns`: the call's key, then those of the part.

    Raises UnreadableCalls, and CallsTooLarge where they have more than `most` bytes.
    """
    dialect, locks = statements.dialect, lock != "none"
    with _unreadable_named(part):
        with suppress(NotAsCsv):
            if dialect != "sqlite":
                written, reader = (
                    (copy_expression, read_by_copy) if dialect == "postgresql" else (Column.expression, read_encoded)
                )
                rows = statements.rows_of(part, keys, columns[1:], written, locks)
                statement = _locked(statements, part, rows, lock)
                return _at_most(most, reader(connection, statement, columns))
        rows = statements.rows_of(part, keys, columns[1:], locks=locks)
        statement = _locked(statements, part, rows, lock)
        return _at_most(most, _by_driver(connection, statement, columns))


def _locked(statements: PartStatements, part: Part, statement: sa.Select[Any], lock: Lock) -> sa.Select[Any]:
    if lock == "none":
        return statement.execution_options(**_STREAMED)
    return statements.locking(part, statement, lock == "skip")


def _by_driver(connection: sa.Connection, statement: sa.Select[Any], columns: Sequence[Column]) -> Generator[pa.Table]:
    """Rows one by one: few at a time where they are large."""
    number = 8
    with closing(connection.execute(statement)) as result:
        while fetched := result.fetchmany(number):
            values = zip(*fetched, strict=True)
            arrays = [column.array(some) for column, some in zip(columns, values, strict=True)]
            table = pa.table(arrays, names=[column.name for column in columns])
            yield table
            number = min(2 * number, _FETCHED_ROWS) if table.nbytes < _LITTLE else max(1, number // 2)


def _at_most(most: int | None, found: Generator[pa.Table]) -> list[pa.Table]:
    """All of the tables. Raises CallsTooLarge where they have more bytes."""
    read, size = list[pa.Table](), 0
    with closing(found):
        for table in found:
            read.append(table)
            size += table.nbytes
            if most is not None and size > most:
                raise CallsTooLarge
    return read


@contextmanager
def _unreadable_named(part: Part) -> Iterator[None]:
    """What cannot be read, as UnreadableCalls, without the value."""
    try:
        yield
    except UnreadableValue as error:
        raise UnreadableCalls(f"{part.table}.{error}") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableCalls(f"{part.table} holds a value the driver cannot read ({_said(error)})") from error
    except DBAPIError as error:
        if kind_of_refusal(error) is not Refusal.ROW:
            raise
        raise UnreadableCalls(f"{part.table} holds a value the driver cannot read ({_said(error)})") from error


def _said(error: Exception) -> str:
    return type(error.orig if isinstance(error, DBAPIError) and error.orig else error).__name__
