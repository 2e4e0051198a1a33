"""Everything on record of some calls: each leaf that names one, logged or waiting, oldest first. Reads only."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lifecycle.crm.control.ledger_queue import DESTRUCTION, NOTE
from lifecycle.custody.record_lookup import has_control_tables, logged_leaves, unsealed_records
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import CallNames
from lifecycle.evidence.leaf import read_leaf, read_leaves
from lifecycle.ledger.legacy_records import all_entries

PURGED, RESTORED, MOVED, DESTROYED = "purged", "restored", "moved", "destroyed"
_TIMES = ("purged_at", "noted_at")


@dataclass(frozen=True, slots=True)
class CallLeaf:
    """One leaf that names a call. `index`: its place in the ledger; None: it waits, or is from before the ledger."""

    call_id: str
    kind: str
    leaf: dict[str, Any]
    index: int | None

    @property
    def at(self) -> str:
        """When it was written."""
        return next((str(self.leaf[name]) for name in _TIMES if name in self.leaf), "")


def call_history(lifecycle: Lifecycle, call_ids: Collection[str]) -> dict[str, list[CallLeaf]]:
    """By call, in the order in which it happened. Calls that nothing is on record of are not in it."""
    names = CallNames(lifecycle.crm.source.source, call_ids, lifecycle.keys.epochs())
    found: dict[str, list[CallLeaf]] = {}
    # What waits first: a leaf that is logged meanwhile is found twice, and then as the logged one.
    logged = ((index, leaf) for index, _, leaf in logged_leaves(lifecycle, names))
    beside = ((None, leaf) for leaf in leaves_beside_the_ledger(lifecycle))
    for index, leaf in chain(beside, logged):
        if called := names.of(leaf):
            found.setdefault(called, []).append(CallLeaf(called, str(leaf.get("kind", PURGED)), leaf, index))
    return {call: leaves if len(leaves) == 1 else _in_order(leaves) for call, leaves in found.items()}


def _in_order(leaves: Iterable[CallLeaf]) -> list[CallLeaf]:
    """Each leaf once, in the order in which it happened."""
    return sorted({_identity(one): one for one in leaves}.values(), key=_order)


def _identity(one: CallLeaf) -> tuple[Any, ...]:
    """What two readings of one leaf have in common, and no two leaves of a call have."""
    return one.kind, one.at, *(one.leaf.get(name) for name in ("batch", "row", "component", "night", "reason"))


def _order(one: CallLeaf) -> tuple[str, float]:
    """What waits comes after what is logged, of two with one time."""
    return one.at, float("inf") if one.index is None else one.index


def restored_batches(history: Iterable[CallLeaf]) -> set[str]:
    """The batches from which restores put the call, or components of it, back."""
    return {str(batch) for one in history if one.kind == RESTORED for batch in one.leaf.get("batches", ())}


def leaves_beside_the_ledger(lifecycle: Lifecycle) -> Iterator[dict[str, Any]]:
    """What is on record and not in the ledger: what waits to be logged, and records from before it."""
    yield from _waiting(lifecycle)
    for _, records in all_entries(lifecycle.store):
        yield from records


def _waiting(lifecycle: Lifecycle) -> Iterator[dict[str, Any]]:
    control = lifecycle.crm.control
    if not has_control_tables(lifecycle):
        return
    yield from unsealed_records(lifecycle)
    with lifecycle.crm.database.reading() as connection:
        waiting = control.places.waiting(connection)
        ids = [name for _, kind, name in waiting if kind == NOTE]
        for start in range(0, len(ids), 100):
            for name, body in control.places.noted(connection, ids[start : start + 100]).items():
                yield from read_leaves(name, body)
    for batch in (name for _, kind, name in waiting if kind == DESTRUCTION):
        gone = control.destructions.of_batch(batch)
        for body in (gone.entries or b"").splitlines() if gone else ():
            yield read_leaf(f"batch {batch}", body)
