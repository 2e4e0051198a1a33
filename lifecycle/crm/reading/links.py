"""The links of calls: which deals, contacts, tasks a call belongs to, by the mapping's own SQL. They serve holds only.

A call has any number of links of a kind, so each kind is one column of lists. Calls are matched inside the database,
by its own collation, and named as the call table names them.
"""

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in, value_chunks
from lifecycle.crm.database import Database
from lifecycle.crm.mapping.columns import Column
from lifecycle.crm.mapping.live_schema import split_name
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.mapping.type_families import NUMBER, TEXT, UUID
from lifecycle.crm.reading.copy_reader import written_for_copy
from lifecycle.crm.reading.csv_reader import read_as_csv
from lifecycle.crm.reading.csv_rows import NotAsCsv
from lifecycle.crm.reading.fact_columns import FactColumn, Kind, fact_columns
from lifecycle.crm.reading.fact_values import clean_text, text_behind
from lifecycle.crm.reading.scope_sql import may_be_one_of
from lifecycle.crm.session.sqlite_file import read_texts
from lifecycle.errors import SourceError
from lifecycle.policy.evaluation.phone_numbers import PHONE_FACT

LIST_TYPE = pa.list_(pa.string())


class Links:
    """The links that one mapping declares, on one database. Raises SourceError for SQL without the needed columns."""

    def __init__(self, database: Database, source: Source, key: Column, connection: sa.Connection) -> None:
        self._dialect, self._key, self._key_name = database.dialect, key, source.call.key
        self._grouped = source.call.group_by is not None
        schema, table = split_name(source.call.table)
        named = sa.sql.quoted_name(self._key_name, True)
        self._calls = sa.table(
            sa.sql.quoted_name(table, True),
            sa.column(named),
            schema=sa.sql.quoted_name(schema, True) if schema else None,
        )
        texts = {name: embeddable_sql(text) for name, text in source.links.items()}
        self.columns = {
            name: {column.name: column for column in fact_columns(connection, clause.text)}
            for name, clause in texts.items()
        }
        self._queries = {name: _query(source, name, clause, self.columns[name]) for name, clause in texts.items()}
        self._served = {name for name, given in self.columns.items() if _is_served(database.dialect, given[name])}
        for name, given in self.columns.items():
            _require_comparable(source, name, given["call_id"].kind, key)
        self.names = frozenset(self._queries)
        for name in self.names:  # a key that the database cannot compare is found here, not in a night
            connection.execute(self._pairs(name).where(sa.false()))

    def added(self, connection: sa.Connection, facts: pa.Table, names: Collection[str] | None = None) -> pa.Table:
        """Facts with a column of lists for each link asked for (None: all). No link is an empty list, never NULL.

        A link without a value is a NULL in its list: the call belongs to something, and nobody knows to what.
        """
        keys = list(dict.fromkeys(facts["call_id"].to_pylist()))
        for name in sorted(self.names if names is None else self.names & set(names)):
            facts = facts.append_column(name, self._lists(connection, name, keys, facts["call_id"].combine_chunks()))
        return facts

    def calls_with(self, name: str, texts: Collection[str], unknown: bool = True) -> sa.Select[Any]:
        """The keys of at least the calls with a link that is one of the texts. `unknown`: or to nobody knows what."""
        query = self._queries[name]
        wanted = may_be_one_of(self._dialect, query.c[name], self.columns[name][name], texts, unknown)
        return sa.select(query.c.call_id).where(wanted)

    def calls_like(self, name: str, patterns: Collection[str]) -> sa.Select[Any]:
        """The keys of the calls with a link that is like one of the patterns of SQL's LIKE."""
        query = self._queries[name]
        text = sa.cast(query.c[name], sa.String)
        return sa.select(query.c.call_id).where(sa.or_(sa.false(), *(text.like(pattern) for pattern in patterns)))

    def _lists(self, connection: sa.Connection, name: str, keys: Sequence[Any], calls: pa.Array) -> pa.Array:
        wanted = [self._of_calls(name, some) for some in value_chunks(self._dialect, keys)]
        pairs = self._read_served(connection, name, wanted)
        if pairs is None:
            pairs = self._read(connection, name, wanted)
        grouped = pairs.group_by("call_id", use_threads=False).aggregate([(name, "list")])
        place = pc.index_in(calls, grouped["call_id"].combine_chunks())
        return pc.coalesce(grouped[f"{name}_list"].combine_chunks().take(place), pa.scalar([], LIST_TYPE))

    def _of_calls(self, name: str, keys: Sequence[Any]) -> sa.Select[Any]:
        wanted = column_in(self._dialect, self._calls.c[self._key_name], keys)
        if self._grouped:  # no key of the call table leads PostgreSQL from the calls to their links
            wanted = sa.and_(wanted, column_in(self._dialect, self._queries[name].c.call_id, keys))
        return self._pairs(name).where(wanted)

    def _read_served(self, connection: sa.Connection, name: str, wanted: Sequence[sa.Select[Any]]) -> pa.Table | None:
        """The pairs of call and link as the server writes them; None where that is not the driver's text, each."""
        if name not in self._served:
            return None
        columns = [Column("call_id", self._key.type), Column(name, pa.string())]
        try:
            statements = [self._written(one) if self._dialect == "postgresql" else one for one in wanted]
            found = [table for one in statements for table in read_as_csv(connection, one, columns)]
        except NotAsCsv:
            self._served.discard(name)
            return None
        return pa.concat_tables([_no_pairs(columns), *found])

    def _written(self, pairs: sa.Select[Any]) -> sa.Select[Any]:
        key, link = pairs.selected_columns
        return pairs.with_only_columns(written_for_copy(self._key, key), link)

    def _read(self, connection: sa.Connection, name: str, wanted: Sequence[sa.Select[Any]]) -> pa.Table:
        found = read_texts(connection, lambda: [row for one in wanted for row in connection.execute(one).fetchall()])
        texts = pa.array([_text(name, row[1]) for row in found], pa.string())
        return pa.table([self._key.array([row[0] for row in found]), texts], names=["call_id", name])

    def _pairs(self, name: str) -> sa.Select[Any]:
        query = self._queries[name]
        joined = self._calls.join(query, query.c.call_id == self._calls.c[self._key_name])
        pairs = sa.select(self._key.expression(self._calls), query.c[name]).select_from(joined)
        return pairs.distinct() if self._grouped else pairs


