"""The database's own account of the mapped tables: columns and keys. Reads its catalogue only.

Not here: who else names a row of them (`foreign_keys`), what makes them unfit (`unfit_tables`).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.columns import Column, column_of
from lifecycle.crm.mapping.keys_at_work import keys_at_work
from lifecycle.crm.mapping.mysql_types import mysql_types
from lifecycle.crm.mapping.row_keys import _indexes, _row_key, _unique
from lifecycle.crm.mapping.source import Part, Source
from lifecycle.errors import SettingsError, SourceError


@dataclass(frozen=True, slots=True)
class MappedTable:
    """One table as the product reads it: its columns in the database's order, those that name a row, those NOT NULL.

    `unique`: every set of columns whose values name one row at most. `self_updating`: what the database writes anew at
    any update of a row, unless told otherwise. `references`: the mapped tables whose rows its own rows name by a
    foreign key, so that its rows must go first. `indexes`: the columns of those by which rows can be found. `refusing`:
    the keys for whose sake the database refuses to delete a row that a row of this table names: the mapped table named,
    and (own column, named column) pairs.
    """

    table: sa.TableClause
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    required: frozenset[str]
    unique: tuple[frozenset[str], ...] = ()
    self_updating: tuple[str, ...] = ()
    references: frozenset[str] = frozenset()
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refusing: frozenset[tuple[str, frozenset[tuple[str, str]]]] = frozenset()


def call_table(source: Source, tables: Mapping[str, MappedTable]) -> MappedTable:
    """The table of calls, by their key; where a call is several rows, what is left of it: the key, once each."""
    found, key = tables[source.call.table], source.call.key
    if source.call.group_by is None:
        return found
    alone = frozenset({key})
    return MappedTable(found.table, {key: found.columns[key]}, (key,), alone, (alone,))


def split_name(name: str) -> tuple[str | None, str]:
    """`schema.table` or `table`, as (schema, table)."""
    schema, _, table = name.rpartition(".")
    return schema or None, table


def require_database(database: Database, source: Source) -> None:
    """Raise SourceError where the mapping is for other databases, SettingsError where there is none."""
    if database.dialect not in source.dialects:
        raise SourceError(f"source {source.source} is for {', '.join(source.dialects)}; the CRM is {database.dialect}")
    file = database.engine.url.database if database.dialect == "sqlite" else None
    # SQLite would make an empty one.
    if file and not file.startswith((":memory:", "file:")) and not Path(file).is_file():
        raise SettingsError(
            f"LIFECYCLE_CRM_URL: expected a database, found no file {file}. `lifecycle demo` makes a sample"
        )


def read_schema(database: Database, source: Source) -> dict[str, MappedTable]:
    """Look every mapped table up, by its name in the mapping. Raises SourceError naming those not there.

    Whether they fit is asked by `misfits`.
    """
    with translated_errors():
        inspector = sa.inspect(database.engine)
        names = dict.fromkeys([*(part.table for part in source.parts()), *_namers(source)])
        missing = [name for name in names if not has_table(inspector, name)]
        if missing:
            problem = f"the database has no table {', '.join(missing)}, or none that this role may see"
            raise SourceError(f"source {source.source}: {problem}")
        texts = _read_as_text(source)
        tables = {name: _mapped(database, inspector, name, texts.get(name, frozenset())) for name in names}
        tables = {name: replace(table, **_beside(database, inspector, name, names)) for name, table in tables.items()}
    return tables


_MAY_NOT_SEE = (1044, 1142)


def has_table(inspector: sa.Inspector, name: str) -> bool:
    """Whether there is a table that this role may see."""
    schema, table = split_name(name)
    try:
        return inspector.has_table(table, schema=schema)
    except DBAPIError as error:  # MySQL does not tell a role what it has no right on
        if error.orig is not None and error.orig.args[0] in _MAY_NOT_SEE:
            return False
        raise


def _namers(source: Source) -> Iterator[str]:
    """The tables whose rows may keep a row that several own, or a file."""
    yield from (namer.table for part in source.parts() if part.chain for namer in part.chain[-1].unless_named_by)
    yield from (namer.table for files in source.every_files for namer in files.also_named_by)


def _read_as_text(source: Source) -> dict[str, frozenset[str]]:
    found = {source.call.table: frozenset(source.call.read_as_text)}
    for child in (part.chain[-1] for part in source.parts() if part.chain):
        found[child.table] = found.get(child.table, frozenset()) | frozenset(child.read_as_text)
    return found


def _mapped(database: Database, inspector: sa.Inspector, name: str, as_text: frozenset[str]) -> MappedTable:
    schema, table = split_name(name)
    found = [column for column in inspector.get_columns(table, schema=schema) if not column.get("computed")]
    types = mysql_types(database, schema, table)
    columns = {
        name: column_of(database.dialect, name, column["type"], types.get(name, ""))
        for name, column in ((str(column["name"]), column) for column in found)
    }
    columns |= {
        name: Column(name, pa.string(), sa.String(), family=columns[name].family) for name in as_text & columns.keys()
    }
    quoted: list[sa.ColumnClause[Any]] = [sa.column(sa.sql.quoted_name(column, True)) for column in columns]
    clause = sa.table(
        sa.sql.quoted_name(table, True), *quoted, schema=sa.sql.quoted_name(schema, True) if schema else None
    )
    required = frozenset(str(column["name"]) for column in found if not column["nullable"])
    return MappedTable(clause, columns, _row_key(inspector, table, schema), required)


_SELF_UPDATING = """SELECT COLUMN_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table AND EXTRA LIKE '%on update%'"""


def _beside(database: Database, inspector: sa.Inspector, name: str, mapped: Collection[str]) -> dict[str, Any]:
    """What a table has beside its columns: unique keys, columns that update themselves, tables that it references."""
    schema, table = split_name(name)
    updating: Sequence[str] = ()
    if database.dialect == "mysql":
        with database.engine.connect() as connection:
            updating = connection.scalars(sa.text(_SELF_UPDATING), {"schema": schema, "table": table}).all()
    home = inspector.default_schema_name
    places = {(split_name(other)[0] or home, split_name(other)[1]): other for other in mapped}
    keys = inspector.get_foreign_keys(table, schema=schema)
    named = [places.get((key["referred_schema"] or schema or home, key["referred_table"])) for key in keys]
    at_work = keys_at_work(database, schema, table)
    refusing = {
        (other, _pairs(key))
        for key, other in zip(keys, named, strict=True)
        if other and _pairs(key) and key["options"].get("ondelete", "NO ACTION") in _REFUSES and at_work(key["name"])
    }
    return {
        "unique": tuple(map(frozenset, _unique(inspector, table, schema))),
        "self_updating": tuple(updating),
        "references": frozenset(set(named) - {None, name}),
        "refusing": frozenset(refusing),
        "indexes": _indexes(inspector, table, schema),
    }


def _pairs(key: Any) -> frozenset[tuple[str, str]]:
    """A foreign key's own columns with those they name; none where the database does not say all of them."""
    own, other = key["constrained_columns"], key["referred_columns"]
    return (
        frozenset((str(one), str(two)) for one, two in zip(own, other, strict=True))
        if len(own) == len(other)
        else frozenset()
    )


_REFUSES = ("NO ACTION", "RESTRICT")


def parent_table(source: Source, part: Part) -> str:
    """The table of the rows by which a child's are found."""
    return part.chain[-2].table if len(part.chain) > 1 else source.call.table
