"""The leaves of a batch that was destroyed: one for each copy that went with it, one for each that was moved before.

They name the call as its deletion record does, and are written once nothing is left of the batch.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.evidence.canonical_columns import json_text
from lifecycle.evidence.leaf import EpochKey, many_leaves
from lifecycle.policy.canonical import canonical_json

DESTROYED, MOVED = "destroyed", "moved"
_REGISTRATION = b"\x00destruction\x00"  # no source name begins so: no salt is such a digest
METHOD = "delete: every version of every object of the batch, by its version id"
VERIFICATION = "the store lists no version and no marker below the batch, and gives none of its objects when asked"


@dataclass(frozen=True, slots=True)
class CopyName:
    """One archived copy: its row where it lies; the batch and row that its deletion record names, and its call's name.

    `request`: the id of the request to erase that it goes under, None where nobody asked.
    """

    row: int
    record_batch: str
    record_row: int
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


def registration_digest(registered: Mapping[str, Any], epoch: EpochKey) -> str:
    """What a run registered before it removes anything, as a digest under the epoch's key.

    Who administers the database can write a row that names any folder of the store; without the key nobody can make
    the digest that goes with it.
    """
    return hmac.digest(epoch.key, _REGISTRATION + canonical_json(registered), "sha256").hex()


def destruction_leaves(
    gone: BatchGone, went: Sequence[CopyName], moved: Sequence[CopyName], first_row: int = 0
) -> bytes:
    """JSON Lines: the copies that were moved, in the order of their new rows from `first_row` on, then those that went.

    Raises LedgerError for one too long for a leaf.
    """
    common = {
        name: getattr(gone, name) for name in ("source", "industry", "component", "plan_sha256", "run_id", "actor")
    }
    common |= {"batch": gone.lay_in["batch"], "noted_at": gone.destroyed_at}
    told = ("lay_in", "kept_in", "schedule", "begun_at", "destroyed_at", "objects", "not_reached")
    ended = {**common, **{name: getattr(gone, name) for name in told}, "method": METHOD, "verification": VERIFICATION}
    leaves = list(many_leaves(DESTROYED, ended, {**_named(went), **_decided(went)}, len(went)))
    if gone.kept_in and moved:
        place = {name: gone.kept_in[name] for name in ("manifest_key", "manifest_sha256")}
        own = {
            **_named(moved),
            "from_row": _texts(moved, "row"),
            "row": [str(row) for row in range(first_row, first_row + len(moved))],
        }
        leaves = [*many_leaves(MOVED, {**common, **place, "to_batch": gone.kept_in["batch"]}, own, len(moved)), *leaves]
    return b"".join(body + b"\n" for body in leaves)


def _named(copies: Sequence[CopyName]) -> dict[str, Sequence[str | None]]:
    records = [json_text({"batch": copy.record_batch, "row": copy.record_row}) for copy in copies]
    return {"record": records, **{name: _texts(copies, name) for name in ("row", "call", "epoch")}}


def _decided(copies: Sequence[CopyName]) -> dict[str, Sequence[str | None]]:
    asked = [json_text(copy.request) if copy.request else None for copy in copies]
    return {"rule_id": _texts(copies, "rule_id"), "destroy_on": _texts(copies, "destroy_on"), "request": asked}


def _texts(copies: Sequence[CopyName], name: str) -> list[str | None]:
    return [json_text(getattr(copy, name)) for copy in copies]
