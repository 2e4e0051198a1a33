"""Which purged calls that are live again a restore put back, and from which batches. Reads only.

A row in the control table explains nothing by itself: its leaf must be noted, and name the call.
"""

from collections.abc import Collection

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import CallNames
from lifecycle.evidence.leaf import read_leaf

RESTORED = "restored"
_AT_ONCE = 500


def restored_leaf_id(restore_id: str) -> str:
    """The id of the note of a restore. Copies that came back with one call share it: `<id>-1` is of `<id>`."""
    return f"{RESTORED}:{restore_id.partition('-')[0]}"


def restored_from(lifecycle: Lifecycle, calls: Collection[str]) -> dict[str, set[str]]:
    """By call, the batches from which restores on record put it, or a component of it, back."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        rows = control.restored.of_calls(connection, sorted(calls))
        ids = list(dict.fromkeys(restored_leaf_id(row.id) for row in rows))
        noted: dict[str, bytes] = {}
        for start in range(0, len(ids), _AT_ONCE):
            noted |= control.places.noted(connection, ids[start : start + _AT_ONCE])
    names = CallNames(lifecycle.crm.source.source, {row.call_id for row in rows}, lifecycle.keys.epochs())
    found: dict[str, set[str]] = {}
    for row in rows:
        name = restored_leaf_id(row.id)
        leaf = read_leaf(name, noted[name]) if name in noted else {}
        if leaf.get("kind") == RESTORED and names.of(leaf) == row.call_id:
            found.setdefault(row.call_id, set()).add(row.batch)
    return found
