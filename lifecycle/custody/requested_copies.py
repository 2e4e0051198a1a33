"""What a request to erase comes to for a call that left the CRM: where its copies are, when they go, what keeps them.

Whether a copy may go is judged as `destroy` judges it; the grounds are `policy/erasure`'s. Reads only.
"""

from dataclasses import dataclass
from datetime import date

from lifecycle.archive.batches import batch_name
from lifecycle.authority.destroy_approval import destroy_plans_of_last_night, open_destroy_reasons
from lifecycle.custody.call_history import call_history
from lifecycle.custody.copy_location import CopyLocation, copy_locations
from lifecycle.custody.judged_batch import JudgedBatch, archived_facts, judge_batch
from lifecycle.custody.registered_copies import BatchLocation, batch_location
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.erasure import ErasureAnswer, ErasureOutcome, answer_erasure_request

_BY_ITSELF = ("not before", "retained")
_OFF = "destroying is switched off (LIFECYCLE_DESTROY): a person must see to it"


@dataclass(frozen=True, slots=True)
class _Copy:
    """One copy: what is said of it, the day it goes (None: unknown), whether somebody must look."""

    said: tuple[str, ...]
    goes_on: date | None
    needs_person: bool


def answer_for_copies(lifecycle: Lifecycle, call_id: str, as_of: date) -> ErasureAnswer | None:
    """What a request for a call that is gone from the CRM comes to. None: nothing is on record of it.

    `archived` while a copy is there, `gone` once none is.
    """
    located = copy_locations(call_history(lifecycle, [call_id]).get(call_id, ()))
    if not located:
        return None
    gone = [_destroyed(one) for one in located if one.destroyed is not None]
    holds = lifecycle.holds
    there = [_copy(lifecycle, one, call_id, holds, as_of) for one in located if one.destroyed is None]
    reasons = [*gone, *(reason for copy in there for reason in copy.said)]
    if not there:
        return ErasureAnswer(ErasureOutcome.GONE, tuple(reasons), None, None, needs_person=False)
    days = [copy.goes_on for copy in there]
    last = max((day for day in days if day is not None), default=None) if None not in days else None
    off = not lifecycle.settings.destroy
    said = tuple(dict.fromkeys([*reasons, *([_OFF] if off else [])]))
    needs_person = off or any(copy.needs_person for copy in there)
    return ErasureAnswer(ErasureOutcome.ARCHIVED, said, None, last, needs_person)


def _destroyed(one: CopyLocation) -> str:
    assert one.destroyed is not None
    return f"{_left(one)}; its archived copy was destroyed at {one.destroyed.leaf['destroyed_at']}"


def _left(one: CopyLocation) -> str:
    what = f"its {one.component} left the CRM" if one.component else "it left the CRM"
    return f"{what} at {one.record.leaf['purged_at']}"


def _copy(lifecycle: Lifecycle, one: CopyLocation, call_id: str, holds: Holds, as_of: date) -> _Copy:
    recorded = BatchLocation(batch_name(one.manifest_key), one.manifest_key, one.manifest_sha256)
    at = batch_location(lifecycle, recorded)
    if at is None:
        return _Copy((f"{_left(one)}; its archived copy is being destroyed",), as_of, needs_person=False)
    try:
        judged = judge_batch(lifecycle, at, holds, as_of)
        row = _row(judged, call_id)
    except (ProofError, ObjectMissing) as error:
        return _Copy((f"{_left(one)}; its archived copy cannot be read: {error}",), None, needs_person=True)
    kept, day = judged.kept.get(row), judged.days[row]
    waits = _waits_for(lifecycle, judged, row) if kept is None else None
    if kept is None:
        said = f"{_left(one)}; its archived copy goes with the next destruction{f', once {waits}' if waits else ''}"
    elif kept.startswith(_BY_ITSELF) and day is not None:
        said = f"{_left(one)}; its archived copy goes by itself on {day}"
    else:
        said, day = f"{_left(one)}; its archived copy is kept: {kept}", None
    facts = archived_facts(lifecycle, judged.calls.slice(row, 1), holds)
    if not facts.num_rows:
        return _Copy((said,), None, needs_person=True)
    answer = answer_erasure_request(facts, lifecycle.policies.schedules, holds, as_of)
    return _Copy((said, *answer.reasons), None if waits else day, answer.needs_person or waits is not None)


def _waits_for(lifecycle: Lifecycle, judged: JudgedBatch, row: int) -> str | None:
    """What has to come before a copy may go whose day has come; None: nothing that a person does."""
    try:
        plans = destroy_plans_of_last_night(lifecycle)
    except FixityError:
        return "somebody has seen to the register of destruction: a plan on it is not ours"
    for plan in plans:
        mine = (one for one in plan.batches if one.batch == judged.location.batch)
        if any(start <= row < end for one in mine for start, end in one.rows):
            open_reasons = open_destroy_reasons(lifecycle, plan)
            return f"a person lets plan {plan.sha256[:8]} go ({'; '.join(open_reasons)})" if open_reasons else None
    schedule = lifecycle.policies.schedules.by_industry.get(judged.manifest.industry)
    rule = judged.calls["_rule_id"][row].as_py()
    if any(one.id == rule and one.review == "required" for one in (schedule.rules if schedule else ())):
        return f"somebody approves its plan, for {rule} asks for a review"
    return None


def _row(judged: JudgedBatch, call_id: str) -> int:
    """Where the copy is. Raises ProofError: its batch has none."""
    names = map(call_id_text, judged.calls[CALL_ID].to_pylist())
    found = next((row for row, name in enumerate(names) if name == call_id), None)
    if found is None:
        raise ProofError(f"batch {judged.location.batch} has no copy of it")
    return found
