"""Seal: log the records of committed purges, and the notes that wait, in the ledger. What a leaf says is others'.

Places are given in the database first; then tiles and bundles are written; the checkpoint goes last and alone decides.
Recovery is the normal path: every sealing begins with what an earlier one may have left.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from lifecycle.crm.control.ledger_queue import PURGE, LedgerPlace
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LedgerError
from lifecycle.ledger.leaf_index import LeafIndex, LoggedTerms
from lifecycle.ledger.log import CHECKPOINT, Appending, Log, PublishedCheckpoint
from lifecycle.night.batch_indexing import index_batches
from lifecycle.night.event_leaves import queue_event_leaves
from lifecycle.night.ledger_events import queue_policy_events
from lifecycle.night.waiting_leaves import Offered, WaitingLeaves

LEDGER_LEASE = "ledger"
GENESIS = "genesis:"
_LOST = "Nothing was signed. Restore the newer state of the store; if there is none, keep both for the auditor"


@dataclass
class SealResult:
    """What this step logged: records of purged calls, and all leaves; and where the ledger stands now.

    `unknown`: leaves that were logged before and that this database knows nothing of: it is an older one.
    `refused`: what waits still, by its id, and why it was not signed: its row is not what was committed.
    """

    records: int = 0
    leaves: int = 0
    unknown: int = 0
    size: int = 0
    root: str = ""
    checkpoint: str = ""
    places: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def seal_ledger(lifecycle: Lifecycle) -> SealResult:
    """Log everything that waits, whichever run left it there. Safe to run again; one at a time (LeaseTaken).

    A purge row that contradicts its batch, or a note that is none, is named in `refused` and not signed; others go on.
    Raises LedgerError, and signs nothing, where the ledger in the store does not continue what was signed before.
    """
    lifecycle.crm.control.require()
    result = SealResult()
    with lifecycle.crm.control.lease(LEDGER_LEASE):
        queue_policy_events(lifecycle)
        log = lifecycle.log()
        published, result.unknown = recover_ledger(lifecycle, log)
        waiting, terms = WaitingLeaves(lifecycle), LoggedTerms()
        while places := _places(lifecycle, waiting, published.size if published else 0, result.refused):
            published = _append(lifecycle, log, published, waiting.of(places), len(places), terms, result)
            lifecycle.crm.control.places.sealed(published.size, published.note, places, lifecycle.now())
        if published:
            LeafIndex(log, published).extend(terms)
            index_batches(lifecycle, waiting.indexes)
            result.size, result.root = published.size, published.checkpoint.root.hex()
            result.checkpoint = published.note.decode()
    return result


def records_waiting(lifecycle: Lifecycle) -> int:
    """How many committed purges are not in the ledger yet, whichever run left them there."""
    with lifecycle.crm.database.reading() as connection:
        return len(lifecycle.crm.control.unsealed(connection))


def recover_ledger(lifecycle: Lifecycle, log: Log) -> tuple[PublishedCheckpoint | None, int]:
    """The ledger as it may be continued: what the database saw last is found in the store, or its continuation.

    None: there is no ledger yet. Beside it, how many of its leaves the database knows nothing of. Raises LedgerError.
    """
    published, seen = log.published(), last_checkpoint_in_database(lifecycle, log)
    if published is None:
        if seen:
            raise LedgerError(f"{CHECKPOINT}: the database saw {seen.size} leaves signed, the store has none. {_LOST}")
        vkeys = [signer.verifier.vkey for signer in lifecycle.keys.signers(log.origin)]
        queue_event_leaves(lifecycle, "genesis", {"": {"origin": log.origin, "keys": vkeys}})
        return None, 0
    start = seen.size if seen else 0
    if seen and not log.continues(seen.checkpoint, published.checkpoint):
        raise LedgerError(
            f"{CHECKPOINT}: its {published.size} leaves do not go on from the {start} the database saw signed. {_LOST}"
        )
    return published, _catch_up(lifecycle, log, start, published) if published.size > start else 0


def last_checkpoint_in_database(lifecycle: Lifecycle, log: Log) -> PublishedCheckpoint | None:
    """The last checkpoint that the database saw published; None: it knows of none."""
    with lifecycle.crm.database.reading() as connection:
        body = lifecycle.crm.control.places.seen(connection)
    return None if body is None else log.read("the checkpoint in the database", body)


def _catch_up(lifecycle: Lifecycle, log: Log, start: int, published: PublishedCheckpoint) -> int:
    """The store has more than the database knows: an answer was lost, or the database is an older one.

    What waits and is logged already gets the place where it is. What is left of the log no purge row knows.
    """
    log.edge(published.checkpoint)
    control = lifecycle.crm.control.places
    with lifecycle.crm.database.reading() as connection:
        given, waiting = control.from_on(connection, start), control.waiting(connection)
    offered = [*((place.kind, place.id) for place in given), *((kind, name) for _, kind, name in waiting)]
    logged = dict(_numbered(log, start, published.size))
    found = sorted(_logged_already(lifecycle, offered, logged), key=lambda place: place.first)
    control.give(found, instead_of=given)
    unknown = published.size - start - sum(place.count for place in found)
    if unknown:
        fields = {"database_size": start, "ledger_size": published.size, "unknown_leaves": unknown}
        queue_event_leaves(lifecycle, "recovery", {f"{start}-{published.size}": fields})
    control.sealed(published.size, published.note, found, lifecycle.now())
    return unknown


def _numbered(log: Log, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Where each leaf is, by its digest."""
    for index, body in enumerate(log.leaves(start, end, end), start):
        yield hashlib.sha256(body).digest(), index


