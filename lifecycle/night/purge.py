"""Purge: delete a verified batch's calls, or components, that are still due and still equal to their archived rows.

Every call is judged again under lock; one that was edited, linked or held since the plan is set aside with the reason.
The deletions and their purge row commit together. Files that the rows named go after that.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.purging.purge_transaction import PurgeTransaction
from lifecycle.crm.purging.row_ownership import calls_together
from lifecycle.crm.purging.slice_purged import Group, KeptCalls, SlicePurged
from lifecycle.crm.reading.file_columns import files_named_by_rows
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.evidence.comparison import CALL_ID, find_differences, of_one_width, rows_of_calls
from lifecycle.evidence.deletion import (
    PurgeDetails,
    PurgeRow,
    call_id_text,
    deletion_records,
    purge_row_id,
    recorded_rows,
)
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.night.archive_locks import lock_batch
from lifecycle.night.changed_decisions import LawOfTheMoment, changed_decisions
from lifecycle.night.drill_gate import require_recent_drill
from lifecycle.night.industry_night import IndustryNight, batches_of_night
from lifecycle.night.ledger_events import queue_set_aside_events
from lifecycle.night.night_window import is_window_open
from lifecycle.night.pauses import Pauses
from lifecycle.night.planned_rows import add_set_aside
from lifecycle.night.purged_before import PurgeHistory
from lifecycle.night.read_moments import archived_copy, rows_alone
from lifecycle.night.recording_files import files_not_archived, remove_recording_files
from lifecycle.night.slice_pace import SlicePace
from lifecycle.night.slice_statistics import (
    JudgedSlice,
    counted_before,
    requested_calls,
    restored_calls,
    slice_statistics,
)
from lifecycle.night.tombstones import tombstone_rows
from lifecycle.night.verify import VerifiedBatch, verify_batch

SLICE_CALLS = 20_000  # at most: how many follows from the time that a slice takes (slice_pace)
SAMPLES = 3


@dataclass
class PurgeResult:
    """What went of what was planned: whole calls, calls by component, rows by part, files; what was set aside, and why.

    `before` counts what was gone and on record before, whole calls and components alike; `left` what was archived and
    not reached before the night's window closed, or others were waited for too long. `waited`: seconds, by for what.
    """

    planned: int = 0
    calls: int = 0
    components: Counter[str] = field(default_factory=Counter)
    files: int = 0
    files_left: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    before: int = 0
    left: int = 0
    waited: dict[str, float] = field(default_factory=dict)
    set_aside: dict[Any, str] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)
    sample: list[str] = field(default_factory=list)


def purge_night(lifecycle: Lifecycle, work: IndustryNight, run: Run) -> PurgeResult:
    """Verify and purge every batch archived under a night's plan that is not on record whole. Safe to run again."""
    result = PurgeResult(planned=work.plan.planned)
    require_recent_drill(lifecycle)
    with lifecycle.crm.control.lease(work.industry):
        lifecycle.keys.epoch()  # before anything is verified: without it no call can be recorded
        history = PurgeHistory(lifecycle)
        for key, (manifest, _) in batches_of_night(lifecycle, work).items():
            recorded = _recorded(lifecycle, manifest.batch)
            result.before += len(recorded)
            if not is_window_open(lifecycle):
                result.left += manifest.calls - len(recorded)
            elif len(recorded) < manifest.calls:
                batch = verify_batch(lifecycle.store, key, lifecycle.now())
                lock_batch(lifecycle, batch)
                purger = lifecycle.crm.purger(manifest.component, archived_copy(lifecycle, batch))
                purge_batch(lifecycle, purger, batch, recorded, history, run, work.plan.created_at, result)
            result.manifests.append(key)
        removed = remove_recording_files(lifecycle)
        result.files, result.files_left = removed.files, removed.left
    queue_set_aside_events(lifecycle, work.plan.night, work.plan.industry, result.set_aside)
    return result


def _recorded(lifecycle: Lifecycle, batch: str) -> set[int]:
    """Which rows of a batch are calls that committed purges have on record."""
    with lifecycle.crm.database.reading() as connection:
        return recorded_rows(row.entries for row in lifecycle.crm.control.of_batch(connection, batch))


def purge_batch(
    lifecycle: Lifecycle,
    purger: PurgeTransaction,
    batch: VerifiedBatch,
    recorded: set[int],
    history: PurgeHistory,
    run: Run,
    decided_at: datetime,
    result: PurgeResult,
) -> None:
    """Purge the calls of one proved batch that are not recorded yet, a slice a transaction, adding to `result`.

    `recorded`: the rows of the batch that are. `history`: what went before this purge began.
    `decided_at`: when their plan was made.
    """
    calls, component = batch.tables["calls"], batch.manifest.component
    calls = calls.append_column("_row", pa.array(range(calls.num_rows), pa.int64()))
    keys = [key for row, key in enumerate(calls[CALL_ID].to_pylist()) if row not in recorded]
    groups = calls_together(batch.tables, lifecycle.crm.rows_of(component), keys)
    judged = JudgedSlice(counted_before(lifecycle, history, batch.manifest, keys))
    law = LawOfTheMoment(lifecycle)
    keep = partial(_reasons_to_keep, lifecycle, batch, judged, law)
    note = partial(_purge_row, lifecycle, batch, run, decided_at, calls, judged)
    locked: dict[Any, str] = {}
    pauses = Pauses(lifecycle, result.waited)
    waiting, pace = deque(groups), SlicePace(lifecycle.settings.duty, sleep=pauses.rest)
    while waiting and pauses.may_go_on():
        lifecycle.require_running()
        some = next_slice(waiting, min(pace.calls, SLICE_CALLS))
        with pace.slice(sum(map(len, some))):
            done = purger.purge_groups(some, keep, note, law.links)
        locked |= done.locked
        _add(result, done, component)
        gone = result.calls + result.components.total() + result.before
        lifecycle.progress(f"purged {batch.manifest.industry}", gone, result.planned)
    result.left += sum(map(len, waiting))
    if is_window_open(lifecycle):
        _add(result, purger.come_back(groups, locked, keep, note, law.links), component)
    else:
        result.left += len(locked)


