"""What is on record of a restore: a row a copy in the control table, a leaf a call, both with the rows themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import uuid4

from lifecycle.crm.control.restored_table import RestoredCall
from lifecycle.custody.restore_sources import CallCopies
from lifecycle.custody.restored_files import packed_files
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.leaf import make_leaf
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.restores_on_record import RESTORED, restored_leaf_id
from lifecycle.policy.period import RetentionPeriod

LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Who puts calls back, and why; until when the night leaves them alone (None: as long as the setting says)."""

    by: str
    reason: str
    until: date | None = None
    dry_run: bool = False


def restored_until(lifecycle: Lifecycle, order: RestoreOrder, copies: CallCopies) -> date:
    """Until when the night leaves a call alone: never beyond the day on which its copy may go."""
    period = RetentionPeriod.parse(lifecycle.settings.restored_for)
    wanted = order.until or period.last_day(lifecycle.now().date())
    return wanted if copies.destroy_on is None else min(wanted, copies.destroy_on)


def restored_row(
    lifecycle: Lifecycle, order: RestoreOrder, copies: CallCopies, files: Mapping[str, Sequence[ArchivedFile]]
) -> RestoredCall:
    """The row of the control table for the copy that a call comes back from."""
    place = copies.copy
    return RestoredCall(
        id=uuid4().hex,
        call_id=copies.call_id,
        batch=str(place.record.leaf["batch"]),
        manifest_key=place.manifest_key,
        row=place.row,
        restored_at=lifecycle.now().isoformat(),
        restored_until=restored_until(lifecycle, order, copies),
        restored_by=order.by[:LONGEST_REASON],
        files=packed_files(files.get(copies.call_id, ())),
    )


def note_restores(
    lifecycle: Lifecycle, connection: Any, order: RestoreOrder, calls: Sequence[tuple[RestoredCall, CallCopies]]
) -> None:
    """Put rows and leaves into the transaction that puts the calls back."""
    control, now = lifecycle.crm.control, lifecycle.now()
    source, epoch = lifecycle.crm.source.source, lifecycle.keys.epoch()
    rows = [each for row, copies in calls for each in (row, *_rows_of_parts(row, copies))]
    control.restored.insert(connection, rows)
    common = {"source": source, "noted_at": now.isoformat(), "by": order.by, "reason": order.reason[:LONGEST_REASON]}
    leaves = {}
    for row, copies in calls:
        fields = {
            "call": epoch.commitment(source, row.call_id),
            "epoch": epoch.id,
            "batch": row.batch,
            "manifest_key": row.manifest_key,
            "row": row.row,
            "component": copies.copy.component,
            "batches": [row.batch, *(str(part.record.leaf["batch"]) for part in copies.parts)],
            "restored_until": row.restored_until.isoformat(),
        }
        leaves[restored_leaf_id(row.id)] = make_leaf(RESTORED, {**common, **fields})
    control.places.note_within(connection, leaves, now)


def _rows_of_parts(row: RestoredCall, copies: CallCopies) -> list[RestoredCall]:
    """A row for each component that comes back with the call, from its own batch."""
    return [
        replace(
            row,
            id=f"{row.id}-{number}",
            batch=str(part.record.leaf["batch"]),
            manifest_key=part.manifest_key,
            row=part.row,
            files=None,
        )
        for number, part in enumerate(copies.parts, 1)
    ]


def note_elsewhere(lifecycle: Lifecycle, order: RestoreOrder, calls: int) -> None:
    """Rows that are written to another database leave the archive as an export does, and are noted before they do."""
    fields = {"by": order.by, "reason": order.reason[:LONGEST_REASON], "calls": calls, "to": "another database"}
    queue_event_leaves(lifecycle, "exported", {uuid4().hex: {**fields, "asked": ["restore --to"]}})
