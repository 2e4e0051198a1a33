"""Audit: read archive and ledger back, going on after each damage, and hold them against the CRM. Reads only."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from lifecycle.archive.batches import ARCHIVE, MANIFEST, batch_folder, read_batch, read_manifest
from lifecycle.archive.recording_files import verify_file
from lifecycle.audit.restored_calls import PurgesOnRecord, purges_unknown_to_database, restored_calls
from lifecycle.crm.control.ledger_queue import PURGE
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, LifecycleError, ObjectMissing, ProofError
from lifecycle.evidence.deletion import PurgeRow, call_id_text, read_records
from lifecycle.evidence.leaf import read_leaf
from lifecycle.ledger.legacy_records import DELETIONS, entries_key
from lifecycle.ledger.log import CHECKPOINT, PublishedCheckpoint
from lifecycle.ledger.log_check import check_log
from lifecycle.night.reconciliation import Reconciliation, label_calls, reconcile_batch, sealed_records
from lifecycle.night.seal import last_checkpoint_in_database
from lifecycle.night.verify import verify_batch
from lifecycle.policy.canonical import sha256_hex


@dataclass
class AuditReport:
    """What archive and ledger are worth. `damaged`: the object or manifest, and what is wrong with it.

    `orphans` are objects no manifest names: left by runs that died, or being written now. `unsealed` counts purges
    whose records are in the CRM only, `files_waiting` those whose files are to be removed still. None is damage.
    """

    batches: int = 0
    bytes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    reconciled: Reconciliation = field(default_factory=Reconciliation)
    orphans: list[str] = field(default_factory=list)
    unsealed: int = 0
    leaves: Counter[str] = field(default_factory=Counter)
    published: PublishedCheckpoint | None = None
    files_waiting: int = 0

    @property
    def sound(self) -> bool:
        """Nothing is damaged, missing, deleted behind our back or back from the dead."""
        return not (self.damaged or self.reconciled.vanished or self.reconciled.returned)


def audit_archive_and_ledger(lifecycle: Lifecycle) -> AuditReport:
    """Prove every batch of the archive and every purge's records, one at a time. Raises OutsideError, SourceError.

    Damage is collected and never raised; a store or database that cannot be asked ends the audit.
    """
    lifecycle.crm.control.require()
    result, proved = AuditReport(), dict[str, str | None]()
    keys = list(lifecycle.store.list(ARCHIVE))
    total = sum(key.endswith(f"/{MANIFEST}") for key in keys)
    for folder, inside in groupby(keys, key=batch_folder):
        names, manifest_key = list(inside), f"{folder}{MANIFEST}"
        if manifest_key not in names:
            result.orphans += names
            continue
        proved[manifest_key] = _audit_batch(lifecycle, manifest_key, names, result)
        lifecycle.progress("batches read back", len(proved), total)
    _audit_purges(lifecycle, proved, result)
    _audit_ledger(lifecycle, result)
    # Beside a lost manifest lies the only copy there is: no orphan, and nothing to sweep.
    lost = {key.removesuffix(MANIFEST) for key in result.damaged if key.endswith(f"/{MANIFEST}")}
    result.orphans = [key for key in result.orphans if batch_folder(key) not in lost]
    return result


def _audit_batch(lifecycle: Lifecycle, key: str, names: list[str], result: AuditReport) -> str | None:
    """Prove and reconcile one batch; gives the digest of its manifest. None: it cannot be relied on."""
    try:
        batch = verify_batch(lifecycle.store, key, lifecycle.now())
    except (ProofError, ObjectMissing) as error:
        result.damaged |= dict(_damage(lifecycle, key)) or {key: _reason(error)}
        return None
    objects = batch.manifest.stored
    result.batches += 1
    result.bytes += sum(part.bytes for part in objects)
    result.orphans += sorted(set(names) - {key} - {part.key for part in objects})
    try:
        reconcile_batch(lifecycle, batch.manifest, batch.tables, result.reconciled)
    except (ProofError, ObjectMissing) as error:
        result.damaged[key] = f"its deletion records cannot be relied on: {_reason(error)}"
    return batch.manifest_sha256


def _damage(lifecycle: Lifecycle, manifest_key: str) -> Iterator[tuple[str, str]]:
    """Each damaged object of a batch by itself. None where only the batch as a whole is wrong, or its manifest."""
    try:
        manifest, _ = read_manifest(lifecycle.store, manifest_key)
    except (ProofError, ObjectMissing):
        return
    for part in manifest.objects:
        try:
            read_batch(lifecycle.store, manifest.model_copy(update={"objects": (part,)}))
        except (ProofError, ObjectMissing) as error:
            yield part.key, _reason(error)
    for file in manifest.files:
        try:
            verify_file(lifecycle.store, file)
        except (ProofError, ObjectMissing) as error:
            yield file.key, _reason(error)


def _audit_purges(lifecycle: Lifecycle, proved: dict[str, str | None], result: AuditReport) -> None:
    """Every purge relied on a manifest, which must still be that one; and its sealed records must be the committed."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        ids, places = control.all_ids(connection), control.places.from_on(connection, 0)
        result.files_waiting = len(control.files_waiting(connection))
    rows = set(ids)
    for place in places:
        if place.kind == PURGE and place.id not in rows:
            result.damaged[f"leaf {place.first}"] = f"the purge row {place.id} of this and the following leaves is gone"
    known = set()
    for row_id in ids:
        with lifecycle.crm.database.reading() as connection:
            found = control.by_ids(connection, [row_id])
        for row in found:
            result.unsealed += row.sealed_key is None
            known |= {entries_key(row)} if row.before_the_ledger else set()
            result.damaged |= dict(_purge_damage(lifecycle, row, proved))
    _audit_records(lifecycle, known, result)


