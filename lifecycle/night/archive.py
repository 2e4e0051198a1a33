"""Archive: copy the calls of an industry's night, with all their rows, into batches in the store. Deletes nothing.

A component of a call that goes by itself is a batch like any other, of its own rows only.

Each attempt writes into a folder of its own, so nothing can be overwritten; what no manifest names does not count.
"""

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import MANIFEST, batch_place, commit_manifest, put_batch, read_calls
from lifecycle.archive.plans import read_planned_calls
from lifecycle.crm.control.plan_register import RegisteredManifest
from lifecycle.crm.reading.file_columns import hosts_named_by_rows
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import ArchivedFile, ArchivedObject, Manifest
from lifecycle.night.destroy_batches import DestroyGroup, group_by_destroy_month, same, without_calls
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.industry_night import IndustryNight, batches_of_night
from lifecycle.night.ledger_events import queue_set_aside_events
from lifecycle.night.planned_rows import FilledBatch, Unread, add_set_aside, read_batches
from lifecycle.night.purged_before import PurgeHistory
from lifecycle.night.read_moments import note_snapshot
from lifecycle.night.recording_files import copy_recording_files
from lifecycle.policy.canonical import sha256_hex


@dataclass
class ArchiveResult(Unread):
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
        with closing(read_batches(lifecycle, group_by_destroy_month(planned, work.plan.night), result)) as batches:
            for found in batches:
                lifecycle.require_running()
                written = _archive_batch(lifecycle, work, run, found, result)
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
    found: FilledBatch,
    result: ArchiveResult,
) -> tuple[str, Manifest] | None:
    group = found.group
    batch = f"{work.plan.night}-{uuid4().hex[:12]}"
    folder = batch_place(work.industry, work.plan.night, group.destroy_on, batch)
    copied = copy_recording_files(lifecycle, folder, found.tables, group.component)
    add_set_aside(result.set_aside, copied.set_aside, group.component)
    tables = without_calls(found.tables, CALL_ID, copied.set_aside)
    if not tables["calls"].num_rows:
        return None
    elsewhere = hosts_named_by_rows(tables, lifecycle.crm.source)
    result.elsewhere.update(elsewhere)
    objects, files = put_batch(lifecycle.store, folder, tables), tuple(copied.files.values())
    manifest = _manifest(lifecycle, work, run, batch, objects, files, group)
    key = f"{folder}{MANIFEST}"
    note_snapshot(lifecycle, batch, found.since)
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
