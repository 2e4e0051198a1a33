"""Archive: copy a cohort's calls, with every row that belongs to them, into batches in the store. Deletes nothing.

Each attempt writes into a folder of its own, so nothing can be overwritten; what no manifest names does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import MANIFEST, cohort_prefix, commit, destroy_folder, put_batch, read_calls
from lifecycle.archive.plans import read_cohort
from lifecycle.crm.rows import UnreadableCalls
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING
from lifecycle.evidence.manifest import ArchivedObject, Manifest
from lifecycle.steps.cohort import CohortPlan, manifests_of
from lifecycle.steps.context import Lifecycle, Run
from lifecycle.steps.observe import observe_set_aside

BATCH_CALLS = 10_000


@dataclass
class Archived:
    """What a cohort's archive holds after the step: its manifests, and the calls that could not be copied, and why."""

    manifests: list[str] = field(default_factory=list)
    calls: int = 0
    bytes: int = 0
    set_aside: dict[Any, str] = field(default_factory=dict)


def archive_cohort(lifecycle: Lifecycle, cohort: CohortPlan, run: Run) -> Archived:
    """Archive the planned calls that no committed batch of this plan holds yet. Safe to run again."""
    result = Archived()
    with lifecycle.crm.database.lease(cohort.name):
        planned = read_cohort(lifecycle.store, cohort.plan, cohort.cutoff).sort_by("call_id")
        for key, (manifest, _) in manifests_of(lifecycle, cohort).items():
            _count(result, key, manifest)
            archived = read_calls(lifecycle.store, manifest)[CALL_ID].combine_chunks()
            planned = planned.filter(pc.invert(pc.is_in(planned["call_id"], archived)))
        total = result.calls + planned.num_rows
        for some in _batches(planned):
            written = _archive_batch(lifecycle, cohort, run, some, result)
            if written:
                _count(result, *written)
            lifecycle.progress(f"archived {cohort.name}", result.calls, total)
    observe_set_aside(lifecycle, cohort.plan.night, cohort.plan.industry, result.set_aside)
    return result


def _count(result: Archived, key: str, manifest: Manifest) -> None:
    result.manifests.append(key)
    result.calls += manifest.calls
    result.bytes += sum(part.bytes for part in manifest.objects)


def _batches(planned: pa.Table) -> Iterator[pa.Table]:
    """Some calls at a time, never two destroy dates together."""
    for destroy_on in planned["destroy_on"].unique().to_pylist():
        column = planned["destroy_on"]
        same = pc.is_null(column) if destroy_on is None else pc.equal(column, pa.scalar(destroy_on))
        chosen = planned.filter(pc.fill_null(same, False))
        yield from (chosen.slice(start, BATCH_CALLS) for start in range(0, chosen.num_rows, BATCH_CALLS))


def _archive_batch(
    lifecycle: Lifecycle, cohort: CohortPlan, run: Run, planned: pa.Table, result: Archived
) -> tuple[str, Manifest] | None:
    tables = _read_whole(lifecycle, planned, result)
    if not tables["calls"].num_rows:
        return None
    destroy_on = planned["destroy_on"][0].as_py()
    batch = f"{cohort.plan.night}-{uuid4().hex[:12]}"
    prefix = cohort_prefix(cohort.plan.industry, cohort.cutoff)
    folder = f"{prefix}{destroy_folder(destroy_on)}{batch}/"
    objects = put_batch(lifecycle.store, folder, tables)
    manifest = _manifest(lifecycle, cohort, run, batch, objects, destroy_on)
    commit(lifecycle.store, folder, manifest)
    return f"{folder}{MANIFEST}", manifest


def _manifest(
    lifecycle: Lifecycle,
    cohort: CohortPlan,
    run: Run,
    batch: str,
    objects: tuple[ArchivedObject, ...],
    destroy_on: Any,
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
    )


def _read_whole(lifecycle: Lifecycle, planned: pa.Table, result: Archived) -> dict[str, pa.Table]:
    """Every row of the planned calls under one snapshot. Calls that are gone or unreadable are set aside."""
    crm, keys = lifecycle.crm, planned["call_id"].to_pylist()
    try:
        tables = _snapshot(lifecycle, keys)
    except UnreadableCalls:
        result.set_aside |= crm.unreadable(keys)
        tables = _snapshot(lifecycle, [key for key in keys if key not in result.set_aside])
    found = tables["calls"][CALL_ID].combine_chunks()
    vanished = set(keys) - set(found.to_pylist()) - result.set_aside.keys()
    result.set_aside |= dict.fromkeys(vanished, "gone: deleted from the CRM by somebody else since the plan")
    decided = planned.take(pc.index_in(found, planned["call_id"].combine_chunks()))
    for name in DECIDING:
        tables["calls"] = tables["calls"].append_column(name, decided[name.removeprefix("_")])
    return tables


def _snapshot(lifecycle: Lifecycle, keys: list[Any]) -> dict[str, pa.Table]:
    with lifecycle.crm.database.reading() as connection:
        return lifecycle.crm.rows.read(connection, keys)
