"""How many calls a CRM has, by the industry it writes; and what its database believes without counting them."""

import re
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.bound_values import exact_text
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.fact_rows import rows_are_distinct
from lifecycle.crm.reading.fact_values import clean_text

_ROWS_A_CALL = 4  # looked at, where a call may have several rows
_ROWS = re.compile(r"rows=(\d+)")


class CallCounts:
    """Counts over one facts query."""

    def __init__(self, dialect: str, source: Source, query: Any) -> None:
        self._dialect, self._source, self._query = dialect, source, query

    def by_industry(self, connection: sa.Connection) -> list[tuple[str | None, int]]:
        """How many calls there are, by the industry the CRM writes. Looks at every call."""
        rows: Any = sa.select(self._industry.label("industry"), self._query.c.call_id.label("call_id"))
        once = rows_are_distinct(connection, self._source)
        found = rows.subquery("r") if once else rows.distinct().subquery("r")
        calls = sa.func.count() if once else sa.func.count(found.c.call_id)
        counted = connection.execute(sa.select(found.c.industry, calls).group_by(found.c.industry))
        return [(_text(written), number) for written, number in counted]

    def industries(self, connection: sa.Connection) -> list[str]:
        """The industries the CRM writes. Looks at every call."""
        found = connection.scalars(sa.select(self._industry).distinct())
        return [text for text in map(_text, found) if text is not None]

    def are_at_least(self, connection: sa.Connection, number: int, industries: Collection[str]) -> bool:
        """Whether so many calls are of some industries, as the CRM writes them; False: it could not be shown.

        Looks at no more rows than that takes, and believes nothing that it has not seen.
        """
        mine = self._industry if self._dialect == "mysql" else sa.cast(self._industry, sa.Text)
        rows = number if rows_are_distinct(connection, self._source) else number * _ROWS_A_CALL
        some = sa.select(self._query.c.call_id).where(mine.in_(sorted(industries))).limit(rows).subquery("s")
        found = connection.scalar(sa.select(sa.func.count(sa.distinct(some.c.call_id))))
        return found is not None and found >= number

    def believed(self, connection: sa.Connection) -> int:
        """How many rows the database believes the call table to have, which it knows without a look.

        It is no count: on PostgreSQL and MariaDB the planner's estimate, on SQLite the pages of the file in use.
        """
        if self._dialect == "sqlite":
            pages, free = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PAGES)
            return int(pages) - int(free)
        schema, table = split_name(self._source.call.table)
        named = sa.table(sa.sql.quoted_name(table, True), schema=sa.sql.quoted_name(schema, True) if schema else None)
        text = f"EXPLAIN SELECT 1 FROM {connection.dialect.identifier_preparer.format_table(named)}"
        row = connection.exec_driver_sql(text.replace("%", "%%")).mappings().first()
        if self._dialect == "postgresql":
            said = _ROWS.search(str(next(iter(row.values())))) if row else None
            return int(said[1]) if said else 0
        return int(row["rows"] or 0) if row else 0

    @property
    def _industry(self) -> sa.ColumnElement[Any]:
        return exact_text(self._dialect, self._query.c.industry)


_PAGES = ("page_count", "freelist_count")


def _text(written: Any) -> str | None:
    return None if written is None else clean_text(written)
