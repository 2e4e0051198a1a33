"""Where a mapping and the live schema do not fit: tables and columns that are not there, rows that nothing can name."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from lifecycle.crm.mapping.live_schema import MappedTable, call_table, parent_table
from lifecycle.crm.mapping.source import Child, Component, Part, Source
from lifecycle.crm.mapping.type_families import differ_in_spelling_alone
from lifecycle.errors import SourceError


def require_fitting(source: Source, tables: Mapping[str, MappedTable]) -> None:
    """Raise SourceError naming each misfit."""
    problems = list(_misfits(source, tables))
    if problems:
        raise SourceError("\n".join(f"source {source.source}: {problem}" for problem in problems))


def _misfits(source: Source, tables: Mapping[str, MappedTable]) -> Iterator[str]:
    call = tables[source.call.table]
    marks = [mark.column for mark in (source.call.soft_delete, source.call.restricted) if mark]
    for column in (source.call.key, source.call.modified, *marks, *source.found_by.values()):
        if column is not None and column not in call.columns:
            yield f"table {source.call.table} has no column {column}"
    for part in source.parts():
        if part.grouped:
            continue
        if not tables[part.table].key and (not part.chain or part.detach):
            yield f"table {part.table} has no primary key and no unique key without NULLs: its rows cannot be named"
        elif not tables[part.table].key and (part.chain[-1].unless_named_by or _keyless_below(part, tables)):
            yield f"table {part.table} has no primary key and no unique key without NULLs: nothing can hang on its rows"
        elif not tables[part.table].key and not _belongs_to_one(source, part, tables):
            yield f"table {part.table} has no primary key, and its rows may belong to several calls: give it a key"
        if part.chain:
            yield from _child_misfits(source, part, tables)
    for namer in (namer for files in source.every_files for namer in (files, *files.also_named_by)):
        for column in (column for column in namer.columns if column not in tables[namer.table].columns):
            yield f"files: table {namer.table} has no column {column}"
    for url in source.urls:
        if url.column not in (tables[url.table].columns if url.table in tables else ()):
            yield f"urls: expected a column of a mapped table, found {url.table}.{url.column}"
    for name, component in source.components.items():
        yield from _component_misfits(name, component, call, source.call.table, tables)


def _keyless_below(part: Part, tables: Mapping[str, MappedTable]) -> bool:
    """Whether rows that nothing names hang on rows that nothing names."""
    return any(not tables[child.table].key for child in part.chain[-1].children)


def _component_misfits(
    name: str, component: Component, call: MappedTable, called: str, tables: Mapping[str, MappedTable]
) -> Iterator[str]:
    files = component.files
    wanted = [(called, call, column) for column in component.columns]
    wanted += [(files.table, tables[files.table], c) for c in files.columns] if files else []
    for where, table, column in wanted:
        if column not in table.columns:
            yield f"component {name}: table {where} has no column {column}"
        elif column in component.columns and table is call and column in {*call.required, *call.key}:
            yield f"component {name}: {where}.{column} is NOT NULL or a key, so a purge could not clear it"
        elif files and column == files.path.source and not pa.types.is_string(table.columns[column].type):
            yield f"component {name}: {where}.{column} is no text, so it names no file"


def _child_misfits(source: Source, part: Part, tables: Mapping[str, MappedTable]) -> Iterator[str]:
    child, parent = part.chain[-1], parent_table(source, part)
    wanted = [(part.table, column) for column in (*child.match, *child.where.columns, *child.detach)]
    wanted += [(parent, column) for column in child.match.values()]
    wanted += [(namer.table, namer.column) for namer in child.unless_named_by]
    unknown = [(table, column) for table, column in wanted if column not in tables[table].columns]
    yield from (f"table {table} has no column {column}" for table, column in unknown)
    if not unknown:
        yield from _unlike(part.table, child, tables[part.table])
        yield from _unmatched(part.table, parent, child, tables)


def _unmatched(name: str, parent: str, child: Child, tables: Mapping[str, MappedTable]) -> Iterator[str]:
    """Columns that are compared and are of two families of types: rows of other calls would be found, or none."""
    for own, above in child.match.items():
        mine, other = tables[name].columns[own], tables[parent].columns[above]
        if mine.family == other.family or (child.cast and differ_in_spelling_alone(mine.family, other.family)):
            continue
        said = f"{name}.{own} is {mine.family} and {parent}.{above}, by which it is found, is {other.family}"
        if differ_in_spelling_alone(mine.family, other.family):
            yield f"{said}: {_CAST}"
        else:
            yield f"{said}: no row would be found for sure. Match columns of one type, such as a generated one"
    for namer in child.unless_named_by:
        (own,) = child.match
        mine, other = tables[name].columns[own], tables[namer.table].columns[namer.column]
        if mine.family != other.family:
            said = f"{namer.table}.{namer.column} is of the type {other.family} and {name}.{own} is {mine.family}"
            yield f"unless_named_by: {said}: nobody could say for sure that none names it. Expected columns of one type"


_CAST = (
    "a database would take `7 rue` for 7. If they mean the same, say `cast: text` in that child: then what is written "
    "alike is the same, and a row that writes it otherwise (007, 7.0, a UUID in capitals) stays"
)


def _belongs_to_one(source: Source, part: Part, tables: Mapping[str, MappedTable]) -> bool:
    """Whether each step of the way to a part matches a unique key of the row above."""
    above = [source.call.table, *(child.table for child in part.chain)]
    unique = [call_table(source, tables).unique, *(tables[table].unique for table in above[1:])]
    steps = zip(unique, part.chain, strict=False)
    return all(any(key <= set(child.match.values()) for key in keys) for keys, child in steps)


def _unlike(name: str, child: Child, table: MappedTable) -> Iterator[str]:
    """Fixed values of another kind than their column: MySQL finds 0 in every word, and 7 in `7 rue`."""
    for column, value in child.where.given:
        number = table.columns[column].is_number
        if isinstance(value, str) == number:
            yield f"{name}.{column} is {'a number' if number else 'no number'}; its `where` compares it with {value!r}"
