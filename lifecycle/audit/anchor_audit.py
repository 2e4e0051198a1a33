"""Today's ledger against every checkpoint that places outside kept. Reads only; showing them one is `anchor`'s.

Whoever rolls back store, archive and control tables together leaves no trace in them. What an anchor kept is the trace.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LedgerError, LifecycleError, OutsideError, ProofError
from lifecycle.evidence.tiles import Tiles
from lifecycle.ledger.anchors import ANCHORS, NOBODY_REMEMBERS, Anchor
from lifecycle.ledger.log import CHECKPOINT, Log, PublishedCheckpoint
from lifecycle.night.anchor import anchors_set

_NAME = re.compile(rf"{ANCHORS}(?P<size>\d{{12,18}})-(?P<root>[0-9a-f]{{16}})/", re.ASCII)


@dataclass
class AnchorAudit:
    """How many checkpoints that each place kept were compared; what contradicts; which place could not be asked."""

    compared: Counter[str] = field(default_factory=Counter)
    damaged: dict[str, str] = field(default_factory=dict)
    uncompared: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Every place that is set was asked, and nothing that it kept contradicts."""
        return not self.damaged and not self.uncompared


def audit_anchors(lifecycle: Lifecycle) -> AnchorAudit:
    """Prove that today's ledger goes on from every checkpoint that the anchors kept. Raises OutsideError: our store."""
    log, result = lifecycle.log(), AnchorAudit()
    places = anchors_set(lifecycle, log)
    if not places:
        result.uncompared["anchors"] = f"no LIFECYCLE_ANCHOR_… is set. {NOBODY_REMEMBERS}"
        return result
    try:
        published = log.published()
        tiles = log.tiles(published.size) if published else None
        if published:
            log.edge(published.checkpoint)
    except ProofError as error:
        result.damaged[CHECKPOINT] = str(error)
        return result
    remembering = 0
    for name, make in places.items():
        try:
            place = make()
            remembering += place.remembers
            _ask(name, place, log, published, tiles, result)
        except LifecycleError as error:
            found = result.uncompared if isinstance(error, OutsideError) else result.damaged
            found[name] = str(error)
    if not remembering:
        result.uncompared["anchors"] = f"none of {', '.join(places)} keeps what it saw. {NOBODY_REMEMBERS}"
    return result


def _ask(
    name: str, place: Anchor, log: Log, published: PublishedCheckpoint | None, tiles: Tiles | None, result: AnchorAudit
) -> None:
    if published is None or tiles is None:
        raise LedgerError("there is no ledger in the store, and this place is set to keep its checkpoints")
    for where, note in place.kept(published):
        try:
            seen = log.remembered(where, note)
            if not log.continues(seen, published.checkpoint, tiles):
                result.damaged[f"{name}: {where}"] = (
                    f"today's ledger of {published.size} leaves does not go on from the {seen.size} that this place "
                    "saw signed: it was rolled back or rewritten. Keep both for the auditor"
                )
            result.compared[name] += 1
        except ProofError as error:
            result.damaged[f"{name}: {where}"] = str(error)
    if place.remembers and not result.compared[name] and not result.damaged:
        result.uncompared[name] = f"it kept no checkpoint of {log.origin}"


def stale_anchor_names(lifecycle: Lifecycle, published: PublishedCheckpoint) -> dict[str, str]:
    """What the store itself keeps of places that saw a checkpoint, and today's ledger does not go on from."""
    tiles, found = lifecycle.log().tiles(published.size), dict[str, str]()
    for name in sorted({match[0] for key in lifecycle.store.list(ANCHORS) if (match := _NAME.match(key))}):
        match = _NAME.match(name)
        assert match is not None
        size = int(match["size"])
        if size > published.size:
            found[name] = f"a place saw {size} leaves signed, the ledger has {published.size}: it was rolled back"
        elif not tiles.root(0, size).hex().startswith(match["root"]):
            found[name] = f"a place saw another ledger signed: the root over its first {size} leaves is another today"
    return found
