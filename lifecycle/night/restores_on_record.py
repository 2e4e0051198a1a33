"""Which purged calls that are live again a restore put back, and from which batches. Reads only.

A row in the control table explains nothing by itself: its leaf must be noted, and name the call.
"""

from collections.abc import Collection, Iterator
from typing import Any

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import CallNames
from lifecycle.evidence.leaf import read_leaves

RESTORED = "restored"
_AT_ONCE = 100  # notes a statement, each of up to 64 KiB


def restored_leaf_id(restore_id: str) -> str:
    """The id of the note that has the leaf of a restore: `<note>-<line>`, and `-<number>` of what came back with it."""
    return f"{RESTORED}:{restore_id.partition('-')[0]}"


def restored_from(lifecycle: Lifecycle, calls: Collection[str]) -> dict[str, set[str]]:
    """By call, the batches from which restores on record put it, or a component of it, back."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        rows = control.restored.of_calls(connection, sorted(calls))
        noted = list(_noted(lifecycle, connection, {restored_leaf_id(row.id) for row in rows}))
    names = CallNames(lifecycle.crm.source.source, {row.call_id for row in rows}, lifecycle.keys.epochs())
    explained = {(name, names.of(leaf)) for name, leaf in noted}
    found: dict[str, set[str]] = {}
    for row in rows:
        if (restored_leaf_id(row.id), row.call_id) in explained:
            found.setdefault(row.call_id, set()).add(row.batch)
    return found


def _noted(lifecycle: Lifecycle, connection: Any, names: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The leaves of some notes of restores, each with the name of its note."""
    ids = sorted(names)
    for start in range(0, len(ids), _AT_ONCE):
        for name, body in lifecycle.crm.control.places.noted(connection, ids[start : start + _AT_ONCE]).items():
            yield from ((name, leaf) for leaf in read_leaves(name, body) if leaf["kind"] == RESTORED)
