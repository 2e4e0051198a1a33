"""Shorten: which rules could be shortened to free storage, and by how much, within the law. Proposes; changes nothing.

The rules are taken in the order of bytes freed, each on top of those before it, so the sums are true together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.policy.documents.regime import Regime, RegimeLimit
from lifecycle.policy.documents.regime_compliance import first_trigger_ending_before
from lifecycle.policy.documents.schedule import Rule, Schedule
from lifecycle.policy.period import RetentionPeriod
from lifecycle.review.affected_calls import PolicyState
from lifecycle.review.freed_storage import Choice, FreedStorage, with_periods
from lifecycle.review.weighed_calls import weigh_affected_calls

SHORTEST = RetentionPeriod(6, 0)
"""What a rule without a statutory minimum is never shortened below."""
_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class ShorteningProposal:
    """One rule's stay in the CRM, shortened: which calls that frees beyond the proposals before it.

    None, where other rules keep them all too: they go with a proposal after it. `floor` says what bounds it. `so_far`:
    the sum of bytes up to here. Bytes are estimated from samples. `copy`: after what the archived copy is destroyed.
    """

    industry: str
    rule_id: str
    now: str
    proposed: str
    floor: str
    calls: int
    bytes: int
    so_far: int
    review: bool
    copy: str


@dataclass(frozen=True, slots=True)
class ShorteningReport:
    """What could be freed on a day. `kept`: rules that cannot be shortened, and why."""

    as_of: date
    wanted: int
    proposals: tuple[ShorteningProposal, ...]
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Bytes that no lawful shortening frees."""
        return max(0, self.wanted - (self.proposals[-1].so_far if self.proposals else 0))

    @property
    def needs_person(self) -> bool:
        """Whether the target is not met, or a rule that asks for a review is among the proposals."""
        return self.missing > 0 or any(proposal.review for proposal in self.proposals)


@dataclass(frozen=True, slots=True)
class _ShorteningOption:
    """A rule with the periods it could have, the longest first, and what bounds the shortest."""

    schedule: Schedule
    rule: Rule
    periods: tuple[RetentionPeriod, ...]
    floor: str

    @property
    def key(self) -> tuple[str, str]:
        return self.schedule.industry, self.rule.id


def propose_shortening(lifecycle: Lifecycle, wanted: int, as_of: date) -> ShorteningReport:
    """Find rules to shorten until `wanted` bytes are free. Raises OutsideError, PolicyError as a plan does."""
    policies = lifecycle.policies
    law, kept = PolicyState(policies.schedules, policies.holds), dict[str, str]()
    options = [
        option
        for schedule in policies.schedules.by_industry.values()
        for rule in schedule.rules
        for option in _option(schedule, rule, policies.regimes, kept)
    ]
    steps = max((len(option.periods) for option in options), default=0)
    laws = [
        law,
        *(with_periods(law, {o.key: o.periods[min(n, len(o.periods) - 1)] for o in options}) for n in range(steps)),
    ]
    asked = list(weigh_affected_calls(lifecycle.crm, laws, as_of, lifecycle.progress)) if options else []
    scale = FreedStorage(lifecycle, law, asked, as_of)
    return ShorteningReport(as_of, wanted, tuple(_greedily(scale, options, wanted)), kept)


def _option(
    schedule: Schedule, rule: Rule, regimes: Mapping[str, Regime], kept: dict[str, str]
) -> Iterator[_ShorteningOption]:
    name, now = f"{schedule.industry}: {rule.id}", rule.purge_after
    limits = [(regimes[law], limit) for law in rule.regimes if law in regimes for limit in regimes[law].floor]
    strange = [law.id for law, limit in limits for clock in law.clocks([limit]) if clock.triggers != rule.trigger]
    if now is None:
        kept[name] = "it keeps for ever"
    elif rule.component:
        kept[name] = f"it speaks of the {rule.component} only"
    elif strange:
        kept[name] = f"{strange[0]} counts from another fact, so no period can be held against it"
    else:
        floor = ", ".join(dict.fromkeys(f"{limit.period} of {law.id}" for law, limit in limits)) or f"{SHORTEST}"
        periods = tuple(period for period in _periods(now, limits) if _lawful(schedule, rule, period, limits))
        if periods:
            yield _ShorteningOption(schedule, rule, periods, floor)
        else:
            kept[name] = f"{now} is already as short as {floor} allows"