def next_slice(waiting: deque[Group], calls: int) -> list[Group]:
    """Whole groups of calls for one transaction, taken from those that wait: about so many calls, a group at least."""
    some = [waiting.popleft()]
    count = len(some[0])
    while waiting and count + len(waiting[0]) <= calls:
        some.append(waiting.popleft())
        count += len(some[-1])
    return some


def _add(result: PurgeResult, done: SlicePurged, component: str | None) -> None:
    if component is None:
        result.calls += len(done.deleted)
        result.sample += [call_id_text(key) for key in done.deleted[: SAMPLES - len(result.sample)]]
    elif done.deleted:
        result.components[component] += len(done.deleted)
    add_set_aside(result.set_aside, done.set_aside, component)
    for name, count in done.rows.items():
        result.rows[name] = result.rows.get(name, 0) + count


def _reasons_to_keep(
    lifecycle: Lifecycle,
    batch: VerifiedBatch,
    judged: JudgedSlice,
    law: LawOfTheMoment,
    keys: Sequence[Any],
    live: dict[str, pa.Table],
    facts: pa.Table,
) -> KeptCalls:
    """Why calls of a slice must stay: gone, no longer due, decided otherwise, or not what was archived.

    Notes in `judged` what the calls were judged by, for their records.
    """
    judged.facts, judged.requests, judged.restored = facts, requested_calls(facts), restored_calls(facts)
    chosen = pa.array(keys, live["calls"][CALL_ID].type)
    archived = rows_of_calls(batch.tables, chosen)
    component, rows = batch.manifest.component, lifecycle.crm.rows_of(batch.manifest.component)
    answers = law.answers(facts, batch.manifest.night, component)
    present = rows.having(live)
    gone = {key: "gone: deleted by somebody else, on no record" for key in keys if key not in present}
    otherwise = changed_decisions(answers, archived["calls"], batch.manifest.industry)
    known = set(answers["call_id"].to_pylist())
    unknown = {key: "unknown: the CRM gives no facts of it any more" for key in keys if key not in known}
    files = files_not_archived(lifecycle, batch.manifest.files, live, component)
    archived["calls"] = rows_alone(archived["calls"])
    links = [part.name for part in rows.parts if part.detach]
    archived, live = of_one_width(archived, live), of_one_width(live, archived)
    changed = {key: f"changed: {part}" for key, part in find_differences(archived, live, links, rows.cleared()).items()}
    return {**files, **changed, **unknown, **otherwise, **gone}


def _purge_row(
    lifecycle: Lifecycle,
    batch: VerifiedBatch,
    run: Run,
    decided_at: datetime,
    calls: pa.Table,
    judged: JudgedSlice,
    going: Sequence[Any],
) -> PurgeRow:
    manifest, now = batch.manifest, lifecycle.now()
    purge = PurgeDetails(
        run.id, run.actor, batch.manifest_key, batch.manifest_sha256, decided_at, batch.verified_at, now
    )
    schedule = lifecycle.policies.schedules.by_industry[manifest.industry]
    chosen = calls.filter(pc.is_in(calls[CALL_ID], pa.array(going, calls[CALL_ID].type)))
    files = _files_of(lifecycle, batch, going)
    regimes, epoch = {rule.id: rule.regimes for rule in schedule.rules}, lifecycle.keys.epoch()
    entries = deletion_records(manifest, purge, chosen, regimes, epoch, files, judged.requests, judged.restored)
    return PurgeRow(
        id=purge_row_id(manifest.batch, entries, epoch),
        batch=manifest.batch,
        industry=manifest.industry,
        night=manifest.night.isoformat(),
        run_id=run.id,
        manifest_key=batch.manifest_key,
        manifest_sha256=batch.manifest_sha256,
        purged_at=now.isoformat(),
        calls=len(going),
        entries=entries,
        files=len({file.key for some in files.values() for file in some}),
        statistics=slice_statistics(lifecycle, manifest, judged, going),
        tombstones=tombstone_rows(lifecycle, manifest, judged, chosen, now),
    )


def _files_of(lifecycle: Lifecycle, batch: VerifiedBatch, going: Sequence[Any]) -> dict[Any, list[ArchivedFile]]:
    """The archived files of the calls that go. Their rows equal the archived ones, which name them."""
    by_path = {file.path: file for file in batch.manifest.files}
    tables = rows_of_calls(batch.tables, pa.array(going, batch.tables["calls"][CALL_ID].type)) if by_path else {}
    named = files_named_by_rows(tables, lifecycle.crm.files_of(batch.manifest.component))
    return {
        call: [by_path[path] for path in dict.fromkeys(file.path for file in files) if path in by_path]
        for call, files in named.items()
    }
