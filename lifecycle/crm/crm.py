"""One CRM, opened: its database, its mapping, its facts, its rows, and the purge rows beside them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.control.request_table import Restriction
from lifecycle.crm.database import Database
from lifecycle.crm.inspection import unfit_engines
from lifecycle.crm.mapping.live_schema import read_schema, row_references, unmapped_references
from lifecycle.crm.mapping.site_fit import fit_source
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.purging.purge_transaction import PurgeTransaction
from lifecycle.crm.purging.row_ownership import named_twice
from lifecycle.crm.reading.facts import FactKinds, Facts
from lifecycle.crm.reading.file_columns import FileColumns, file_columns, paths_still_named
from lifecycle.crm.reading.rows import Rows, UnreadableCalls
from lifecycle.errors import SourceError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.policy.evaluation.distinct_cases import presence_fact


class Crm:
    """A CRM ready for a night. Opening it compares the mapping with the live schema (SourceError)."""

    def __init__(self, database: Database, source: Source, kinds: FactKinds) -> None:
        source = fit_source(database, source) if database.dialect in source.dialects else source
        self.database, self.source = database, source
        self.tables = read_schema(database, source)
        self.rows = Rows(source, self.tables, database.dialect)
        self.control = ControlTables(database, source.source, source.control)
        database.lease_scope = source.control
        flags = frozenset(map(presence_fact, source.components))
        given = FactKinds(kinds.times, kinds.flags | flags)
        self.facts = Facts(database, source, self.rows.key, given, self.control.requests)
        self.restriction = Restriction(source, self.rows.key)
        missing = sorted(flags - set(self.facts.names))
        if missing:
            raise SourceError(f"source {source.source}: expected the fact {missing[0]} of a component; it is not given")

    def rows_of(self, component: str | None) -> Rows:
        """The rows of whole calls, or those of one component of them."""
        return self.rows if component is None else Rows(self.source, self.tables, self.database.dialect, component)

    def purger(self, component: str | None = None) -> PurgeTransaction:
        """The one that deletes whole calls, or one component of them.

        Raises SourceError while a deletion could reach an unarchived row, or stick.
        """
        self.control.require()
        problems = unmapped_references(self.database, self.source, component)
        problems += [f"{doubt.table}: {doubt.problem}" for doubt in unfit_engines(self.database, self.source)]
        if problems:
            raise SourceError("\n".join(f"source {self.source.source}: {problem}" for problem in problems))
        as_is = [self.source.call.modified] if self.source.call.modified else []
        by_rows = row_references(self.database, self.source, component)
        rows = self.rows_of(component)
        return PurgeTransaction(self.database, rows, self.facts, self.control, as_is, self.rows, by_rows)

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
            found = (
                paths_still_named(connection, self.database.dialect, self.tables, c, paths) for c in self.files_of(None)
            )
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
