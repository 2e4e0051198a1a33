"""Small batches of one month of destruction made one: many small objects are slow to search and dear to keep.

Nothing is destroyed by it: each copy is written again and proved, and every old batch names the new one before it goes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from uuid import uuid4

import pyarrow as pa

from lifecycle.archive.batches import MANIFEST, batch_folder, batch_name, commit_manifest, folder_of, put_batch
from lifecycle.authority.destroy_approval import register_destroy_plan
from lifecycle.authority.registered_destruction import sealed_registration
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.custody.archived_batches import ArchivedBatch, archived_batches
from lifecycle.custody.batch_destruction import (
    Destroyed,
    finish_removal,
    listed_copy,
    resume_destruction,
    withdraw_destruction,
)
from lifecycle.custody.copies_on_record import names_of_copies, standing_reasons
from lifecycle.custody.destroy import DESTROY_LEASE, plan_event
from lifecycle.custody.judged_batch import archived_facts
from lifecycle.custody.moved_copies import move_file, with_origins
from lifecycle.custody.registered_copies import copy_lease
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import LeaseTaken, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.clocks import require_agreeing_clocks
from lifecycle.night.destroy_batches import BATCH_BYTES, BATCH_CALLS
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.verify import VerifiedBatch, verify_batch
from lifecycle.policy.destroy_plan import DestroyPlan
from lifecycle.policy.destruction import earliest_maximum

SMALL_CALLS = 1_000  # a batch of fewer calls is small
_UNPACKED = 8  # times the size of an object, about, its table has in memory


@dataclass
class MergeResult:
    """How many small batches there are, those that were merged, by the new batch; and what stays apart, with why."""

    small: int = 0
    merged: dict[str, list[str]] = field(default_factory=dict)
    done: Destroyed = field(default_factory=Destroyed)
    apart: dict[str, str] = field(default_factory=dict)


def merge_small_batches(lifecycle: Lifecycle, as_of: date, run: Run, act: bool = True) -> MergeResult:
    """Merge the small batches of each industry, component and month of destruction; `act`: or only say which.

    Safe to run again; one at a time, and never beside a destruction (LeaseTaken).
    """
    lifecycle.crm.control.require()
    require_agreeing_clocks(lifecycle)
    result = MergeResult()
    with lifecycle.crm.control.lease(DESTROY_LEASE):
        for row in lifecycle.crm.control.destructions.unfinished() if act else ():
            resume_destruction(lifecycle, row, as_of, result.done)
        for group in _groups(lifecycle, result):
            lifecycle.require_running()
            if act:
                _merge(lifecycle, group, as_of, run, result)
            else:
                result.merged[group[0].location.batch] = [one.location.batch for one in group]
    return result


def _groups(lifecycle: Lifecycle, result: MergeResult) -> Iterator[list[ArchivedBatch]]:
    """Small batches that may lie together, as many as one batch takes; two at least."""
    found = defaultdict[tuple[object, ...], list[ArchivedBatch]](list)
    for one in archived_batches(lifecycle, result.apart):
        manifest = one.manifest
        if manifest.calls >= SMALL_CALLS:
            continue
        result.small += 1
        if lifecycle.crm.control.locks.of_batch(manifest.batch).until:
            result.apart[manifest.batch] = "it is locked in the store"
            continue
        columns = tuple((part.table, part.columns) for part in manifest.objects)
        month = manifest.destroy_on and (manifest.destroy_on.year, manifest.destroy_on.month)
        found[manifest.industry, manifest.component, month, manifest.source, columns].append(one)
    for group in found.values():
        yield from (some for some in _filled(group) if len(some) > 1)


def _filled(group: Sequence[ArchivedBatch]) -> Iterator[list[ArchivedBatch]]:
    some, paths = list[ArchivedBatch](), set[str]()
    for one in group:
        mine = {file.path for file in one.manifest.files}
        calls = sum(other.manifest.calls for other in some) + one.manifest.calls
        size = sum(part.bytes for other in [*some, one] for part in other.manifest.objects)
        if some and (calls > BATCH_CALLS or size > BATCH_BYTES // _UNPACKED or mine & paths):
            yield some
            some, paths = [], set()
        some.append(one)
        paths |= mine
    yield some


def _merge(lifecycle: Lifecycle, group: Sequence[ArchivedBatch], as_of: date, run: Run, result: MergeResult) -> None:
    """Merge a group: registered each, written and proved once, begun all in one transaction, removed one by one."""
    with ExitStack() as leases:
        try:
            for one in group:
                leases.enter_context(lifecycle.crm.control.lease(copy_lease(one.location.batch)))
            proved = list(_proved(lifecycle, group, result))
            if not proved[1:]:
                return
            rows = _registered(lifecycle, proved, as_of, run)
        except (ProofError, ObjectMissing, LeaseTaken) as error:
            result.apart[group[0].location.batch] = str(error)
            return
        try:
            digest = _write(lifecycle, proved, str(rows[0].moved_to), rows[0].plan_sha256, run)
        except (ProofError, ObjectMissing) as error:
            result.apart[group[0].location.batch] = str(error)
            for row in rows:
                withdraw_destruction(lifecycle, row, result.done)
            return
        begun = lifecycle.crm.control.destructions.begin_all(rows, digest, lifecycle.now())
        for row in begun:
            finish_removal(lifecycle, row, result.done)
        result.merged[batch_name(str(rows[0].moved_to))] = [row.batch for row in begun]


def _proved(lifecycle: Lifecycle, group: Sequence[ArchivedBatch], result: MergeResult) -> Iterator[VerifiedBatch]:
    """The batches of a group that are whole, on which no purge can rely any more, and whose calls may wait together."""
    last = max((one.manifest.destroy_on for one in group if one.manifest.destroy_on is not None), default=None)
    seen = set[str]()
    for one in group:
        try:
            batch = verify_batch(lifecycle.store, one.location.manifest_key, lifecycle.now())
            why = _why_apart(lifecycle, batch, last)
        except (ProofError, ObjectMissing) as error:
            result.apart[one.location.batch] = str(error)
            continue
        calls = set(map(call_id_text, batch.tables["calls"][CALL_ID].to_pylist()))
        if why or calls & seen:
            result.apart[one.location.batch] = why or "a call in it has a copy in another of them"
            continue
        seen |= calls
        yield batch


def _why_apart(lifecycle: Lifecycle, batch: VerifiedBatch, last: date | None) -> str | None:
    """Why a batch cannot lie with others until a day. None: it can."""
    manifest, calls = batch.manifest, batch.tables["calls"]
    names = names_of_copies(lifecycle, manifest, calls)
    standing = dict(standing_reasons(lifecycle, manifest, calls, names))
    if standing or not all(names.recorded):
        return next(iter(standing.values()), "not every copy in it is on its record")
    if manifest.destroy_on == last:
        return None
    facts = archived_facts(lifecycle, calls, lifecycle.holds)
    if len(set(facts["call_id"].to_pylist())) < calls.num_rows:
        return "the facts of its calls were not archived: nobody knows whether they may wait for the others"
    schedules, as_of = lifecycle.policies.schedules, lifecycle.now().date()
    most = earliest_maximum(facts, schedules, lifecycle.holds, as_of, manifest.component)
    if most is not None and last is not None and most < last:
        return f"a maximum of the law lets its copies live until {most} only"
    return None


def _registered(lifecycle: Lifecycle, proved: Sequence[VerifiedBatch], as_of: date, run: Run) -> list[Destruction]:
    plan = _plan(lifecycle, proved[0].manifest, proved, as_of)
    register_destroy_plan(lifecycle, plan, run)
    queue_event_leaves(lifecycle, "destroy_plan", {plan.sha256: plan_event(plan, run)})
    to = f"{folder_of(_manifest(proved, f'{as_of}-{uuid4().hex[:12]}'))}{MANIFEST}"
    now, rows, start = lifecycle.now().isoformat(), list[Destruction](), 0
    for batch in proved:
        manifest = batch.manifest
        names = names_of_copies(lifecycle, manifest, batch.tables["calls"]).each
        details = {
            "industry": manifest.industry,
            "component": manifest.component,
            "night": as_of.isoformat(),
            "schedule": plan.schedule.model_dump(mode="json"),
            "calls": manifest.calls,
            "copies": [],
            "moved": [listed_copy(copy) for copy in names],
            "first_row": start,
            "held": False,
            "objects": [[part.key, part.version_id] for part in manifest.stored],
        }
        start += manifest.calls
        where = (manifest.batch, batch.manifest_key, batch.manifest_sha256, plan.sha256, run.id, run.actor, now)
        rows.append(sealed_registration(lifecycle, Destruction(*where, details, to)))
    for row in rows:
        lifecycle.crm.control.destructions.register(row)
    return rows


def _plan(lifecycle: Lifecycle, first: Manifest, proved: Sequence[VerifiedBatch], as_of: date) -> DestroyPlan:
    """A plan by which nothing goes: what was registered under it is only moved."""
    calls = sum(batch.manifest.calls for batch in proved)
    return DestroyPlan(
        night=as_of,
        industry=first.industry,
        source=first.source,
        schedule=first.schedule,
        holds_sha256=lifecycle.holds.sha256,
        copies=calls,
        rules={},
        kept={f"merged into one: {batch.manifest.batch}": batch.manifest.calls for batch in proved},
        batches=(),
        waits_for=(),
    )


def _manifest(proved: Sequence[VerifiedBatch], name: str) -> Manifest:
    """The newest night's, under a new name; the day is the latest of theirs."""
    newest = max((batch.manifest for batch in proved), key=lambda manifest: manifest.night)
    days = [batch.manifest.destroy_on for batch in proved]
    last = max((day for day in days if day is not None), default=None)
    return newest.model_copy(update={"batch": name, "destroy_on": last})