def _is_served(dialect: str, column: FactColumn) -> bool:
    """Whether the server's own text of a link is that of the driver's value. Odd types of PostgreSQL are not."""
    return dialect != "sqlite" and column.as_text and column.kind in (Kind.TEXT, Kind.NUMBER)


def _no_pairs(columns: Sequence[Column]) -> pa.Table:
    return pa.schema([(column.name, column.type) for column in columns]).empty_table()


def _query(source: Source, name: str, clause: sa.TextClause, given: Collection[str]) -> sa.Subquery:
    missing = [needed for needed in ("call_id", name) if needed not in given]
    if missing:
        raise SourceError(
            f"source {source.source}: links.{name}: expected the columns call_id and {name}, found {', '.join(given)}"
        )
    return clause.columns(*(sa.column(column) for column in given)).subquery(f"l_{name}")


def _require_comparable(source: Source, name: str, kind: Kind, key: Column) -> None:
    """A link that names its call in another type: MySQL would take `7 rue` for 7, and bytes for no call at all."""
    known, own = _KINDS.get(kind), TEXT if key.family == UUID else key.family
    if known is not None and own in _KINDS.values() and known != own:
        called = f"{source.call.table}.{source.call.key}"
        raise SourceError(
            f"source {source.source}: links.{name}: its call_id is {known} and {called} is {own}: "
            "no hold would find its calls for sure. Cast it in the link's SQL"
        )


_KINDS = {Kind.TEXT: TEXT, Kind.NUMBER: NUMBER, Kind.BYTES: "bytes"}


def embeddable_sql(text: str) -> sa.TextClause:
    """SQL of a mapping as it may stand inside another statement: nothing in it is a parameter."""
    return sa.text(text.rstrip().rstrip(";").replace(":", "\\:"))


def _text(name: str, value: Any) -> str | None:
    """A link as holds name it; one that is no UTF-8 is unknown. Bytes are named in hex, as records name them."""
    known = text_behind(value) if name == PHONE_FACT else value
    return None if known is None else clean_text(known)
