"""Rows of tables without a key: found by the rows above them, deleted together, counted against the compared."""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.mapping.source import Part
from lifecycle.crm.purging.row_failures import InterferingWrite
from lifecycle.crm.reading.rows import Rows
from lifecycle.evidence.comparison import CALL_ID


class KeylessRows:
    """Deletes the rows of parts without a key. Raises InterferingWrite where others are there than were compared."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def remove(self, connection: sa.Connection, part: Part, mine: Mapping[str, pa.Table], gone: Counter[str]) -> int:
        """Rows without a key: all that belong to the locked rows above them, which must be as many as were compared."""
        wanted = Counter(map(repr, mine[part.name].drop_columns([CALL_ID]).to_pylist())) - gone
        gone.update(wanted)
        return self._remove_of_parents(connection, part, mine, wanted.total())

    def remove_history(self, connection: sa.Connection, part: Part, mine: Mapping[str, pa.Table]) -> int:
        """Rows that were compared, and those that the database wrote while it deleted the others."""
        rows, written = mine[part.name], part.chain[-1].written_by_deletion
        before = sum(map(written.holds, rows.select(list(written.columns)).to_pylist()))
        again = self._rows.count_of_parents(connection, part, self._above(part, mine), written)
        return self._remove_of_parents(connection, part, mine, rows.num_rows + again - before)

    def _above(self, part: Part, mine: Mapping[str, pa.Table]) -> pa.Table:
        above = self._rows.part_above(part)
        if above is None:
            raise InterferingWrite(f"{part.table}: its rows are found by rows that are not of this component")
        return mine[above]

    def _remove_of_parents(
        self, connection: sa.Connection, part: Part, mine: Mapping[str, pa.Table], wanted: int
    ) -> int:
        conditions, table = self._rows.statements.of_parents(part, self._above(part, mine)), self._rows.mapped(part)
        done = sum(connection.execute(table.delete().where(each)).rowcount for each in conditions)
        if done != wanted:
            raise InterferingWrite(f"{part.table}: expected to delete {wanted} rows, the database deleted {done}")
        return done
