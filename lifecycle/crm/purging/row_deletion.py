"""Deletes the rows of calls that may go: each once, by its own key, what names others before it.

Which calls may go, and whether the rows are the archived ones, is known by now. The only DELETE of mapped tables.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in
from lifecycle.crm.mapping.row_references import RowReference
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.purging.deletion_count import MeantDeletions
from lifecycle.crm.purging.keyless_rows import KeylessRows
from lifecycle.crm.purging.read_schema import _keys
from lifecycle.crm.purging.row_failures import InterferingWrite
from lifecycle.crm.purging.row_ownership import without_rows
from lifecycle.crm.reading.rows import RowKey, Rows
from lifecycle.evidence.comparison import CALL_ID


class RowDeletion:
    """Deletes rows of one mapping, or of one component of it.

    Of a component the tables' rows go and the columns of the call's own row are set to NULL; `kept_as_is` are the
    columns of that row which a database may write by itself on any update. `references`: unmapped keys, none of which
    may name a row that goes. Raises InterferingWrite where others are there than were compared.
    """

    def __init__(
        self, dialect: str, rows: Rows, kept_as_is: Sequence[str] = (), references: Sequence[RowReference] = ()
    ) -> None:
        self._dialect, self._rows, self._kept_as_is, self._references = dialect, rows, kept_as_is, references
        self._keyless = KeylessRows(rows)

    def delete(
        self,
        connection: sa.Connection,
        locked: Mapping[str, pa.Table],
        going: Sequence[Any],
        kept: Mapping[str, Collection[RowKey]],
        meant: MeantDeletions,
    ) -> dict[str, int]:
        """Each row once, by its own key: only what was compared is deleted, and all of it. What names others first.

        Before the rows go by which others are found, nothing may have been added to those, unless the database looks.
        """
        chosen = pa.array(going, self._rows.key.type)
        mine = {name: table.filter(pc.is_in(table[CALL_ID], chosen)) for name, table in locked.items()}
        links = [part for part in self._rows.parts if part.detach]
        counts = {part.name: self._clear(connection, part, mine[part.name], meant) for part in links}
        gone, unchecked = defaultdict[str, set[RowKey]](set), [part for part in self._rows.parts if part.chain]
        nameless = defaultdict[str, Counter[str]](Counter)
        histories = [part for part in unchecked if part.chain[-1].written_by_deletion]
        unchecked = [part for part in unchecked if part not in histories and not self._looks_itself(part)]
        remembered = self._led_to_again() | {part.table for part in unchecked}
        for table in self._rows.deletion_order():
            for part in [part for part in unchecked if table in self._rows.tables_above(part)]:
                unchecked.remove(part)
                if not self._rows.row_key(part) and part.name not in counts:
                    continue  # they are counted when they go
                waiting = _keys(mine[part.name], self._rows.row_key(part)) - gone[part.table] if not part.detach else ()
                self._nothing_is_added(connection, part, going, waiting)
            mine_of = (p for p in self._rows.parts if p.table == table and not (p.detach or p.grouped))
            for part in (p for p in mine_of if p not in histories):
                if part.columns is not None:
                    counts[f"{part.name}-cleared"] = self._clear(connection, part, mine[part.name], meant)
                    continue
                if not (names := self._rows.row_key(part)):
                    counts[part.name] = self._keyless.remove(connection, part, mine, nameless[table])
                    meant.delete(table, counts[part.name])
                    continue
                rows = without_rows(mine[part.name], names, gone[table] | set(kept.get(table, ())))
                rows = without_rows(rows, names, self._rows.named_still(connection, part, rows))
                counts[part.name] = self._remove(connection, part, rows)
                meant.delete(table, counts[part.name])
                if table in remembered:
                    gone[table] |= _keys(rows, names)
        for part in histories:
            counts[part.name] = self._keyless.remove_history(connection, part, mine)
            meant.delete(part.table, counts[part.name])
        return counts

    def _clear(self, connection: sa.Connection, part: Part, rows: pa.Table, meant: MeantDeletions) -> int:
        """Set columns to NULL, and leave every other as it was."""
        table = self._rows.mapped(part)
        gone: dict[str, Any] = {name: None for name in part.cleared}
        as_it_was = {name: table.c[name] for name in self._rows.self_updating(part)}
        if part.columns is not None:
            as_it_was |= {name: table.c[name] for name in self._kept_as_is}  # or MySQL writes the moment into it
        rows = without_rows(rows, self._rows.row_key(part), ())
        done = self._execute(connection, part, table.update().values(as_it_was | gone), rows) if gone else 0
        meant.clear(part.table, done)
        return done

    def _remove(self, connection: sa.Connection, part: Part, rows: pa.Table) -> int:
        for one in (one for one in self._references if one.named == part.table and rows.num_rows):
            column, values = one.table.c[one.column], rows[one.named_column].unique().to_pylist()
            asked = sa.select(column).where(column_in(self._dialect, column, values)).limit(1)
            locks = self._dialect == "mysql"  # its snapshot may be older than the locks
            if connection.execute(asked.with_for_update(read=True) if locks else asked).first() is not None:
                raise InterferingWrite(str(one))
        return self._execute(connection, part, self._rows.mapped(part).delete(), rows)

    def _execute(self, connection: sa.Connection, part: Part, statement: sa.Update | sa.Delete, rows: pa.Table) -> int:
        conditions = self._rows.statements.named_rows(self._rows.mapped(part), part, rows)
        done = sum(connection.execute(statement.where(wanted)).rowcount for wanted in conditions)
        if done != rows.num_rows:
            raise InterferingWrite(
                f"{part.table}: expected to delete {rows.num_rows} rows, the database deleted {done}"
            )
        return done

    def _nothing_is_added(
        self, connection: sa.Connection, part: Part, going: Sequence[Any], known: Collection[RowKey]
    ) -> None:
        """Raise InterferingWrite where a row was added."""
        if self._rows.left(connection, part, going, known) is not None:
            raise InterferingWrite(f"{part.table}: a row was added while the call was being deleted")

    def _led_to_again(self) -> set[str]:
        """The tables to whose rows several parts lead: what the first deletes is none of the next."""
        ways = Counter(part.table for part in self._rows.parts if not part.detach)
        return {table for table, count in ways.items() if count > 1}

    def _looks_itself(self, part: Part) -> bool:
        """Whether the database looks for rows that were added: the row above goes, and a foreign key refuses that."""
        above_goes = len(part.chain) > 1 or self._rows.parts[0].columns is None
        return above_goes and not part.shared and self._rows.statements.refused_by_key(part)
