"""What an evaluation is handed: some cases on a night, one schedule, its regimes; and the calendar they share."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.clock import Clock, EarlierOf, Term
from lifecycle.policy.documents.hold import Extension
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.evaluation.distinct_cases import DistinctCases
from lifecycle.policy.evaluation.term_columns import last_days

NO_DAY = pa.scalar(None, pa.date32())


class EvaluationContext:
    """What is known of some cases on a night, under one schedule and its regimes, with the extensions asked for.

    Rules and regimes share clocks and periods: a date that was worked out for one is kept for the next.
    """

    def __init__(
        self,
        cases: DistinctCases,
        schedule: Schedule,
        regimes: Mapping[str, Regime],
        extensions: Mapping[str, Extension],
        as_of: date,
    ) -> None:
        self.cases, self.schedule, self.regimes, self.extensions = cases, schedule, regimes, extensions
        self.as_of = as_of
        self._calendar = _Calendar(cases.days, as_of)
        self._clocked: dict[Clock, tuple[pa.Array, pa.Array]] = {}

    def about(self, cases: DistinctCases) -> "EvaluationContext":
        """The same of other cases, on days that occur among these."""
        other = copy(self)
        other.cases, other._clocked = cases, {}
        return other

    def clocked(self, clock: Clock) -> tuple[pa.Array, pa.Array]:
        """The day a clock starts, and whether it can be used.

        The later of several needs each of them, the earlier any.
        """
        if clock not in self._clocked:
            days = [self.cases.days[name] for name in clock.triggers]
            usable = [_usable(day, clock, self.as_of) for day in days]
            self._clocked[clock] = _of_several(clock, days, usable) if len(days) > 1 else (days[0], usable[0])
        return self._clocked[clock]

    def last_days(self, term: Term) -> pa.Array:
        """The last day of a term, case by case; NULL where its clock cannot be used."""
        day, usable = self.clocked(term.clock)
        return self._calendar.last_days(term, pc.if_else(usable, day, NO_DAY))

    def named(self, names: Sequence[str], component: str | None) -> list[Regime]:
        """The regimes of a rule that say anything of a component (None: of the whole call)."""
        found = [self.regimes[name] for name in names if name in self.regimes]
        return [law for law in found if law.speaks_of(component)]


class _Calendar:
    """The last days of terms, worked out once for each day on which a fact of any case lies."""

    def __init__(self, days: Mapping[str, pa.Array], as_of: date) -> None:
        self._days, self._as_of = days, as_of
        self._starting: dict[Clock, pa.Array] = {}
        self._known: dict[Term, pa.Array] = {}

    def last_days(self, term: Term, days: pa.Array) -> pa.Array:
        """The last day for each day on which the clock of a term can start; NULL for NULL."""
        if term not in self._known:
            self._known[term] = last_days(term, self._starts(term.clock))
        return self._known[term].take(pc.index_in(days, value_set=self._starts(term.clock)))

    def _starts(self, clock: Clock) -> pa.Array:
        """Every day on which the clock can start."""
        if clock not in self._starting:
            days = pa.chunked_array([self._days[name].dictionary for name in clock.triggers]).unique()
            self._starting[clock] = days.filter(_usable(days, clock, self._as_of))
        return self._starting[clock]


def _of_several(clock: Clock, days: Sequence[pa.Array], usable: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
    if isinstance(clock.triggers, EarlierOf):
        known = [pc.if_else(each, day, NO_DAY) for day, each in zip(days, usable, strict=True)]
        return pc.min_element_wise(*known), reduce(pc.or_, usable)
    every = reduce(pc.and_, usable)
    return pc.if_else(every, pc.max_element_wise(*days), NO_DAY), every


def _usable(day: pa.Array, clock: Clock, as_of: date) -> pa.Array:
    inside = pc.and_(pc.greater_equal(day, pa.scalar(clock.earliest)), pc.less_equal(day, pa.scalar(as_of)))
    return pc.fill_null(inside, False)
