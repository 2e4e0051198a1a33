"""Planners in a restore's transaction. PostgreSQL is kept from joining what it takes for empty row by row to thousands
of rows; MariaDB takes long lists of keys for what they are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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


KEYS_OF_LONG_LISTS = {"mysql": 5_000}
"""By dialect, how many keys a statement inside `long_lists` takes, where that is more than elsewhere."""


@contextmanager
def long_lists(connection: sa.Connection) -> Iterator[None]:
    """MariaDB searches the index for each value of a list, however long: else it makes a table of more than a thousand,
    and reads all of the other table to join them. Whoever locks stays below that; here nothing is locked by a list."""
    name = "in_predicate_conversion_threshold"
    if not getattr(connection.dialect, "is_mariadb", False):
        yield
        return
    before = connection.scalar(sa.text(f"SELECT @@SESSION.{name}"))
    connection.execute(sa.text(f"SET SESSION {name} = 0"))
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.execute(sa.text(f"SET SESSION {name} = :before"), {"before": before})
