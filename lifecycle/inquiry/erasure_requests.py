"""Requests: register, withdraw, list erasure requests. What one comes to is policy's; the nightly does the erasing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.control.request_table import LONGEST_TEXT, ErasureRequest, keys_of
from lifecycle.custody.record_lookup import DeletionOnRecord, find_records
from lifecycle.custody.requested_copies import answer_for_copies
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import InputError, SourceError
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.erasure import ErasureAnswer, ErasureOutcome, answer_erasure_request, last_day_to_answer

_CALLS_A_LOOK = 500
_GONE_NOW = ErasureAnswer(
    ErasureOutcome.GONE, ("it left the CRM this moment; `lifecycle record` says why",), None, None, False
)


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One request and what it comes to. No request: call and copies were gone before anybody registered one."""

    call_id: str
    request: ErasureRequest | None
    verdict: ErasureAnswer
    registered: bool = False

    @property
    def answer_by(self) -> date | None:
        """The last day to answer the person."""
        return last_day_to_answer(self.request.received_on) if self.request else None


def register_requests(
    lifecycle: Lifecycle, calls: Sequence[str], by: str, as_of: date, received: date | None, reference: str | None
) -> list[AnsweredRequest]:
    """Put requests on file, restrict their calls, and say what each comes to on a night. Safe to run again.

    Of a call that left the CRM the archived copies are meant. All or none: InputError for a call that is nowhere, or a
    day of receipt that is still to come. Without
    `received` and `reference` an open request of the call is the one that is meant.
    """
    require_request_table(lifecycle)
    today = lifecycle.now().astimezone(ZoneInfo(lifecycle.settings.nightly_timezone)).date()
    if received is not None and received > today:
        raise InputError(f"--received {received}: expected a day up to {today}. Nothing was registered")
    for name, text in (("--by", by), ("--reference", reference or "")):
        if len(text) > LONGEST_TEXT:
            raise InputError(
                f"{name}: expected up to {LONGEST_TEXT} characters, found {len(text)}. Nothing was registered"
            )
    found = [_found(lifecycle, call) for call in dict.fromkeys(calls)]
    live = {name: key for name, key, _ in found if key is not None}
    archived = [name for name, key, _ in found if key is None and _has_copy(lifecycle, name, as_of)]
    meant = {name: _meant(lifecycle, name, by, received, today, reference) for name in [*live, *archived]}
    wanted = [one for one, _ in meant.values()]
    lifecycle.crm.control.requests.insert(wanted, lifecycle.crm.restriction, list(live.values()))
    judged = _judged(lifecycle, wanted, as_of)
    answers = []
    for name, key, _ in found:
        one, new = meant.get(name, (None, False))
        said = judged.get(one.id, _GONE_NOW) if one and key is not None else _of_copies(lifecycle, name, as_of)
        answers.append(AnsweredRequest(name, one, said, new))
    return answers


def withdraw_request(lifecycle: Lifecycle, request_id: str, by: str) -> ErasureRequest:
    """Withdraw a request and lift the restriction where no other asks for it. Safe to run again.

    Raises InputError for an id that is on no file.
    """
    require_request_table(lifecycle)
    requests, at = lifecycle.crm.control.requests, lifecycle.now().astimezone(UTC).isoformat()
    with lifecycle.crm.database.reading() as connection:
        one = requests.by_id(connection, request_id)
        if one is None:
            raise InputError(f"request {request_id!r}: expected the id of a request (`lifecycle requests`), found none")
        key, facts = lifecycle.crm.facts.find(connection, one.call_id)
    if not facts.num_rows and not _has_copy(lifecycle, one.call_id, lifecycle.now().date()):
        raise InputError(f"request {request_id}: call {one.call_id} is gone, and its copy: nothing is left to withdraw")
    requests.withdraw(one, at, by, lifecycle.crm.restriction, key if facts.num_rows else None)
    return replace(one, withdrawn_at=one.withdrawn_at or at, withdrawn_by=one.withdrawn_by or by)


def open_requests(lifecycle: Lifecycle, as_of: date) -> list[AnsweredRequest]:
    """Every request that is neither withdrawn nor done, the earliest first, and what it comes to on a night. It is done
    once neither the call nor a copy is there.

    No control table: nobody ever registered one.
    """
    with lifecycle.crm.database.reading() as connection:
        pending = lifecycle.crm.control.requests.pending(connection)
    judged = _judged(lifecycle, pending, as_of)
    for one in pending:
        if one.id not in judged and (said := answer_for_copies(lifecycle, one.call_id, as_of)):
            judged.update({one.id: said} if said.outcome is ErasureOutcome.ARCHIVED else {})
    return [AnsweredRequest(one.call_id, one, judged[one.id]) for one in pending if one.id in judged]


