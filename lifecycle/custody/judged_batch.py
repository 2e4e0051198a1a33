"""A batch judged again: which of its copies may go on a night, and why the others stay. Reads only.

What is unknown keeps: facts that were not archived, a call on no record, a call that is in the CRM again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import read_calls
from lifecycle.crm.control.request_table import with_requests
from lifecycle.custody.archived_batches import proved_manifest
from lifecycle.custody.copies_on_record import names_of_copies, standing_reasons
from lifecycle.custody.registered_copies import BatchLocation
from lifecycle.deployment.lifecycle import Lifecycle, fact_kinds
from lifecycle.evidence.archived_facts import facts_of
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.destruction import CopyName
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.destruction import judge_copies
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import NEVER
from lifecycle.policy.evaluation.distinct_cases import required_facts

NO_FACTS = "unknown: its facts were not archived with it"


@dataclass(frozen=True, slots=True)
class JudgedBatch:
    """The calls of a batch, by row: the copies that may go, and why each other one stays.

    `hurried`: rows that may not wait for the day of their batch. `stay_until`: the day of the last that stays.
    """

    location: BatchLocation
    manifest: Manifest
    calls: pa.Table
    names: Sequence[CopyName]
    going: Mapping[int, CopyName]
    hurried: frozenset[int]
    kept: Mapping[int, str]
    days: Sequence[date | None]

    def stay_until(self) -> date | None:
        """The latest day of the copies that stay; None: one is kept for ever, or nobody knows."""
        left = [self.days[row] for row in range(self.calls.num_rows) if row not in self.going]
        return max((day for day in left if day is not None), default=None) if None not in left else None


def judge_batch(
    lifecycle: Lifecycle, at: BatchLocation, holds: Holds, as_of: date, manifest: Manifest | None = None
) -> JudgedBatch:
    """Judge every call of a batch. Raises ProofError, ObjectMissing where its calls cannot be read.

    `manifest`: the proved one, where the caller has it.
    """
    manifest = manifest or proved_manifest(lifecycle, at)
    calls = read_calls(lifecycle.store, manifest)
    facts = archived_facts(lifecycle, calls, holds)
    recorded = calls.select([CALL_ID, "_destroy_on"]).rename_columns(["call_id", "destroy_on"])
    judged = judge_copies(recorded, facts, lifecycle.policies.schedules, holds, as_of, manifest.component)
    place = pc.index_in(calls[CALL_ID].combine_chunks(), judged["call_id"].combine_chunks())
    answers = judged.take(place).to_pylist()
    why = [None if known else NO_FACTS for known in place.is_valid().to_pylist()]
    names = names_of_copies(lifecycle, manifest, calls)
    standing = dict(standing_reasons(lifecycle, manifest, calls, names))
    kept = {
        row: str(reason)
        for row, answer in enumerate(answers)
        if (reason := standing.get(row) or why[row] or answer["detail"])
    }
    asked = _requests(facts)
    ids = calls[CALL_ID].to_pylist()
    going = {row: replace(name, request=asked.get(ids[row])) for row, name in enumerate(names.each) if row not in kept}
    hurried = frozenset(row for row in going if answers[row]["hurried"])
    return JudgedBatch(
        at, manifest, calls, names.each, going, hurried, kept, [_day(answer["destroy_from"]) for answer in answers]
    )


def _day(day: date | None) -> date | None:
    return None if day == NEVER else day


def archived_facts(lifecycle: Lifecycle, calls: pa.Table, holds: Holds) -> pa.Table:
    """The archived facts as the law of today reads them, and today's requests. What is not there, or was archived as
    another kind of fact, is unknown."""
    schedules, facts = lifecycle.policies.schedules, facts_of(calls)
    kinds = fact_kinds(schedules)
    wanted = dict.fromkeys((*_words(schedules), *holds.facts(), "industry"), pa.string())
    wanted |= dict.fromkeys(kinds.times, pa.date32()) | dict.fromkeys(kinds.flags, pa.bool_())
    for name, kind in wanted.items():
        if name not in facts.column_names:
            facts = facts.append_column(name, pa.nulls(facts.num_rows, kind))
        elif not _is_kind(facts.schema.field(name).type, kind):
            facts = facts.set_column(facts.column_names.index(name), name, pa.nulls(facts.num_rows, kind))
    with lifecycle.crm.database.reading() as connection:
        requests = lifecycle.crm.control.requests.pending(connection)
    return with_requests(facts, requests, lifecycle.crm.rows.key)


def _words(schedules: Schedules) -> Iterator[str]:
    for schedule in schedules.by_industry.values():
        yield from required_facts(schedule, schedules.regimes).words


def _is_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column can be read as the kind of fact that is asked for; lists are links, and read as words."""
    if wanted == pa.date32():
        return bool(pa.types.is_temporal(found))
    if wanted == pa.bool_():
        return bool(pa.types.is_boolean(found))
    return not (pa.types.is_temporal(found) or pa.types.is_boolean(found))


def _requests(facts: pa.Table) -> dict[Any, str]:
    """The request of each call of which there is one."""
    if "erasure_request" not in facts.column_names:
        return {}
    pairs = zip(facts["call_id"].to_pylist(), facts["erasure_request"].to_pylist(), strict=True)
    return {call: request for call, request in pairs if request is not None}
