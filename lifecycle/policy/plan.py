"""The plan: the calls one night may purge in one industry, written once and named by its digest; and its brake."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from statistics import median

from pydantic import Field

from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.models import StrictModel
from lifecycle.policy.schedule import Schedule

REVIEW = "review: "
"""How a reason to wait begins that a signed approval settles. Any other is the brake's, settled by an acceptance."""

CALLS = "calls"
"""What a night takes, where it is whole calls; else the name of a component."""

USUAL_NIGHTS, FEWEST_NIGHTS = 30, 5
Going = Mapping[str, tuple[Mapping[str, int], int]]
"""What → (how many of them are due, by rule; how many there are)."""


class ScheduleVersion(StrictModel):
    """The schedule something was decided under. No commit: the policies lie in no git work tree."""

    id: str
    sha256: str
    git_commit: str | None
    git_dirty: bool | None


class Cohort(StrictModel):
    """The calls of a plan whose clock started in one month (`yyyy-mm`): what one run archives and purges."""

    cutoff: str
    calls: int


class PlannedCalls(StrictModel):
    """The Parquet object that names the calls: call_id, rule_id, trigger_date, purge_from, destroy_on, cutoff."""

    key: str
    version_id: str | None
    bytes: int
    rows: int
    sha256: str


class Plan(StrictModel):
    """One industry's plan of one night. Calls may drop out before they go, none may join.

    `dispositions` counts the industry's calls by answer, `rules` the due ones. `live` is what the brake is a share of.
    `waits_for` says why a person must look first; empty: it may run. `actor` asked for the plan, `schedule_author`
    (an e-mail address) wrote the schedule: neither may approve it. `change_approved`: an approved change of the
    schedule explains an unusual number. A key an older plan lacks stays absent, so that it keeps its name.
    """

    night: date
    industry: str
    revision: int
    source: str
    schedule: ScheduleVersion
    holds_sha256: str
    run_id: str
    created_at: datetime
    live: int
    due: int
    max_share: str
    dispositions: Mapping[str, int]
    rules: Mapping[str, int]
    oldest_trigger: date | None
    overdue: int
    cohorts: tuple[Cohort, ...] = Field(strict=False)
    waits_for: tuple[str, ...] = Field(strict=False)
    calls: PlannedCalls | None
    actor: str | None = None
    schedule_author: str | None = None
    change_approved: bool = False

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json", exclude_unset=True))

    @property
    def sha256(self) -> str:
        """The plan's name."""
        return sha256_hex(self.to_bytes())

    @property
    def reviews(self) -> tuple[str, ...]:
        """The reasons to wait that only a signed approval settles."""
        return tuple(reason for reason in self.waits_for if reason.startswith(REVIEW))

    @property
    def brakes(self) -> tuple[str, ...]:
        """The reasons to wait that are the brake's."""
        return tuple(reason for reason in self.waits_for if not reason.startswith(REVIEW))


def reasons_to_wait(schedule: Schedule, going: Going, usual: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """Why a person must look before this night: a limit that one of the numbers breaks, or a rule that asks for it.

    `usual`: what → the usual night's number. What it does not name is not held against it.
    """
    reasons = [
        f"brake: {reason}"
        for what, (by_rule, live) in going.items()
        for reason in _broken_limits(schedule, what, sum(by_rule.values()), live, (usual or {}).get(what))
    ]
    return (*reasons, *_reviews(schedule, going))


def _broken_limits(schedule: Schedule, what: str, due: int, live: int, usual: float | None) -> Iterator[str]:
    if due > schedule.max_share * live:
        share = Decimal(100) * due / live if live else Decimal(100)
        kind = f"live {what}" if what == CALLS else f"calls with {what}"
        yield f"{due} of {live} {kind} are due, {share:.2f}%; max_share is {percent(schedule.max_share)}"
    if schedule.max_calls is not None and due > schedule.max_calls:
        yield f"{_number(due, what)} are due; max_calls is {schedule.max_calls}"
    if schedule.max_usual is not None and usual is not None and due > schedule.max_usual * usual:
        yield (
            f"{_number(due, what)} are due, the usual night has {usual:g} and no approved change of the schedule "
            f"explains it; max_usual is {schedule.max_usual} times"
        )


def _reviews(schedule: Schedule, going: Going) -> Iterator[str]:
    for rule in schedule.rules:
        for what, (by_rule, _) in going.items():
            if rule.review == "required" and by_rule.get(rule.id):
                yield f"{REVIEW}{rule.id} asks for one ({_number(by_rule[rule.id], what)})"


def _number(count: int, what: str) -> str:
    return f"{count} calls" if what == CALLS else f"{count} calls' {what}"


def usual_night(plans: Sequence[Plan]) -> dict[str, float]:
    """The median of what earlier nights took, at least 1. Empty: there are too few of them to say."""
    if len(plans) < FEWEST_NIGHTS:
        return {}
    return {CALLS: max(1, median(plan.due for plan in plans))}


def percent(share: Decimal) -> str:
    """A share as people write it: 2%."""
    return f"{(share * 100).normalize():f}%"
