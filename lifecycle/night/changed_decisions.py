"""What the law says of archived calls at this moment, and of which it says something else than their copies do.

A column at a time: only calls that differ are looked at one by one.
"""

from collections.abc import Collection
from datetime import date
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING
from lifecycle.policy.evaluation.disposition import Disposition, dispose_with_bounds


class LawOfTheMoment:
    """The law as it stands when a slice is locked: the schedules of the run, and the holds as they are on disk then."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle, self._holds = lifecycle, lifecycle.policies.holds

    def links(self) -> Collection[str]:
        """Read the holds anew; the facts and links that they ask for, and a tombstone. Others need not be read."""
        self._holds = self._lifecycle.holds_now()
        tombstone = self._lifecycle.crm.source.tombstone
        named = {tombstone.of} if tombstone and tombstone.of else set[str]()
        return {*self._holds.facts(), *named}

    def answers(self, facts: pa.Table, night: date, component: str | None) -> pa.Table:
        """What the law says of whole calls, or of one component of those that have it, under the holds read last."""
        schedules = self._lifecycle.policies.schedules
        return dispose_with_bounds(facts, schedules, self._holds, night, component)


def changed_decisions(answers: pa.Table, archived: pa.Table, industry: str) -> dict[Any, str]:
    """The archived calls that are not due any more, or by another rule, industry or dates, with the reason.

    `answers`: as `dispose` gives them; those about other calls are passed over. `archived`: call rows with DECIDING.
    """
    place = pc.index_in(answers["call_id"], archived[CALL_ID].combine_chunks())
    ours = pc.is_valid(place)
    answers, decided = answers.filter(ours), archived.select(list(DECIDING)).take(place.filter(ours).combine_chunks())
    alike = [
        pc.equal(answers["disposition"], pa.scalar(str(Disposition.DUE))),
        pc.equal(answers["industry"], pa.scalar(industry)),
        *(_equal(answers[name.removeprefix("_")], decided[name]) for name in DECIDING),
    ]
    others = answers.filter(pc.invert(pc.fill_null(reduce(pc.and_, alike), False)))
    return {answer["call_id"]: _reason(answer) for answer in others.to_pylist()}


def _equal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where two columns have one value; None is one."""
    neither = pc.and_(pc.is_null(one), pc.is_null(other))
    return pc.or_(neither, pc.fill_null(pc.equal(one, other), False))


def _reason(answer: dict[str, Any]) -> str:
    if answer["disposition"] != Disposition.DUE:
        return f"{answer['disposition']}: {answer['detail']}"
    return f"decided otherwise: now by {answer['industry']} {answer['rule_id']} from {answer['purge_from']}"
