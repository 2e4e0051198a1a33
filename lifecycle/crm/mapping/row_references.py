"""Foreign keys that are judged by the rows they reach: those to a table of which only some rows belong to calls.

Such a table (the entities of every module, the messages of every model) is named from everywhere, and most of those
keys can never name a row of a call. Where one does, its call is set aside; this is asked under lock, just before.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from lifecycle.crm.mapping.source import Source


@dataclass(frozen=True, slots=True)
class RowReference:
    """One column of another table that may name rows of a mapped one. Tables as (schema, name), columns as they are."""

    table: sa.TableClause
    column: str
    named: str
    named_column: str

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column} names a row of {self.named} and is not mapped"


def partly_mapped(source: Source, component: str | None = None) -> set[str]:
    """The tables, as the mapping names them, of which some rows only may go: their other rows are somebody else's."""
    going = [part for part in source.parts(component) if not part.detach and part.columns is None]
    whole = {p.table for p in going if not (p.chain[-1].where if p.chain else source.call.where)}
    return {part.table for part in going} - whole
