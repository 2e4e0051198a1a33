"""The purge transaction: lock, judge again, compare, delete, note it, commit. All of it or nothing.

Which calls may go is not decided here: the caller judges the facts read under lock and says what each verified row is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import Database, column_in, plain_bind
from lifecycle.crm.mapping.schema_fingerprint import SchemaChanged, lock_schema, require_fingerprint
from lifecycle.crm.mapping.source import Part, Source
from lifecycle.crm.purging.deletion_count import MeantDeletions, UncomparedDeletion, deletions_counted
from lifecycle.crm.reading.facts import Facts
from lifecycle.crm.reading.rows import Rows, UnreadableCalls
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import PurgeRow

ROWS_A_STATEMENT = 500  # SQLite takes an OR of fewer than 1000 composite keys

KeptCalls = dict[Any, str]
ReasonsToKeep = Callable[[Sequence[Any], dict[str, pa.Table], pa.Table], KeptCalls]


@dataclass(frozen=True, slots=True)
class SlicePurged:
    """What one transaction did: the calls deleted, the rows deleted by part, the calls set aside with the reason."""

    deleted: tuple[Any, ...]
    rows: Mapping[str, int]
    set_aside: Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class ReadSchema:
    """The schema a purger goes by: the mapping, its fingerprint, and how to get a purger that has read all anew."""

    source: Source
    fingerprint: str
    anew: Callable[[], "PurgeTransaction"]


class _InterferingWrite(Exception):
    """Somebody's write came between; the transaction is rolled back. Carries what was seen."""


class PurgeTransaction:
    """Deletes calls of one CRM, or one component of calls, a slice a transaction.

    Of a component the tables' rows go and the columns of the call's own row are set to NULL; `kept_as_is` are the
    columns of that row which a database may write by itself on any update.
    """

    def __init__(
        self,
        database: Database,
        rows: Rows,
        facts: Facts,
        control: ControlTables,
        kept_as_is: Sequence[str],
        schema: ReadSchema,
    ) -> None:
        self._database, self._rows, self._facts, self._control = database, rows, facts, control
        self._kept_as_is, self._schema = kept_as_is, schema

    def purge(
        self,
        keys: Sequence[Any],
        keep: ReasonsToKeep,
        note: Callable[[Sequence[Any]], PurgeRow],
    ) -> SlicePurged:
        """Delete the named calls in one transaction, but those that `keep` names with a reason.

        `keep` sees the keys, the locked rows and the facts of this moment. `note` gives the
        purge row for the calls that go; it commits with them. Where one call makes the transaction fail (another table
        still names it, a value cannot be read), the slice is halved until that call stands alone, and is set aside.
        """
        try:
            return self._transaction(keys, keep, note)
        except SchemaChanged:
            return self._schema.anew().purge(keys, keep, note)
        except (UnreadableCalls, IntegrityError, _InterferingWrite, UncomparedDeletion) as error:
            if len(keys) == 1:
                return SlicePurged((), {}, {keys[0]: _reason(error)})
        half = len(keys) // 2
        first, second = self.purge(keys[:half], keep, note), self.purge(keys[half:], keep, note)
        rows = {name: first.rows.get(name, 0) + second.rows.get(name, 0) for name in {**first.rows, **second.rows}}
        return SlicePurged((*first.deleted, *second.deleted), rows, {**first.set_aside, **second.set_aside})

    def _transaction(
        self,
        keys: Sequence[Any],
        keep: ReasonsToKeep,
        note: Callable[[Sequence[Any]], PurgeRow],
    ) -> SlicePurged:
        dialect, source = self._database.dialect, self._schema.source
        with self._database.writing() as connection:
            lock_schema(connection, dialect, source)
            locked = self._rows.read(connection, keys, lock=True)
            require_fingerprint(connection, dialect, source, self._schema.fingerprint)
            reasons = keep(keys, locked, self._facts.of(connection, keys))
            going = [key for key in keys if key not in reasons]
            if not going:
                return SlicePurged((), {}, reasons)
            with deletions_counted(connection, dialect) as meant:
                rows = self._delete(connection, locked, going, meant)
            self._control.insert(connection, note(going))
        return SlicePurged(tuple(going), rows, reasons)

    def _delete(
        self, connection: sa.Connection, locked: Mapping[str, pa.Table], going: Sequence[Any], meant: MeantDeletions
    ) -> dict[str, int]:
        """Children before parents, each row by its own key: only what was compared is deleted, and all of it."""
        chosen = pa.array(going, self._rows.key.type)
        counts = {}
        for part in reversed(self._rows.parts):
            if not part.chain:
                self._nothing_is_left(connection, [p for p in self._rows.parts if len(p.chain) == 1], going)
            table = locked[part.name]
            name = part.name if part.columns is None else f"{part.name}-cleared"
            done = self._remove(connection, part, table.filter(pa.compute.is_in(table[CALL_ID], chosen)))
            (meant.clear if part.cleared or part.columns is not None else meant.delete)(part.table, done)
            counts[name] = done
            if len(part.chain) > 1:  # found through its parent, which goes next
                self._nothing_is_left(connection, [part], going)
        return counts

    def _remove(self, connection: sa.Connection, part: Part, rows: pa.Table) -> int:
        table, key = self._rows.mapped(part), self._rows.row_key(part)
        gone: dict[str, Any] = {name: None for name in part.cleared}
        if part.columns is not None:
            gone |= {name: table.c[name] for name in self._kept_as_is}  # or MySQL writes the moment into it
        if part.columns == ():
            return 0
        done = 0
        for start in range(0, rows.num_rows, ROWS_A_STATEMENT):
            some = rows.slice(start, ROWS_A_STATEMENT)
            wanted = _row_is_among(self._database.dialect, table, key, some)
            statement = table.update().where(wanted).values(gone) if gone else table.delete().where(wanted)
            done += connection.execute(statement).rowcount
        distinct = rows.select(list(key)).group_by(list(key)).aggregate([]).num_rows if rows.num_rows else 0
        if done != distinct:
            raise _InterferingWrite(f"{part.table}: expected to delete {distinct} rows, the database deleted {done}")
        return done

    def _nothing_is_left(self, connection: sa.Connection, parts: Sequence[Part], going: Sequence[Any]) -> None:
        for part in parts:
            if self._rows.any_left(connection, part, going):
                raise _InterferingWrite(f"{part.table}: a row was added while the call was being deleted")


def _row_is_among(dialect: str, table: sa.TableClause, key: tuple[str, ...], rows: pa.Table) -> sa.ColumnElement[bool]:
    if len(key) == 1:
        return column_in(dialect, table.c[key[0]], rows[key[0]].to_pylist())
    tuples = zip(*(rows[name].to_pylist() for name in key), strict=True)
    return sa.or_(*(sa.and_(*(table.c[n] == plain_bind(v) for n, v in zip(key, row, strict=True))) for row in tuples))


def _reason(error: Exception) -> str:
    if isinstance(error, UnreadableCalls):
        return f"unreadable: {error}"
    if isinstance(error, IntegrityError):
        said = str(error.orig).strip().splitlines()[0]
        return f"still referenced: {said.split('DETAIL')[0].strip()}"
    return f"interfered: {error}"
