"""The leaves of destroyed copies: one a copy, named as its deletion record names it, written once absence was shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lifecycle.evidence.canonical_columns import json_text
from lifecycle.evidence.leaf import many_leaves

DESTROYED = "destroyed"
METHOD = "delete: every version of every object of the batch, by its version id"
VERIFICATION = "the store lists no version and no marker below the batch, and gives none of its objects when asked"


@dataclass(frozen=True, slots=True)
class GoingCopy:
    """One archived copy on its way out: the batch and row that its deletion record names, and how that names the call.

    `request`: the id of the request to erase that it goes under, None where nobody asked.
    """

    batch: str
    row: int
    call: str
    epoch: str
    rule_id: str
    destroy_on: str | None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class BatchGone:
    """What the leaves of one batch have in common. `kept_in`: the batch that the other copies were moved to.

    `objects`: how many the batch had. `not_reached`: copies elsewhere, which this software cannot remove, by name.
    """

    source: str
    industry: str
    component: str | None
    lay_in: Mapping[str, str]
    kept_in: Mapping[str, str] | None
    plan_sha256: str
    schedule: Mapping[str, Any]
    run_id: str
    actor: str
    begun_at: str
    destroyed_at: str
    objects: int
    not_reached: Sequence[Mapping[str, str]]


def destruction_leaves(gone: BatchGone, copies: Sequence[GoingCopy]) -> bytes:
    """JSON Lines, one leaf a copy, in their order. Raises LedgerError for one too long for a leaf."""
    common = {**asdict(gone), "method": METHOD, "verification": VERIFICATION}
    own: dict[str, Sequence[str | None]] = {
        name: [json_text(getattr(copy, name)) for copy in copies]
        for name in ("batch", "row", "call", "epoch", "rule_id", "destroy_on")
    }
    own["request"] = [json_text(copy.request) if copy.request else None for copy in copies]
    return b"".join(body + b"\n" for body in many_leaves(DESTROYED, common, own, len(copies)))
