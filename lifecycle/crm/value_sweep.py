"""Where some values stand in a whole database: every column of every table that a role may read, in bounded time.

A sweep reads whole tables; it locks nothing. What the values mean, and whether a find is bad, is not decided here.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in
from lifecycle.crm.database import Database, translated_errors
from lifecycle.errors import DatabaseError

_SYSTEM = ("information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys")
_MOST_INTEGER = 2**63 - 1
_STEPS = 1_000  # of SQLite's machine between two looks at the clock


@dataclass(frozen=True, slots=True)
class SearchedTable:
    """One table and what kind each of its columns is: text, integer, uuid, bytes, or none that holds a key ("").

    `references`: columns with a foreign key of their own, and the table and column that each names. `times`: those that
    hold times.
    """

    schema: str | None
    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    times: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The table as a mapping writes it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass
class TableFinds:
    """In how many rows each column has one of the values; or why the table could not be looked through."""

    table: SearchedTable
    rows: dict[str, int] = field(default_factory=dict)
    problem: str | None = None


def searched_tables(database: Database, schemas: Sequence[str | None] = ()) -> list[SearchedTable]:
    """Every table beside the database's own, in the default schema, those named, and on PostgreSQL all others."""
    with translated_errors():
        inspector = sa.inspect(database.engine)
        wanted: set[str | None] = {None, *schemas}
        if database.dialect == "postgresql":
            wanted |= set[str | None](inspector.get_schema_names()) - {inspector.default_schema_name, *_SYSTEM}
        return [
            SearchedTable(schema, table, kinds, tuple(keys.get((schema, table), ())), references.get(table, {}), times)
            for schema in sorted(wanted, key=str)
            for keys, references in [(_primary_keys(inspector, schema), _references(inspector, schema))]
            for (_, table), columns in sorted(inspector.get_multi_columns(schema=schema).items(), key=str)
            for kinds in [{str(column["name"]): _kind(column["type"]) for column in columns}]
            for times in [tuple(str(c["name"]) for c in columns if isinstance(c["type"], sa.DateTime | sa.Date))]
        ]


def sweep_table(database: Database, table: SearchedTable, values: Sequence[Any], seconds: float) -> TableFinds:
    """Count the rows of one table in which each column has any of the values, in so many seconds at most."""
    wanted = {name: _as_kind(kind, values) for name, kind in table.columns.items()}
    wanted = {name: some for name, some in wanted.items() if some}
    clause = _clause(table, wanted)
    hits = {name: column_in(database.dialect, clause.c[name], some) for name, some in wanted.items()}
    counted = [sa.func.count(sa.case((hit, 1))).label(f"c{number}") for number, hit in enumerate(hits.values())]
    found = TableFinds(table)
    if wanted:
        rows = _answered(database, found, sa.select(*counted).where(sa.or_(*hits.values())), seconds)
        found.rows = {name: count for row in rows for name, count in zip(wanted, row, strict=True) if count}
    return found


def sweep_column(
    database: Database, table: SearchedTable, column: str, beside: Sequence[str], values: Sequence[Any], seconds: float
) -> tuple[TableFinds, list[tuple[tuple[str | None, ...], int]]]:
    """Count the rows in which one column has any of the values, by what other columns hold in them, as text."""
    found, wanted = TableFinds(table), _as_kind(table.columns[column], values)
    if not wanted:
        return found, []
    clause = _clause(table, [column, *beside])
    texts = [sa.cast(clause.c[name], sa.String).label(f"t{number}") for number, name in enumerate(beside)]
    hit = column_in(database.dialect, clause.c[column], wanted)
    statement = sa.select(*texts, sa.func.count().label("n")).where(hit).group_by(*texts)
    rows = _answered(database, found, statement, seconds)
    return found, [(tuple(row[:-1]), row[-1]) for row in rows if row[-1]]