def _logged_already(
    lifecycle: Lifecycle, offered: Sequence[Offered], logged: dict[bytes, int]
) -> Iterator[LedgerPlace]:
    """What the database offers to the log, and is in it."""
    for (kind, name), leaves in zip(offered, WaitingLeaves(lifecycle).read_again(offered), strict=True):
        first = logged.get(hashlib.sha256(leaves[0]).digest()) if leaves else None
        if first is not None:
            yield LedgerPlace(first, len(leaves), kind, name)


def _places(lifecycle: Lifecycle, leaves: WaitingLeaves, size: int, refused: dict[str, str]) -> list[LedgerPlace]:
    """What to log next: places that were given and not logged; else new ones for everything that waits.

    Adds to `refused` what must not be signed. Where that was given a place, all places that are not logged are given
    anew: no checkpoint covers them.
    """
    control = lifecycle.crm.control.places
    with lifecycle.crm.database.reading() as connection:
        given, waiting = control.from_on(connection, size), control.waiting(connection)
    offered = [(place.kind, place.id) for place in given]
    counts = leaves.counts(offered, refused)
    if given and len(counts) == len(given):
        return given
    new = [(kind, name) for _, kind, name in sorted(waiting, key=lambda one: one[2] != GENESIS) if name not in refused]
    counts |= leaves.counts(new, refused)
    ends = list(accumulate(counts.values(), initial=size))
    places = [LedgerPlace(ends[n], count, *one) for n, (one, count) in enumerate(counts.items())]
    control.give(places, instead_of=given)
    return places


def _append(
    lifecycle: Lifecycle,
    log: Log,
    after: PublishedCheckpoint | None,
    places: Iterable[tuple[LedgerPlace, list[bytes]]],
    many: int,
    terms: LoggedTerms,
    result: SealResult,
) -> PublishedCheckpoint:
    appending = Appending(log, after)
    for done, (place, leaves) in enumerate(places, 1):
        for body in leaves:
            index = appending.append(body)
            terms.add(index, body)
        if index + 1 != place.end:
            raise LedgerError(f"{place.id}: its leaves end at {index}, expected {place.end - 1}. Nothing was signed")
        result.leaves += len(leaves)
        if place.kind == PURGE:
            result.records += len(leaves)
            result.places.append(f"{place.first}-{place.end - 1}")
        lifecycle.progress("sealed", done, many)
    return appending.publish(lifecycle.keys.signers(log.origin))
