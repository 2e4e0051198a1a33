"""Whether no two rows of the facts query are of one call and one industry: then calls are counted as rows.

It follows from the query's text and the database's own keys. The text begins at the call table, and whatever it joins
is found by a unique key, compared column with column of one type, so each join finds one row at most. The industry's
table may be found by all of its key but the industry; an industry that the mapping says adds no row. Where that is not
sure the database counts distinct calls, which takes many times as long where there are millions.
"""

import re
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SQLAlchemyError

from lifecycle.crm.mapping.site_fit import facts_as_written
from lifecycle.crm.mapping.source import Source
from lifecycle.crm.reading.query_joins import Join, NotPlain, parse_query

Types = dict[str, dict[str, str]]
"""By alias and column: a type, its collation included, so that equal ones compare as a unique key does."""

_LENGTH = re.compile(r",?\s*length=\d+")
# Functions that give several rows, and tables of which others inherit: neither is in a key.
_MULTIPLIED = sa.text(
    "SELECT 1 FROM pg_proc WHERE proretset AND proname = ANY(:words) UNION ALL "
    "SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.relname = ANY(:tables) LIMIT 1"
)
_MYSQL_TYPES = sa.text(
    "SELECT column_name AS name, data_type AS type, collation_name AS collation FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND table_name = :name"
)


def rows_are_distinct(connection: sa.Connection, source: Source) -> bool:
    """Whether a row of a source's facts query is a call and its industry, for sure."""
    try:
        query = parse_query(facts_as_written(source))
        if _may_multiply(connection, source.facts, [join.table for join in query.joins]):
            return False
        inspector, (calls, *joins) = sa.inspect(connection), query.joins
        if (calls.table, query.column("call_id")) != (source.call.table, (calls.alias, source.call.key)):
            return False
        types = {join.alias: _types(connection, inspector, join.table) for join in query.joins}
        several = [join for join in joins if not _finds_one(inspector, join, types)]
        by_industry = _by_industry(query.column("industry"), several)
        return [source.call.key] in _unique_keys(inspector, calls.table) and all(
            _finds_one(inspector, join, types, by_industry) for join in several
        )
    except (NotPlain, SQLAlchemyError):
        return False


def _by_industry(industry: tuple[str, str] | None, several: list[Join]) -> set[str]:
    """The industry's column, where its table is the only one of which a call may have several rows."""
    return {industry[1]} if industry and [join.alias for join in several] == [industry[0]] else set()


def _finds_one(inspector: Inspector, join: Join, types: Types, known: Collection[str] = ()) -> bool:
    """Whether a join finds one row at most, given the columns of it that are known besides."""
    own = types[join.alias]
    equal = {mine for mine, alias, theirs in join.equal if own.get(mine) and own[mine] == types[alias].get(theirs)}
    return any(set(key) <= equal.union(known) for key in _unique_keys(inspector, join.table))


def _unique_keys(inspector: Inspector, table: str) -> list[list[str]]:
    """The primary key, and the unique ones of which no column can be NULL."""
    required = {column["name"] for column in inspector.get_columns(table) if not column["nullable"]}
    primary = list(inspector.get_pk_constraint(table)["constrained_columns"])
    unique = [list(one["column_names"]) for one in inspector.get_unique_constraints(table)]
    return [key for key in (primary, *unique) if key and set(key) <= required]


def _types(connection: sa.Connection, inspector: Inspector, table: str) -> dict[str, str]:
    """Empty where nothing sure can be said. The length of a text decides no comparison."""
    if connection.dialect.name == "mysql":
        rows = connection.execute(_MYSQL_TYPES, {"name": table})
        return {row.name: f"{row.type} {row.collation}" for row in rows}
    said = {
        column["name"]: re.sub(r",?\s*length=\d+", "", repr(column["type"])) for column in inspector.get_columns(table)
    }
    return {name: kind for name, kind in said.items() if not kind.startswith("NullType")}


def _may_multiply(connection: sa.Connection, text: str, tables: list[str]) -> bool:
    """Whether something that is in no key may give a row twice, or compare in another way than a key."""
    if connection.dialect.name == "postgresql":
        words = sorted({word.lower() for word in re.findall(r"\w+", text)})
        return connection.execute(_MULTIPLIED, {"words": words, "tables": tables}).first() is not None
    if connection.dialect.name == "sqlite":  # where the collation of a column is in its table's text alone
        made = connection.scalars(sa.text("SELECT lower(sql) FROM sqlite_master WHERE type = 'table'"))
        return any("collate" in sql for sql in made if sql)
    return False