def some_values(database: Database, table: SearchedTable, column: str, most: int) -> list[Any]:
    """What a column holds in some rows, each value once, as keys are given."""
    clause = _clause(table, [column])
    chosen = sa.cast(clause.c[column], sa.Text) if table.columns[column] == "uuid" else clause.c[column]
    with database.reading() as connection:
        found = connection.execute(sa.select(chosen).limit(most)).scalars()
        return [one for one in dict.fromkeys(found) if one not in (None, "")]


def indexed_columns(database: Database, table: SearchedTable) -> frozenset[str]:
    """The columns that an index begins with."""
    with translated_errors():
        indexes = sa.inspect(database.engine).get_indexes(table.name, schema=table.schema)
    return frozenset(str(index["column_names"][0]) for index in indexes if index["column_names"][0])


def _clause(table: SearchedTable, names: Iterable[str]) -> Any:
    columns: list[sa.ColumnClause[Any]] = [sa.column(sa.sql.quoted_name(name, True)) for name in names]
    place = sa.sql.quoted_name(table.schema, True) if table.schema else None
    return sa.table(sa.sql.quoted_name(table.name, True), *columns, schema=place)


def _answered(database: Database, found: TableFinds, statement: sa.Executable, seconds: float) -> Sequence[Any]:
    """The rows; none, and the problem noted, where there are none to be had in the time."""
    try:
        with database.reading() as connection, _bounded(connection, seconds):
            return connection.execute(statement).fetchall()
    except DatabaseError as error:
        found.problem = str(error).removeprefix("the CRM database refused: ").removesuffix(". A rerun is safe")
        return []


@contextmanager
def _bounded(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """End a statement that takes longer; the driver then raises."""
    dialect = connection.dialect
    if dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        until = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, _STEPS)
        return
    if dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(seconds * 1000) or 1}"))
        yield
        return
    maria = bool(getattr(dialect, "is_mariadb", False))
    name, most = ("max_statement_time", seconds) if maria else ("max_execution_time", int(seconds * 1000) or 1)
    connection.execute(sa.text(f"SET SESSION {name} = {most}"))
    try:
        yield
    finally:
        connection.execute(sa.text(f"SET SESSION {name} = 0"))


def _primary_keys(inspector: sa.Inspector, schema: str | None) -> dict[Any, Sequence[str]]:
    found = inspector.get_multi_pk_constraint(schema=schema)
    return {place: key["constrained_columns"] for place, key in found.items() if key}


def _references(inspector: sa.Inspector, schema: str | None) -> dict[str, dict[str, tuple[str, str]]]:
    """By table the columns that foreign keys have, each with the table, as a mapping writes it, and column it names."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for (_, table), keys in inspector.get_multi_foreign_keys(schema=schema).items():
        for key in keys:
            named = ".".join(filter(None, (key["referred_schema"], key["referred_table"])))
            pairs = zip(key["constrained_columns"], key["referred_columns"], strict=False)
            found.setdefault(table, {}).update({own: (named, column) for own, column in pairs})
    return found


def _kind(declared: Any) -> str:
    if isinstance(declared, sa.Uuid):
        return "uuid"
    if isinstance(declared, sa.LargeBinary | sa.BINARY | sa.VARBINARY):
        return "bytes"
    if isinstance(declared, sa.Boolean | sa.JSON | sa.Enum):
        return ""
    if isinstance(declared, sa.Integer) or type(declared).__name__ == "NUMERIC":
        return "integer"
    return "text" if isinstance(declared, sa.String | sa.types.NullType) else ""


def _as_kind(kind: str, values: Sequence[Any]) -> list[Any]:
    """The values that a column of a kind can hold, as it holds them."""
    if kind == "bytes":
        return [value for value in values if isinstance(value, bytes)]
    texts = [str(value) for value in values if kind and not isinstance(value, bytes)]
    if kind == "integer":
        return [int(text) for text in texts if text.isascii() and text.isdecimal() and int(text) <= _MOST_INTEGER]
    return [text for text in texts if kind == "text" or _is_uuid(text)]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
