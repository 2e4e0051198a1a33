"""One rule heard over many rows: which rows it has a say in, and its judgement of each distinct case among them."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.schedule import Rule
from lifecycle.policy.evaluation.condition_matching import meets, once_each
from lifecycle.policy.evaluation.distinct_cases import asked_of_cases, has
from lifecycle.policy.evaluation.regime_bounds import Told
from lifecycle.policy.evaluation.rule_evaluation import Ruling, ruling


@dataclass(frozen=True, slots=True)
class Heard:
    """What a rule says of the rows it may match. `asked`, `certain`: masks over all rows; `rows`: places of the asked.

    `said` has a line a distinct case, `place` the line of each asked row.
    """

    rule: Rule
    asked: pa.Array
    certain: pa.Array
    rows: pa.Array
    place: pa.Array
    said: Ruling

    @property
    def everywhere(self) -> bool:
        """Whether it has a say in every row."""
        return len(self.rows) == len(self.asked)

    def of(self, column: pa.Array) -> pa.Array:
        """The asked rows of a column."""
        return column if self.everywhere else column.take(self.rows)

    def put(self, column: pa.Array, values: pa.Array) -> pa.Array:
        """A column with other values in the asked rows."""
        return values if self.everywhere else pc.replace_with_mask(column, self.asked, values)


def hear(told: Told, rule: Rule, component: str | None) -> Heard:
    """Hear a rule about the whole call (None) or about one component. `told.cases` are encoded, a case a row."""
    certain, asked = meets(told.cases.words, told.cases.count, rule.when)
    if component is None and rule.component:
        there = once_each(told.cases.flags[has(rule.component)], lambda flag: pc.fill_null(flag, True))
        certain, asked = pc.and_(certain, there), pc.and_(asked, there)
    rows = pc.indices_nonzero(asked)
    named = told.named(rule.regimes, component)
    needed = asked_of_cases(rule, named, told.extensions.values())
    cases, place = told.cases.distinct(needed, None if len(rows) == told.cases.count else rows)
    return Heard(rule, asked, certain, rows, place, ruling(told.about(cases), rule, component))
