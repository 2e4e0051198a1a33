"""Diff: what an edit of the policies would do, before it is merged. Reads the CRM if there is one; writes nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.crm.call_sizes import mean_call_bytes
from lifecycle.crm.crm import Crm
from lifecycle.deployment.lifecycle import Lifecycle, Progress
from lifecycle.deployment.policy_folder import Policies, read_policies
from lifecycle.deployment.policy_revision import read_policies_at
from lifecycle.policy.changes import PolicyChange, policy_changes
from lifecycle.policy.evaluation.disposition import Disposition
from lifecycle.review.affected_calls import PolicyState, fact_kinds_of
from lifecycle.review.weighed_calls import WeighedCalls, weigh_affected_calls

SAMPLES = 5
_WEIGHED_FOR_BYTES = 50
_DUE, _UNSCHEDULED, _CONFLICT = (
    str(answer) for answer in (Disposition.DUE, Disposition.UNSCHEDULED, Disposition.CONFLICT)
)


class ChangeEffect(StrEnum):
    """What becomes of a call on the day asked for. Changes between answers that keep it, schedules apart, are none."""

    NEWLY_DUE = "newly due"
    UNSCHEDULED = "no longer scheduled"
    SCHEDULED = "newly scheduled"
    STAYS = "no longer due"


@dataclass(frozen=True, slots=True)
class PolicyImpact:
    """Calls of one industry and rule that an edit judges otherwise: how many, some of their ids, about how large.

    The rule is the deciding one: under the new policies where calls become due or scheduled, else under the old.
    `component`: what of them is; None: the whole call. What goes with a call that is due is no impact of its own.
    """

    effect: ChangeEffect
    component: str | None
    industry: str | None
    rule_id: str | None
    was: str
    becomes: str
    calls: int
    samples: tuple[str, ...]
    about_bytes: int


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """An edit: what differs in words, which files the new policies cannot use, and which calls are judged otherwise.

    `impacts` is None where no CRM was asked.
    """

    before: str
    after: str
    as_of: date
    changes: tuple[PolicyChange, ...]
    broken: Mapping[str, str]
    impacts: tuple[PolicyImpact, ...] | None

    @property
    def needs_person(self) -> bool:
        """Whether anything but keeping longer is in it."""
        looked_at = any(change.look for change in self.changes)
        freed = any(impact.effect is not ChangeEffect.STAYS for impact in self.impacts or ())
        return bool(self.broken) or looked_at or freed


def read_both_policies(folder: Path, before: str, after: str | None) -> tuple[Policies, Policies]:
    """The policies at one revision, and at another or as they lie on disk. Raises InputError, PolicyError."""
    return read_policies_at(folder, before), read_policies_at(folder, after) if after else read_policies(folder)


def open_crm_for(lifecycle: Lifecycle, policies: tuple[Policies, Policies]) -> Crm:
    """The CRM, its facts read as either state of the policies needs them."""
    return lifecycle.crm_reading(fact_kinds_of([_policy_state(each) for each in policies]))


def diff_policies(
    names: tuple[str, str], policies: tuple[Policies, Policies], crm: Crm | None, as_of: date, progress: Progress
) -> PolicyDiff:
    """Compare two states of the policies as of a day; `names` is what to call them. Without a CRM only in words."""
    old, new = policies
    said = tuple(policy_changes(old.schedules, new.schedules, (old.holds, new.holds)))
    impacts = None if crm is None else policy_impacts(crm, (_policy_state(old), _policy_state(new)), as_of, progress)
    return PolicyDiff(*names, as_of, said, new.broken, impacts)


def _policy_state(policies: Policies) -> PolicyState:
    return PolicyState(policies.schedules, policies.holds)


_Key = tuple[ChangeEffect, str | None, str | None, str | None, str, str]


def policy_impacts(
    crm: Crm, laws: tuple[PolicyState, PolicyState], as_of: date, progress: Progress
) -> tuple[PolicyImpact, ...]:
    """Which calls, and components of calls, another law judges otherwise on a day, the gravest effects first."""
    calls: Counter[_Key] = Counter()
    ids: defaultdict[_Key, list[str]] = defaultdict(list)
    for part in weigh_affected_calls(crm, laws, as_of, progress):
        for key, count, named in calls_disposed_otherwise(part, laws, as_of):
            calls[key] += count
            ids[key] += named[: _WEIGHED_FOR_BYTES - len(ids[key])]
    order = sorted(calls, key=lambda key: (list(ChangeEffect).index(key[0]), *(word or "" for word in key[1:])))
    return tuple(_impact(crm, key, calls[key], ids[key]) for key in order)


def _impact(crm: Crm, key: _Key, calls: int, ids: list[str]) -> PolicyImpact:
    size = mean_call_bytes(crm, crm.rows.key.parse(ids), key[1])
    return PolicyImpact(*key, calls, tuple(ids[:SAMPLES]), round(size * calls))


def calls_disposed_otherwise(
    part: WeighedCalls, laws: tuple[PolicyState, PolicyState], as_of: date
) -> Iterator[tuple[_Key, int, list[str]]]:
    """The calls of a part, and the components of those that stay, of which the second law says otherwise."""
    calls = [part.answers(law, as_of) for law in laws]
    for (was, becomes, *deciding), count, ids in _moved(calls, part.weights):
        if effect := change_effect(was, becomes):
            yield (effect, None, *_side(effect, deciding), was, becomes), count, ids
    stays = pc.and_(*(pc.not_equal(each["disposition"], _DUE) for each in calls))
    answers = [part.of_components(law, as_of) for law in laws]
    for component in sorted({name for each in answers for name in each["component"].unique().to_pylist()}):
        own = [each.filter(pc.equal(each["component"], component)) for each in answers]
        states = [_with_own(*each).filter(stays) for each in zip(calls, own, strict=True)]
        for (was, becomes, *deciding), count, ids in _moved(states, part.weights.filter(stays)):
            if _DUE in (was, becomes):
                effect = ChangeEffect.NEWLY_DUE if becomes == _DUE else ChangeEffect.STAYS
                yield (effect, component, *_side(effect, deciding), was, becomes), count, ids


def _with_own(calls: pa.Table, own: pa.Table) -> pa.Table:
    """The answers to one component of each call: its own, or the call's, which it follows."""
    place = pc.index_in(calls["call_id"].combine_chunks(), value_set=own["call_id"].combine_chunks())
    return pa.table({name: pc.coalesce(own[name].take(place), calls[name]) for name in _JUDGED})


