"""What a person who asks for erasure is told, and on which ground: GDPR Articles 12 and 17.

Whether and when the call goes is `dispose_calls`'s to say, in the night as here; this only reads its answer. A duty
to keep is a ground where a statute of the Union or of a member state asks for it; a hold is one, a company's wish none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import pyarrow as pa

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import NEVER, Disposition, dispose_calls, evaluate_rules
from lifecycle.policy.evaluation.regime_explanation import explain_regimes
from lifecycle.policy.period import RetentionPeriod

LEGAL_OBLIGATION = "GDPR Article 17(3)(b)"
LEGAL_CLAIMS = "GDPR Article 17(3)(e)"
LEGAL_REVIEW = "needs legal review"
"""What `dispose_calls` says of a held call past a hard maximum."""
_ANSWER_WITHIN = RetentionPeriod.parse("P1M")  # GDPR Article 12(3)
_MEMBERS = "AT BE BG CY CZ DE DK EE EL ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_UNION = frozenset(["EU", "EEA", *_MEMBERS.split(), "IS", "LI", "NO"])
_ONE_DAY = timedelta(days=1)


class ErasureOutcome(StrEnum):
    """What becomes of a request. Refused: a ground stands tonight. Undecided: the call is kept, and none is known.

    Archived: the call left the CRM, and a copy is there. Gone: no copy is.
    """

    GRANTED = "granted"
    REFUSED = "refused"
    UNDECIDED = "undecided"
    ARCHIVED = "archived"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """A request on one night. `reasons` are sentences for people, the grounds first.

    `goes_on`: the first day the call may leave the CRM, None where nobody can say yet. `copy_goes_on`: the same of its
    copy, None where it is unknown or never. `needs_person`: something keeps the call, or its copy, without a ground.
    """

    outcome: ErasureOutcome
    reasons: tuple[str, ...]
    goes_on: date | None
    copy_goes_on: date | None
    needs_person: bool


@dataclass(frozen=True, slots=True)
class RetentionDuty:
    """A statute's minimum that may bind a call, and its last day; None: its clock is not known."""

    regime: Regime
    until: date | None

    @property
    def is_ground(self) -> bool:
        """Whether it is a reason to refuse."""
        return is_union_law(self.regime.jurisdiction)

    @property
    def text(self) -> str:
        """The duty as a sentence says it."""
        end = f"until {self.until}" if self.until else "for a time that cannot be known yet"
        return f"{self.regime.id} ({self.regime.jurisdiction}, {self.regime.citation}) asks for it {end}"


def is_union_law(jurisdiction: str) -> bool:
    """Whether a law of the jurisdiction is Union or member state law, the EEA included; DE-BY is Germany's.

    A duty under any other law is no ground to refuse (Article 17(3)(b): "by Union or Member State law").
    """
    return jurisdiction.strip().upper().partition("-")[0] in _UNION


def last_day_to_answer(received_on: date) -> date:
    """The last day to tell the person what was done, or why nothing was: one month after receipt."""
    return _ANSWER_WITHIN.last_day(received_on)


