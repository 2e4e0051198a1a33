"""Calls weighed under several laws at once: in groups where groups can say it, call by call where they cannot.

Which calls are asked for is `reach`'s to say. Every call in reach is in exactly one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from lifecycle.crm.counted import Counted, industries
from lifecycle.crm.crm import Crm
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.disposition import dispose
from lifecycle.steps.context import Progress
from lifecycle.steps.reach import Law, reach


@dataclass(frozen=True, slots=True)
class Weighed:
    """Some calls, a row a call or group of calls alike: the answer of each law, how many calls, two of their ids."""

    answers: tuple[pa.Table, ...]
    calls: pa.Array
    first: pa.Array
    last: pa.Array


def weigh(crm: Crm, laws: Sequence[Law], as_of: date, progress: Progress) -> Iterator[Weighed]:
    """Judge the calls that the laws may judge otherwise than one another, in one snapshot of the CRM."""
    with crm.database.reading() as connection:
        by = reach(laws, industries(connection, crm.facts), as_of, crm.facts.names)
        if not by.reaches:
            return
        counted = Counted(connection, crm.database, crm.facts, by)
        facts, counts = counted.groups()
        if facts.num_rows:
            whole = [law.of_groups() for law in laws]
            yield Weighed(_judged(facts, whole, as_of), counts["calls"], counts["first"], counts["last"])
        done = 0
        for facts in counted.singly():
            yield _singly(facts, laws, as_of)
            done += facts.num_rows
            progress("calls asked for one by one", done, 0)


def _judged(facts: pa.Table, laws: Sequence[Law], as_of: date) -> tuple[pa.Table, ...]:
    return tuple(dispose(facts, law.schedules, law.holds, as_of) for law in laws)


def _singly(facts: pa.Table, laws: Sequence[Law], as_of: date) -> Weighed:
    answers = _judged(facts, laws, as_of)
    ids = pa.array([call_id_text(key) for key in answers[0]["call_id"].to_pylist()], pa.string())
    return Weighed(answers, pa.array([1] * len(ids), pa.int64()), ids, ids)
