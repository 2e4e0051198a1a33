"""One batch by its name, held against everything that speaks of it, without reading the rest. Reads only.

Its leaves are found by the index, and each bundle they lie in is proved to be the signed log's.
"""

from collections.abc import Iterator

from lifecycle.archive.batches import ARCHIVE, MANIFEST, batch_folder, manifest_keys
from lifecycle.audit.destroyed_audit import objects_still_there
from lifecycle.audit.ledger_audit import LedgerSurvey
from lifecycle.audit.plan_audit import PlanAudit
from lifecycle.audit.whole_audit import AuditReport, audit_batch, audit_lost_batch, reason_of
from lifecycle.custody.registered_copies import BatchLocation, batch_location
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, InputError, ObjectMissing, ProofError
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.merkle import TILE_WIDTH, inclusion_holds, leaf_hash
from lifecycle.evidence.tiles import Tiles, inclusion_proof
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.ledger.log import CHECKPOINT, Log, PublishedCheckpoint


def audit_single_batch(lifecycle: Lifecycle, batch: str) -> AuditReport:
    """Prove one batch, its leaves, purge rows and plan. Raises InputError where nobody knows it; OutsideError."""
    lifecycle.crm.control.require()
    result, survey = AuditReport(), LedgerSurvey()
    try:
        survey = _survey(lifecycle, batch)
    except (ProofError, ObjectMissing) as error:
        survey.readable = False
        result.damaged[CHECKPOINT] = reason_of(error)
    result.published, result.leaves = survey.published, survey.kinds
    for key in sorted(set(_manifests(lifecycle, batch, survey))):
        names = list(lifecycle.store.list(batch_folder(key)))
        if key in names:
            audit_batch(lifecycle, survey, PlanAudit(lifecycle), key, names, result)
            continue
        now = _moved_to(lifecycle, batch, key)
        if now:
            inside = list(lifecycle.store.list(batch_folder(now)))
            audit_batch(lifecycle, survey, PlanAudit(lifecycle), now, inside, result)
        audit_lost_batch(lifecycle, survey, batch, key, result)
        result.damaged = {**dict(objects_still_there(lifecycle, survey)), **result.damaged}
    if not (result.batches or result.damaged or result.uncompared or result.compared["purge rows"]):
        raise InputError(f"batch {batch}: expected the name of a batch; neither ledger, CRM nor archive knows it")
    return result


def _moved_to(lifecycle: Lifecycle, batch: str, key: str) -> str | None:
    """The manifest that the copies which stayed were moved to; None: none stayed."""
    relied = lifecycle.crm.control.destructions.batches_on_record()
    at = next((BatchLocation(batch, key, one.manifest_sha256) for one in relied if one.manifest_key == key), None)
    now = batch_location(lifecycle, at) if at else None
    return now.manifest_key if now and now.manifest_key != key else None


def _survey(lifecycle: Lifecycle, batch: str) -> LedgerSurvey:
    """The leaves of one batch, each bundle of them proved against the signed root."""
    log, survey = lifecycle.log(), LedgerSurvey()
    survey.published = published = log.published()
    if published is None:
        return survey
    tiles, proved = log.tiles(published.size), set[int]()
    for index, body in LeafIndex(log, published).of_batch(batch):
        if index // TILE_WIDTH not in proved:
            _prove_bundle(log, published, tiles, index // TILE_WIDTH)
            proved.add(index // TILE_WIDTH)
        survey.add(index, read_leaf(f"leaf {index}", body))
    return survey


def _prove_bundle(log: Log, published: PublishedCheckpoint, tiles: Tiles, number: int) -> None:
    """A bundle is its tile's, and the way of its first leaf to the root goes through every hash of that tile."""
    hashes = [leaf_hash(leaf) for leaf in log.bundle(number, published.size)]
    first, root = number * TILE_WIDTH, published.checkpoint.root
    way = inclusion_proof(tiles, first, published.size)
    if b"".join(hashes) != tiles.tile(0, number) or not inclusion_holds(first, published.size, hashes[0], way, root):
        raise FixityError(f"the leaves from {first} on do not lead to the signed root; `lifecycle verify` tells why")


def _manifests(lifecycle: Lifecycle, batch: str, survey: LedgerSurvey) -> Iterator[str]:
    """Where the batch lies: as its leaves say, else its purge rows, else the names in the archive."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        known = [*survey.spans, *control.manifests_of_batch(connection, batch)]
    yield from known
    if not known:
        yield from (key for key in manifest_keys(lifecycle.store, ARCHIVE) if key.endswith(f"/{batch}/{MANIFEST}"))