_JUDGED = ("disposition", "industry", "rule_id")


def _moved(states: Sequence[pa.Table], weights: pa.Table) -> Iterator[tuple[list[Any], int, list[str]]]:
    """Answers that differ, each combination once: was, becomes, industries, rules; calls; some of their ids."""
    pairs = {f"{name}{number}": state[name] for name in _JUDGED for number, state in enumerate(states)}
    table = pa.table({**pairs, **{name: weights[name] for name in weights.column_names}})
    moved = table.filter(pc.not_equal(table["disposition0"], table["disposition1"]))
    grouped = moved.group_by([*pairs], use_threads=False).aggregate(
        [("calls", "sum"), ("first", "list"), ("last", "list")]
    )
    for row in grouped.to_pylist():
        yield [row[name] for name in pairs], row["calls_sum"], list(dict.fromkeys(row["first_list"] + row["last_list"]))


def _side(effect: ChangeEffect, deciding: Sequence[str | None]) -> tuple[str | None, str | None]:
    """The industry and the rule that decide, of both industries and both rules."""
    new = effect in (ChangeEffect.NEWLY_DUE, ChangeEffect.SCHEDULED)
    return deciding[new], deciding[2 + new]


def change_effect(was: str, becomes: str) -> ChangeEffect | None:
    """What a change of a call's answer is counted as. None: it is not, for the call stays as it did."""
    if was == becomes:
        return None
    if becomes == _DUE:
        return ChangeEffect.NEWLY_DUE
    if _CONFLICT in (was, becomes) and _DUE not in (was, becomes):
        return None  # a conflict outranks both, and says neither
    if becomes == _UNSCHEDULED:
        return ChangeEffect.UNSCHEDULED
    if was == _UNSCHEDULED:
        return ChangeEffect.SCHEDULED
    return ChangeEffect.STAYS if was == _DUE else None
