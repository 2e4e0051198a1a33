"""Purge: delete a verified batch's calls that are still due and still equal to their archived rows.

Every call is judged again under lock; one that was edited, linked or held since the plan is set aside with the reason.
The deletions and their purge row commit together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.purger import Purger, Reasons
from lifecycle.evidence.comparison import CALL_ID, differences, of_calls
from lifecycle.evidence.deletion import DECIDING, Purge, PurgeRow, call_id_text, deletion_records, recorded_ids
from lifecycle.policy.disposition import Disposition, dispose
from lifecycle.steps.cohort import CohortPlan, manifests_of
from lifecycle.steps.context import Lifecycle, Run
from lifecycle.steps.verify import VerifiedBatch, verify

SLICE_CALLS = 500
SAMPLES = 3
_DECIDED = tuple(name.removeprefix("_") for name in DECIDING)


@dataclass
class Purged:
    """What went: calls, rows by part, purge rows; what was gone and on record before; what was set aside, and why."""

    calls: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    before: int = 0
    set_aside: dict[Any, str] = field(default_factory=dict)
    manifests: list[str] = field(default_factory=list)
    sample: list[str] = field(default_factory=list)


def purge_cohort(lifecycle: Lifecycle, cohort: CohortPlan, run: Run) -> Purged:
    """Verify and purge every batch archived under a cohort's plan that is not on record whole. Safe to run again."""
    result = Purged()
    with lifecycle.crm.database.lease(cohort.name):
        purger = lifecycle.crm.purger()
        for key, (manifest, _) in manifests_of(lifecycle, cohort).items():
            recorded = _recorded(lifecycle, manifest.batch)
            if len(recorded) < manifest.calls:
                batch = verify(lifecycle.store, key, lifecycle.now())
                purge_batch(lifecycle, purger, batch, recorded, run, result)
            result.before += len(recorded)
            result.manifests.append(key)
            lifecycle.progress(f"purged {cohort.name}", result.calls + result.before, cohort.calls)
    return result


def _recorded(lifecycle: Lifecycle, batch: str) -> set[str]:
    """The calls of a batch that committed purges have on record."""
    with lifecycle.crm.database.reading() as connection:
        return recorded_ids(row.entries for row in lifecycle.crm.control.of_batch(connection, batch))


def purge_batch(
    lifecycle: Lifecycle, purger: Purger, batch: VerifiedBatch, recorded: set[str], run: Run, result: Purged
) -> None:
    """Purge the calls of one proved batch that are not recorded yet, a slice a transaction, adding to `result`."""
    calls = batch.tables["calls"]
    calls = calls.append_column("_row", pa.array(range(calls.num_rows), pa.int64()))
    keys = [key for key in calls[CALL_ID].to_pylist() if call_id_text(key) not in recorded]
    for start in range(0, len(keys), SLICE_CALLS):
        some, asked = keys[start : start + SLICE_CALLS], dict[str, dict[str, str]]()
        done = purger.purge(
            some,
            keep=partial(_reasons_to_keep, lifecycle, batch, asked),
            note=partial(_purge_row, lifecycle, batch, run, calls, asked),
        )
        _add(result, done.deleted, done.rows, done.set_aside)


def _add(result: Purged, deleted: Sequence[Any], rows: Any, set_aside: Any) -> None:
    result.calls += len(deleted)
    result.sample += [call_id_text(key) for key in deleted[: SAMPLES - len(result.sample)]]
    result.set_aside |= set_aside
    for name, count in rows.items():
        result.rows[name] = result.rows.get(name, 0) + count


def _reasons_to_keep(
    lifecycle: Lifecycle,
    batch: VerifiedBatch,
    asked: dict[str, dict[str, str]],
    keys: Sequence[Any],
    live: dict[str, pa.Table],
    facts: pa.Table,
) -> Reasons:
    """Why calls of a slice must stay: gone, no longer due, decided otherwise, or not what was archived.

    Notes in `asked` the erasure requests that the calls were judged under, for their records.
    """
    asked.update(_requests(facts))
    chosen = pa.array(keys, live["calls"][CALL_ID].type)
    archived = of_calls(batch.tables, chosen)
    decided = _deciding(archived["calls"])
    archived["calls"] = archived["calls"].drop_columns(list(DECIDING))
    night = batch.manifest.night
    verdicts = dispose(facts, lifecycle.policies.schedules, lifecycle.holds_now(), night).to_pylist()
    present = set(live["calls"][CALL_ID].to_pylist())
    reasons: Reasons = {key: "gone: deleted by somebody else, on no record" for key in keys if key not in present}
    for verdict in verdicts:
        reason = _not_as_decided(verdict, decided[verdict["call_id"]], batch.manifest.industry)
        if reason:
            reasons.setdefault(verdict["call_id"], reason)
    known = {verdict["call_id"] for verdict in verdicts}
    unknown = {key: "unknown: the CRM gives no facts of it any more" for key in keys if key not in known}
    rows = lifecycle.crm.rows
    links = [part.name for part in rows.parts if part.detach]
    changed = {key: f"changed: {part}" for key, part in differences(archived, live, links, rows.cleared()).items()}
    return {**changed, **unknown, **reasons}


def _deciding(calls: pa.Table) -> dict[Any, tuple[Any, ...]]:
    rows = zip(*(calls[name].to_pylist() for name in DECIDING), strict=True)
    return dict(zip(calls[CALL_ID].to_pylist(), rows, strict=True))


def _not_as_decided(verdict: dict[str, Any], decided: tuple[Any, ...], industry: str) -> str | None:
    if verdict["disposition"] != Disposition.DUE:
        return f"{verdict['disposition']}: {verdict['detail']}"
    if (verdict["industry"], *(verdict[name] for name in _DECIDED)) != (industry, *decided):
        return f"decided otherwise: now by {verdict['industry']} {verdict['rule_id']} from {verdict['purge_from']}"
    return None


def _requests(facts: pa.Table) -> dict[str, dict[str, str]]:
    if "erasure_request" not in facts.column_names:
        return {}
    rows = facts.select(["call_id", "erasure_request", "erasure_requested_on"]).to_pylist()
    return {
        call_id_text(row["call_id"]): {
            "id": row["erasure_request"],
            "received_on": row["erasure_requested_on"].isoformat(),
        }
        for row in rows
        if row["erasure_request"] is not None
    }


def _purge_row(
    lifecycle: Lifecycle,
    batch: VerifiedBatch,
    run: Run,
    calls: pa.Table,
    asked: dict[str, dict[str, str]],
    going: Sequence[Any],
) -> PurgeRow:
    manifest, now = batch.manifest, lifecycle.now()
    purge = Purge(run.id, run.actor, batch.manifest_key, batch.manifest_sha256, batch.verified_at, now)
    schedule = lifecycle.policies.schedules.by_industry[manifest.industry]
    chosen = calls.filter(pc.is_in(calls[CALL_ID], pa.array(going, calls[CALL_ID].type)))
    return PurgeRow(
        id=f"{manifest.batch}-{uuid4().hex[:12]}",
        batch=manifest.batch,
        industry=manifest.industry,
        cutoff=manifest.cutoff,
        night=manifest.night.isoformat(),
        run_id=run.id,
        manifest_key=batch.manifest_key,
        manifest_sha256=batch.manifest_sha256,
        purged_at=now.isoformat(),
        calls=len(going),
        entries=deletion_records(manifest, purge, chosen, {rule.id: rule.regimes for rule in schedule.rules}, asked),
    )
