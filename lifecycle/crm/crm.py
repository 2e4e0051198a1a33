"""One CRM, opened: its database, its mapping, its facts, its rows, and the purge rows beside them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.control.planted_code import require_no_planted_code
from lifecycle.crm.control.request_table import Restriction
from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.control.table_owner import place_of_calls
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.foreign_keys import row_references, unmapped_references
from lifecycle.crm.mapping.live_schema import read_schema, require_database
from lifecycle.crm.mapping.mapped_views import require_no_views
from lifecycle.crm.mapping.misfits import require_fitting
from lifecycle.crm.mapping.name_spelling import spell_source
from lifecycle.crm.mapping.schema_fingerprint import schema_fingerprint
from lifecycle.crm.mapping.site_fit import fit_source
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.mapping.unfit_tables import reasons_of, unfit_tables
from lifecycle.crm.purging.purge_transaction import PurgeTransaction
from lifecycle.crm.purging.read_schema import ReadSchema
from lifecycle.crm.purging.row_ownership import named_twice
from lifecycle.crm.purging.tombstone_rows import TombstoneRows
from lifecycle.crm.purging.unchanged_rows import ArchivedCopy, UnchangedRows
from lifecycle.crm.reading.comparable_parts import require_comparable_parts
from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.crm.reading.facts import Facts
from lifecycle.crm.reading.file_columns import FileColumns, file_columns, paths_still_named
from lifecycle.crm.reading.part_reader import UnreadableCalls
from lifecycle.crm.reading.row_versions import take_snapshot, versions_tell
from lifecycle.crm.reading.rows import Rows
from lifecycle.crm.session.search_path import SearchPath, qualified_tables
from lifecycle.errors import SourceError
from lifecycle.evidence.call_statistics import USUAL_DIMENSIONS
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.policy.evaluation.distinct_cases import presence_fact


class Crm:
    """A CRM ready for a night. Opening it compares the mapping with the live schema (SourceError)."""

    def __init__(self, database: Database, source: Source, kinds: FactKinds) -> None:
        self.database, self._mapping, self._kinds = database, source, kinds
        calls = place_of_calls(database.dialect, source)
        self.control = ControlTables(database, source.source, source.control, calls)
        database.lease_scope = source.control
        tables = [part.table for part in source.parts()]
        database.look_in(SearchPath(source.schemas, qualified_tables(source.schemas, tables)))
        require_database(database, source)
        self._mapping = fit_source(database, source)
        self._read()

    def _read(self) -> None:
        """Read the schema, whole at one moment: its fingerprint is the same before and after."""
        self.source, self.fingerprint, before = self._mapping, "", None
        require_no_views(self.database, self._mapping)
        while self.fingerprint != before:
            self.source, before = self._spelled()
            self.tables = read_schema(self.database, self.source)
            require_fitting(self.source, self.tables)
            _, self.fingerprint = self._spelled()
        self.rows = Rows(self.source, self.tables, self.database.dialect)
        require_comparable_parts(self.database, self.source, self.rows.statements)
        flags = frozenset(map(presence_fact, self.source.components))
        given = FactKinds(self._kinds.times, self._kinds.flags | flags)
        ours = self.control.requests, self.control.restored
        self.facts = Facts(self.database, self.source, self.rows.key, given, *ours)
        self.restriction = Restriction(self.source, self.rows.key)
        missing = sorted(flags - set(self.facts.names))
        if missing:
            problem = f"expected the fact {missing[0]} of a component; it is not given"
            raise SourceError(f"source {self.source.source}: {problem}")
        self.tombstones = TombstoneRows(self.database, self.source.tombstone) if self.source.tombstone else None
        if self.source.tombstone and self.source.tombstone.of not in (None, *self.facts.given):
            raise SourceError(f"source {self.source.source}: tombstone: no fact or link {self.source.tombstone.of}")
        self.dimensions = _dimensions(self.source, self.facts.names)

    def _spelled(self) -> tuple[Source, str]:
        dialect = self.database.dialect
        with self.database.reading() as connection:
            source = spell_source(connection, dialect, self._mapping)
            return source, schema_fingerprint(connection, dialect, source)

    def refresh(self) -> "Crm":
        """Read the schema anew where it is no longer the one that was read. Raises SourceError as opening does."""
        if self._spelled()[1] != self.fingerprint:
            self._read()
        return self

    def rows_of(self, component: str | None) -> Rows:
        """The rows of whole calls, or those of one component of them."""
        return self.rows if component is None else Rows(self.source, self.tables, self.database.dialect, component)

    def unfit(self, component: str | None = None) -> list[str]:
        """Why whole calls, or one component of them, cannot be purged: an unmapped key, a table that keeps its rows."""
        unfit = reasons_of(unfit_tables(self.database, self.source))
        try:
            return [*unmapped_references(self.database, self.source, component), *unfit]
        except SourceError as error:
            return [str(error), *unfit]

    def unfit_parts(self) -> dict[str | None, str]:
        """Why whole calls (None), or a component, by its name, cannot be purged; nothing of it is to be archived."""
        found = {name: self.unfit(name) for name in (None, *self.source.components)}
        return {name: self._of_source(lines) for name, lines in found.items() if lines}

    def require_fit(self, component: str | None = None) -> None:
        """Raise SourceError while a deletion could reach an unarchived row, or stick."""
        problems = self.unfit(component)
        if problems:
            raise SourceError(self._of_source(problems))

    def _of_source(self, problems: Sequence[str]) -> str:
        return "\n".join(f"source {self.source.source}: {problem}" for problem in problems)

    def doubts_of_tombstones(self) -> list[str]:
        """Why no tombstone could be inserted."""
        missing = self.tombstones.missing() if self.tombstones else ()
        return [f"tombstone: the column {name} asks for a value and gets none; no call would go" for name in missing]

    def snapshot(self, component: str | None) -> Snapshot | None:
        """The moment before whatever is read from now on. None: this database does not tell what was written since."""
        if self.control.snapshots is None or not self.control.snapshots.there():
            return None
        with self.database.reading() as connection:
            return take_snapshot(connection, self.rows_of(component), self.fingerprint)

    def purger(self, component: str | None = None, copy: ArchivedCopy | None = None) -> PurgeTransaction:
        """The one that deletes whole calls, or one component of them. Raises SourceError as `require_fit` does.

        `copy`: what it deletes, as it was read; rows that were not written since are not read again.
        """
        self.control.require()
        with self.database.reading() as connection:
            require_no_planted_code(connection, self.control.table.metadata)
        self.require_fit(component)
        as_is = [self.source.call.modified] if self.source.call.modified else []
        schema = ReadSchema(self.source, self.fingerprint, lambda: self.refresh().purger(component, copy))
        by_rows = row_references(self.database, self.source, component)
        rows = self.rows_of(component)
        return PurgeTransaction(
            self.database,
            rows,
            self.facts,
            self.control,
            schema,
            as_is,
            self.rows,
            by_rows,
            self.tombstones,
            self._unchanged(rows, copy),
        )

    def _unchanged(self, rows: Rows, copy: ArchivedCopy | None) -> UnchangedRows | None:
        """What tells unchanged rows from others; None: their values do."""
        if copy is None:
            return None
        with self.database.reading() as connection:
            tells = versions_tell(connection, self.source, rows, self.fingerprint, copy.since)
        return UnchangedRows(rows, copy) if tells else None

    def read_whole(
        self, keys: Sequence[Any], component: str | None, most: int
    ) -> tuple[dict[str, pa.Table], dict[Any, str]]:
        """Every row of the named calls under one snapshot, and the calls of which no copy can be made of it, and why.

        Raises UnreadableCalls, and CallsTooLarge beyond `most` bytes.
        """
        rows = self.rows_of(component)
        with self.database.reading() as connection:
            tables = rows.read(connection, keys, most)
            found = set(tables["calls"][CALL_ID].to_pylist())
            missing = [key for key in keys if key not in found]
            why: dict[Any, str] = dict.fromkeys(missing, "gone: deleted from the CRM by somebody else since the plan")
            spelled = rows.spelled(connection, missing)
        why |= dict.fromkeys(spelled, "renamed: the CRM writes its key otherwise than its facts do, or did at the plan")
        empty = (found & set(keys)) - rows.having(tables)
        why |= dict.fromkeys(empty, "empty: its facts say that it is there, and the mapping finds nothing of it")
        return tables, why | named_twice(tables["calls"])

    def files_of(self, component: str | None) -> list[FileColumns]:
        """Where the rows of whole calls, or of one component, name files outside the database."""
        return file_columns(self.source, component)

    def still_named(self, paths: Sequence[str]) -> set[str]:
        """Of some files those that any row of this moment names."""
        with self.database.reading() as connection:
            own = [one.files for one in self.files_of(None)]
            every = [*own, *(namer for files in own for namer in files.also_named_by)]
            found = (paths_still_named(connection, self.database.dialect, self.tables, each, paths) for each in every)
            return set[str]().union(*found)

    def unreadable(self, keys: Sequence[Any], component: str | None = None) -> dict[Any, str]:
        """Which of the named calls cannot be read exactly, and why. Found by halving; costs nothing where all can."""
        try:
            with self.database.reading() as connection:
                self.rows_of(component).read(connection, keys)
        except UnreadableCalls as error:
            if len(keys) == 1:
                return {keys[0]: f"unreadable: {error}"}
            half = len(keys) // 2
            return {**self.unreadable(keys[:half], component), **self.unreadable(keys[half:], component)}
        return {}


def _dimensions(source: Source, facts: Sequence[str]) -> list[str]:
    """The facts by which statistics tell calls apart. Raises SourceError for one that is not given."""
    if source.statistics is None:
        return [name for name in USUAL_DIMENSIONS if name in facts]
    missing = [name for name in source.statistics.dimensions if name not in facts]
    if missing:
        raise SourceError(f"source {source.source}: statistics: the facts query gives no column {missing[0]}")
    return list(source.statistics.dimensions)
