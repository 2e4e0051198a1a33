"""Archive: copy the calls of an industry's night, with all their rows, into batches in the store. Deletes nothing.

A component of a call that goes by itself is a batch like any other, of its own rows only.

Each attempt writes into a folder of its own, so nothing can be overwritten; what no manifest names does not count.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import MANIFEST, batch_place, commit_manifest, put_batch, read_calls
from lifecycle.archive.plans import read_planned_calls
from lifecycle.crm.control.plan_register import RegisteredManifest
from lifecycle.crm.control.snapshot_table import Snapshot
from lifecycle.crm.reading.file_columns import hosts_named_by_rows
from lifecycle.crm.reading.part_reader import CallsTooLarge, UnreadableCalls
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.evidence.archived_facts import with_facts
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING, call_id_text
from lifecycle.evidence.manifest import ArchivedFile, ArchivedObject, Manifest
from lifecycle.night.destroy_batches import (
    DestroyGroup,
    Tables,
    fill_batches,
    group_by_destroy_month,
    same,
    without_calls,
)
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.industry_night import IndustryNight, batches_of_night
from lifecycle.night.ledger_events import queue_set_aside_events
from lifecycle.night.night_window import is_window_open
from lifecycle.night.purged_before import PurgeHistory
from lifecycle.night.read_moments import note_snapshot
from lifecycle.night.recording_files import copy_recording_files
from lifecycle.policy.canonical import sha256_hex

FIRST_READ, LARGEST_READ = 500, 20_000  # calls
READ_BYTES = 16 * 2**20  # aimed at
MOST_READ = 128 * 2**20  # of several calls; one alone may be larger


@dataclass
class ArchiveResult:
    """What the archive holds of a night after the step: its manifests, and the calls that could not be copied, and why.

    `calls` are whole ones; `components` counts the calls of which one component was archived, by its name.
    `elsewhere`: by host, how many places with somebody else their rows name by a URL; nothing is removed there.
    `left`: planned, and not reached before the night's window closed.
    """

    manifests: list[str] = field(default_factory=list)
    calls: int = 0
    components: Counter[str] = field(default_factory=Counter)
    files: int = 0
    bytes: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    set_aside: dict[Any, str] = field(default_factory=dict)
    left: int = 0


def archive_night(lifecycle: Lifecycle, work: IndustryNight, run: Run) -> ArchiveResult:
    """Archive the planned calls that no committed batch of this plan holds yet. Safe to run again."""
    result = ArchiveResult()
    with lifecycle.crm.control.lease(work.industry):
        planned = read_planned_calls(lifecycle.store, work.plan, lifecycle.keys.epochs()).sort_by("call_id")
        for key, (manifest, _) in batches_of_night(lifecycle, work).items():
            _count(result, key, manifest)
            archived = read_calls(lifecycle.store, manifest)[CALL_ID].combine_chunks()
            done = pc.and_(pc.is_in(planned["call_id"], archived), same(planned["component"], manifest.component))
            planned = planned.filter(pc.invert(done))
        total = _done(result) + planned.num_rows
        planned = _without_returned(lifecycle, planned, result.set_aside)
        for group in group_by_destroy_month(planned, work.plan.night):
            lifecycle.crm.refresh()
            since = lifecycle.crm.snapshot(group.component)
            for found in fill_batches(read_planned(lifecycle, group, result)):
                lifecycle.require_running()
                written = _archive_batch(lifecycle, work, run, group, found, since, result)
                if written:
                    _count(result, *written)
                lifecycle.progress(f"archived {work.industry}", _done(result), total)
    queue_set_aside_events(lifecycle, work.plan.night, work.plan.industry, result.set_aside)
    return result


def _without_returned(lifecycle: Lifecycle, planned: pa.Table, aside: dict[Any, str]) -> pa.Table:
    """Without whole calls that were purged before and came back, where the mapping leaves those to a person."""
    if lifecycle.crm.source.returned != "set_aside" or not planned.num_rows:
        return planned
    whole = planned.filter(pc.is_null(planned["component"]))["call_id"].to_pylist()
    before = PurgeHistory(lifecycle).of(set(map(call_id_text, whole)))
    back = {key: before[name] for key in whole if (name := call_id_text(key)) in before and not before[name].restored}
    add_set_aside(aside, {key: one.words for key, one in back.items()}, None)
    mine = pc.is_in(planned["call_id"], pa.array(list(back), planned["call_id"].type))
    return planned.filter(pc.invert(pc.and_(mine, pc.is_null(planned["component"]))))


def _done(result: ArchiveResult) -> int:
    return result.calls + result.components.total()


def _count(result: ArchiveResult, key: str, manifest: Manifest) -> None:
    result.manifests.append(key)
    if manifest.component is None:
        result.calls += manifest.calls
    else:
        result.components[manifest.component] += manifest.calls
    result.files += len(manifest.files)
    result.bytes += sum(stored.bytes for stored in manifest.stored)


def _archive_batch(
    lifecycle: Lifecycle,
    work: IndustryNight,
    run: Run,
    group: DestroyGroup,
    found: Tables,
    since: Snapshot | None,
    result: ArchiveResult,
) -> tuple[str, Manifest] | None:
    batch = f"{work.plan.night}-{uuid4().hex[:12]}"
    folder = batch_place(work.industry, work.plan.night, group.destroy_on, batch)
    copied = copy_recording_files(lifecycle, folder, found, group.component)
    add_set_aside(result.set_aside, copied.set_aside, group.component)
    tables = without_calls(found, CALL_ID, copied.set_aside)
    if not tables["calls"].num_rows:
        return None
    elsewhere = hosts_named_by_rows(tables, lifecycle.crm.source)
    result.elsewhere.update(elsewhere)
    objects, files = put_batch(lifecycle.store, folder, tables), tuple(copied.files.values())
    manifest = _manifest(lifecycle, work, run, batch, objects, files, group)
    key = f"{folder}{MANIFEST}"
    note_snapshot(lifecycle, batch, since)
    ours = RegisteredManifest(key, sha256_hex(manifest.to_bytes()))
    lifecycle.crm.control.register.add_manifest(ours, work.plan, run.id, lifecycle.now())
    if elsewhere:  # before the batch is committed: a run that dies in between would leave one without its word
        named = {"batch": batch, "manifest_key": key, "manifest_sha256": ours.sha256}
        queue_event_leaves(lifecycle, "elsewhere", {batch: {**named, "hosts": dict(sorted(elsewhere.items()))}})
    commit_manifest(lifecycle.store, folder, manifest)
    return key, manifest


def _manifest(
    lifecycle: Lifecycle,
    work: IndustryNight,
    run: Run,
    batch: str,
    objects: tuple[ArchivedObject, ...],
    files: tuple[ArchivedFile, ...],
    group: DestroyGroup,
) -> Manifest:
    plan = work.plan
    return Manifest(
        batch=batch,
        industry=plan.industry,
        night=plan.night,
        plan_sha256=plan.sha256,
        source=plan.source,
        schedule=plan.schedule,
        created_at=lifecycle.now(),
        run_id=run.id,
        objects=objects,
        calls=objects[0].rows,
        destroy_on=group.destroy_on,
        component=group.component,
        files=files,
    )


def add_set_aside(aside: dict[Any, str], found: Mapping[Any, str], component: str | None) -> None:
    """Add calls set aside; of one call several components may be."""
    for key, reason in found.items():
        said = reason if component is None else f"{component}: {reason}"
        aside[key] = f"{aside[key]}; {said}" if key in aside else said


def read_planned(lifecycle: Lifecycle, group: DestroyGroup, result: ArchiveResult) -> Iterator[Tables]:
    """Every row of the planned calls, some calls at a time, each time under one snapshot.

    Adds to the result the calls that are gone, unreadable, ambiguous or empty, and why; and how many are left when the
    night's window closes. How many calls are read at once follows from how large those before them were.
    """
    planned, keys, number = group.planned, group.planned["call_id"].to_pylist(), FIRST_READ
    while keys and is_window_open(lifecycle):
        if lifecycle.stop_requested():
            lifecycle.require_running()
        some, keys = keys[:number], keys[number:]
        for tables in _read_whole(lifecycle, some, group.component, result.set_aside):
            read = tables["calls"].num_rows
            if read:
                size = sum(table.nbytes for table in tables.values())
                number = max(1, min(LARGEST_READ, 4 * number, number * READ_BYTES // max(size, 1)))
                yield _with_facts(lifecycle, _with_decision(tables, planned))
    result.left += len(keys)


def _read_whole(
    lifecycle: Lifecycle, keys: list[Any], component: str | None, aside: dict[Any, str]
) -> Iterator[Tables]:
    """The rows of some calls; halved where they are too large to be read at once, or one cannot be read."""
    try:
        tables, why = lifecycle.crm.read_whole(keys, component, MOST_READ)
    except (UnreadableCalls, CallsTooLarge) as error:
        if len(keys) == 1:
            add_set_aside(aside, {keys[0]: f"unreadable: {error}"}, component)
            return
        half = len(keys) // 2
        yield from _read_whole(lifecycle, keys[:half], component, aside)
        yield from _read_whole(lifecycle, keys[half:], component, aside)
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


def _with_facts(lifecycle: Lifecycle, tables: Tables) -> Tables:
    """The calls with their facts of this moment, every link among them: holds and laws to come ask for them."""
    with lifecycle.crm.database.reading() as connection:
        facts = lifecycle.crm.facts.of(connection, tables["calls"][CALL_ID].to_pylist())
    return {**tables, "calls": with_facts(tables["calls"], facts)}