def _periods(now: RetentionPeriod, limits: Sequence[tuple[Regime, RegimeLimit]]) -> list[RetentionPeriod]:
    """Whole years below the present period, half a year, and the minima themselves; the longest first."""
    months = {*range(_A_YEAR, now.months + 1, _A_YEAR), SHORTEST.months}
    found = {RetentionPeriod(each, 0) for each in months} | {limit.period for _, limit in limits}
    return sorted((each for each in found if _shorter(each, now)), key=lambda each: (-each.months, -each.days))


def _shorter(period: RetentionPeriod, than: RetentionPeriod) -> bool:
    return period != than and period.months <= than.months and period.days <= than.days


def _lawful(
    schedule: Schedule, rule: Rule, period: RetentionPeriod, limits: Sequence[tuple[Regime, RegimeLimit]]
) -> bool:
    if not limits:
        return not _shorter(period, SHORTEST)
    term = schedule.term(rule, period)
    return not any(first_trigger_ending_before(term, schedule.limit(law, limit)) for law, limit in limits)


def _greedily(scale: FreedStorage, options: Sequence[_ShorteningOption], wanted: int) -> Iterator[ShorteningProposal]:
    """The rule that frees most first; the last one no further than the target asks."""
    chosen, left = dict[tuple[str, str], RetentionPeriod](), list(options)
    calls = so_far = 0
    while left and so_far < wanted:
        gains = [(_gain(scale, chosen, option, option.periods[-1], calls), option) for option in left]
        (more, size), option = max(gains, key=lambda gain: (gain[0][1], gain[1].key))
        if not more:
            needed = _needed(scale, chosen, left, calls)
            if needed is None:
                return
            option = needed
        period = option.periods[-1]
        if so_far + size >= wanted:
            period, more, size = _mildest(scale, chosen, option, calls, wanted - so_far)
        chosen[option.key] = period
        left.remove(option)
        calls, so_far = calls + more, so_far + size
        yield _proposal(option, period, more, size, so_far)


def _needed(
    scale: FreedStorage, chosen: Choice, left: Sequence[_ShorteningOption], before: int
) -> _ShorteningOption | None:
    """Where no rule frees a call alone: the one most calls wait for when all are shortened. None: even so nothing."""
    together = {**chosen, **{option.key: option.periods[-1] for option in left}}
    without = [({key: period for key, period in together.items() if key != o.key}, o) for o in left]
    fewest, option = min(((scale.freed(given)[0], o) for given, o in without), key=lambda one: (one[0], one[1].key))
    return option if fewest < scale.freed(together)[0] > before else None


def _gain(
    scale: FreedStorage, chosen: Choice, option: _ShorteningOption, period: RetentionPeriod, before: int
) -> tuple[int, int]:
    calls, ids = scale.freed({**chosen, option.key: period})
    more = calls - before
    return more, round(more * scale.size(option.key, ids)) if more else 0


def _mildest(
    scale: FreedStorage, chosen: Choice, option: _ShorteningOption, before: int, wanted: int
) -> tuple[RetentionPeriod, int, int]:
    for period in option.periods:
        more, size = _gain(scale, chosen, option, period, before)
        if size >= wanted:
            break
    return period, more, size


def _proposal(
    option: _ShorteningOption, period: RetentionPeriod, calls: int, size: int, so_far: int
) -> ShorteningProposal:
    rule = option.rule
    return ShorteningProposal(
        option.schedule.industry,
        rule.id,
        str(rule.purge_after),
        str(period),
        option.floor,
        calls,
        size,
        so_far,
        rule.review == "required",
        str(rule.destroy_after or "never"),
    )
