"""The plan: the calls one night may purge in one industry, written once and named by its digest; and its brake."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from statistics import median

from pydantic import Field

from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.documents.model_types import StrictModel
from lifecycle.policy.documents.schedule import Schedule

REVIEW_REASON = "review: "
"""How a reason to wait begins that a signed approval settles. Any other is the brake's, settled by an acceptance."""

WHOLE_CALLS = "calls"
"""What a night takes, where it is whole calls; else the name of a component."""

USUAL_NIGHTS, FEWEST_NIGHTS = 30, 5
_SHORTEST_DIGEST = 8  # letters of a plan's digest that name it


class ScheduleVersion(StrictModel):
    """The schedule something was decided under, and the regimes its rules name (`regimes_sha256`, of their files).

    No commit: the policies lie in no git work tree.
    """

    id: str
    sha256: str
    git_commit: str | None
    git_dirty: bool | None
    regimes_sha256: str


class PlannedCalls(StrictModel):
    """The Parquet object of what is due: call_id, component (NULL: the whole call), rule_id, dates.

    Sealed under the key of `epoch`; None: a plan from before lists were sealed.
    """

    key: str
    version_id: str | None
    bytes: int
    rows: int
    sha256: str
    epoch: str | None = None


class Plan(StrictModel):
    """One industry's plan of one night. Calls may drop out before they go, none may join.

    `dispositions` counts the industry's calls by answer, `due` are those that may go whole, `components` those that
    stay and lose one, `rules` what is due of either kind. `live` is what the brake is a share of. `counted_at`: when
    it was counted, where that was on a day before; what was purged since is taken off, and as many calls as the brake
    asks for were seen. `waits_for` says why a person must look first; empty: it may run.
    `actor` asked for the plan, `schedule_authors` (e-mail addresses; null: nobody knows) wrote the schedule since its
    last approved version: none of them may approve it.
    `change_approved`: an approved change of the schedule explains an unusual number. A key that an older plan lacks
    stays absent, so that it keeps its name.
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
    waits_for: tuple[str, ...] = Field(strict=False)
    calls: PlannedCalls | None
    components: Mapping[str, int] = Field(default_factory=dict)
    actor: str | None = None
    schedule_authors: tuple[str, ...] | None = Field(default=None, strict=False)
    change_approved: bool = False
    counted_at: datetime | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json", exclude_unset=True))

    @property
    def sha256(self) -> str:
        """The plan's name."""
        return sha256_hex(self.to_bytes())

    @property
    def planned(self) -> int:
        """How many calls, and components of calls, it names."""
        return self.due + sum(self.components.values())

    @property
    def reviews(self) -> tuple[str, ...]:
        """The reasons to wait that only a signed approval settles."""
        return tuple(reason for reason in self.waits_for if reason.startswith(REVIEW_REASON))

    @property
    def brakes(self) -> tuple[str, ...]:
        """The reasons to wait that are the brake's."""
        return tuple(reason for reason in self.waits_for if not reason.startswith(REVIEW_REASON))


def reasons_to_wait(
    schedule: Schedule,
    due: Mapping[str, int],
    rules: Mapping[str, int],
    live: int,
    usual: Mapping[str, float] | None = None,
) -> tuple[str, ...]:
    """Why a person must look before this night: a limit that one of the numbers breaks, or a rule that asks for it.

    `due`: what (CALLS, or a component's name) → how many live calls go, or lose it; each is held against every limit.
    `usual`: what → the usual night's number, 1 where it does not name it; empty: nobody knows yet. `rules`: what is due
    of any kind, by rule.
    """
    reasons = [
        f"brake: {reason}"
        for what, number in due.items()
        for reason in _broken_limits(schedule, what, number, live, usual.get(what, 1) if usual else None)
    ]
    asking = [rule.id for rule in schedule.rules if rule.review == "required" and rules.get(rule.id)]
    return (*reasons, *(f"{REVIEW_REASON}{rule_id} asks for one ({rules[rule_id]} calls)" for rule_id in asking))


def _broken_limits(schedule: Schedule, what: str, due: int, live: int, usual: float | None) -> Iterator[str]:
    go = "are due" if what == WHOLE_CALLS else f"are due to lose their {what}"
    if due > schedule.max_share * live:
        share = Decimal(100) * due / live if live else Decimal(100)
        yield f"{due} of {live} live calls {go}, {share:.2f}%; max_share is {format_percent(schedule.max_share)}"
    if schedule.max_calls is not None and due > schedule.max_calls:
        yield f"{due} calls {go}; max_calls is {schedule.max_calls}"
    if schedule.max_usual is not None and usual is not None and due > schedule.max_usual * usual:
        yield (
            f"{due} calls {go}, the usual night has {usual:g} and no approved change of the schedule explains it; "
            f"max_usual is {schedule.max_usual} times"
        )


def usual_night(plans: Sequence[Plan]) -> dict[str, float]:
    """What → the median of what earlier nights took, at least 1. Empty: there are too few of them to say."""
    if len(plans) < FEWEST_NIGHTS:
        return {}
    taken = {WHOLE_CALLS: [plan.due for plan in plans]}
    for name in {name for plan in plans for name in plan.components}:
        taken[name] = [plan.components.get(name, 0) for plan in plans]
    return {what: max(1, median(numbers)) for what, numbers in taken.items()}


def whole_digest(digest: str, known: Collection[str]) -> str:
    """The digest of which eight or more first letters were given, where they are those of one; else what was given."""
    found = [each for each in known if each.startswith(digest)] if len(digest) >= _SHORTEST_DIGEST else []
    return found[0] if len(found) == 1 else digest


def format_percent(share: Decimal) -> str:
    """A share as people write it: 2%."""
    return f"{(share * 100).normalize():f}%"
