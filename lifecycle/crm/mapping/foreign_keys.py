"""Foreign keys to the rows that a purge deletes, as the database itself lists them: all, whoever may read their tables.

A cascade of a key that nobody mapped would delete rows that nobody archived. PostgreSQL and SQLite show every key to
everybody. MariaDB and MySQL show a role the keys of its own tables only, but InnoDB's list shows all, with PROCESS.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import quoted_name

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import parent_table
from lifecycle.crm.mapping.name_spelling import Fold, column_folding, fold_ascii, table_folding
from lifecycle.crm.mapping.row_references import RowReference, partly_mapped
from lifecycle.crm.mapping.source import Source
from lifecycle.errors import SourceError

Place = tuple[str, str]
"""A table as (schema, name): of MySQL the database, of SQLite `main`."""
NO_PROCESS = 1227


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One key: the columns of a table that name rows of a mapped one; whether the database acts when those go.

    `named_column`: the column that is named, where the key has one.
    """

    table: Place
    columns: tuple[str, ...]
    named: Place
    acts: bool
    named_column: str | None = None


def unmapped_references(database: Database, source: Source, component: str | None = None) -> list[str]:
    """Foreign keys to a row that a purge (of a component) deletes, from columns that are not mapped with it.

    A mapped column counts only where all its rows are mapped: beside a `where`, the database's own action would reach
    the others. Keys to a table of which only some rows are mapped are judged by the rows they reach: `row_references`.
    Raises SourceError where the role may not see every key.
    """
    by_rows = set(map(str, row_references(database, source, component)))
    found = _unmapped(database, source, component)
    said = {f"{key.table[1]}.{column} names a row of {key.named[1]} and is not mapped" for key, column, _ in found}
    return sorted(said - by_rows)


def row_references(database: Database, source: Source, component: str | None = None) -> list[RowReference]:
    """The unmapped keys of one column that are judged by the rows they reach. Raises SourceError as the other does."""
    partly, found = partly_mapped(source, component), list[RowReference]()
    for key, column, named in _unmapped(database, source, component):
        if named in partly and key.named_column is not None and len(key.columns) == 1:
            schema = None if database.dialect == "sqlite" else quoted_name(key.table[0], True)
            table = sa.table(quoted_name(key.table[1], True), sa.column(quoted_name(column, True)), schema=schema)
            found.append(RowReference(table, column, named, key.named_column))
    return found


def _unmapped(database: Database, source: Source, component: str | None) -> list[tuple[ForeignKey, str, str]]:
    """Each unmapped column with its key, and the table that it names as the mapping names it."""
    with translated_errors(), database.reading() as connection:
        fold, fold_column = table_folding(connection, database.dialect), column_folding(database.dialect)
        home = home_schema(connection, database.dialect)
        parts = [(place_of(part.table, home, fold), part) for part in source.parts(component)]
        deleted = {place: part.table for place, part in parts if not part.detach and part.columns is None}
        children = [(place, part.chain[-1]) for place, part in parts if part.chain]
        some = {(place, fold_column(column)) for place, child in children for column in child.match}
        # A link to a row that hangs on it, such as a message's: where the key does nothing, it refuses what it names.
        above = [(place_of(parent_table(source, part), home, fold), part.chain[-1]) for _, part in parts if part.chain]
        some |= {(place, fold_column(up)) for place, child in above for up in child.match.values()}
        whole = {(place, fold_column(column)) for place, child in children if not child.where for column in child.match}
        namers = [namer for _, child in children for namer in child.unless_named_by]
        asked = {(place_of(namer.table, home, fold), fold_column(namer.column)) for namer in namers}
        keys = foreign_keys_to(connection, database.dialect, sorted(deleted), fold)
    mapped = {True: whole | asked, False: some | asked}
    return [
        (key, column, deleted[key.named])
        for key in keys
        for column in key.columns
        if (key.table, fold_column(column)) not in mapped[key.acts]
    ]


def home_schema(connection: sa.Connection, dialect: str) -> str:
    """The schema of tables that the mapping names without one."""
    asked = {"postgresql": "SELECT pg_catalog.current_schema()", "mysql": "SELECT DATABASE()"}
    return str(connection.scalar(sa.text(asked[dialect]))) if dialect in asked else "main"


def place_of(name: str, home: str, fold: Fold) -> Place:
    """A table's place, from its name in a mapping."""
    schema, _, table = name.rpartition(".")
    return fold(schema or home), fold(table)


def foreign_keys_to(connection: sa.Connection, dialect: str, places: Sequence[Place], fold: Fold) -> list[ForeignKey]:
    """Every foreign key that names a row of one of these tables, of a part of it, or of what it is a part of."""
    if dialect == "postgresql":
        return _of_postgresql(connection, places)
    if dialect == "mysql":
        return _of_innodb(connection, places, fold)
    return _of_sqlite(connection, places)


