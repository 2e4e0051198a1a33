"""Replay: which purged calls, or parts of calls, are in the CRM again after a restore. It names them, deletes nothing.

The nightly judges them as it judges every call, archives and purges them anew.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from lifecycle.archive.batches import read_batch, read_manifest
from lifecycle.custody.registered_copies import BatchLocation, batch_location
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.manifest import Manifest
from lifecycle.ledger.log import LeafReader, Log, PublishedCheckpoint
from lifecycle.night.reconciliation import components_returned, label_calls
from lifecycle.night.restores_on_record import restored_from
from lifecycle.night.seal import last_checkpoint_in_database


@dataclass
class RestoreReport:
    """What the database is behind by, and the purged calls it has again; a component of one as `call (component)`.

    `unknown` purged calls and components are in the ledger, and no purge row of this database knows them.
    """

    ledger_size: int = 0
    database_size: int = 0
    unknown: int = 0
    returned: list[str] = field(default_factory=list)


@dataclass
class PurgesOnRecord:
    """What some leaves say is gone, each with the number of its leaf.

    `calls`: whole calls, by commitment. `parts`: calls of which a component went, by their batch's manifest.
    """

    calls: dict[bytes, int] = field(default_factory=dict)
    parts: dict[str, dict[bytes, int]] = field(default_factory=dict)

    def leaves(self) -> list[int]:
        """Their numbers, in order."""
        return sorted([*self.calls.values(), *(n for part in self.parts.values() for n in part.values())])


def find_restored_calls(lifecycle: Lifecycle) -> RestoreReport:
    """Hold every purge of the ledger against what the CRM has now. Raises ProofError, and ObjectMissing for a batch.

    Memory: about a hundred bytes a purged call.
    """
    lifecycle.crm.control.require()
    log, result = lifecycle.log(), RestoreReport()
    published, seen = log.published(), last_checkpoint_in_database(lifecycle, log)
    result.database_size = seen.size if seen else 0
    if published is None:
        return result
    log.edge(published.checkpoint)
    result.ledger_size = published.size
    result.unknown = len(purges_unknown_to_database(lifecycle, log, published).leaves())
    result.returned = restored_calls(lifecycle, purges_in_leaves(log, published, [(0, published.size)]))
    return result


def purges_in_leaves(log: Log, published: PublishedCheckpoint, spans: Iterable[tuple[int, int]]) -> PurgesOnRecord:
    """What the leaves of some spans say is gone."""
    found = PurgesOnRecord()
    for start, end in spans:
        for index, body in enumerate(log.leaves(start, end, published.size), start):
            if b'"kind":"purged"' in body:
                leaf = read_leaf(f"leaf {index}", body)
                if leaf["kind"] == "purged":
                    part = found.parts.setdefault(leaf["manifest_key"], {}) if leaf.get("component") else found.calls
                    part[bytes.fromhex(leaf["call"])] = index
    return found


def purges_unknown_to_database(lifecycle: Lifecycle, log: Log, published: PublishedCheckpoint) -> PurgesOnRecord:
    """What is gone by leaves that have no place in this database."""
    with lifecycle.crm.database.reading() as connection:
        places = lifecycle.crm.control.places.from_on(connection, 0)
    reached, gaps = 0, []
    for place in places:
        gaps.append((reached, min(place.first, published.size)))
        reached = place.end
    gaps.append((reached, published.size))
    return purges_in_leaves(log, published, [(start, end) for start, end in gaps if start < end])


def restored_calls(lifecycle: Lifecycle, gone: PurgesOnRecord) -> list[str]:
    """What the CRM has of that again, as far as the keys of the epochs tell, and no restore on record explains."""
    source, epochs, found = lifecycle.crm.source.source, lifecycle.keys.epochs(), list[str]()

    def among(names: Iterable[str], gone: Collection[bytes]) -> list[str]:
        return [n for n in names if any(bytes.fromhex(epoch.commitment(source, n)) in gone for epoch in epochs)]

    if gone.calls:
        with lifecycle.crm.database.reading() as connection:
            back = among(map(call_id_text, lifecycle.crm.rows.every_key(connection)), gone.calls)
        found += _unexplained(lifecycle, back, gone)
    for key, calls in gone.parts.items():
        manifest = _manifest_now(lifecycle, key)
        if manifest is None:
            continue  # the copy is destroyed: nobody can tell any more what of the call came back
        tables = read_batch(lifecycle.store, manifest)
        asked = among(map(call_id_text, tables["calls"][CALL_ID].to_pylist()), calls)
        parts = components_returned(lifecycle, manifest, tables, asked)
        restored = restored_from(lifecycle, parts)
        parts = {call for call in parts if manifest.batch not in restored.get(call, ())}
        found += label_calls(parts, manifest.component)
    return sorted(found)


def _unexplained(lifecycle: Lifecycle, back: Sequence[str], gone: PurgesOnRecord) -> list[str]:
    """The calls that no restore put back from the batch that they were purged with last."""
    restored, log = restored_from(lifecycle, back), lifecycle.log()
    published = log.published()
    if not restored or published is None:
        return list(back)
    reader, source, epochs = LeafReader(log, published.size), lifecycle.crm.source.source, lifecycle.keys.epochs()
    found = []
    for call in back:
        names = [bytes.fromhex(epoch.commitment(source, call)) for epoch in epochs]
        last = max(gone.calls[name] for name in names if name in gone.calls)
        batch = read_leaf(f"leaf {last}", reader.leaf(last))["batch"] if call in restored else None
        if batch not in restored.get(call, ()):
            found.append(call)
    return found


def _manifest_now(lifecycle: Lifecycle, key: str) -> Manifest | None:
    """The manifest that has the copies now which a batch had. None: none has."""
    relied = lifecycle.crm.control.destructions.batches_on_record()
    was = next((BatchLocation(one.batch, key, one.manifest_sha256) for one in relied if one.manifest_key == key), None)
    now = batch_location(lifecycle, was) if was else None
    return None if was and now is None else read_manifest(lifecycle.store, now.manifest_key if now else key)[0]
