"""What one purge transaction did: calls deleted, rows by part, calls set aside; and what a failed group comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.crm.purging.row_failures import (
    reason_to_set_aside,
)
from lifecycle.errors import RowLocked

KeptCalls = dict[Any, str]
Group = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SlicePurged:
    """What became of some calls: those deleted, the rows deleted by part, the calls set aside with the reason.

    `locked`: calls of which another transaction holds a row: left alone, to come back to, with what was said.
    """

    deleted: tuple[Any, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    set_aside: Mapping[Any, str] = field(default_factory=dict)
    locked: Mapping[Any, str] = field(default_factory=dict)

    def and_then(self, other: "SlicePurged") -> "SlicePurged":
        """Both together; what became of a call later counts."""
        rows = {name: self.rows.get(name, 0) + other.rows.get(name, 0) for name in {**self.rows, **other.rows}}
        settled = {*other.deleted, *other.set_aside}
        locked = {key: said for key, said in self.locked.items() if key not in settled} | dict(other.locked)
        return SlicePurged((*self.deleted, *other.deleted), rows, {**self.set_aside, **other.set_aside}, locked)


def _with_their_groups(skipped: KeptCalls, groups: Sequence[Group]) -> KeptCalls:
    """Calls that were skipped, and whoever goes only together with one of them."""
    waiting = [group for group in groups if not skipped.keys().isdisjoint(group)]
    return {key: skipped.get(key, "a row of a call that it shares rows with") for group in waiting for key in group}


def _left(keys: Sequence[Any], error: Exception) -> SlicePurged:
    """What becomes of the calls of one group that made the transaction fail."""
    if isinstance(error, RowLocked):
        return SlicePurged(locked=dict.fromkeys(keys, error.said))
    return SlicePurged(set_aside=dict.fromkeys(keys, reason_to_set_aside(error)))
