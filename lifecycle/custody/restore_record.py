"""What is on record of a restore: a row a copy in the control table, a leaf a call, both with the rows themselves.

Thousands of calls come back in one transaction: both are made a column at a time, and the leaves of one transaction
share notes, as many in each as it holds.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

import pyarrow as pa

from lifecycle.crm.control.ledger_queue import LARGEST_NOTE, packed_leaves
from lifecycle.crm.control.restored_table import RESTORED_COLUMNS
from lifecycle.crm.restoring.row_writer import insert_rows
from lifecycle.custody.purged_once import CopySource
from lifecycle.custody.restore_sources import CallCopies
from lifecycle.custody.restored_files import packed_files
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.canonical_columns import json_text
from lifecycle.evidence.leaf import commitments, many_leaves
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.restores_on_record import RESTORED, restored_leaf_id
from lifecycle.policy.period import RetentionPeriod

LONGEST_REASON = 200
_KINDS = {"files": pa.binary(), "body": pa.binary()}  # the other columns are texts


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Who puts calls back, and why; until when the night leaves them alone (None: as long as the setting says)."""

    by: str
    reason: str
    until: date | None = None
    dry_run: bool = False


def restored_until(lifecycle: Lifecycle, order: RestoreOrder, calls: Sequence[CallCopies]) -> list[date]:
    """Until when the night leaves each call alone: never beyond the day on which its copy may go."""
    period = RetentionPeriod.parse(lifecycle.settings.restored_for)
    wanted = order.until or period.last_day(lifecycle.now().date())
    return [wanted if (day := one.copy.destroy_on) is None else min(wanted, day) for one in calls]


@dataclass(frozen=True, slots=True)
class RestoreNotes:
    """What a transaction puts on record: rows of the control table `restored`, and notes of leaves."""

    rows: pa.Table
    leaves: pa.Table

    def insert(self, lifecycle: Lifecycle, connection: Any) -> None:
        """Put them into the transaction that puts the calls back."""
        control, dialect = lifecycle.crm.control, lifecycle.crm.database.dialect
        insert_rows(connection, dialect, control.restored.table, self.rows)
        insert_rows(connection, dialect, control.places.leaves, self.leaves)


def restore_notes(
    lifecycle: Lifecycle,
    order: RestoreOrder,
    calls: Sequence[CallCopies],
    files: Mapping[str, Sequence[ArchivedFile]],
) -> RestoreNotes:
    """What is to be on record of these calls. `files`: by call, those that follow. Asks no database."""
    now = lifecycle.now().isoformat()
    days = [day.isoformat() for day in restored_until(lifecycle, order, calls)]
    notes, ids = _notes(_leaves(lifecycle, order, calls, days))
    rows = [
        (name, one.call_id, copy.batch, now, day, packed)
        for place, one, day in zip(ids, calls, days, strict=True)
        for name, copy, packed in _copies(place, one, files)
    ]
    leaves = [(name, now, body) for name, body in notes.items()]
    return RestoreNotes(_table(RESTORED_COLUMNS, rows), _table(("id", "noted_at", "body"), leaves))


def _leaves(
    lifecycle: Lifecycle, order: RestoreOrder, calls: Sequence[CallCopies], days: Sequence[str]
) -> Iterable[bytes]:
    source, epoch = lifecycle.crm.source.source, lifecycle.keys.epoch()
    said = {"by": order.by[:LONGEST_REASON], "reason": order.reason[:LONGEST_REASON]}
    common = {**said, "source": source, "epoch": epoch.id, "noted_at": lifecycle.now().isoformat()}
    ids = [one.call_id for one in calls]
    own = {
        "call": [f'"{name}"' for name in commitments(source, ids, epoch.salts(source, ids))],
        "batch": _as_json([one.copy.batch for one in calls]),
        "manifest_key": _as_json([one.copy.manifest_key for one in calls]),
        "row": [str(one.copy.row) for one in calls],
        "component": _as_json([one.copy.component for one in calls]),
        "batches": _as_json([(one.copy.batch, *(part.batch for part in one.parts)) for one in calls]),
        "restored_until": _as_json(days),
    }
    return many_leaves(RESTORED, common, own, len(calls))


def _as_json(values: Sequence[Hashable]) -> list[str]:
    known = {value: json_text(value) for value in set(values)}
    return [known[value] for value in values]


def _notes(leaves: Iterable[bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Leaves in notes, as many in each as it holds; and for each leaf `<note>-<line>`."""
    notes, places, size = dict[str, list[bytes]](), list[str](), LARGEST_NOTE
    name, lines = "", list[bytes]()
    for leaf in leaves:
        if size + len(leaf) >= LARGEST_NOTE:
            name, lines, size = uuid4().hex, [], 0
            notes[restored_leaf_id(name)] = lines
        places.append(f"{name}-{len(lines)}")
        lines.append(leaf)
        size += len(leaf) + 1
    return {name: packed_leaves(lines) for name, lines in notes.items()}, places


def _copies(
    name: str, one: CallCopies, files: Mapping[str, Sequence[ArchivedFile]]
) -> Iterator[tuple[str, CopySource, bytes | None]]:
    """The copies that a call comes back from, its own first, each with the name of its row and the files to be put."""
    yield name, one.copy, packed_files(files.get(one.call_id, ()))
    for number, part in enumerate(one.parts, 1):
        yield f"{name}-{number}", part, None


def _table(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return pa.table({name: pa.array(values, _KINDS.get(name, pa.string())) for name, values in columns})


def note_elsewhere(lifecycle: Lifecycle, order: RestoreOrder, calls: int) -> None:
    """Rows that are written to another database leave the archive as an export does, and are noted before they do."""
    fields = {"by": order.by, "reason": order.reason[:LONGEST_REASON], "calls": calls, "to": "another database"}
    queue_event_leaves(lifecycle, "exported", {uuid4().hex: {**fields, "asked": ["restore --to"]}})
