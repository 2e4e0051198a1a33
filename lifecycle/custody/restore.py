"""Restore: calls put back from the archive with everything below them, each whole or not at all, and on record.

The rows, what the control table knows of them and their leaves commit together; files follow. Running it again puts
nothing back twice, and finishes what was left.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lifecycle.archive.batches import batch_name
from lifecycle.crm.control.request_table import keys_of
from lifecycle.crm.restoring.references import own_parents
from lifecycle.crm.restoring.restored_rows import parents_first
from lifecycle.custody.call_history import call_history
from lifecycle.custody.purged_once import purged_once
from lifecycle.custody.registered_copies import copy_lease
from lifecycle.custody.restore_record import (
    RestoreNotes,
    RestoreOrder,
    note_elsewhere,
    restore_notes,
    restored_until,
)
from lifecycle.custody.restore_sources import CallCopies, CopiedRows, choose_copies, read_copies
from lifecycle.custody.restore_target import RestoreTarget
from lifecycle.custody.restored_files import file_conflict, files_of_calls, put_files_that_wait
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LeaseTaken, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import ArchivedFile

AT_ONCE = 20_000  # calls a transaction
_IN_USE = "another run is at work on its copy at this moment: restored, moved or destroyed. Run it again afterwards"


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
        for group in _by_batch(chosen):
            lifecycle.require_running()
            _restore_batch(lifecycle, target, order, group, result)
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
    once, live, today = purged_once(lifecycle, calls), _live(target, calls), lifecycle.now().date()
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


def _by_batch(chosen: Sequence[CallCopies]) -> Iterator[list[CallCopies]]:
    groups: dict[tuple[str, str | None], list[CallCopies]] = {}
    for one in chosen:
        groups.setdefault((one.copy.manifest_key, one.copy.component), []).append(one)
    yield from groups.values()


def _restore_batch(
    lifecycle: Lifecycle, target: RestoreTarget, order: RestoreOrder, group: list[CallCopies], result: RestoreResult
) -> None:
    """Put back the calls of one batch, while nobody destroys it. A damaged one is named with its calls."""
    batches = {batch_name(place.manifest_key) for one in group for place in (one.copy, *one.parts)}
    with ExitStack() as leases:
        try:
            for batch in sorted(batches) if not order.dry_run else ():
                leases.enter_context(lifecycle.crm.control.lease(copy_lease(batch)))
            copied = read_copies(lifecycle.store, group)
        except (ProofError, ObjectMissing, LeaseTaken) as error:
            why = _IN_USE if isinstance(error, LeaseTaken) else f"its copy cannot be read: {error}"
            result.refused |= {one.call_id: [why] for one in group}
            return
        _write(lifecycle, target, order, {one.call_id: one for one in group}, copied, result)


def _write(
    lifecycle: Lifecycle,
    target: RestoreTarget,
    order: RestoreOrder,
    copies: Mapping[str, CallCopies],
    copied: CopiedRows,
    result: RestoreResult,
) -> None:
    """Name what stands against the calls; insert the others, some a transaction, unless it is a dry run."""
    component = next(iter(copies.values())).copy.component
    by_key = {key: call_id_text(key) for key in copied.tables["calls"][CALL_ID].to_pylist()}
    files = files_of_calls(lifecycle, copied, component) if target.is_crm else {}
    refused = _conflicts(lifecycle, target, copied, list(by_key), files, component)
    result.refused |= refused
    keys = [key for key in _in_order(target, copied, component) if by_key[key] not in refused]
    until = dict(zip(copies, restored_until(lifecycle, order, list(copies.values())), strict=True))
    if order.dry_run:
        result.restored |= {by_key[key]: until[by_key[key]] for key in keys}
        return

    def notes(going: Sequence[Any]) -> RestoreNotes:
        return restore_notes(lifecycle, order, [copies[by_key[key]] for key in going], files)

    writer = target.transaction(component)
    with ThreadPoolExecutor(1) as beside:
        for start in range(0, len(keys), AT_ONCE):
            lifecycle.require_running()
            some = keys[start : start + AT_ONCE]
            made = beside.submit(notes, some) if target.is_crm else None  # while the database inserts

            def note(connection: Any, going: Sequence[Any], made: Any = made, some: Sequence[Any] = some) -> None:
                if made is not None:
                    (made.result() if going == some else notes(going)).insert(lifecycle, connection)

            done = writer.restore(some, copied.tables, note)
            result.restored |= {by_key[key]: until[by_key[key]] for key in done.restored}
            result.refused |= {by_key[key]: [why] for key, why in done.refused.items()}
            result.links_left += done.links_left
            lifecycle.progress("restored", len(result.restored), len(keys))


def _conflicts(
    lifecycle: Lifecycle,
    target: RestoreTarget,
    copied: CopiedRows,
    keys: Sequence[Any],
    files: Mapping[str, Sequence[ArchivedFile]],
    component: str | None,
) -> dict[str, list[str]]:
    found = {call_id_text(key): why for key, why in target.conflicts(component).of(keys, copied.tables).items()}
    for call, its in files.items():
        problem = file_conflict(lifecycle.store, lifecycle.recordings, its)
        if problem:
            found.setdefault(call, []).append(problem)
    return found


def _in_order(target: RestoreTarget, copied: CopiedRows, component: str | None) -> list[Any]:
    """The calls, each after those that it names."""
    calls = copied.tables["calls"]
    if component is None:
        calls = parents_first(calls, own_parents(target.references).get(target.source.call.table, {}))
    return list(calls[CALL_ID].to_pylist())
