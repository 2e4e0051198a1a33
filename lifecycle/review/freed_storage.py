"""What shorter periods would free: calls counted in the weighed parts, bytes estimated. Changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pyarrow.compute as pc

from lifecycle.crm.call_sizes import mean_call_bytes
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.policy.documents.schedule import Schedule, Schedules
from lifecycle.policy.evaluation.disposition import Disposition
from lifecycle.policy.period import RetentionPeriod
from lifecycle.review.affected_calls import PolicyState
from lifecycle.review.weighed_calls import WeighedCalls

_SAMPLE = 50
Choice = Mapping[tuple[str, str], RetentionPeriod]
"""The stay in the CRM that is tried for some rules, by industry and rule."""


@dataclass
class FreedStorage:
    """Weighs choices: how many calls beyond tonight's a law lets go, and about how large a rule's calls are."""

    lifecycle: Lifecycle
    law: PolicyState
    parts: Sequence[WeighedCalls]
    as_of: date
    sizes: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._due = [self._is_due(part, self.law) for part in self.parts]

    def freed(self, chosen: Choice) -> tuple[int, list[str]]:
        """How many calls become due, and some of their ids."""
        law, calls, ids = with_periods(self.law, chosen), 0, list[str]()
        for part, due in zip(self.parts, self._due, strict=True):
            more = part.weights.filter(pc.and_not(self._is_due(part, law), due))
            calls += pc.sum(more["calls"]).as_py() or 0
            for name in ("first", "last"):
                ids += more[name].slice(0, max(0, _SAMPLE - len(ids))).to_pylist()
        return calls, list(dict.fromkeys(ids))

    def size(self, rule: tuple[str, str], sample: list[str]) -> float:
        """The mean bytes of a call that a rule frees, from the first sample seen."""
        if rule not in self.sizes:
            crm = self.lifecycle.crm
            self.sizes[rule] = mean_call_bytes(crm, crm.rows.key.parse(sample))
        return self.sizes[rule]

    def _is_due(self, part: WeighedCalls, law: PolicyState) -> Any:
        return pc.equal(part.answers(law, self.as_of)["disposition"], str(Disposition.DUE))


def with_periods(law: PolicyState, chosen: Choice) -> PolicyState:
    """The law with some rules shortened."""
    changed = {industry for industry, _ in chosen}
    schedules = {
        name: _shortened(schedule, chosen) if name in changed else schedule
        for name, schedule in law.schedules.by_industry.items()
    }
    return replace(law, schedules=Schedules(schedules, law.schedules.broken, law.schedules.regimes))


def _shortened(schedule: Schedule, chosen: Choice) -> Schedule:
    rules = tuple(
        rule.model_copy(update={"purge_after": chosen.get((schedule.industry, rule.id), rule.purge_after)})
        for rule in schedule.rules
    )
    return schedule.model_copy(update={"rules": rules})
