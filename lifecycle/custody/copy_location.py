"""Which batch holds a call's copy now: what its record says, and where it was moved to since. Pure over its leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.custody.call_history import DESTROYED, MOVED, PURGED, CallLeaf


@dataclass(frozen=True, slots=True)
class CopyLocation:
    """The copy behind one deletion record: the manifest of its batch, the row, the component (None: the whole call).

    `destroyed`: the leaf that says that the copy is no more; None: it should be there.
    """

    record: CallLeaf
    manifest_key: str
    manifest_sha256: str
    row: int
    component: str | None
    destroyed: CallLeaf | None = None


def copy_locations(history: Sequence[CallLeaf]) -> list[CopyLocation]:
    """Where each copy of a call is, the oldest deletion first, given everything on record of the call, in order.

    A leaf `moved` or `destroyed` speaks of the copy in the batch that it names as `batch`; `moved` says the new batch
    as `to_batch`, with `manifest_key`, `manifest_sha256` and `row`.
    """
    found: dict[str, CopyLocation] = {}
    for one in history:
        leaf, batch = one.leaf, str(one.leaf.get("batch"))
        if one.kind == PURGED:
            place = (leaf["manifest_key"], leaf["manifest_sha256"], leaf["row"], leaf.get("component"))
            found[batch] = CopyLocation(one, *place)
        elif one.kind == MOVED and batch in found:
            before = found.pop(batch)
            place = (leaf["manifest_key"], leaf["manifest_sha256"], leaf["row"], before.component)
            found[str(leaf["to_batch"])] = CopyLocation(before.record, *place)
        elif one.kind == DESTROYED and batch in found:
            before = found[batch]
            place = (before.manifest_key, before.manifest_sha256, before.row, before.component)
            found[batch] = CopyLocation(before.record, *place, destroyed=one)
    return sorted(found.values(), key=lambda one: one.record.at)
