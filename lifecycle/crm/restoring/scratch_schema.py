"""A scratch database with the mapped tables of a live one: the same columns of the same types, the same keys.

NOT NULL in keys alone; no foreign keys, defaults, triggers or rights: what is tried there is whether rows come back as
they were. A database that holds tables which are not ours is never touched: ours say so by a table of that name.
"""

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.live_schema import MappedTable, split_name
from lifecycle.errors import SettingsError, SourceError

MARK = "lifecycle_scratch"
_POSTGRESQL = """SELECT a.attname::text, pg_catalog.format_type(
  CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END,
  CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END)
  || COALESCE(' COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname), ''),
  a.attnotnull
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
WHERE a.attrelid = CAST(:named AS regclass) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum"""
_ENUMS = """SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(t.typname),
  pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace GROUP BY 1, 2 ORDER BY 1, 2"""
_MYSQL = """SELECT COLUMN_NAME, CONCAT(COLUMN_TYPE, IF(CHARACTER_SET_NAME IS NULL, '',
  CONCAT(' CHARACTER SET ', CHARACTER_SET_NAME, ' COLLATE ', COLLATION_NAME))), IS_NULLABLE = 'NO'
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table
AND COALESCE(GENERATION_EXPRESSION, '') = '' ORDER BY ORDINAL_POSITION"""


def make_scratch_tables(live: Database, tables: Mapping[str, MappedTable], scratch: Database) -> None:
    """Make the mapped tables of a live database in a scratch one, in place of those made there before.

    Raises SettingsError where it is no scratch database, SourceError where a type cannot be made there.
    """
    if scratch.dialect != live.dialect:
        raise SettingsError(f"the scratch database: expected {live.dialect}, as the CRM is; found {scratch.dialect}")
    _require_scratch(scratch, tables)
    with live.reading() as connection:
        enums = list(connection.execute(sa.text(_ENUMS))) if live.dialect == "postgresql" else []
        made = {name: list(_columns(connection, live.dialect, name, table)) for name, table in tables.items()}
    with translated_errors(), scratch.engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {MARK} (id INTEGER)"))
        for schema in {schema for name in tables if (schema := split_name(name)[0])} | {row[0] for row in enums}:
            if schema.strip('"') not in ("public", "main"):
                connection.execute(sa.schema.CreateSchema(schema.strip('"'), if_not_exists=True))
        quoted = connection.dialect.identifier_preparer
        for table in tables.values():
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quoted.format_table(table.table)}")
        for schema, name, labels in enums:
            connection.exec_driver_sql(f"DROP TYPE IF EXISTS {schema}.{name}".replace("%", "%%"))
            connection.exec_driver_sql(f"CREATE TYPE {schema}.{name} AS ENUM ({labels})".replace("%", "%%"))
        for name, columns in made.items():
            lines = [
                f"{quoted.quote_identifier(c)} {kind}{' NOT NULL' if strict and c in tables[name].key else ''}"
                for c, kind, strict in columns
            ]
            lines += list(_keys(quoted, tables[name], {column for column, _, _ in columns}))
            statement = f"CREATE TABLE {quoted.format_table(tables[name].table)} ({', '.join(lines)})"
            connection.exec_driver_sql(statement.replace("%", "%%") if scratch.dialect != "sqlite" else statement)


def _require_scratch(scratch: Database, tables: Mapping[str, MappedTable]) -> None:
    with translated_errors():
        inspector = sa.inspect(scratch.engine)
        ours = inspector.has_table(MARK)
        there = [name for name in tables if inspector.has_table(split_name(name)[1], schema=split_name(name)[0])]
    if there and not ours:
        raise SettingsError(
            f"the scratch database: expected one without the CRM's tables, found {there[0]}. Name an empty database; "
            "nothing was done"
        )


def _columns(connection: sa.Connection, dialect: str, name: str, table: MappedTable) -> Iterator[tuple[str, str, bool]]:
    """Each column with its type as the database writes it, and whether it is NOT NULL."""
    schema, plain = split_name(name)
    quoted = connection.dialect.identifier_preparer
    if dialect == "postgresql":
        found = connection.execute(sa.text(_POSTGRESQL), {"named": quoted.format_table(table.table)})
    elif dialect == "mysql":
        found = connection.execute(sa.text(_MYSQL), {"schema": schema, "table": plain})
    else:
        rows = connection.exec_driver_sql(f"PRAGMA table_xinfo({quoted.quote_identifier(plain)})")
        yield from ((row[1], row[2], bool(row[3])) for row in rows if row[6] == 0)
        return
    for column, kind, strict in found:
        if str(kind) == "-":
            raise SourceError(f"{name}.{column}: its type cannot be made in the scratch database")
        yield str(column), str(kind), bool(strict)


def _keys(quoted: sa.sql.compiler.IdentifierPreparer, table: MappedTable, columns: set[str]) -> Iterator[str]:
    names = (", ".join(map(quoted.quote_identifier, table.key)),) if table.key else ()
    yield from (f"PRIMARY KEY ({each})" for each in names)
    for unique in sorted({tuple(sorted(names)) for names in table.unique} - {tuple(sorted(table.key))}):
        if set(unique) <= columns:
            yield f"UNIQUE ({', '.join(map(quoted.quote_identifier, unique))})"
