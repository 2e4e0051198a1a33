"""The purge transaction: lock, judge again, compare, delete, note it, commit. All of it or nothing.

Which calls may go is not decided here: the caller judges the facts read under lock and says what each verified row is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.control.control_tables import ControlTables, packed_entries
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.row_references import RowReference
from lifecycle.crm.mapping.schema_fingerprint import SchemaChanged, lock_schema, require_fingerprint
from lifecycle.crm.purging.deletion_count import MeantDeletions, deletions_counted
from lifecycle.crm.purging.read_schema import ReadSchema
from lifecycle.crm.purging.row_deletion import RowDeletion
from lifecycle.crm.purging.row_failures import ROW_FAILURES, OtherSpelling, RecordsTooLarge
from lifecycle.crm.purging.row_ownership import named_twice, ownership
from lifecycle.crm.purging.slice_purged import Group, KeptCalls, SlicePurged, _left, _with_their_groups
from lifecycle.crm.purging.tombstone_rows import TombstoneRows
from lifecycle.crm.purging.unchanged_rows import UnchangedRows
from lifecycle.crm.reading.facts import Facts
from lifecycle.crm.reading.locking_plans import plans_for_few_keys
from lifecycle.crm.reading.rows import Rows
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

    `whole`: the rows of whole calls. `kept_as_is`, `references`: see RowDeletion. `tombstones`: where rows stay for
    calls. `unchanged`: locks rows that were not written since they were archived, and reads the others alone.
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
        self._schema, self._whole, self._tombstones = schema, whole or rows, tombstones
        self._deletion = RowDeletion(database.dialect, rows, kept_as_is, references)
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
        with self._database.writing(patience) as connection, plans_for_few_keys(connection):
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
            # The records are made while the database deletes; one transaction commits both, or neither.
            with ThreadPoolExecutor(1) as beside, deletions_counted(connection, dialect) as meant:
                noted = beside.submit(self._noted, note, going)
                rows = self._deletion.delete(connection, locked, going, belonging.kept, meant)
                row, packed = noted.result()
                self._insert(connection, row, packed, meant)
        return SlicePurged(tuple(going), rows, reasons, skipped)

    def _skipped(self, connection: sa.Connection, keys: Sequence[Any], locked: Mapping[str, pa.Table]) -> KeptCalls:
        """The calls that are there and were not locked. Raises OtherSpelling where a key is written otherwise."""
        found = set(locked[self._rows.parts[0].name][CALL_ID].to_pylist())
        if found - set(keys):
            raise OtherSpelling
        missing = [key for key in keys if key not in found]
        there = self._whole.live_as_named(connection, missing) if missing else ()
        return dict.fromkeys(there, "its own row")

    def _noted(self, note: Note, going: Sequence[Any]) -> tuple[PurgeRow, bytes]:
        row = note(going)
        if len(row.entries) > MOST_RECORD_BYTES:
            raise RecordsTooLarge
        return row, packed_entries(row)

    def _insert(self, connection: sa.Connection, row: PurgeRow, packed: bytes, meant: MeantDeletions) -> None:
        """Insert the purge row, and what else stays of the calls. `meant`: SQLite counts the rows as written."""
        written = self._control.insert(connection, row, packed)
        if not written:
            raise RecordsTooLarge
        meant.clear(self._control.table.name, written)
        if self._tombstones is not None:
            self._tombstones.insert(connection, row.tombstones, meant)
