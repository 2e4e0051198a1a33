"""One rule evaluated over many rows: which rows it has a say in, and its judgement of each distinct case among them."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.schedule import Rule
from lifecycle.policy.evaluation.condition_matching import map_distinct_values, match_encoded_conditions
from lifecycle.policy.evaluation.distinct_cases import facts_deciding_rule, presence_fact
from lifecycle.policy.evaluation.evaluation_context import EvaluationContext
from lifecycle.policy.evaluation.rule_evaluation import RuleResult, evaluate_rule


@dataclass(frozen=True, slots=True)
class RuleOverRows:
    """What a rule says of the rows it may match: `possible`, `certain` are masks over all rows, `rows` the possible.

    `result` has a line a distinct case, `place` the line of each possible row.
    """

    rule: Rule
    possible: pa.Array
    certain: pa.Array
    rows: pa.Array
    place: pa.Array
    result: RuleResult

    @property
    def everywhere(self) -> bool:
        """Whether it has a say in every row."""
        return len(self.rows) == len(self.possible)

    def take_values(self, column: pa.Array) -> pa.Array:
        """The possible rows of a column."""
        return column if self.everywhere else column.take(self.rows)

    def replace_values(self, column: pa.Array, values: pa.Array) -> pa.Array:
        """A column with other values in the possible rows."""
        return values if self.everywhere else pc.replace_with_mask(column, self.possible, values)


def evaluate_rule_over_rows(context: EvaluationContext, rule: Rule, component: str | None) -> RuleOverRows:
    """Evaluate a rule about the whole call (None) or about one component. `context.cases` are encoded, a case a row."""
    certain, possible = match_encoded_conditions(context.cases.words, context.cases.count, rule.when)
    if rule.only_if:
        certain = pc.and_(certain, _flag(context, rule.only_if, False))
        possible = pc.and_(possible, _flag(context, rule.only_if, True))
    if component is None and rule.component:
        there = _flag(context, presence_fact(rule.component), True)
        certain, possible = pc.and_(certain, there), pc.and_(possible, there)
    rows = pc.indices_nonzero(possible)
    named = context.named(rule.regimes, component)
    needed = facts_deciding_rule(rule, named, context.extensions.values())
    cases, place = context.cases.distinct(needed, None if len(rows) == context.cases.count else rows)
    return RuleOverRows(rule, possible, certain, rows, place, evaluate_rule(context.about(cases), rule, component))


def _flag(context: EvaluationContext, name: str, unknown: bool) -> pa.Array:
    """A yes-or-no fact as a mask, with what the unknown counts as."""
    return map_distinct_values(context.cases.flags[name], lambda flag: pc.fill_null(flag, unknown))
