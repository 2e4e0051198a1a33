"""Whether the database can compare what a mapping matches: asked of itself, once, when a CRM is opened.

Types are held against each other before (`mapping.misfits`). What is left is what only it knows: two collations of
MySQL that it will not mix, an operator that PostgreSQL lacks. Rights that a role lacks are said by `table_rights`.
"""

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.database import Database
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.part_statements import PartStatements
from lifecycle.errors import SourceError

_NO_COMPARISON = {1267, 1270, 1271, "42883"}
_NO_RIGHT = {1142, 1143, "42501"}


def require_comparable_parts(database: Database, source: Source, statements: PartStatements) -> None:
    """Raise SourceError naming the first child whose match the database refuses. No row is read."""
    with database.reading() as connection:
        for part in source.parts()[1:]:
            _, _, joined = statements.joined(part)
            try:
                connection.execute(sa.select(sa.literal_column("1")).select_from(joined).where(sa.false()))
            except DBAPIError as error:
                if _codes(error) & _NO_RIGHT:
                    return
                if not _codes(error) & _NO_COMPARISON:
                    raise
                pairs = ", ".join(f"{own} with {above}" for own, above in part.chain[-1].match.items())
                raise SourceError(
                    f"source {source.source}: {part.table}: the database does not compare {pairs}: {error.orig}. "
                    "Give both columns one type and one collation"
                ) from None


def _codes(error: DBAPIError) -> set[object]:
    """The database's own number of an error, and the standard's."""
    return {getattr(error.orig, "sqlstate", None), *(error.orig.args[:1] if error.orig is not None else ())}