TREE = """WITH RECURSIVE mapped AS (
  SELECT c.oid AS root, c.oid AS oid FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN ROWS FROM (pg_catalog.unnest(CAST(:schemas AS text[])), pg_catalog.unnest(CAST(:tables AS text[])))
    AS m (schema, name) ON n.nspname::text = m.schema AND c.relname::text = m.name
), below AS (
  SELECT root, oid FROM mapped
  UNION SELECT b.root, i.inhrelid FROM below b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
), above AS (
  SELECT root, oid FROM mapped
  UNION SELECT a.root, i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
), tree AS (SELECT root, oid FROM below UNION SELECT root, oid FROM above)
"""
"""PostgreSQL's mapped tables (`mapped`), with what inherits from them (`below`) and what they are partitions of."""

_POSTGRESQL = f"""{TREE}
SELECT rn.nspname::text, r.relname::text, kn.nspname::text, k.relname::text, con.confdeltype::text,
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = con.conrelid AND a.attnum = ANY (con.conkey)),
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = con.confrelid AND a.attnum = ANY (con.confkey))
FROM tree t JOIN pg_catalog.pg_constraint con ON con.confrelid = t.oid AND con.contype = 'f'
JOIN pg_catalog.pg_class r ON r.oid = t.root JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_class k ON k.oid = COALESCE(pg_catalog.pg_partition_root(con.conrelid), con.conrelid)
JOIN pg_catalog.pg_namespace kn ON kn.oid = k.relnamespace"""


def tree_values(places: Sequence[Place]) -> dict[str, list[str]]:
    """What TREE is asked about."""
    return {"schemas": [schema for schema, _ in places], "tables": [table for _, table in places]}


def _of_postgresql(connection: sa.Connection, places: Sequence[Place]) -> list[ForeignKey]:
    rows = connection.execute(sa.text(_POSTGRESQL), tree_values(places))
    return [
        ForeignKey((schema, table), tuple(columns), (named_in, named), action not in ("a", "r"), theirs[0])
        for named_in, named, schema, table, action, columns, theirs in rows
    ]


def _of_sqlite(connection: sa.Connection, places: Sequence[Place]) -> list[ForeignKey]:
    columns = 'm.name, f."table", f."from", f.on_delete, f."to"'
    statement = f"SELECT {columns} FROM sqlite_master m, pragma_foreign_key_list(m.name) f"
    rows = connection.execute(sa.text(f"{statement} WHERE m.type = 'table'"))
    found = [
        ForeignKey(("main", fold_ascii(table)), (column,), ("main", fold_ascii(named)), action not in _WAITS, other)
        for table, named, column, action, other in rows
    ]
    return [key for key in found if key.named in places]


_WAITS = ("NO ACTION", "RESTRICT")
_INNODB = """SELECT {}, {}, {}, {}, c.FOR_COL_NAME, f.TYPE, c.REF_COL_NAME
FROM information_schema.{keys} f JOIN information_schema.{keys}_COLS c ON c.ID = f.ID"""
_ACTS_ON_DELETE = 1 | 2


def _of_innodb(connection: sa.Connection, places: Sequence[Place], fold: Fold) -> list[ForeignKey]:
    try:
        rows = connection.execute(sa.text(innodb_keys(connection))).fetchall()
    except DBAPIError as error:
        if error.orig is None or error.orig.args[:1] != (NO_PROCESS,):
            raise
        raise SourceError(
            "the role may not see every foreign key of the server, and a cascade of one it does not see would delete "
            "rows that nobody archived. GRANT PROCESS ON *.* to it; until then nothing is purged"
        ) from error
    found = [
        ForeignKey(
            (fold(schema), fold(table)), (column,), (fold(named_in), fold(named)), bool(kind & _ACTS_ON_DELETE), other
        )
        for named_in, named, schema, table, column, kind, other in rows
    ]
    return [key for key in found if key.named in places]


def innodb_keys(connection: sa.Connection) -> str:
    """The statement that lists every foreign key column of the server, in MariaDB's words or MySQL's."""
    halves = [f"SUBSTRING_INDEX(f.{name}, '/', {half})" for name in ("REF_NAME", "FOR_NAME") for half in (1, -1)]
    if not getattr(connection.dialect, "is_mariadb", False):
        return _INNODB.format(*halves, keys="INNODB_FOREIGN")
    # MariaDB has them encoded as the names of files: @0020 for a blank.
    decoded = (f"CONVERT(CONVERT(CAST({half} AS BINARY) USING filename) USING utf8mb4)" for half in halves)
    return _INNODB.format(*decoded, keys="INNODB_SYS_FOREIGN")
