"""Where calls are put back: the CRM under a role that may insert, or a scratch database made from its schema."""

from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.crm.database import Database, open_database
from lifecycle.crm.mapping.live_schema import MappedTable, read_schema
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.rows import Rows
from lifecycle.crm.restoring.insert_triggers import insert_triggers
from lifecycle.crm.restoring.planner_beliefs import KEYS_OF_LONG_LISTS
from lifecycle.crm.restoring.references import Reference, foreign_references
from lifecycle.crm.restoring.restore_conflicts import RestoreConflicts
from lifecycle.crm.restoring.restore_transaction import RestoreTransaction
from lifecycle.crm.restoring.same_place import is_same_place
from lifecycle.crm.restoring.scratch_schema import make_scratch_tables
from lifecycle.crm.session.search_path import SearchPath, qualified_tables
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import SettingsError, SourceError


@dataclass(frozen=True)
class RestoreTarget:
    """A database that takes calls back. `is_crm`: its control tables are the CRM's, and commit with the rows."""

    database: Database
    source: Source
    tables: dict[str, MappedTable]
    references: tuple[Reference, ...]
    is_crm: bool
    name: str
    _asking: dict[str | None, RestoreConflicts] = field(default_factory=dict)

    def rows_of(self, component: str | None) -> Rows:
        """The rows of whole calls, or of one component of them."""
        return Rows(self.source, self.tables, self.database.dialect, component)

    def transaction(self, component: str | None) -> RestoreTransaction:
        """Who writes."""
        dialect = self.database.dialect
        rows = Rows(self.source, self.tables, dialect, component, KEYS_OF_LONG_LISTS.get(dialect))
        return RestoreTransaction(self.database, rows, self.tables, self.references, component)

    def conflicts(self, component: str | None) -> RestoreConflicts:
        """Who asks before: one for all batches, for what it has asked about columns."""
        if component not in self._asking:
            rows = self.rows_of(component)
            self._asking[component] = RestoreConflicts(self.database, rows, self.tables, self.references, component)
        return self._asking[component]

    def doubts(self) -> list[str]:
        """What of its tables nobody can foresee."""
        return insert_triggers(self.database, self.source)


def crm_target(lifecycle: Lifecycle) -> RestoreTarget:
    """The CRM itself, under LIFECYCLE_RESTORE_URL where that is set. Raises SettingsError where that is another."""
    crm, given = lifecycle.crm, lifecycle.settings.restore_url
    url = (given or lifecycle.settings.crm_url).get_secret_value()
    database = _opened(url, crm.source, "LIFECYCLE_RESTORE_URL" if given else "LIFECYCLE_CRM_URL")
    crm.control.require()
    if given and not is_same_place(crm.control, database):
        raise SettingsError(
            "LIFECYCLE_RESTORE_URL: expected the database of LIFECYCLE_CRM_URL under another role, found another "
            "database, or one whose control tables the role may not read (`lifecycle restore --print-grants`)"
        )
    references = tuple(foreign_references(database, crm.tables))
    return RestoreTarget(database, crm.source, dict(crm.tables), references, True, "the CRM")


def other_target(lifecycle: Lifecycle, url: str, fresh: bool = False, setting: str = "--to") -> RestoreTarget:
    """A database beside the CRM: one that has the mapped tables, or an empty one, in which they are made.

    `fresh`: only a scratch database of ours, its tables made anew. Raises SettingsError.
    """
    crm = lifecycle.crm
    path = _sqlite_path(url, setting)
    if path is not None:
        path.touch()
    database = _opened(url, crm.source, setting)
    if is_same_place(crm.control, database):
        raise SettingsError(f"{setting}: expected a database beside the CRM, found the CRM itself. Nothing was done")
    if fresh or not _has_tables(database, crm.source):
        make_scratch_tables(crm.database, crm.tables, database)
    tables = read_schema(database, crm.source)
    references = tuple(foreign_references(database, tables))
    return RestoreTarget(database, crm.source, tables, references, False, database.engine.url.database or "")


def _opened(url: str, source: Source, setting: str) -> Database:
    database = open_database(url, setting)
    tables = [part.table for part in source.parts()]
    database.look_in(SearchPath(source.schemas, qualified_tables(source.schemas, tables)))
    return database


def _has_tables(database: Database, source: Source) -> bool:
    try:
        read_schema(database, source)
    except SourceError:
        return False
    return True


def _sqlite_path(url: str, setting: str) -> Path | None:
    """The file of an SQLite database, which is made where it is not there."""
    parsed = open_database(url, setting)
    name = parsed.engine.url.database
    return Path(name) if parsed.dialect == "sqlite" and name and name != ":memory:" else None
