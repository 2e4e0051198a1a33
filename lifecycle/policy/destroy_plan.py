"""The plan of destruction: the copies of one industry that may go on a night, named by its digest.

It says what was decided and nothing of who asked or when, so whoever looks at the plan first and runs it afterwards
meets the same digest, as long as nothing changed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cached_property

from pydantic import Field

from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.documents.model_types import StrictModel
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import REVIEW_REASON, ScheduleVersion, format_percent

RowRanges = tuple[tuple[int, int], ...]
"""Positions in a batch: from the first of each pair to before the second."""


class PlannedDestruction(StrictModel):
    """What goes of one batch: the manifest that was judged, how many copies it names, and which of them go."""

    batch: str
    manifest_key: str
    manifest_sha256: str
    calls: int
    rows: RowRanges = Field(strict=False)

    @property
    def going(self) -> int:
        """How many copies go."""
        return sum(end - start for start, end in self.rows)


class DestroyPlan(StrictModel):
    """One industry's plan of a night. Copies can still drop out before they go, none can join.

    `copies`: how many the archive has of the industry, which the brake is a share of. `rules` counts what goes by rule,
    `kept` what stays of the batches looked at, by reason. `waits_for` says why a person must look first.
    """

    night: date
    industry: str
    source: str
    schedule: ScheduleVersion
    holds_sha256: str
    copies: int
    rules: Mapping[str, int]
    kept: Mapping[str, int]
    batches: tuple[PlannedDestruction, ...] = Field(strict=False)
    waits_for: tuple[str, ...] = Field(strict=False)

    @property
    def going(self) -> int:
        """How many copies go."""
        return sum(batch.going for batch in self.batches)

    @property
    def reviews(self) -> tuple[str, ...]:
        """The reasons to wait that only a signed approval settles."""
        return tuple(reason for reason in self.waits_for if reason.startswith(REVIEW_REASON))

    @property
    def brakes(self) -> tuple[str, ...]:
        """The reasons to wait that an acceptance settles; a review asks for a signature."""
        return tuple(reason for reason in self.waits_for if not reason.startswith(REVIEW_REASON))

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def sha256(self) -> str:
        """The plan's name. Worked out once: it is asked for at each of its batches."""
        return sha256_hex(self.to_bytes())


class RegisteredDestroyPlan(StrictModel):
    """A destroy plan, and who stands behind it: none of them may approve it.

    `actor` asked for it first, `schedule_authors` (e-mail addresses; null: nobody knows) wrote its schedule since the
    last approved version, `accepted_by` let its brake go. `keyed`: a digest of all that under the key of `epoch`, which
    shows that a run of ours registered it; the copy in the store has none.
    """

    plan: DestroyPlan
    actor: str
    schedule_authors: tuple[str, ...] | None = Field(default=None, strict=False)
    accepted_by: str | None = None
    epoch: str = ""
    keyed: str = ""

    @property
    def sha256(self) -> str:
        """The plan's name."""
        return self.plan.sha256

    @property
    def industry(self) -> str:
        """The plan's industry."""
        return self.plan.industry

    @property
    def night(self) -> date:
        """The plan's night."""
        return self.plan.night

    def to_bytes(self) -> bytes:
        """Canonical JSON of what the store has a copy of."""
        return canonical_json(self.model_dump(mode="json", exclude={"accepted_by", "epoch", "keyed"}))


def reasons_to_look(schedule: Schedule, going: int, rules: Mapping[str, int], copies: int) -> tuple[str, ...]:
    """Why a person must look before copies go: the limits that the schedule sets for its nights, and its reviews.

    `max_share` is of the copies there are; `max_usual` is not asked, for copies go by the month and not by the night.
    """
    found = []
    if going > schedule.max_share * copies:
        share = Decimal(100) * going / copies
        found.append(f"{going} of {copies} copies go, {share:.2f}%; max_share is {format_percent(schedule.max_share)}")
    if schedule.max_calls is not None and going > schedule.max_calls:
        found.append(f"{going} copies go; max_calls is {schedule.max_calls}")
    asking = [rule.id for rule in schedule.rules if rule.review == "required" and rules.get(rule.id)]
    reviews = (f"{REVIEW_REASON}{rule_id} asks for one ({rules[rule_id]} copies)" for rule_id in asking)
    return (*(f"brake: {reason}" for reason in found), *reviews)


def as_ranges(rows: Iterable[int]) -> RowRanges:
    """Ascending positions as ranges."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and found[-1][1] == row:
            found[-1] = found[-1][0], row + 1
        else:
            found.append((row, row + 1))
    return tuple(found)


def positions(ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The other way round."""
    return (row for start, end in ranges for row in range(start, end))
