"""Consistent: the ledger in the store goes on from each checkpoint of the last day the database saw. Reads only."""

from dataclasses import dataclass
from datetime import timedelta

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LedgerError
from lifecycle.ledger.log import CHECKPOINT

_SINCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LedgerConsistency:
    """What was compared: so many checkpoints, of so many leaves to so many."""

    from_size: int = 0
    to_size: int = 0
    checkpoints: int = 0


def check_ledger_consistency(lifecycle: Lifecycle) -> LedgerConsistency:
    """Compare them by consistency proofs from the tiles. Raises LedgerError, FixityError naming what does not hold."""
    log = lifecycle.log()
    with lifecycle.crm.database.reading() as connection:
        notes = lifecycle.crm.control.places.seen_since(connection, lifecycle.now() - _SINCE)
    published = log.published()
    if published is None:
        if notes:
            raise LedgerError(f"{CHECKPOINT}: the database saw a ledger signed, the store has none. Restore it")
        return LedgerConsistency()
    log.edge(published.checkpoint)
    seen = [log.read("a checkpoint in the database", note).checkpoint for note in notes]
    for one in seen:
        if not log.continues(one, published.checkpoint):
            raise LedgerError(
                f"{CHECKPOINT}: its {published.size} leaves do not go on from the {one.size} signed before. "
                "The record was changed; keep both for the auditor"
            )
    return LedgerConsistency(min((one.size for one in seen), default=0), published.size, len(seen))
