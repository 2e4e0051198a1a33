"""What the signed ledger says of the end of a batch, for where the register has lost it: an older backup, a row gone.

Without it such a batch would be called missing, and what was moved out of it would never be looked at again.
"""

from dataclasses import dataclass

from lifecycle.authority.registered_destruction import sealed_registration
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.custody.registered_copies import BatchLocation
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.destruction import DESTROYED, MOVED
from lifecycle.evidence.leaf import read_leaf
from lifecycle.ledger.leaf_index import LeafIndex


@dataclass(frozen=True, slots=True)
class LoggedEnd:
    """A batch of which nothing is left: where it lay, where the copies that stayed were moved to, by whom and when.

    `first`, `last`: the leaves that say so.
    """

    lay_in: BatchLocation
    moved_to: BatchLocation | None
    plan_sha256: str
    run_id: str
    actor: str
    ended_at: str
    first: int
    last: int


def logged_end(lifecycle: Lifecycle, at: BatchLocation) -> LoggedEnd | None:
    """The end of a batch, as its leaves have it. None: no leaf says that it is destroyed or moved.

    A batch's leaves are written together, once nothing is left of it: one of them says it of the whole batch.
    """
    log = lifecycle.log()
    published = log.published()
    leaves = LeafIndex(log, published).of_batch(at.batch) if published else ()
    ends = [
        (index, leaf)
        for index, leaf in ((index, read_leaf(f"leaf {index}", body)) for index, body in leaves)
        if leaf["kind"] in (DESTROYED, MOVED)
    ]
    if not ends:
        return None
    moved = next((leaf for _, leaf in ends if leaf["kind"] == MOVED), None)
    to = BatchLocation(moved["to_batch"], moved["manifest_key"], moved["manifest_sha256"]) if moved else None
    (first, one), (last, _) = ends[0], ends[-1]
    return LoggedEnd(at, to, one["plan_sha256"], one["run_id"], one["actor"], one["noted_at"], first, last)


def register_logged_end(lifecycle: Lifecycle, end: LoggedEnd) -> None:
    """Tell the register again what it has lost: the batch is gone, and its leaves are in the log already."""
    at, to = end.lay_in, end.moved_to
    details = {"recovered_from": [end.first, end.last], "copies": [], "moved": [], "objects": []}
    row = Destruction(
        at.batch,
        at.manifest_key,
        at.manifest_sha256,
        end.plan_sha256,
        end.run_id,
        end.actor,
        lifecycle.now().isoformat(),
        details,
        moved_to=to.manifest_key if to else None,
        moved_sha256=to.manifest_sha256 if to else None,
        begun_at=end.ended_at,
        destroyed_at=end.ended_at,
    )
    lifecycle.crm.control.destructions.register(sealed_registration(lifecycle, row))
