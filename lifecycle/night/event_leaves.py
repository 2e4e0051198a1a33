"""Notes: leaves that are not purges. They wait in the CRM's control tables, and the next sealing logs them.

Each has an id of its own, so that noting the same thing again, after a crash or on a later night, is no second leaf.
"""

from collections.abc import Mapping
from typing import Any

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.leaf import make_leaf
from lifecycle.policy.canonical import sha256_hex

_LONGEST_ID = 160  # characters


def queue_event_leaves(lifecycle: Lifecycle, kind: str, fields_by_id: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Note leaves of one kind, each under its id; gives the ids that were new. Fields get `source` and `noted_at`."""
    now = lifecycle.now()
    common = {"source": lifecycle.crm.source.source, "noted_at": now.isoformat()}
    leaves = {event_leaf_id(kind, name): make_leaf(kind, {**common, **fields}) for name, fields in fields_by_id.items()}
    return lifecycle.crm.control.places.note(leaves, now)


def event_leaf_id(kind: str, name: str) -> str:
    """The id of a note: readable where it fits."""
    text = f"{kind}:{name}"
    return text if len(text) <= _LONGEST_ID and text.isascii() else f"{kind}:{sha256_hex(name.encode())}"
