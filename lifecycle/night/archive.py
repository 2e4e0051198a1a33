"""Archive: copy a cohort's calls, with every row that belongs to them, into batches in the store. Deletes nothing.

A component of a call that goes by itself is a batch like any other, of its own rows only.

Each attempt writes into a folder of its own, so nothing can be overwritten; what no manifest names does not count.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import MANIFEST, cohort_prefix, commit_manifest, destroy_folder, put_batch, read_calls
from lifecycle.archive.plans import read_cohort
from lifecycle.crm.control.plan_register import RegisteredManifest
from lifecycle.crm.reading.rows import UnreadableCalls
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING
from lifecycle.evidence.manifest import ArchivedFile, ArchivedObject, Manifest
from lifecycle.night.cohort import CohortPlan, manifests_of_cohort
from lifecycle.night.ledger_events import queue_set_aside_events
from lifecycle.night.recording_files import copy_recording_files
from lifecycle.policy.canonical import sha256_hex

BATCH_CALLS = 10_000


@dataclass
class ArchiveResult:
    """What a cohort's archive holds after the step: its manifests, and the calls that could not be copied, and why.

    `calls` are whole ones; `components` counts the calls of which one component was archived, by its name.
    """

    manifests: list[str] = field(default_factory=list)
    calls: int = 0
    components: Counter[str] = field(default_factory=Counter)
    files: int = 0
    bytes: int = 0
    set_aside: dict[Any, str] = field(default_factory=dict)


def archive_cohort(lifecycle: Lifecycle, cohort: CohortPlan, run: Run) -> ArchiveResult:
    """Archive the planned calls that no committed batch of this plan holds yet. Safe to run again."""
    result = ArchiveResult()
    with lifecycle.crm.control.lease(cohort.name):
        planned = read_cohort(lifecycle.store, cohort.plan, cohort.cutoff).sort_by("call_id")
        for key, (manifest, _) in manifests_of_cohort(lifecycle, cohort).items():
            _count(result, key, manifest)
            archived = read_calls(lifecycle.store, manifest)[CALL_ID].combine_chunks()
            done = pc.and_(
                pc.is_in(planned["call_id"], archived), equals_or_both_null(planned["component"], manifest.component)
            )
            planned = planned.filter(pc.invert(done))
        total = _done(result) + planned.num_rows
        for some in _batches(planned):
            written = _archive_batch(lifecycle, cohort, run, some, result)
            if written:
                _count(result, *written)
            lifecycle.progress(f"archived {cohort.name}", _done(result), total)
    queue_set_aside_events(lifecycle, cohort.plan.night, cohort.plan.industry, result.set_aside)
    return result


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


def _batches(planned: pa.Table) -> Iterator[pa.Table]:
    """Some calls at a time, never two destroy dates or two components together."""
    kinds = planned.select(["component", "destroy_on"]).group_by(["component", "destroy_on"]).aggregate([])
    for kind in kinds.sort_by([("component", "ascending"), ("destroy_on", "ascending")]).to_pylist():
        chosen = planned.filter(
            reduce(pc.and_, (equals_or_both_null(planned[name], value) for name, value in kind.items()))
        )
        yield from (chosen.slice(start, BATCH_CALLS) for start in range(0, chosen.num_rows, BATCH_CALLS))


def equals_or_both_null(column: pa.ChunkedArray, value: Any) -> pa.ChunkedArray:
    """Where a column has a value; None is one."""
    return pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, pa.scalar(value)), False)


def _archive_batch(
    lifecycle: Lifecycle, cohort: CohortPlan, run: Run, planned: pa.Table, result: ArchiveResult
) -> tuple[str, Manifest] | None:
    component, destroy_on = (planned[name][0].as_py() for name in ("component", "destroy_on"))
    found, aside = _read_whole(lifecycle, planned, component)
    batch = f"{cohort.plan.night}-{uuid4().hex[:12]}"
    prefix = cohort_prefix(cohort.plan.industry, cohort.cutoff)
    folder = f"{prefix}{destroy_folder(destroy_on)}{batch}/"
    copied = copy_recording_files(lifecycle, folder, found, component)
    add_set_aside(result.set_aside, aside | copied.set_aside, component)
    tables = _without(found, list(copied.set_aside))
    if not tables["calls"].num_rows:
        return None
    objects, files = put_batch(lifecycle.store, folder, tables), tuple(copied.files.values())
    manifest = _manifest(lifecycle, cohort, run, batch, objects, files, destroy_on, component)
    key = f"{folder}{MANIFEST}"
    ours = RegisteredManifest(key, sha256_hex(manifest.to_bytes()))
    lifecycle.crm.control.register.add_manifest(ours, cohort.plan, run.id, lifecycle.now())
    commit_manifest(lifecycle.store, folder, manifest)
    return key, manifest


def _manifest(
    lifecycle: Lifecycle,
    cohort: CohortPlan,
    run: Run,
    batch: str,
    objects: tuple[ArchivedObject, ...],
    files: tuple[ArchivedFile, ...],
    destroy_on: Any,
    component: str | None,
) -> Manifest:
    plan = cohort.plan
    return Manifest(
        batch=batch,
        industry=plan.industry,
        cutoff=cohort.cutoff,
        night=plan.night,
        plan_sha256=plan.sha256,
        source=plan.source,
        schedule=plan.schedule,
        created_at=lifecycle.now(),
        run_id=run.id,
        objects=objects,
        calls=objects[0].rows,
        destroy_on=destroy_on,
        component=component,
        files=files,
    )


def add_set_aside(aside: dict[Any, str], found: Mapping[Any, str], component: str | None) -> None:
    """Add calls set aside; of one call several components may be."""
    for key, reason in found.items():
        said = reason if component is None else f"{component}: {reason}"
        aside[key] = f"{aside[key]}; {said}" if key in aside else said


def _read_whole(
    lifecycle: Lifecycle, planned: pa.Table, component: str | None
) -> tuple[dict[str, pa.Table], dict[Any, str]]:
    """Every row of the planned calls under one snapshot; and the calls that are gone, unreadable or empty, and why."""
    crm, keys = lifecycle.crm, planned["call_id"].to_pylist()
    aside: dict[Any, str] = {}
    try:
        tables = _snapshot(lifecycle, keys, component)
    except UnreadableCalls:
        aside = crm.unreadable(keys, component)
        tables = _snapshot(lifecycle, [key for key in keys if key not in aside], component)
    found = tables["calls"][CALL_ID].combine_chunks()
    vanished = set(keys) - set(found.to_pylist()) - aside.keys()
    aside |= dict.fromkeys(vanished, "gone: deleted from the CRM by somebody else since the plan")
    empty = set(found.to_pylist()) - crm.rows_of(component).having(tables)
    aside |= dict.fromkeys(empty, "empty: its facts say that it is there, and the mapping finds nothing of it")
    tables = _without(tables, list(empty))
    found = tables["calls"][CALL_ID].combine_chunks()
    decided = planned.take(pc.index_in(found, planned["call_id"].combine_chunks()))
    for name in DECIDING:
        tables["calls"] = tables["calls"].append_column(name, decided[name.removeprefix("_")])
    return tables, aside


def _snapshot(lifecycle: Lifecycle, keys: list[Any], component: str | None) -> dict[str, pa.Table]:
    with lifecycle.crm.database.reading() as connection:
        return lifecycle.crm.rows_of(component).read(connection, keys)


def _without(tables: dict[str, pa.Table], calls: list[Any]) -> dict[str, pa.Table]:
    if not calls:
        return tables
    gone = pa.array(calls, tables["calls"][CALL_ID].type)
    return {name: table.filter(pc.invert(pc.is_in(table[CALL_ID], gone))) for name, table in tables.items()}
