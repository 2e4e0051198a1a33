"""A mapping's names as the database itself spells them. SQLite and MySQL find `Calls` under `calls`; so do we.

Not here: names that are not there at all (`schema`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.mapping.source import Child, Component, FileNamer, Files, Namer, Source

Fold = Callable[[str], str]


def spell_source(connection: sa.Connection, dialect: str, source: Source) -> Source:
    """The mapping with every table and column as the database spells it; what it does not know stays as written."""
    if dialect == "postgresql":  # names are quoted, so they are what they are
        return source
    inspector = sa.inspect(connection)
    namers = [namer.table for part in source.parts() if part.chain for namer in part.chain[-1].unless_named_by]
    namers += [namer.table for files in source.every_files for namer in files.also_named_by]
    names = dict.fromkeys([*(part.table for part in source.parts()), *namers])
    tables = _spelled_tables(inspector, names, table_folding(connection, dialect))
    columns = {name: _columns(inspector, table) for name, table in tables.items()}
    return _Spelling(tables, columns).source(source)


def table_folding(connection: sa.Connection, dialect: str) -> Fold:
    """How the database folds the names of tables before it compares them."""
    if dialect == "sqlite":
        return fold_ascii
    if dialect == "mysql" and connection.scalar(sa.text("SELECT @@lower_case_table_names")):
        return str.lower
    return str


def column_folding(dialect: str) -> Fold:
    """How the database folds the names of columns before it compares them."""
    return {"sqlite": fold_ascii, "mysql": str.lower}.get(dialect, str)


def fold_ascii(name: str) -> str:
    """SQLite's own folding: the letters of ASCII, and no others."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


class _Spelling:
    """Writes a mapping anew, each name as it was found."""

    def __init__(self, tables: Mapping[str, str], columns: Mapping[str, Mapping[str, str]]) -> None:
        self._tables, self._columns = tables, columns

    def source(self, source: Source) -> Source:
        call = source.call
        marks = {
            name: mark.model_copy(update={"column": self._column(call.table, mark.column)})
            for name, mark in (("soft_delete", call.soft_delete), ("restricted", call.restricted))
            if mark
        }
        modified = self._column(call.table, call.modified) if call.modified else None
        key = self._column(call.table, call.key)
        spelled: dict[str, Any] = {**marks, "table": self._table(call.table), "key": key, "modified": modified}
        spelled["group_by"] = key if call.group_by else None
        spelled["where"] = call.where.renamed(partial(self._column, call.table))
        spelled["read_as_text"] = tuple(self._column(call.table, name) for name in call.read_as_text)
        return source.model_copy(
            update={
                "call": call.model_copy(update=spelled),
                "children": tuple(self._child(child, call.table) for child in source.children),
                "files": tuple(map(self._files, source.files)),
                "urls": tuple(map(self._namer, source.urls)),
                "components": {name: self._component(one, call.table) for name, one in source.components.items()},
            }
        )

    def _child(self, child: Child, above: str) -> Child:
        own = child.table
        spelled = {
            "table": self._table(own),
            "match": {self._column(own, mine): self._column(above, other) for mine, other in child.match.items()},
            "where": child.where.renamed(partial(self._column, own)),
            "written_by_deletion": child.written_by_deletion.renamed(partial(self._column, own)),
            "unless_named_by": tuple(map(self._namer, child.unless_named_by)),
            "read_as_text": tuple(self._column(own, name) for name in child.read_as_text),
            "detach": tuple(self._column(own, name) for name in child.detach),
            "children": tuple(self._child(below, own) for below in child.children),
        }
        return child.model_copy(update=spelled)

    def _component(self, component: Component, called: str) -> Component:
        spelled: dict[str, Any] = {
            "tables": tuple(map(self._table, component.tables)),
            "columns": tuple(self._column(called, name) for name in component.columns),
        }
        if component.files:
            spelled["files"] = self._files(component.files)
        return component.model_copy(update=spelled)

    def _files(self, files: Files) -> Files:
        column = partial(self._column, files.table)
        sha256 = column(files.sha256) if files.sha256 else None
        path, when = files.path.renamed(column), files.when.renamed(column)
        return files.model_copy(
            update={
                "table": self._table(files.table),
                "path": path,
                "when": when,
                "sha256": sha256,
                "also_named_by": tuple(map(self._file_namer, files.also_named_by)),
            }
        )

    def _file_namer(self, namer: FileNamer) -> FileNamer:
        column = partial(self._column, namer.table)
        path, when = namer.path.renamed(column), namer.when.renamed(column)
        return namer.model_copy(update={"table": self._table(namer.table), "path": path, "when": when})

    def _namer(self, namer: Namer) -> Namer:
        column = self._column(namer.table, namer.column)
        return namer.model_copy(update={"table": self._table(namer.table), "column": column})

    def _table(self, name: str) -> str:
        return self._tables.get(name, name)

    def _column(self, table: str, name: str) -> str:
        known = self._columns.get(table, {})
        return name if name in known.values() else known.get(name.lower(), name)


def _spelled_tables(inspector: sa.Inspector, names: Iterable[str], fold: Fold) -> dict[str, str]:
    found = {}
    for name in names:
        schema, _, table = name.rpartition(".")
        known = _tables(inspector, schema or None)
        spelled = table if table in known else next((one for one in known if fold(one) == fold(table)), None)
        if spelled is not None:
            found[name] = f"{schema}.{spelled}" if schema else spelled
    return found


def _tables(inspector: sa.Inspector, schema: str | None) -> Sequence[str]:
    try:
        return inspector.get_table_names(schema=schema)
    except sa.exc.SQLAlchemyError:  # no such schema: its tables are not there, which is said where they are looked up
        return ()


def _columns(inspector: sa.Inspector, name: str) -> dict[str, str]:
    schema, _, table = name.rpartition(".")
    return {str(c["name"]).lower(): str(c["name"]) for c in inspector.get_columns(table, schema=schema or None)}
