"""Calls weighed under several laws at once: in groups where groups can say it, call by call where they cannot.

Which calls are asked for is `reach`'s to say. Every call in reach is in exactly one part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from lifecycle.crm.crm import Crm
from lifecycle.crm.reading.grouped_counts import GroupedCounts, industries_written
from lifecycle.deployment.lifecycle import Progress
from lifecycle.evidence.deletion import call_id_text
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components
from lifecycle.review.affected_calls import PolicyState, affected_calls_query, affected_days


@dataclass(frozen=True, slots=True)
class WeighedCalls:
    """Facts of some calls. `weights`, a row an answer: `calls`, how many, and two of their ids, `first` and `last`.

    `grouped`: a row of facts is a group of calls that no hold is on but those of whole industries.
    """

    facts: pa.Table
    weights: pa.Table
    grouped: bool

    def answers(self, law: PolicyState, as_of: date) -> pa.Table:
        """What `dispose_calls` says of them under a law."""
        meant = self._meant(law)
        return dispose_calls(self.facts, meant.schedules, meant.holds, as_of)

    def of_components(self, law: PolicyState, as_of: date) -> pa.Table:
        """What `dispose_components` says of them under a law."""
        meant = self._meant(law)
        return dispose_components(self.facts, meant.schedules, meant.holds, as_of)

    def _meant(self, law: PolicyState) -> PolicyState:
        return law.of_groups() if self.grouped else law


def weigh_affected_calls(
    crm: Crm, laws: Sequence[PolicyState], as_of: date, progress: Progress
) -> Iterator[WeighedCalls]:
    """The calls that the laws may judge otherwise than one another, in one snapshot of the CRM."""
    with crm.database.reading() as connection:
        spans = affected_days(laws, as_of)
        if spans == {}:
            return
        by = affected_calls_query(laws, industries_written(connection, crm.facts, spans), as_of, crm.facts.names)
        counted = GroupedCounts(connection, crm.database, crm.facts, by)
        facts, weights = counted.groups()
        if facts.num_rows:
            yield WeighedCalls(facts, weights, True)
        done = 0
        for facts in counted.singly():
            yield WeighedCalls(facts, _one_each(facts["call_id"]), False)
            done += facts.num_rows
            progress("calls asked for one by one", done, 0)


def _one_each(keys: pa.ChunkedArray) -> pa.Table:
    ids = pa.array([call_id_text(key) for key in dict.fromkeys(keys.to_pylist())], pa.string())
    return pa.table({"calls": pa.array([1] * len(ids), pa.int64()), "first": ids, "last": ids})
