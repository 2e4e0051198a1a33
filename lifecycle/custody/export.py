"""Export: archived calls with everything below them, and their recordings, written out for somebody. On record.

What is written comes from proved copies. The leaf `exported` is noted before the files get their name: an export that
nobody knows of is none.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from lifecycle.archive.object_store import check_key
from lifecycle.custody.call_history import call_history
from lifecycle.custody.copy_location import CopyLocation, copy_locations
from lifecycle.custody.export_formats import FORMATS
from lifecycle.custody.restore_sources import CallCopies, CopiedRows, copy_source, read_copies
from lifecycle.custody.restored_files import files_of_calls
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, InputError, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.night.event_leaves import queue_event_leaves

RECORDINGS = "recordings"


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """Who asks for it and why, by which options (never their values: they may be a telephone number), in which form."""

    by: str
    reason: str
    asked: tuple[str, ...]
    form: str
    recordings: bool = False


@dataclass
class ExportResult:
    """What was written: calls, rows by table, files; what could not be, and why; the digest that is on record."""

    calls: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    digest: str = ""


def export_calls(lifecycle: Lifecycle, calls: Collection[str], to: Path, order: ExportOrder) -> ExportResult:
    """Write the newest copy of each call into a folder that is not there yet, or one file of XLSX.

    Raises InputError where the place is taken, or nothing can be written.
    """
    if to.exists():
        raise InputError(f"{to}: expected a name that is free, found something there. Nothing was written")
    result = ExportResult()
    copied = _read(lifecycle, calls, result)
    if not copied:
        raise InputError("none of these calls has a copy in the archive that can be read. Nothing was written")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".lifecycle-export-", dir=to.parent) as here:
        folder = Path(here) / "export"
        folder.mkdir()
        tables = _joined(copied)
        result.calls = len(tables["calls"][CALL_ID].unique())
        result.rows = {name: table.num_rows for name, table in tables.items()}
        FORMATS[order.form](tables, folder)
        if order.recordings:
            result.files = _put_recordings(lifecycle, copied, folder, result)
        result.digest = folder_digest(folder)
        _note(lifecycle, order, result)
        os.replace(folder / "calls.xlsx" if order.form == "xlsx" and not order.recordings else folder, to)
    return result


def folder_digest(folder: Path) -> str:
    """SHA-256 over the lines `<sha256>  <path>` of every file, sorted by path: `sha256sum` makes the same."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = []
    for path in paths:
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read(lifecycle: Lifecycle, calls: Collection[str], result: ExportResult) -> list[CopiedRows]:
    history = call_history(lifecycle, calls)
    groups: dict[tuple[str, str | None], list[CallCopies]] = {}
    for call in dict.fromkeys(calls):
        places = [one for one in copy_locations(history.get(call, ())) if one.destroyed is None]
        if not places:
            result.left_out[call] = "no copy of it is in the archive"
        for one in _newest(places):
            groups.setdefault((one.copy.manifest_key, one.copy.component), []).append(
                CallCopies(call, one.copy, one.parts)
            )
    found = []
    for group in groups.values():
        try:
            found.append(read_copies(lifecycle.store, group))
        except (ProofError, ObjectMissing) as error:
            result.left_out |= {one.call_id: f"its copy cannot be read: {error}" for one in group}
    return found


def _newest(places: Sequence[CopyLocation]) -> list[CallCopies]:
    """The newest whole copy with the components that went before it, or the components alone."""
    whole = [one for one in places if one.component is None]
    parts = tuple(one for one in places if one.component is not None)
    sources = tuple(map(copy_source, parts))
    return [CallCopies("", copy_source(whole[-1]), sources)] if whole else [CallCopies("", one) for one in sources]


def _joined(copied: Sequence[CopiedRows]) -> dict[str, pa.Table]:
    names = dict.fromkeys(name for one in copied for name in one.tables if not name.endswith("-detached"))
    return {
        name: pa.concat_tables([one.tables[name] for one in copied if name in one.tables], promote_options="permissive")
        for name in names
    }


def _put_recordings(lifecycle: Lifecycle, copied: Sequence[CopiedRows], folder: Path, result: ExportResult) -> int:
    """The files of the calls below `recordings`, under the paths that their rows name."""
    count = 0
    for one in copied:
        for call, files in files_of_calls(lifecycle, one, None).items():
            for file in files:
                problem = _put(lifecycle, file, folder / RECORDINGS)
                count += problem is None
                if problem:
                    result.left_out[call] = problem
    return count


def _put(lifecycle: Lifecycle, file: ArchivedFile, folder: Path) -> str | None:
    path = folder / check_key(file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = lifecycle.store.fetch(file.key, file.version_id, path, at_most=file.bytes)
        if found.sha256 != file.sha256:
            path.unlink()
            return "a recording of it is damaged in the archive"
    except (FixityError, ObjectMissing):
        return "a recording of it is gone from the archive, or damaged"
    return None


def _note(lifecycle: Lifecycle, order: ExportOrder, result: ExportResult) -> None:
    fields = {
        "by": order.by,
        "reason": order.reason[:200],
        "asked": sorted(order.asked),
        "to": order.form,
        "calls": result.calls,
        "files": result.files,
        "digest": result.digest,
    }
    queue_event_leaves(lifecycle, "exported", {uuid4().hex: fields})