def _audit_records(lifecycle: Lifecycle, known: set[str], result: AuditReport) -> None:
    """Records in the store that the CRM knows no purge of: the database is older than they are, its calls came back."""
    for key in sorted(set(lifecycle.store.list(DELETIONS)) - known):
        result.damaged[key] = "the CRM has no purge row for these records: was its database restored from a backup?"
        records = read_records(lifecycle.store.get(key))
        for component in {record.get("component") for record in records} & {None, *lifecycle.crm.source.components}:
            rows = lifecycle.crm.rows_of(component)
            ids = [record["call_id"] for record in records if record.get("component") == component]
            with lifecycle.crm.database.reading() as connection:
                back = label_calls(map(call_id_text, rows.live(connection, rows.key.parse(ids))), component)
            result.reconciled.returned += [call for call in back if call not in result.reconciled.returned]


def _purge_damage(lifecycle: Lifecycle, row: PurgeRow, proved: dict[str, str | None]) -> Iterator[tuple[str, str]]:
    relied = f"purge {row.id} deleted {row.calls} calls on its strength"
    if row.manifest_key not in proved:
        yield row.manifest_key, f"missing: {relied}"
    elif proved[row.manifest_key] not in (None, row.manifest_sha256):
        yield (
            row.manifest_key,
            f"replaced: sha256 {proved[row.manifest_key]}; {relied} when it was {row.manifest_sha256}",
        )
    if row.sealed_key is None:
        return
    try:
        if sha256_hex(sealed_records(lifecycle, row)) != row.entries_sha256:
            yield row.sealed_key, f"other bytes than the deletion records that purge {row.id} committed"
    except (ProofError, ObjectMissing) as error:
        yield row.sealed_key, _reason(error)


def _audit_ledger(lifecycle: Lifecycle, result: AuditReport) -> None:
    """Every leaf and tile against the signed root; the root against what the database saw; no purge unknown to it."""
    log, pinned = lifecycle.log(), dict[str, str]()
    try:
        result.published = published = log.published()
        seen = last_checkpoint_in_database(lifecycle, log)
    except ProofError as error:
        result.damaged[CHECKPOINT] = _reason(error)
        return
    if published is None:
        if seen:
            result.damaged[CHECKPOINT] = f"missing: the database saw a ledger of {seen.size} leaves"
        return

    def see(index: int, body: bytes) -> None:
        try:
            leaf = read_leaf(f"leaf {index}", body)
        except FixityError as error:
            result.damaged[f"leaf {index}"] = _reason(error)
            return
        result.leaves[leaf["kind"]] += 1
        if leaf["kind"] == "imported":
            pinned[leaf["object"]["key"]] = leaf["object"]["sha256"]

    damage = check_log(log, published, see)
    result.damaged |= damage
    if not damage and seen and not log.continues(seen.checkpoint, published.checkpoint):
        result.damaged[CHECKPOINT] = (
            f"its {published.size} leaves do not go on from the {seen.size} the database saw signed"
        )
    _audit_pinned(lifecycle, pinned, result)
    unknown = PurgesOnRecord() if damage else purges_unknown_to_database(lifecycle, log, published)
    if leaves := unknown.leaves():
        result.damaged[f"leaf {leaves[0]}"] = (
            f"the CRM has no purge row for this and {len(leaves) - 1} other leaves: was its database restored from a "
            "backup? `lifecycle replay` names what came back"
        )
        _audit_returned(lifecycle, unknown, result)


def _audit_returned(lifecycle: Lifecycle, unknown: PurgesOnRecord, result: AuditReport) -> None:
    try:
        found = restored_calls(lifecycle, unknown)
    except (ProofError, ObjectMissing) as error:
        result.damaged[CHECKPOINT] = f"what came back cannot be told: {_reason(error)}"
        return
    result.reconciled.returned += sorted(set(found) - set(result.reconciled.returned))


def _audit_pinned(lifecycle: Lifecycle, pinned: dict[str, str], result: AuditReport) -> None:
    """Records from before the ledger are what their leaf says they are."""
    for key, sha256 in pinned.items():
        try:
            if sha256_hex(lifecycle.store.get(key)) != sha256:
                result.damaged[key] = "other bytes than the ledger says it had when it was taken in"
        except (ProofError, ObjectMissing) as error:
            result.damaged[key] = _reason(error)


def _reason(error: LifecycleError) -> str:
    """What was found. That nothing was purged on its strength is the purge's to say."""
    return str(error).partition(" Nothing was purged")[0].rstrip(".")
