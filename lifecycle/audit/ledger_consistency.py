"""Consistent: the ledger goes on from each checkpoint of the last day the database saw, and from all anchors kept.

Reads only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lifecycle.audit.anchor_audit import AnchorAudit, audit_anchors
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LedgerError
from lifecycle.ledger.log import CHECKPOINT
from lifecycle.night.anchor import anchors_set

_SINCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LedgerConsistency:
    """What was compared: so many checkpoints, of so many leaves to so many; and by anchor, what it kept.

    `not_asked`: anchors that are set and could not be asked, and why.
    """

    from_size: int = 0
    to_size: int = 0
    checkpoints: int = 0
    anchored: Mapping[str, int] = field(default_factory=dict)
    not_asked: Mapping[str, str] = field(default_factory=dict)


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
    outside = audit_anchors(lifecycle) if anchors_set(lifecycle, log) else AnchorAudit()
    for where, reason in outside.damaged.items():
        raise LedgerError(f"{where}: {reason}")
    sizes = (min((one.size for one in seen), default=0), published.size, len(seen))
    return LedgerConsistency(*sizes, dict(outside.compared), outside.uncompared)
