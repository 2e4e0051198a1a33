"""PostgreSQL's planner, and tables that it takes for empty: kept from joining them row by row to thousands of rows."""

from collections.abc import Mapping

import sqlalchemy as sa

_ROWS = "SELECT reltuples FROM pg_catalog.pg_class WHERE oid = CAST(:name AS regclass)"


def join_by_sets(connection: sa.Connection, inserted: Mapping[sa.TableClause, int]) -> None:
    """For the rest of the transaction, where one of the tables got more rows than the planner believes it has.

    A table that was emptied, analysed and filled in this transaction is estimated at one row: 20,000 calls then take
    minutes to be read back. No other session could tell it better before the commit.
    """
    quoted = connection.dialect.identifier_preparer
    for table, rows in inserted.items():
        believed = connection.scalar(sa.text(_ROWS), {"name": quoted.format_table(table)})
        if believed is not None and 0 <= believed < rows:  # -1: it goes by the table's size
            connection.exec_driver_sql("SET LOCAL enable_nestloop = off")
            return
