"""One CRM, opened: its database, its mapping, its facts, its rows, and the purge rows beside them."""

from collections.abc import Sequence
from typing import Any

from lifecycle.crm.control import Control
from lifecycle.crm.database import Database
from lifecycle.crm.facts import FactKinds, Facts
from lifecycle.crm.inspection import unfit_engines
from lifecycle.crm.purger import Purger
from lifecycle.crm.requests import Restriction
from lifecycle.crm.rows import Rows, UnreadableCalls
from lifecycle.crm.schema import read_schema, unmapped_references
from lifecycle.crm.source import Source
from lifecycle.errors import SourceError


class Crm:
    """A CRM ready for a night. Opening it compares the mapping with the live schema (SourceError)."""

    def __init__(self, database: Database, source: Source, kinds: FactKinds) -> None:
        self.database, self.source = database, source
        self.tables = read_schema(database, source)
        self.rows = Rows(source, self.tables, database.dialect)
        self.control = Control(database)
        self.facts = Facts(database, source, self.rows.key, kinds, self.control.requests)
        self.restriction = Restriction(source, self.rows.key)

    def purger(self) -> Purger:
        """The one that deletes. Raises SourceError while a deletion could reach an unarchived row, or stick."""
        self.control.require()
        problems = unmapped_references(self.database, self.source)
        problems += [f"{doubt.table}: {doubt.problem}" for doubt in unfit_engines(self.database, self.source)]
        if problems:
            raise SourceError("\n".join(f"source {self.source.source}: {problem}" for problem in problems))
        return Purger(self.database, self.rows, self.facts, self.control)

    def unreadable(self, keys: Sequence[Any]) -> dict[Any, str]:
        """Which of the named calls cannot be read exactly, and why. Found by halving; costs nothing where all can."""
        try:
            with self.database.reading() as connection:
                self.rows.read(connection, keys)
        except UnreadableCalls as error:
            if len(keys) == 1:
                return {keys[0]: f"unreadable: {error}"}
            half = len(keys) // 2
            return {**self.unreadable(keys[:half]), **self.unreadable(keys[half:])}
        return {}
