"""The purge transaction: lock, judge again, compare, delete, note it, commit. All of it or nothing.

Which calls may go is not decided here: the caller judges the facts read under lock and says what each verified row is.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in
from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.row_references import RowReference
from lifecycle.crm.mapping.schema_fingerprint import SchemaChanged, lock_schema, require_fingerprint
from lifecycle.crm.mapping.source import Part
from lifecycle.crm.purging.deletion_count import MeantDeletions, deletions_counted
from lifecycle.crm.purging.keyless_rows import KeylessRows
from lifecycle.crm.purging.read_schema import ReadSchema, _keys
from lifecycle.crm.purging.row_failures import ROW_FAILURES, InterferingWrite, OtherSpelling, RecordsTooLarge
from lifecycle.crm.purging.row_ownership import named_twice, ownership, without_rows
from lifecycle.crm.purging.slice_purged import Group, KeptCalls, SlicePurged, _left, _with_their_groups
from lifecycle.crm.purging.tombstone_rows import TombstoneRows
from lifecycle.crm.purging.unchanged_rows import UnchangedRows
from lifecycle.crm.reading.facts import Facts
from lifecycle.crm.reading.rows import RowKey, Rows
from lifecycle.crm.session.pinned_settings import LOCK_SECONDS
from lifecycle.evidence.comparison import CALL_ID, rows_of_calls
from lifecycle.evidence.deletion import PurgeRow

MOST_RECORD_BYTES = 32 * 2**20  # of a purge row, before it is compressed to a tenth; MariaDB's column holds 16 MiB
_IN_PASSING = 1  # seconds waited for a lock before its call is left for later

ReasonsToKeep = Callable[[Sequence[Any], dict[str, pa.Table], pa.Table], KeptCalls]
Note = Callable[[Sequence[Any]], PurgeRow]
LinksAsked = Callable[[], Collection[str] | None]


def _every_link() -> None:
    """All links are asked for."""


class PurgeTransaction:
    """Deletes calls of one CRM, or one component of calls, some a transaction.

    Of a component the tables' rows go and the columns of the call's own row are set to NULL; `kept_as_is` are the
    columns of that row which a database may write by itself on any update. `whole`: the rows of whole calls.
    `references`: unmapped keys, none of which may name a row that goes. `tombstones`: where rows stay for calls.
    `unchanged`: locks rows that were not written since they were archived, and reads the others alone.
    """

    def __init__(
        self,
        database: Database,
        rows: Rows,
        facts: Facts,
        control: ControlTables,
        schema: ReadSchema,
        kept_as_is: Sequence[str] = (),
        whole: Rows | None = None,
        references: Sequence[RowReference] = (),
        tombstones: TombstoneRows | None = None,
        unchanged: UnchangedRows | None = None,
    ) -> None:
        self._database, self._rows, self._facts, self._control = database, rows, facts, control
        self._schema, self._kept_as_is, self._whole = schema, kept_as_is, whole or rows
        self._references, self._keyless, self._tombstones = references, KeylessRows(rows), tombstones
        self._locking = unchanged or rows

    def purge(self, keys: Sequence[Any], keep: ReasonsToKeep, note: Note) -> SlicePurged:
        """Delete the named calls in one transaction, but those that `keep` names with a reason.

        `keep` sees the keys, the locked rows and the facts of this moment. `note` gives the
        purge row for the calls that go; it commits with them. Where one call makes the transaction fail (another table
        still names it, a trigger refuses, a value cannot be read), the slice is halved until that call stands alone,
        and is set aside. Calls that somebody holds a lock on are come back to.
        """
        groups = [(key,) for key in keys]
        done = self.purge_groups(groups, keep, note)
        return done.and_then(self.come_back(groups, done.locked, keep, note))

    def purge_groups(
        self, groups: Sequence[Group], keep: ReasonsToKeep, note: Note, links: LinksAsked = _every_link
    ) -> SlicePurged:
        """`purge` of calls that go together with those of their group or not at all. Waits for no lock.

        `links`: asked under lock which links the facts need; None: all of them.
        """
        return self._halving(groups, keep, note, links, _IN_PASSING)

    def come_back(
        self,
        groups: Iterable[Group],
        locked: Collection[Any],
        keep: ReasonsToKeep,
        note: Note,
        links: LinksAsked = _every_link,
    ) -> SlicePurged:
        """Try the calls again that were locked, waiting once; what is locked still is set aside."""
        again = [group for group in groups if any(key in locked for key in group)]
        done = self._halving(again, keep, note, links, LOCK_SECONDS) if again else SlicePurged()
        still = {key: f"locked: another transaction holds a row of it ({said})" for key, said in done.locked.items()}
        return SlicePurged(done.deleted, done.rows, {**done.set_aside, **still})

    def _halving(
        self, groups: Sequence[Group], keep: ReasonsToKeep, note: Note, links: LinksAsked, patience: int
    ) -> SlicePurged:
        try:
            return self._transaction(groups, keep, note, links, patience)
        except SchemaChanged:
            vars(self).update(vars(self._schema.anew()))  # the caller goes on with this one
            return self._halving(groups, keep, note, links, patience)
        except ROW_FAILURES as error:
            if len(groups) == 1:
                return _left(groups[0], error)
        half = len(groups) // 2  # whoever waited once has waited long enough
        first = self._halving(groups[:half], keep, note, links, _IN_PASSING)
        return first.and_then(self._halving(groups[half:], keep, note, links, _IN_PASSING))

    def _transaction(
        self, groups: Sequence[Group], keep: ReasonsToKeep, note: Note, links: LinksAsked, patience: int
    ) -> SlicePurged:
        keys = [key for group in groups for key in group]
        dialect, source = self._database.dialect, self._schema.source
        with self._database.writing(patience) as connection:
            lock_schema(connection, dialect, source)
            locked = self._locking.lock(connection, keys, skip=patience < LOCK_SECONDS)
            require_fingerprint(connection, dialect, source, self._schema.fingerprint)
            skipped = _with_their_groups(self._skipped(connection, keys, locked), groups)
            ours = [key for key in keys if key not in skipped]
            locked = rows_of_calls(locked, pa.array(ours, self._rows.key.type)) if skipped else locked
            reasons = dict(keep(ours, locked, self._facts.of(connection, ours, links()))) if ours else {}
            reasons |= named_twice(locked[self._rows.parts[0].name])
            going = [key for key in ours if key not in reasons]
            belonging = ownership(connection, self._whole, self._rows, locked, going)
            reasons |= belonging.set_aside
            going = [key for key in going if key not in reasons]
            if not going:
                return SlicePurged((), {}, reasons, skipped)
            row = note(going)
            if len(row.entries) > MOST_RECORD_BYTES or not self._control.insert(connection, row):
                raise RecordsTooLarge
            with deletions_counted(connection, dialect) as meant:
                rows = self._delete(connection, locked, going, belonging.kept, meant)
                if self._tombstones is not None:
                    self._tombstones.insert(connection, row.tombstones, meant)
        return SlicePurged(tuple(going), rows, reasons, skipped)

    def _skipped(self, connection: sa.Connection, keys: Sequence[Any], locked: Mapping[str, pa.Table]) -> KeptCalls:
        """The calls that are there and were not locked. Raises OtherSpelling where a key is written otherwise."""
        found = set(locked[self._rows.parts[0].name][CALL_ID].to_pylist())
        if found - set(keys):
            raise OtherSpelling
        missing = [key for key in keys if key not in found]
        there = self._whole.live_as_named(connection, missing) if missing else ()
        return dict.fromkeys(there, "its own row")

    def _delete(
        self,
        connection: sa.Connection,
        locked: Mapping[str, pa.Table],
        going: Sequence[Any],
        kept: Mapping[str, Collection[RowKey]],
        meant: MeantDeletions,
    ) -> dict[str, int]:
        """Each row once, by its own key: only what was compared is deleted, and all of it. What names others first.

        Before the rows go by which others are found, nothing may have been added to those.
        """
        chosen = pa.array(going, self._rows.key.type)
        mine = {name: table.filter(pc.is_in(table[CALL_ID], chosen)) for name, table in locked.items()}
        links = [part for part in self._rows.parts if part.detach]
        counts = {part.name: self._clear(connection, part, mine[part.name], meant) for part in links}
        gone, unchecked = defaultdict[str, set[RowKey]](set), [part for part in self._rows.parts if part.chain]
        nameless = defaultdict[str, Counter[str]](Counter)
        histories = [part for part in unchecked if part.chain[-1].written_by_deletion]
        unchecked = [part for part in unchecked if part not in histories]
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
            asked = sa.select(column).where(column_in(self._database.dialect, column, values)).limit(1)
            locks = self._database.dialect == "mysql"  # its snapshot may be older than the locks
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
        """Raise InterferingWrite where a row was added; where the row above goes, and a foreign key refuses that then,
        the database itself looks."""
        above_goes = len(part.chain) > 1 or self._rows.parts[0].columns is None
        if above_goes and not part.shared and self._rows.statements.refused_by_key(part):
            return
        if self._rows.left(connection, part, going, known) is not None:
            raise InterferingWrite(f"{part.table}: a row was added while the call was being deleted")