def answer_erasure_request(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> ErasureAnswer:
    """What the request in the facts of one call (`erasure_requested_on`) comes to on a night."""
    answer = dispose_calls(facts, schedules, holds, as_of).to_pylist()[0]
    known, disposition = answer["purge_from"] is not None, Disposition(answer["disposition"])
    held = _held(facts, schedules, holds, as_of)
    found = retention_duties(facts, schedules, holds, as_of)
    goes_on = answer["purge_from"] if known and answer["purge_from"] != NEVER else None
    copy = answer["destroy_on"]
    grounds = [*_duty_grounds(found, as_of), *(f"{LEGAL_CLAIMS}: {text}" for text in held)]
    doubts = _doubts(disposition, answer, found)
    if known and not held:
        doubts += _of_the_copy(found, goes_on, copy)
    waits = disposition is Disposition.ON_HOLD or bool(held) or disposition is Disposition.KEPT
    return ErasureAnswer(
        outcome=_outcome(disposition, grounds),
        reasons=(*grounds, *doubts),
        goes_on=None if waits else goes_on,
        copy_goes_on=copy,
        needs_person=bool(doubts),
    )


def _outcome(disposition: Disposition, grounds: list[str]) -> ErasureOutcome:
    if disposition is Disposition.DUE:
        return ErasureOutcome.GRANTED
    return ErasureOutcome.REFUSED if grounds else ErasureOutcome.UNDECIDED


def _duty_grounds(found: tuple[RetentionDuty, ...], as_of: date) -> list[str]:
    running = [duty for duty in found if duty.is_ground and (duty.until is None or duty.until >= as_of)]
    return list(dict.fromkeys(f"{LEGAL_OBLIGATION}: {duty.text}" for duty in running))


def _doubts(disposition: Disposition, answer: dict[str, object], found: tuple[RetentionDuty, ...]) -> list[str]:
    """What keeps a call that is no ground to keep it."""
    if disposition is Disposition.DUE:
        return []
    if disposition is Disposition.ON_HOLD:
        return [str(answer["detail"])] if LEGAL_REVIEW in str(answer["detail"]) else []
    if disposition is not Disposition.RETAINED:
        running = any(duty.is_ground and duty.until is None for duty in found)  # a clock that has not begun
        return [f"{'' if running else 'no ground: '}{disposition}: {answer['detail']}"]
    last = max((duty.until for duty in found if duty.is_ground and duty.until), default=date.min)
    goes_on = answer["purge_from"]
    assert isinstance(goes_on, date)
    if goes_on <= last + _ONE_DAY:
        return []
    foreign = [duty for duty in found if not duty.is_ground and duty.until and duty.until > last]
    texts = [f"no ground: {duty.text}, and that is no Union or member state law" for duty in foreign]
    if not any(goes_on <= duty.until + _ONE_DAY for duty in foreign if duty.until):
        texts.append(f"no ground: the company's own rule {answer['rule_id']} keeps it until {goes_on - _ONE_DAY}")
    return list(dict.fromkeys(texts))


def _of_the_copy(found: tuple[RetentionDuty, ...], goes_on: date | None, copy: date | None) -> list[str]:
    """The archived copy outlives the call: what keeps it beyond every ground."""
    last = max((duty.until + _ONE_DAY for duty in found if duty.is_ground and duty.until), default=date.min)
    if goes_on is None or (copy is not None and copy <= max(goes_on, last)):
        return []
    until = f"until {copy - _ONE_DAY}" if copy else "for ever"
    return [f"no ground: its archived copy is kept {until}"]


def _held(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> list[str]:
    """The holds on the call, whatever its rules say of it."""
    said = evaluate_rules(facts, schedules, holds, as_of)["hold"].to_pylist()
    ids = sorted({each for text in said if text for each in text.split(", ")})
    return [f"legal hold {each} ({holds.by_id[each].matter}) keeps it until it is released" for each in ids]


def retention_duties(facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> tuple[RetentionDuty, ...]:
    """Every statute's minimum that may bind the rows of facts, the longest first."""
    found = [duty for row in range(facts.num_rows) for duty in _of_row(facts.slice(row, 1), schedules, holds, as_of)]
    return tuple(sorted(found, key=lambda duty: (duty.until or NEVER, duty.regime.id), reverse=True))


def _of_row(row: pa.Table, schedules: Schedules, holds: Holds, as_of: date) -> Iterator[RetentionDuty]:
    with_a_say = set(evaluate_rules(row, schedules, holds, as_of)["rule_id"].to_pylist())
    for said in explain_regimes(row, schedules, holds, as_of):
        if said.rule_id in with_a_say and said.applies and said.regime.floor:
            yield RetentionDuty(said.regime, said.floor)
