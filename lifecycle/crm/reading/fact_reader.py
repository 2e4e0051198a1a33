"""The facts of named calls: as CSV that the server writes where that gives what the driver gives, or row by row.

Which calls are asked for is not decided here.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in, value_chunks
from lifecycle.crm.reading.csv_reader import read_as_csv
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.fact_tables import FactTables
from lifecycle.crm.reading.locking_plans import is_planned_for_few_keys
from lifecycle.crm.session.sqlite_file import read_texts


class FactReader:
    """Reads one facts query. From the first value on that CSV cannot tell it takes the driver's."""

    def __init__(self, dialect: str, query: Any, tables: FactTables) -> None:
        self._dialect, self._query, self._tables = dialect, query, tables
        self.as_csv = dialect != "sqlite" and tables.served is not None

    def read(self, connection: sa.Connection, keys: Sequence[Any], *order: sa.ColumnElement[Any]) -> pa.Table:
        """The facts of some calls. A call that the database finds by two spellings of its key is given once."""
        wanted = [column_in(self._dialect, self._query.c.call_id, some) for some in value_chunks(self._dialect, keys)]
        if self.as_csv and not is_planned_for_few_keys(connection):
            statement = self._tables.select_served(self._query).order_by(*order)
            try:
                return self._by_server(connection, [statement.where(each) for each in wanted])
            except NotAsCsv:
                self.as_csv = False
        statement = self._tables.select(self._query).order_by(*order)
        return self._by_driver(connection, [statement.where(each) for each in wanted])

    def _by_server(self, connection: sa.Connection, statements: Sequence[sa.Select[Any]]) -> pa.Table:
        columns, found = self._tables.served or (), list[pa.Table]()
        for statement in statements:
            some = list(read_as_csv(connection, statement, columns))
            found += [_without_named(table, found) for table in some] if found else some
        return self._tables.of_served(found)

    def _by_driver(self, connection: sa.Connection, statements: Sequence[sa.Select[Any]]) -> pa.Table:
        found, given, place = list[Any](), set[Any](), self._tables.place
        for statement in statements:
            rows = read_texts(connection, partial(_fetched, connection, statement))
            found += [row for row in rows if row[place] not in given] if given else rows
            if len(statements) > 1:
                given.update(row[place] for row in rows)
        return self._tables.table(found)


def _fetched(connection: sa.Connection, statement: sa.Select[Any]) -> Sequence[Any]:
    return connection.execute(statement).fetchall()


def _without_named(table: pa.Table, before: Sequence[pa.Table]) -> pa.Table:
    """The rows of calls that none of the tables before has."""
    given = pa.chunked_array([chunk for each in before for chunk in each["call_id"].chunks], table["call_id"].type)
    return table.filter(pc.invert(pc.is_in(table["call_id"], given)))
