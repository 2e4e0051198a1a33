"""The plan: the calls one night may purge in one industry, written once and named by its digest; and its brake."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from pydantic import Field

from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.models import StrictModel
from lifecycle.policy.schedule import Schedule


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
    `waits_for` says why a person must accept the plan's digest first; empty: it may run.
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

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        """The plan's name."""
        return sha256_hex(self.to_bytes())


def reasons_to_wait(schedule: Schedule, due_by_rule: Mapping[str, int], live: int) -> tuple[str, ...]:
    """Why a person must look before this plan runs: the brake, or a rule that asks for a review."""
    due = sum(due_by_rule.values())
    reasons = []
    if due > schedule.max_share * live:
        share = Decimal(100) * due / live if live else Decimal(100)
        reasons.append(
            f"brake: {due} of {live} live calls are due, {share:.2f}%; max_share is {percent(schedule.max_share)}"
        )
    asking = [rule.id for rule in schedule.rules if rule.review == "required" and due_by_rule.get(rule.id)]
    return (*reasons, *(f"review: {rule_id} asks for one ({due_by_rule[rule_id]} calls)" for rule_id in asking))


def percent(share: Decimal) -> str:
    """A share as people write it: 2%."""
    return f"{(share * 100).normalize():f}%"
