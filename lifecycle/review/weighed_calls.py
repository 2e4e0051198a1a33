"""Calls weighed under several laws at once: in groups where groups can say it, call by call where they cannot.

Which calls are asked for is `reach`'s to say. Every call in reach is in exactly one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from lifecycle.crm.crm import Crm
from lifecycle.crm.reading.grouped_counts import Counted, industries
from lifecycle.deployment.lifecycle import Progress
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.evaluation.disposition import dispose, dispose_components
from lifecycle.review.affected_calls import Law, reach, widest


@dataclass(frozen=True, slots=True)
class Part:
    """Facts of some calls. `weights`, a row an answer: `calls`, how many, and two of their ids, `first` and `last`.

    `grouped`: a row of facts is a group of calls that no hold is on but those of whole industries.
    """

    facts: pa.Table
    weights: pa.Table
    grouped: bool

    def answers(self, law: Law, as_of: date) -> pa.Table:
        """What `dispose` says of them under a law."""
        meant = self._meant(law)
        return dispose(self.facts, meant.schedules, meant.holds, as_of)

    def of_components(self, law: Law, as_of: date) -> pa.Table:
        """What `dispose_components` says of them under a law."""
        meant = self._meant(law)
        return dispose_components(self.facts, meant.schedules, meant.holds, as_of)

    def _meant(self, law: Law) -> Law:
        return law.of_groups() if self.grouped else law


def parts(crm: Crm, laws: Sequence[Law], as_of: date, progress: Progress) -> Iterator[Part]:
    """The calls that the laws may judge otherwise than one another, in one snapshot of the CRM."""
    with crm.database.reading() as connection:
        spans = widest(laws, as_of)
        if spans == {}:
            return
        by = reach(laws, industries(connection, crm.facts, spans), as_of, crm.facts.names)
        counted = Counted(connection, crm.database, crm.facts, by)
        facts, weights = counted.groups()
        if facts.num_rows:
            yield Part(facts, weights, True)
        done = 0
        for facts in counted.singly():
            yield Part(facts, _one_each(facts["call_id"]), False)
            done += facts.num_rows
            progress("calls asked for one by one", done, 0)


def _one_each(keys: pa.ChunkedArray) -> pa.Table:
    ids = pa.array([call_id_text(key) for key in dict.fromkeys(keys.to_pylist())], pa.string())
    return pa.table({"calls": pa.array([1] * len(ids), pa.int64()), "first": ids, "last": ids})
