"""Which copies a night may destroy: every batch whose day has come, judged again; a plan an industry. Reads only.

A batch is looked at on its day, which is the latest of its calls'; every night where its copies were moved, or where
somebody asked to erase a call in it; and whenever all are asked for, as after a law that ends copies sooner.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from lifecycle.custody.archived_batches import ArchivedBatch, archived_batches
from lifecycle.custody.judged_batch import JudgedBatch, judge_batch
from lifecycle.custody.logged_ends import LoggedEnd
from lifecycle.custody.registered_copies import BatchLocation, batch_location
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ObjectMissing, ProofError
from lifecycle.evidence.deletion import CallNames
from lifecycle.evidence.leaf import read_leaf
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.night.ledger_events import redact_reason
from lifecycle.policy.destroy_plan import DestroyPlan, PlannedDestruction, as_ranges, reasons_to_look
from lifecycle.policy.documents.hold import Holds


@dataclass
class DestroySurvey:
    """What a night's look at the archive found. `plans` by industry; `kept` counts copies that stay, by reason.

    `damaged`: batches that nobody can judge, which stay whole. `unscheduled`: industries without a schedule. `ended`:
    batches whose end the ledger has and the register has lost.
    """

    as_of: date
    batches: int = 0
    looked_at: int = 0
    copies: Counter[str] = field(default_factory=Counter)
    plans: dict[str, DestroyPlan] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    damaged: dict[str, str] = field(default_factory=dict)
    unscheduled: Counter[str] = field(default_factory=Counter)
    ended: dict[str, LoggedEnd] = field(default_factory=dict)


@dataclass
class _IndustryCopies:
    """What is planned of one industry while the batches go by."""

    batches: list[PlannedDestruction] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)


def survey_copies(lifecycle: Lifecycle, as_of: date, every_batch: bool = False) -> DestroySurvey:
    """Judge what may be destroyed on a night. Memory: one batch, and a few numbers a batch that goes.

    Raises PolicyError where the holds cannot be read: then nobody knows what is held.
    """
    result, holds = DestroySurvey(as_of), lifecycle.holds_now()
    found = dict[str, _IndustryCopies]()
    asked = set(_batches_of_requests(lifecycle))
    for batch in archived_batches(lifecycle, result.damaged, result.ended):
        result.batches += 1
        result.copies[batch.manifest.industry] += batch.manifest.calls
        if not (every_batch or batch.location.batch in asked or _day_has_come(batch, as_of)):
            continue
        try:
            judged = judge_batch(lifecycle, batch.location, holds, as_of, batch.manifest)
        except (ProofError, ObjectMissing) as error:
            result.damaged[batch.location.manifest_key] = str(error).partition(" Nothing was purged")[0].rstrip(".")
            continue
        result.looked_at += 1
        _take_in(found.setdefault(batch.manifest.industry, _IndustryCopies()), judged, as_of)
        lifecycle.progress("batches judged", result.looked_at, result.looked_at)
    for industry, copies in sorted(found.items()):
        result.kept.update(copies.kept)
        _plan(lifecycle, result, industry, copies, holds)
    return result


def _day_has_come(batch: ArchivedBatch, as_of: date) -> bool:
    day = batch.manifest.destroy_on
    return batch.moved or (day is not None and day <= as_of)


def going_now(judged: JudgedBatch, as_of: date) -> list[int]:
    """The rows of a batch that go on a night: all that may once its day has come, before it those that cannot wait.

    A copy waits for the others of its month, and not for those that were kept longer and moved with it.
    """
    day, going = judged.manifest.destroy_on, judged.going
    if (day is not None and day <= as_of) or len(going) == judged.calls.num_rows:
        return sorted(going)
    return sorted(row for row in going if row in judged.hurried or _of_earlier_month(judged.days[row], day))


def _of_earlier_month(own: date | None, of_batch: date | None) -> bool:
    return own is not None and (of_batch is None or (own.year, own.month) < (of_batch.year, of_batch.month))


def _take_in(found: _IndustryCopies, judged: JudgedBatch, as_of: date) -> None:
    rows, at = going_now(judged, as_of), judged.location
    rules = judged.calls["_rule_id"].to_pylist()
    found.rules.update(rules[row] for row in rows)
    found.kept.update(redact_reason(reason) for reason in judged.kept.values())
    waiting = judged.calls.num_rows - len(judged.kept) - len(rows)
    found.kept.update({"waits for the day of its batch": waiting} if waiting else {})
    if rows:
        named = (at.batch, at.manifest_key, at.manifest_sha256)
        found.batches.append(
            PlannedDestruction(
                batch=named[0],
                manifest_key=named[1],
                manifest_sha256=named[2],
                calls=judged.calls.num_rows,
                rows=as_ranges(rows),
            )
        )


def _plan(lifecycle: Lifecycle, result: DestroySurvey, industry: str, found: _IndustryCopies, holds: Holds) -> None:
    schedule = lifecycle.policies.schedules.by_industry.get(industry)
    if schedule is None:
        result.unscheduled[industry] = sum(found.kept.values())
        return
    if not found.batches:
        return
    going = sum(batch.going for batch in found.batches)
    result.plans[industry] = DestroyPlan(
        night=result.as_of,
        industry=industry,
        source=lifecycle.crm.source.source,
        schedule=lifecycle.policies.version(schedule),
        holds_sha256=holds.sha256,
        copies=result.copies[industry],
        rules=dict(sorted(found.rules.items())),
        kept=dict(sorted(found.kept.items())),
        batches=tuple(found.batches),
        waits_for=reasons_to_look(schedule, going, found.rules, result.copies[industry]),
    )


def _batches_of_requests(lifecycle: Lifecycle) -> Iterator[str]:
    """Where the copies are of calls that somebody asked to erase, and that are gone from the CRM."""
    with lifecycle.crm.database.reading() as connection:
        asked = {one.call_id for one in lifecycle.crm.control.requests.pending(connection)}
    log = lifecycle.log()
    published = log.published() if asked else None
    names = CallNames(lifecycle.crm.source.source, asked, lifecycle.keys.epochs())
    for index, body in LeafIndex(log, published).of_calls(list(names.commitments)) if published else ():
        leaf = read_leaf(f"leaf {index}", body)
        if leaf["kind"] == "purged":
            at = batch_location(lifecycle, BatchLocation(leaf["batch"], leaf["manifest_key"], leaf["manifest_sha256"]))
            if at is not None:
                yield at.batch