def _has_copy(lifecycle: Lifecycle, call_id: str, as_of: date) -> bool:
    """Whether an archived copy of a call that is gone from the CRM is there."""
    said = answer_for_copies(lifecycle, call_id, as_of)
    return said is not None and said.outcome is ErasureOutcome.ARCHIVED


def _of_copies(lifecycle: Lifecycle, call_id: str, as_of: date) -> ErasureAnswer:
    return answer_for_copies(lifecycle, call_id, as_of) or _GONE_NOW


def malformed_requests(lifecycle: Lifecycle) -> dict[str, str]:
    """The requests that cannot be read, and why. Nobody acts on them; their calls stay as long as the schedule says."""
    with lifecycle.crm.database.reading() as connection:
        found = lifecycle.crm.control.requests.malformed(connection)
    problem = "received_on: expected a date, found {!r}; correct it in the control table"
    return {f"request {name} for call {call}": problem.format(day) for name, call, day in found}


def require_request_table(lifecycle: Lifecycle) -> None:
    """Raise SourceError where `lifecycle init` has not made the table of requests."""
    with lifecycle.crm.database.reading() as connection:
        there = lifecycle.crm.control.requests.there(connection)
    if not there:
        raise SourceError("the CRM has no table of erasure requests. Run `lifecycle init` once; nothing was done")


def _found(lifecycle: Lifecycle, call: str) -> tuple[str, Any, tuple[DeletionOnRecord, ...]]:
    """A call's name as records have it, its key where it is live, its deletion records where it is gone."""
    with lifecycle.crm.database.reading() as connection:
        _, facts = lifecycle.crm.facts.find(connection, call)
    if facts.num_rows:
        key = facts["call_id"][0].as_py()
        return call_id_text(key), key, ()
    known = find_records(lifecycle, call)
    if known.live:
        problem = "it is in the CRM, and the facts query of the source does not give it"
        raise InputError(f"call {call!r}: {problem}: nobody can say what keeps it. Nothing was registered")
    if not known.records:
        raise InputError(f"call {call!r}: expected a call of the CRM or of the record, found it in neither")
    return known.call_id, None, known.records


def _meant(
    lifecycle: Lifecycle, name: str, by: str, received: date | None, today: date, reference: str | None
) -> tuple[ErasureRequest, bool]:
    """The request that is meant, and whether it is new. Named by what it says, so that a second try finds the first."""
    with lifecycle.crm.database.reading() as connection:
        mine = lifecycle.crm.control.requests.of_calls(connection, [name], withdrawn=True)
    for one in (one for one in mine if one.withdrawn_at is None):
        if received in (None, one.received_on) and reference in (None, one.reference):
            return one, False
    said = {
        "call_id": name,
        "received_on": (received or today).isoformat(),
        "reference": reference,
        "before": len(mine),
    }
    return ErasureRequest(
        id=f"erase-{sha256_hex(canonical_json(said))[:12]}",
        call_id=name,
        received_on=received or today,
        registered_at=lifecycle.now().astimezone(UTC).isoformat(),
        registered_by=by,
        reference=reference or "",
    ), True


def _judged(lifecycle: Lifecycle, requests: Sequence[ErasureRequest], as_of: date) -> dict[str, ErasureAnswer]:
    """What each request of a live call comes to, by id. Several for one call come to the same: the earliest counts."""
    crm, policies, found = lifecycle.crm, lifecycle.policies, dict[str, ErasureAnswer]()
    for start in range(0, len(requests), _CALLS_A_LOOK):
        some = requests[start : start + _CALLS_A_LOOK]
        with crm.database.reading() as connection:
            facts = crm.facts.of(connection, keys_of(crm.rows.key, [one.call_id for one in some]))
        names = pa.array([call_id_text(key) for key in facts["call_id"].to_pylist()], pa.string())
        for one in some:
            rows = facts.filter(pc.equal(names, one.call_id))
            if rows.num_rows:
                found[one.id] = answer_erasure_request(rows, policies.schedules, lifecycle.holds, as_of)
    return found
