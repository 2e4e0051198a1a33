"""The rows of planned calls, read some calls at a time and filled into batches: the next one while one is archived.

Each time is one snapshot of the rows, and one of the facts beside it. How much is held at once follows from
LIFECYCLE_MEMORY. Nothing is written here.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.reading.part_reader import CallsTooLarge, UnreadableCalls
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.archived_facts import with_facts
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING
from lifecycle.night.destroy_batches import DestroyGroup, Tables, fill_batches, without_calls
from lifecycle.night.night_window import is_window_open

FIRST_READ, LARGEST_READ, GROWTH = 500, 20_000, 40  # calls, calls, times
READ_BYTES = 16 * 2**20  # aimed at
MOST_READ = 128 * 2**20  # of several calls; one alone may be larger
_OF_MEMORY = {"batch": 4, "read": 16, "most read": 4}
"""Held at once are a batch that is filled and one that is archived, each with what is made of it."""


@dataclass
class Unread:
    """Planned calls that were not copied: those set aside, each with the reason, and how many were left."""

    set_aside: dict[Any, str] = field(default_factory=dict)
    left: int = 0


@dataclass(frozen=True)
class FilledBatch:
    """Rows for one batch of a group. `since`: the moment before they were read, where the database tells one."""

    group: DestroyGroup
    since: Snapshot | None
    tables: Tables


def read_batches(lifecycle: Lifecycle, groups: Iterator[DestroyGroup], unread: Unread) -> Generator[FilledBatch]:
    """Batches of the groups' calls; the next one is read while the caller works on one. Adds to `unread`."""
    filled = _fill(lifecycle, groups, unread)
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[FilledBatch | None] = pool.submit(next, filled, None)
        while (batch := waiting.result()) is not None:
            waiting = pool.submit(next, filled, None)
            yield batch
            del batch


def _fill(lifecycle: Lifecycle, groups: Iterator[DestroyGroup], unread: Unread) -> Iterator[FilledBatch]:
    for group in groups:
        lifecycle.crm.refresh()
        since = lifecycle.crm.snapshot(group.component)
        with ThreadPoolExecutor(1) as pool:
            for tables in fill_batches(_read_group(lifecycle, group, unread, pool), memory_share(lifecycle, "batch")):
                yield FilledBatch(group, since, tables)


def memory_share(lifecycle: Lifecycle, what: str) -> int:
    """How many bytes a part of the work may hold."""
    return lifecycle.settings.memory * 2**20 // _OF_MEMORY[what]


def _read_group(
    lifecycle: Lifecycle, group: DestroyGroup, unread: Unread, pool: ThreadPoolExecutor
) -> Iterator[Tables]:
    """Every row of the planned calls, some calls at a time, each time under one snapshot.

    Adds the calls that are gone, unreadable, ambiguous or empty, and why; and how many are left when the night's
    window closes. How many calls are read at once follows from how large those before them were.
    """
    planned, done, number = group.planned, 0, FIRST_READ
    aim = min(READ_BYTES, memory_share(lifecycle, "read"))
    while done < planned.num_rows and is_window_open(lifecycle):
        if lifecycle.stop_requested():
            lifecycle.require_running()
        some = planned.slice(done, number)
        done += some.num_rows
        for tables in _read_with_facts(lifecycle, some["call_id"].to_pylist(), group.component, unread.set_aside, pool):
            read = tables["calls"].num_rows
            if read:
                size = sum(table.nbytes for table in tables.values())
                number = max(1, min(LARGEST_READ, GROWTH * number, number * aim // max(size, 1)))
                yield _with_decision(tables, some)
    unread.left += planned.num_rows - done


def _read_with_facts(
    lifecycle: Lifecycle, keys: list[Any], component: str | None, aside: dict[Any, str], pool: ThreadPoolExecutor
) -> Iterator[Tables]:
    """The rows of some calls, those that can be read, and beside them every fact and link: holds and laws to come ask.

    Facts are read at the same time; not on SQLite, where one process does all the work.
    """
    read = partial(_facts, lifecycle, keys)
    facts: Callable[[], pa.Table] = pool.submit(read).result if lifecycle.crm.database.dialect != "sqlite" else read
    most, known = min(MOST_READ, memory_share(lifecycle, "most read")), None
    for tables in _read_whole(lifecycle, keys, component, aside, most):
        known = facts() if known is None else known
        yield {**tables, "calls": with_facts(tables["calls"], known)}


def _facts(lifecycle: Lifecycle, keys: list[Any]) -> pa.Table:
    with lifecycle.crm.database.reading() as connection:
        return lifecycle.crm.facts.of(connection, keys)


def _read_whole(
    lifecycle: Lifecycle, keys: list[Any], component: str | None, aside: dict[Any, str], most: int
) -> Iterator[Tables]:
    """The rows of some calls; halved where they are too large to be read at once, or one cannot be read."""
    try:
        tables, why = lifecycle.crm.read_whole(keys, component, most)
    except (UnreadableCalls, CallsTooLarge) as error:
        if len(keys) == 1:
            add_set_aside(aside, {keys[0]: f"unreadable: {error}"}, component)
            return
        half = len(keys) // 2
        yield from _read_whole(lifecycle, keys[:half], component, aside, most)
        yield from _read_whole(lifecycle, keys[half:], component, aside, most)
        return
    add_set_aside(aside, why, component)
    strangers = set(tables["calls"][CALL_ID].to_pylist()) - set(keys)
    yield without_calls(tables, CALL_ID, why.keys() | strangers)


def _with_decision(tables: Tables, planned: pa.Table) -> Tables:
    """The calls with what was decided about each."""
    found = tables["calls"][CALL_ID].combine_chunks()
    decided = planned.take(pc.index_in(found, planned["call_id"].combine_chunks()))
    for name in DECIDING:
        tables["calls"] = tables["calls"].append_column(name, decided[name.removeprefix("_")])
    return tables


def add_set_aside(aside: dict[Any, str], found: Mapping[Any, str], component: str | None) -> None:
    """Add calls set aside; of one call several components may be."""
    for key, reason in found.items():
        said = reason if component is None else f"{component}: {reason}"
        aside[key] = f"{aside[key]}; {said}" if key in aside else said
