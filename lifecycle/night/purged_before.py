"""Which live calls are on record as purged, and back by nobody's restore: a telephone system that synchronises again.

Found by the ledger's index: each of its objects is read once for all calls asked about, and leaves only where one of
them may be named. So it costs what is asked, not what was ever archived.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import CallNames, read_records
from lifecycle.evidence.leaf import read_leaves, require_leaf
from lifecycle.ledger.leaf_index import LeafIndex

_PURGED, _RESTORED = "purged", "restored"


@dataclass(frozen=True, slots=True)
class PurgedBefore:
    """What is on record of a call that is live: when it was purged last, and from which batch its copy is.

    `restored`: a restore on record put it back after that.
    """

    purged_at: str
    batch: str
    restored: bool

    @property
    def words(self) -> str:
        """Why a person should look."""
        return f"returned: purged on {self.purged_at[:10]}, and in the CRM again by nobody's restore"


class PurgeHistory:
    """Looks calls up. What is not in the ledger yet is read once.

    `unsealed`: whether purges count that wait to be sealed; it takes the right to read purge rows.
    """

    def __init__(self, lifecycle: Lifecycle, unsealed: bool = True) -> None:
        self._source, self._epochs = lifecycle.crm.source.source, lifecycle.keys.epochs()
        log = lifecycle.log()
        published = log.published() if self._epochs else None
        self._index = LeafIndex(log, published) if published else None
        size = published.size if published else 0
        self._beside = list(_beside_the_ledger(lifecycle, unsealed, size)) if self._epochs else []

    def of(self, calls: Collection[str]) -> dict[str, PurgedBefore]:
        """Of some calls those that were purged whole before, each with its last purge."""
        if self._index is None and not self._beside:
            return {}
        names = CallNames(self._source, calls, self._epochs)
        purged: dict[str, dict[str, Any]] = {}
        restored: dict[str, str] = {}
        for leaf in self._leaves(names):
            call = names.of(leaf)
            if call is None or leaf.get("component") is not None:
                continue
            if leaf["kind"] == _PURGED and leaf["purged_at"] > purged.get(call, {"purged_at": ""})["purged_at"]:
                purged[call] = leaf
            if leaf["kind"] == _RESTORED:
                restored[call] = max(leaf["noted_at"], restored.get(call, ""))
        return {
            call: PurgedBefore(leaf["purged_at"], leaf["batch"], restored.get(call, "") >= leaf["purged_at"])
            for call, leaf in purged.items()
        }

    def _leaves(self, names: CallNames) -> Iterator[dict[str, Any]]:
        yield from self._beside
        for index, _, leaf in self._index.read_of_calls(list(names.commitments)) if self._index else ():
            yield require_leaf(f"leaf {index}", leaf)


def _beside_the_ledger(lifecycle: Lifecycle, unsealed: bool, size: int) -> Iterator[dict[str, Any]]:
    """The records of purges and the notes of restores that are committed, and not in a ledger of so many leaves."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        for row_id in control.unsealed(connection) if unsealed else ():
            for row in control.by_ids(connection, [row_id]):
                yield from (r for r in read_records(row.entries) if r.get("kind") == _PURGED)
        for name, body in control.places.unlogged_under(connection, f"{_RESTORED}:", size).items():
            yield from read_leaves(name, body)
