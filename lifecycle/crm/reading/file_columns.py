"""The files outside the database that rows of calls name: which rows, in which columns. No file is opened here."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.bound_values import column_in
from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.crm.mapping.source import FileNamer, Files, Part, Source
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text

_WORDS = re.compile(r"(\*\*|\*|\{call_id\})")


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Where one part of a batch names files: its name, and how its rows do."""

    part: str
    files: Files

    @property
    def table(self) -> str:
        """The table of the part."""
        return self.files.table

    def may_be_recording(self, path: str, call: Any, digest: str | None) -> bool:
        """Whether the mapping says that a file of this path may be the call's: by its name, or its known bytes."""
        trusted = self.files.only_crm_writes or digest is not None
        return any(
            _regular(pattern, call).fullmatch(path) and (trusted or "{call_id}" in pattern)
            for pattern in self.files.patterns
        )


@dataclass(frozen=True, slots=True)
class NamedFile:
    """One file as a row names it: its path, the digest in hex that the CRM has of it, and what the mapping says."""

    path: str
    sha256: str | None
    may_be_recording: bool = True


def file_columns(source: Source, component: str | None) -> list[FileColumns]:
    """Where the rows of whole calls, or of one component of them, name files."""
    if component is not None:
        files = source.components[component].files
        return list(_columns(source.parts(component), [files] if files else []))
    return list(_columns(source.parts(), source.every_files))


def _columns(parts: Sequence[Part], every: Sequence[Files]) -> Iterator[FileColumns]:
    rows = [part for part in parts if not (part.detach or part.grouped)]
    for files in every:
        yield from (FileColumns(part.name, files) for part in rows if part.table == files.table)


def _regular(pattern: str, call: Any) -> re.Pattern[str]:
    named = {"**": ".*", "*": "[^/]*", "{call_id}": re.escape(call_id_text(call))}
    return re.compile("".join(named.get(word) or re.escape(word) for word in _WORDS.split(pattern)), re.DOTALL)


def files_named_by_rows(tables: Mapping[str, pa.Table], columns: Sequence[FileColumns]) -> dict[Any, list[NamedFile]]:
    """The files of each call that names any, given the rows by part. A row without a path names none."""
    found = defaultdict[Any, list[NamedFile]](list)
    for one in columns:
        table = tables.get(one.part)
        if table is None:
            continue
        for row in table.select([CALL_ID, *one.files.columns]).to_pylist():
            path = _path(one.files, row)
            if path:
                digest, call = row[one.files.sha256] if one.files.sha256 else None, row[CALL_ID]
                known = digest.strip().lower() if digest and digest.strip() else None
                found[call].append(NamedFile(path, known, one.may_be_recording(path, call, known)))
    return dict(found)


def _path(files: FileNamer, row: Mapping[str, Any]) -> str | None:
    path = files.path.path(row) if files.when.holds(row) else None
    if path is None or files.below is None:
        return path
    return path.removeprefix(files.below.rstrip("/") + "/")


def hosts_named_by_rows(tables: Mapping[str, pa.Table], source: Source) -> Counter[str]:
    """Where else something of these calls lies, by the host of its URL: how many places there, each once."""
    found = set[str]()
    for url in source.urls:
        parts = (part for part in source.parts() if part.table == url.table and not part.detach)
        for part in (part for part in parts if part.name in tables and url.column in tables[part.name].column_names):
            found.update(filter(None, tables[part.name][url.column].to_pylist()))
    return Counter(urlsplit(text).hostname or "no host" for text in map(str, found))


def paths_still_named(
    connection: sa.Connection,
    dialect: str,
    tables: Mapping[str, MappedTable],
    files: FileNamer,
    paths: Sequence[str],
) -> set[str]:
    """Of some paths those that any row of the table gives, of a call or not; compared letter by letter.

    The rows are found by the column that ends every path; where there is none, every row is read.
    """
    table = tables[files.table]
    wanted = [c for name, c in table.columns.items() if name in files.columns]
    statement = sa.select(*(column.expression(table.table) for column in wanted))
    if files.path.last:
        endings = [text for path in paths for text in _endings(files, path)]
        statement = statement.where(sa.or_(*(_has(dialect, table, name, endings) for name in files.path.last)))
    names, found, asked = [column.name for column in wanted], set[str](), set(paths)
    for row in connection.execute(statement) if paths else ():
        path = _path(files, dict(zip(names, row, strict=True)))
        if path in asked:
            found.add(path)
    return found


def _endings(files: FileNamer, path: str) -> list[str]:
    below = f"{files.below.rstrip('/')}/{path}" if files.below else path
    return list(dict.fromkeys([*files.path.endings(path), *files.path.endings(below)]))


def _has(dialect: str, table: MappedTable, name: str, texts: Sequence[str]) -> sa.ColumnElement[bool]:
    column = table.columns[name]
    if pa.types.is_integer(column.type):
        return column_in(dialect, table.table.c[name], [int(text) for text in texts if text.isdecimal()])
    if column.cast is not None or not pa.types.is_string(column.type):
        return sa.cast(table.table.c[name], sa.String).in_(texts)
    return column_in(dialect, table.table.c[name], texts)