def _write(lifecycle: Lifecycle, proved: Sequence[VerifiedBatch], to: str, plan_sha256: str, run: Run) -> str:
    """Write the new batch, manifest last, and prove it; gives the manifest's digest."""
    folder = batch_folder(to)
    parts = [{**batch.tables, "calls": with_origins(batch.manifest, batch.tables["calls"])} for batch in proved]
    names = dict.fromkeys(name for part in parts for name in part)
    tables = {name: pa.concat_tables([part[name] for part in parts if name in part]) for name in names}
    known, files = defaultdict[str, int](int), []
    for file in (file for batch in proved for file in batch.manifest.files):
        known[file.sha256] += 1
        name = file.sha256 if known[file.sha256] == 1 else f"{file.sha256}-{known[file.sha256]}"
        files.append(move_file(lifecycle, file, folder, name))
    manifest = _manifest(proved, batch_name(to)).model_copy(
        update={
            "plan_sha256": plan_sha256,
            "created_at": lifecycle.now(),
            "run_id": run.id,
            "objects": put_batch(lifecycle.store, folder, tables),
            "calls": tables["calls"].num_rows,
            "files": tuple(files),
        }
    )
    commit_manifest(lifecycle.store, folder, manifest)
    return verify_batch(lifecycle.store, to, lifecycle.now()).manifest_sha256
