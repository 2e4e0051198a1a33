"""Replay: which purged calls are in the CRM again, after a restore from a backup. It names them, and deletes nothing.

The nightly judges them as it judges every call, archives and purges them anew.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.leaf import read_leaf
from lifecycle.ledger.log import Log, Published
from lifecycle.steps.context import Lifecycle
from lifecycle.steps.seal import seen_by_database


@dataclass
class Replay:
    """What the database is behind by, and the purged calls it has again.

    `unknown` purged calls are in the ledger, and no purge row of this database knows them.
    """

    ledger_size: int = 0
    database_size: int = 0
    unknown: int = 0
    returned: list[str] = field(default_factory=list)


def replay(lifecycle: Lifecycle) -> Replay:
    """Hold every purged call of the ledger against the calls the CRM has now. Raises ProofError.

    Memory: about a hundred bytes a purged call.
    """
    lifecycle.crm.control.require()
    log, result = lifecycle.log(), Replay()
    published, seen = log.published(), seen_by_database(lifecycle, log)
    result.database_size = seen.size if seen else 0
    if published is None:
        return result
    log.edge(published.checkpoint)
    result.ledger_size = published.size
    result.unknown = len(unknown_purges(lifecycle, log, published))
    result.returned = came_back(lifecycle, dict(purges(log, published, 0, published.size)))
    return result


def purges(log: Log, published: Published, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The purged calls among some leaves: commitment and index. A call of which only a component went is no such."""
    for index, body in enumerate(log.leaves(start, end, published.size), start):
        if b'"kind":"purged"' in body:
            leaf = read_leaf(f"leaf {index}", body)
            if leaf["kind"] == "purged" and not leaf.get("component"):
                yield bytes.fromhex(leaf["call"]), index


def unknown_purges(lifecycle: Lifecycle, log: Log, published: Published) -> dict[bytes, int]:
    """The purged calls of leaves that have no place in this database."""
    with lifecycle.crm.database.reading() as connection:
        places = lifecycle.crm.control.places.from_on(connection, 0)
    reached, gaps = 0, []
    for place in places:
        gaps.append((reached, place.first))
        reached = place.end
    gaps.append((reached, published.size))
    return {call: index for start, end in gaps if start < end for call, index in purges(log, published, start, end)}


def came_back(lifecycle: Lifecycle, commitments: Collection[bytes]) -> list[str]:
    """Of the calls the CRM has, those with one of these commitments under an epoch whose key is there."""
    if not commitments:
        return []
    source, epochs, found = lifecycle.crm.source.source, lifecycle.keys.epochs(), []
    with lifecycle.crm.database.reading() as connection:
        for key in lifecycle.crm.rows.every_key(connection):
            name = call_id_text(key)
            if any(bytes.fromhex(epoch.commitment(source, name)) in commitments for epoch in epochs):
                found.append(name)
    return sorted(found)
