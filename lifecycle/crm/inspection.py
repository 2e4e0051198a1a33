"""What a live database makes doubtful about a mapping, beyond what `schema` refuses. Reads the catalogue only.

Not here: foreign keys from unmapped columns, which stop every purge (`mapping.foreign_keys`).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import Database, translated_errors
from lifecycle.crm.mapping.delete_triggers import delete_triggers
from lifecycle.crm.mapping.foreign_keys import TREE, home_schema, place_of, tree_values
from lifecycle.crm.mapping.live_schema import MappedTable, split_name
from lifecycle.crm.mapping.row_condition import Condition
from lifecycle.crm.mapping.source import Part, Source
from lifecycle.crm.mapping.unfit_tables import Doubt, unfit_tables
from lifecycle.crm.reading.file_columns import file_columns


def mapping_doubts(database: Database, source: Source) -> list[Doubt]:
    """Every doubt about the mapped tables and those beside them. The mapped tables are there."""
    with translated_errors():
        inspector = sa.inspect(database.engine)
        found = [*unfit_tables(database, source), *delete_triggers(database, source)]
        found += [*_slow(inspector, source), *_twice(source), *_strangers(database, inspector, source)]
        found += _open_doors(inspector, source) if database.dialect == "postgresql" else []
        return list(dict.fromkeys(found))


def keyless_tables(source: Source, tables: Mapping[str, MappedTable]) -> list[str]:
    """Mapped tables whose rows nothing names, each with what that costs a night. No trouble; a key would spare it."""
    named = dict.fromkeys(part.table for part in source.parts() if not part.grouped)
    return [f"{name}: {_KEYLESS}" for name in named if not tables[name].key]


_KEYLESS = (
    "it has no key, so the rows of a call are compared as a multiset and deleted by what finds them: all are read "
    "whole and sorted twice, and one that is added meanwhile rolls the transaction back. A primary key would spare that"
)


def _slow(inspector: sa.Inspector, source: Source) -> Iterator[Doubt]:
    """Calls of a night, children and files that are searched row by row."""
    yield from _slow_calls(inspector, source)
    for part in source.parts()[1:]:
        child = part.chain[-1]
        if not any(_helps(index, child.match, child.where.fixed) for index in _indexes(inspector, part.table)):
            columns = ", ".join(child.match)
            problem = f"no index begins with {columns}: every slice of a night reads the whole table"
            yield Doubt(part.table, f"{problem}. {_create_index(inspector, part.table, list(child.match))}")
    for files in file_columns(source, None):
        for name in files.files.path.last:
            if not any(index[:1] == [name] for index in _indexes(inspector, files.table)):
                problem = f"no index begins with {name}: each file to go reads the whole table"
                yield Doubt(files.table, f"{problem}. {_create_index(inspector, files.table, [name])}")


def _slow_calls(inspector: sa.Inspector, source: Source) -> Iterator[Doubt]:
    """The calls that a night finds by no index: by the bare column that is given as ended_at, or what stands for it."""
    table = source.call.table
    for fact in dict.fromkeys(("ended_at", *source.found_by)):
        bare = re.search(rf"""[\w`"]+\.[`"]?(\w+)[`"]?\s+AS\s+[`"]?{fact}\b""", source.facts, re.IGNORECASE)
        column = source.found_by.get(fact) or (bare[1] if bare else None)
        known = {str(one["name"]) for one in _columns(inspector, table)}
        if column is None:
            problem = f"{fact} is computed, so every night reads all calls. Name the column that is never later"
            yield Doubt(table, f"{problem}: `found_by: {{{fact}: …}}`")
        elif column in known and not any(index[:1] == [column] for index in _indexes(inspector, table)):
            made = _create_index(inspector, table, [column])
            yield Doubt(table, f"no index begins with {column}: every night reads all calls. {made}")


def _columns(inspector: sa.Inspector, name: str) -> Sequence[Any]:
    schema, table = split_name(name)
    return inspector.get_columns(table, schema=schema)


def _create_index(inspector: sa.Inspector, name: str, columns: list[str]) -> str:
    quote = inspector.dialect.identifier_preparer.quote
    table = ".".join(quote(each) for each in split_name(name) if each)
    index = quote(f"lifecycle_{'_'.join(columns)}"[:60])
    return f"CREATE INDEX {index} ON {table} ({', '.join(map(quote, columns))})"


def _indexes(inspector: sa.Inspector, name: str) -> list[list[str]]:
    schema, table = split_name(name)
    indexes = [list(map(str, i["column_names"])) for i in inspector.get_indexes(table, schema=schema)]
    indexes += [list(map(str, u["column_names"])) for u in inspector.get_unique_constraints(table, schema=schema)]
    return [*indexes, list(map(str, inspector.get_pk_constraint(table, schema=schema)["constrained_columns"]))]


def _helps(index: list[str], match: Mapping[str, str], fixed: Collection[str]) -> bool:
    """Whether what an index begins with, as far as the search gives values for it, has a match column in it."""
    for column in index:
        if column in match:
            return True
        if column not in fixed:
            return False
    return False


def _twice(source: Source) -> Iterator[Doubt]:
    """Parts that find the same rows in the same way, for all that the mapping says."""
    parts = source.parts()[1:]
    for number, part in enumerate(parts):
        child, above = part.chain[-1], part.chain[:-1]
        for other in (one for one in parts[:number] if one.table == part.table and one.chain[:-1] == above):
            twin = other.chain[-1]
            alike = dict(child.match) == dict(twin.match) and bool(child.detach) == bool(twin.detach)
            if alike and not _apart(child.where, twin.where):
                way = ", ".join(child.match)
                problem = f"it is mapped twice by {way}, and one row may be found by both: it goes once"
                yield Doubt(part.table, f"{problem}, and is archived twice. Keep one, or tell them apart by a `where`")


def _apart(one: Condition, other: Condition) -> bool:
    """Whether no row can meet both conditions: some column has other values in each."""
    return any(values.isdisjoint(other.listed.get(column, values)) for column, values in one.listed.items())


def _strangers(database: Database, inspector: sa.Inspector, source: Source) -> Iterator[Doubt]:
    """Columns that look as if they named a row that a purge deletes, in tables that neither the mapping nor we know."""
    mapped = {split_name(part.table) for part in source.parts()}
    # A column beside a type (`parent_type`, `parent_id`) has its name in every module: it says nothing.
    named = [part.chain[-1] for part in source.parts()[1:] if not part.chain[-1].where]
    suspicious = {name.lower() for child in named for name in child.match} - {"id", "name"}
    ours = f"{source.control}_"
    suspicious.add(f"{_singular(split_name(source.call.table)[1])}_id")
    pieces = _partitions(database, [part.table for part in source.parts()])
    for schema in {schema for schema, _ in mapped}:
        for (_, table), columns in inspector.get_multi_columns(schema=schema).items():
            for name in (str(column["name"]) for column in columns):
                ours_or_known = table.startswith(ours) or (schema, table) in mapped | pieces
                if name.lower() in suspicious and not ours_or_known:
                    yield Doubt(table, f"{table}.{name} {_STRANGER.format(table=table, column=name)}")


_STRANGER = (
    "looks as if it named a call or a row of one, and is not mapped: it stays, and names nothing. If it does, "
    "`children: [{{table: {table}, match: {{{column}: …}}}}]`; "
    "else `known: [{{finding: {table}.{column}, because: …}}]`"
)


def _open_doors(inspector: sa.Inspector, source: Source) -> Iterator[Doubt]:
    """Children without a foreign key: PostgreSQL locks rows that are there, not those that somebody adds meanwhile."""
    for part in (part for part in source.parts()[1:] if not part.chain[-1].where):  # no key can say a type of row
        schema, table = split_name(part.table)
        keys = inspector.get_foreign_keys(table, schema=schema)
        if not any(set(key["constrained_columns"]) <= set(part.chain[-1].match) for key in keys):
            own, above = (", ".join(columns) for columns in zip(*part.chain[-1].match.items(), strict=True))
            problem = f"no foreign key on {own}: a row added to {_parent(source, part)} while it is being purged would "
            key = f"ALTER TABLE {part.table} ADD FOREIGN KEY ({own}) REFERENCES {_parent(source, part)} ({above})"
            yield Doubt(part.table, f"{problem}stay behind. {key}; or `known`, where none is added so late")


def _partitions(database: Database, names: Sequence[str]) -> set[tuple[str | None, str]]:
    """The tables in which PostgreSQL keeps the rows of mapped ones, as the mapping would name them."""
    if database.dialect != "postgresql":
        return set()
    with database.reading() as connection:
        home = home_schema(connection, "postgresql")
        places = [place_of(name, home, str) for name in names]
        found = connection.execute(sa.text(_PIECES), tree_values(places)).all()
    return {(None if schema == home else schema, table) for schema, table in found} | set(map(tuple, found))


_PIECES = f"""{TREE}
SELECT n.nspname::text, c.relname::text FROM below t JOIN pg_catalog.pg_class c ON c.oid = t.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relispartition"""


def _parent(source: Source, part: Part) -> str:
    return part.chain[-2].table if len(part.chain) > 1 else source.call.table


def _singular(table: str) -> str:
    name = table.lower()
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
