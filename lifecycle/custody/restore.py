"""Restore: calls put back from the archive with everything below them, each whole or not at all, and on record.

The rows, what the control table knows of them and their leaves commit together; files follow. Running it again puts
nothing back twice, and finishes what was left.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lifecycle.crm.control.request_table import keys_of
from lifecycle.custody.call_history import call_history
from lifecycle.custody.prepared_batches import PreparedBatch, prepared_batches
from lifecycle.custody.purged_once import purged_once
from lifecycle.custody.restore_record import (
    RestoreNotes,
    RestoreOrder,
    note_elsewhere,
    restore_notes,
    restored_until,
)
from lifecycle.custody.restore_slices import restore_slices
from lifecycle.custody.restore_sources import CallCopies, choose_copies
from lifecycle.custody.restore_target import RestoreTarget
from lifecycle.custody.restored_files import put_files_that_wait
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import call_id_text


@dataclass
class RestoreResult:
    """What came back, by call until when the night leaves it alone; what did not, and why; files, links, doubts.

    `before`: calls that an earlier run put back. In a dry run `restored` says what would come back.
    """

    restored: dict[str, date] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    files: int = 0
    files_left: dict[str, str] = field(default_factory=dict)
    links_left: int = 0
    doubts: list[str] = field(default_factory=list)


def restore_calls(
    lifecycle: Lifecycle, calls: Collection[str], target: RestoreTarget, order: RestoreOrder
) -> RestoreResult:
    """Put calls back, named as records name them. Raises StoreError and DatabaseError where something outside fails."""
    result = RestoreResult(doubts=target.doubts())
    chosen = _choose(lifecycle, calls, target, result)
    if chosen and not order.dry_run and not target.is_crm:
        note_elsewhere(lifecycle, order, len(chosen))
    while chosen:
        before = len(result.restored)
        with closing(prepared_batches(lifecycle, target, _by_batch(chosen), not order.dry_run)) as batches:
            for batch in batches:
                _restore_batch(lifecycle, target, order, batch, result)
        again = [one for one in chosen if any("is gone" in why for why in result.refused.get(one.call_id, ()))]
        if len(result.restored) == before or len(again) == len(chosen):
            break
        chosen = again  # what they name may have come back with another batch
        for one in again:
            result.refused.pop(one.call_id, None)
    if target.is_crm and not order.dry_run:
        result.files, result.files_left = put_files_that_wait(lifecycle)
    return result


def _choose(
    lifecycle: Lifecycle, calls: Collection[str], target: RestoreTarget, result: RestoreResult
) -> list[CallCopies]:
    """From which copies each call comes back; what cannot goes into the result."""
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(_live, target, calls)  # of the database, while the ledger is read
        once, live, today = purged_once(lifecycle, calls), asked.result(), lifecycle.now().date()
    late = {call for call, copy in once.items() if copy.destroy_on is not None and copy.destroy_on <= today}
    plain = once.keys() - live - late
    chosen = [CallCopies(call, once[call]) for call in dict.fromkeys(calls) if call in plain]
    others = [call for call in dict.fromkeys(calls) if call not in plain]
    history = call_history(lifecycle, others) if others else {}
    for call in others:
        found = choose_copies(call, history.get(call, ()), call in live, today)
        if isinstance(found, str):
            result.refused[call] = [found]
        elif not found:
            result.before.append(call)
        chosen += found if not isinstance(found, str) else []
    return chosen


def _live(target: RestoreTarget, calls: Collection[str]) -> set[str]:
    rows = target.rows_of(None)
    keys = keys_of(rows.key, list(calls))
    with target.database.reading() as connection:
        return {call_id_text(key) for key in rows.live_as_named(connection, keys)} if keys else set()


def _by_batch(chosen: Sequence[CallCopies]) -> list[list[CallCopies]]:
    groups: dict[tuple[str, str | None], list[CallCopies]] = {}
    for one in chosen:
        groups.setdefault((one.copy.manifest_key, one.copy.component), []).append(one)
    return list(groups.values())


def _restore_batch(
    lifecycle: Lifecycle, target: RestoreTarget, order: RestoreOrder, batch: PreparedBatch, result: RestoreResult
) -> None:
    """Insert the calls of one batch that nothing stands against, some a transaction, unless it is a dry run."""
    result.refused |= batch.refused
    copies, names = batch.copies, batch.keys
    until = dict(zip(copies, restored_until(lifecycle, order, list(copies.values())), strict=True))
    if order.dry_run or not names:
        result.restored |= {name: until[name] for name in names.values()}
        return

    def notes(going: Sequence[Any]) -> RestoreNotes:
        return restore_notes(lifecycle, order, [copies[names[key]] for key in going], batch.files)

    writer = target.transaction(batch.component)
    for done in restore_slices(lifecycle, writer, batch.copied, list(names), notes if target.is_crm else None):
        result.restored |= {names[key]: until[names[key]] for key in done.restored}
        result.refused |= {names[key]: [why] for key, why in done.refused.items()}
        result.links_left += done.links_left
        lifecycle.progress("restored", len(result.restored), len(names))
