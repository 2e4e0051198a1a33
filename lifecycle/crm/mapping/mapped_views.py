"""Views that a mapping takes for tables: their rows are other tables', so none can be compared or deleted whole."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.errors import SourceError

_NO_SUCH_SCHEMA = (1044, 1049, 1142)


def require_no_views(database: Database, source: Source) -> None:
    """Raise SourceError where the mapping names a view. What the facts query reads may be one."""
    with translated_errors():
        inspector = sa.inspect(database.engine)
        names = dict.fromkeys(part.table for part in source.parts())
        known = {schema: set(_views(inspector, schema)) for schema in {split_name(name)[0] for name in names}}
    views = [name for name in names if split_name(name)[1] in known[split_name(name)[0]]]
    if views:
        raise SourceError(
            f"source {source.source}: {', '.join(views)} is a view, from which no row can be purged whole: map the "
            "table behind it, with `where` for the rows that are meant. The facts query may go on reading the view"
        )


def _views(inspector: sa.Inspector, schema: str | None) -> Iterable[str]:
    try:
        yield from inspector.get_view_names(schema=schema)
        if inspector.dialect.name == "postgresql":
            yield from inspector.get_materialized_view_names(schema=schema)
    except DBAPIError as error:  # MySQL: no such schema, or none that this role may see. Its tables are missed later on
        if error.orig is None or error.orig.args[0] not in _NO_SUCH_SCHEMA:
            raise
