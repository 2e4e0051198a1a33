"""Whether a component's maximum, named by a rule for whole calls, is kept by rules that let the component go.

What a rule keeps within for its own copies is `regime_compliance`'s.
"""

from collections.abc import Iterator

from lifecycle.policy.documents.model_types import fold_name
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.regime_compliance import ends_within, hangs_on_more, rules_can_meet
from lifecycle.policy.documents.schedule import Rule, Schedule


def has_component_rule(schedule: Schedule, rule: Rule, component: str) -> bool:
    """Whether every call of a rule has a rule that lets the component go by itself, as far as their facts tell."""
    parts = [part for part in schedule.rules if part.component == component]
    if any(_asks_no_more(part, rule) for part in parts):
        return True
    by_one_fact = [(*part.when.items(),) for part in parts if len(part.when) == 1]
    for name, asked in rule.when.items():
        together = {fold_name(value) for ((fact, values),) in by_one_fact if fact == name for value in values}
        if {fold_name(value) for value in asked} <= together:
            return True
    return False


def _asks_no_more(part: Rule, rule: Rule) -> bool:
    return all(
        name in rule.when and {fold_name(v) for v in rule.when[name]} <= {fold_name(v) for v in values}
        for name, values in part.when.items()
    )


def component_rules_beyond(schedule: Schedule, rule: Rule, law: Regime) -> Iterator[Rule]:
    """The rules of components, of calls of a rule, whose copies outlive a maximum that the rule names.

    One that counts from another trigger is held against it call by call, and so is one that names the law itself.
    """
    maxima = [schedule.limit(law, limit) for limit in law.ceiling if not hangs_on_more(limit)]
    for part in schedule.rules:
        if part.component in law.components and law.id not in part.regimes and rules_can_meet(part, rule):
            comparable = [term for term in maxima if term.clock.triggers == part.clock.triggers]
            if not all(ends_within(schedule, part, term) for term in comparable):
                yield part
