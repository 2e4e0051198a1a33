"""The files outside the database that rows of calls name: which rows, in which columns. No file is opened here."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from lifecycle.crm.database import column_in
from lifecycle.crm.mapping.live_schema import MappedTable
from lifecycle.crm.mapping.source import Source
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text

_WORDS = re.compile(r"(\*\*|\*|\{call_id\})")


@dataclass(frozen=True, slots=True)
class FileColumns:
    """Where one part of a batch names files: its name, its table, the column of the path and that of the digest."""

    part: str
    table: str
    path: str
    sha256: str | None
    patterns: tuple[str, ...]

    def may_be_recording(self, path: str, call: Any, digest: str | None) -> bool:
        """Whether the mapping says that a file of this path may be the call's: by its name, or its known bytes."""
        return any(
            _regular(pattern, call).fullmatch(path) and ("{call_id}" in pattern or digest is not None)
            for pattern in self.patterns
        )


@dataclass(frozen=True, slots=True)
class NamedFile:
    """One file as a row names it: its path, the digest in hex that the CRM has of it, and what the mapping says."""

    path: str
    sha256: str | None
    may_be_recording: bool = True


def file_columns(source: Source, component: str | None) -> list[FileColumns]:
    """Where the rows of whole calls, or of one component of them, name files."""
    return list(_columns(source, source.components if component is None else [component]))


def _columns(source: Source, components: Mapping[str, Any] | Sequence[str]) -> Iterator[FileColumns]:
    for name in components:
        files = source.components[name].files
        for part in source.parts(name)[1:] if files else ():
            if files and part.table == files.table and not part.detach:
                yield FileColumns(part.name, part.table, files.path, files.sha256, files.patterns)


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
        digests = table[one.sha256].to_pylist() if one.sha256 else [None] * table.num_rows
        rows = zip(table[CALL_ID].to_pylist(), table[one.path].to_pylist(), digests, strict=True)
        for call, path, digest in rows:
            if path:
                known = digest.strip().lower() if digest and digest.strip() else None
                found[call].append(NamedFile(path, known, one.may_be_recording(path, call, known)))
    return dict(found)


def paths_still_named(
    connection: sa.Connection,
    dialect: str,
    tables: Mapping[str, MappedTable],
    columns: FileColumns,
    paths: Sequence[str],
) -> set[str]:
    """Of some paths those that any row of the table has, of a call or not; compared letter by letter."""
    table = tables[columns.table].table
    statement = sa.select(table.c[columns.path]).where(column_in(dialect, table.c[columns.path], list(paths)))
    return set(connection.scalars(statement)) & set(paths) if paths else set()
