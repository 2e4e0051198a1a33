"""Calls of one batch, written some a transaction: two transactions at a time where no call needs rows of another.

A database inserts, checks and commits one transaction with one of its processors; meanwhile this process makes the
texts, the record and the comparison of the other. What is on record of a slice is made while its rows are inserted.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from lifecycle.crm.restoring.restore_transaction import RestoredSlice, RestoreTransaction
from lifecycle.custody.restore_record import RestoreNotes
from lifecycle.custody.restore_sources import CopiedRows
from lifecycle.deployment.lifecycle import Lifecycle

AT_ONCE = 20_000  # calls in the transactions that are open at a time
_SIDE_BY_SIDE = 2
_WORTH_TWO = 2_000  # calls: fewer are written before a second connection is made


def restore_slices(
    lifecycle: Lifecycle,
    writer: RestoreTransaction,
    copied: CopiedRows,
    keys: Sequence[Any],
    notes: Callable[[Sequence[Any]], RestoreNotes] | None,
) -> Iterator[RestoredSlice]:
    """Put the calls back, in their order; gives what each transaction did. `notes`: what is on record of some calls.

    Raises NightStopped between transactions, DatabaseError; what was committed stays.
    """
    tied = writer.tied_calls(copied.tables) if len(keys) >= _WORTH_TWO else None
    first = keys if tied is None else [key for key in keys if key in tied]
    rest = [] if tied is None else [key for key in keys if key not in tied]
    waiting = deque[Future[RestoredSlice]]()
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as making, ThreadPoolExecutor(_SIDE_BY_SIDE) as writing:
        for some in _cut(first, 1):
            lifecycle.require_running()
            yield _restore(lifecycle, writer, copied, some, notes, making)
        for some in _cut(rest, _SIDE_BY_SIDE):
            lifecycle.require_running()
            waiting.append(writing.submit(_restore, lifecycle, writer, copied, some, notes, making))
            if len(waiting) == _SIDE_BY_SIDE:
                yield waiting.popleft().result()
        yield from (one.result() for one in waiting)


def _cut(keys: Sequence[Any], together: int) -> Iterator[Sequence[Any]]:
    """Keys in slices of one size, so many of them at a time."""
    rounds = -(-len(keys) // AT_ONCE)
    each = max(1, -(-len(keys) // (rounds * together))) if keys else 1
    return (keys[start : start + each] for start in range(0, len(keys), each))


def _restore(
    lifecycle: Lifecycle,
    writer: RestoreTransaction,
    copied: CopiedRows,
    keys: Sequence[Any],
    notes: Callable[[Sequence[Any]], RestoreNotes] | None,
    making: ThreadPoolExecutor,
) -> RestoredSlice:
    made = making.submit(notes, keys) if notes else None  # while the database inserts

    def note(connection: Any, going: Sequence[Any]) -> None:
        if made is not None and notes is not None:
            (made.result() if going == keys else notes(going)).insert(lifecycle, connection)

    return writer.restore(keys, copied.tables, note)
