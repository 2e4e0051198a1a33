"""Audit: read archive and ledger back, hold every leaf against what it speaks of, and both against the CRM. Reads only.

It goes on after each damage. What is compared of a batch is `batch_audit`'s, what of the log alone `ledger_audit`'s.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from lifecycle.archive.batches import ARCHIVE, MANIFEST, batch_folder, batch_name, read_batch, read_manifest
from lifecycle.archive.recording_files import verify_file
from lifecycle.audit.batch_audit import BatchAudit
from lifecycle.audit.destroyed_audit import audit_destroyed_batch, objects_still_there, unfinished_removal
from lifecycle.audit.ledger_audit import LedgerSurvey, survey_ledger
from lifecycle.audit.moved_audit import MovedRows, audit_moved_batch, is_moved
from lifecycle.audit.plan_audit import PlanAudit
from lifecycle.audit.restored_calls import purges_unknown_to_database, restored_calls
from lifecycle.crm.control.ledger_queue import DESTRUCTION, PURGE
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import LifecycleError, ObjectMissing, ProofError
from lifecycle.evidence.deletion import call_id_text, read_records
from lifecycle.ledger.legacy_records import DELETIONS, entries_key
from lifecycle.ledger.log import CHECKPOINT, PublishedCheckpoint
from lifecycle.night.reconciliation import Reconciliation, label_calls
from lifecycle.night.seal_check import epochs_by_id
from lifecycle.night.verify import verify_batch


@dataclass
class AuditReport:
    """What archive and ledger are worth. `damaged`: the object, leaf or row, and what is wrong with it.

    `compared` counts what was held against what, `uncompared` names what could not be, and why.
    `orphans` are objects no manifest names: left by runs that died, or being written now. `unsealed` counts purges
    whose records are in the CRM only, `files_waiting` those whose files are to be removed still. None is damage.
    """

    batches: int = 0
    bytes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    uncompared: dict[str, str] = field(default_factory=dict)
    compared: Counter[str] = field(default_factory=Counter)
    reconciled: Reconciliation = field(default_factory=Reconciliation)
    orphans: list[str] = field(default_factory=list)
    unsealed: int = 0
    leaves: Counter[str] = field(default_factory=Counter)
    published: PublishedCheckpoint | None = None
    files_waiting: int = 0
    moved: MovedRows = field(default_factory=lambda: MovedRows(set))

    @property
    def sound(self) -> bool:
        """Everything was compared; nothing is damaged, missing, deleted behind our back or back from the dead."""
        return not (self.damaged or self.uncompared or self.reconciled.vanished or self.reconciled.returned)


def audit_archive_and_ledger(lifecycle: Lifecycle) -> AuditReport:
    """Prove every batch of the archive, one at a time, and every leaf and purge row. Raises OutsideError, SourceError.

    Damage is collected and never raised; a store or database that cannot be asked ends the audit.
    Memory: one batch, one purge row, and some hundred bytes a purge row.
    """
    lifecycle.crm.control.require()
    result = AuditReport()
    survey = survey_ledger(lifecycle, result.damaged, result.compared)
    result.published, result.leaves = survey.published, survey.kinds
    found = _audit_archive(lifecycle, survey, result)
    _audit_lost(lifecycle, survey, found, result)
    _audit_places(lifecycle, result)
    _audit_records(lifecycle, result)
    _audit_unknown(lifecycle, survey, result)
    # Beside a lost manifest lies the only copy there is: no orphan, and nothing to sweep.
    lost = {key.removesuffix(MANIFEST) for key in result.damaged if key.endswith(f"/{MANIFEST}")}
    result.orphans = [key for key in result.orphans if batch_folder(key) not in lost]
    return result


def audit_batch(
    lifecycle: Lifecycle, survey: LedgerSurvey, plans: PlanAudit, key: str, names: list[str], result: AuditReport
) -> None:
    """Prove one batch and hold it against its leaves, its purge rows, its plan and the CRM, adding to `result`."""
    try:
        batch = verify_batch(lifecycle.store, key, lifecycle.now())
    except (ProofError, ObjectMissing) as error:
        unfinished = unfinished_removal(lifecycle, batch_name(key))
        if unfinished:
            result.uncompared[key] = unfinished
        else:
            result.damaged |= dict(_damage(lifecycle, key)) or {key: reason_of(error)}
        return
    stored = batch.manifest.stored
    result.batches += 1
    result.bytes += sum(part.bytes for part in stored)
    result.compared.update(manifests=1, objects=len(batch.manifest.objects), files=len(batch.manifest.files))
    result.orphans += sorted(set(names) - {key} - {part.key for part in stored})
    if key in survey.removed:
        result.damaged[key] = f"leaf {survey.removed[key]} says that it is destroyed, and it is there"
    if is_moved(batch.manifest):
        epochs = epochs_by_id(lifecycle)
        result.damaged |= audit_moved_batch(lifecycle, survey, batch, epochs, result.moved, result.reconciled)
        return
    audited = BatchAudit(lifecycle, survey, plans, batch, result.reconciled)
    try:
        audited.compare()
    except (ProofError, ObjectMissing) as error:
        audited.uncompared.setdefault(key, f"its deletion records cannot be relied on: {reason_of(error)}")
    result.unsealed += audited.unsealed
    result.damaged |= audited.damaged
    result.uncompared |= audited.uncompared
    result.compared.update(audited.compared)


def _audit_archive(lifecycle: Lifecycle, survey: LedgerSurvey, result: AuditReport) -> set[str]:
    """Every batch that has a manifest; gives the manifests' keys."""
    keys, found, plans = list(lifecycle.store.list(ARCHIVE)), set[str](), PlanAudit(lifecycle)
    total = sum(key.endswith(f"/{MANIFEST}") for key in keys)
    for folder, inside in groupby(keys, key=batch_folder):
        names, manifest_key = list(inside), f"{folder}{MANIFEST}"
        if manifest_key not in names:
            result.orphans += names
            continue
        found.add(manifest_key)
        audit_batch(lifecycle, survey, plans, manifest_key, names, result)
        lifecycle.progress("batches read back", len(found), total)
    return found


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
            yield part.key, reason_of(error)
    for file in manifest.files:
        try:
            verify_file(lifecycle.store, file)
        except (ProofError, ObjectMissing) as error:
            yield file.key, reason_of(error)


def _audit_lost(lifecycle: Lifecycle, survey: LedgerSurvey, found: set[str], result: AuditReport) -> None:
    """Batches that purges or leaves relied on, and that are not there: destroyed and on record, or lost."""
    with lifecycle.crm.database.reading() as connection:
        result.files_waiting = len(lifecycle.crm.control.files_waiting(connection))
    relied = {one.manifest_key: one.batch for one in lifecycle.crm.control.destructions.batches_on_record()}
    for key, batch in sorted({**survey.batches, **relied}.items()):
        if key not in found:
            audit_lost_batch(lifecycle, survey, batch, key, result)
    for key, reason in objects_still_there(lifecycle, survey):
        result.damaged.setdefault(key, reason)


def audit_lost_batch(lifecycle: Lifecycle, survey: LedgerSurvey, batch: str, key: str, result: AuditReport) -> None:
    """Hold one batch that is not there against the record, adding to `result`."""
    gone = audit_destroyed_batch(lifecycle, survey, batch, key, result.moved[batch], epochs_by_id(lifecycle))
    result.damaged |= gone.damaged
    result.uncompared |= gone.uncompared
    result.unsealed += gone.unsealed
    result.compared.update({"destroyed": gone.copies, "purge rows": gone.purge_rows})


def _audit_places(lifecycle: Lifecycle, result: AuditReport) -> None:
    """Every place in the log has its purge row still."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        rows, places = set(control.all_ids(connection)), control.places.from_on(connection, 0)
    destroyed = control.destructions.states()
    for place in places:
        if place.kind == PURGE and place.id not in rows:
            result.damaged[f"leaf {place.first}"] = f"the purge row {place.id} of this and the following leaves is gone"
        if place.kind == DESTRUCTION and place.id not in destroyed:
            result.damaged[f"leaf {place.first}"] = f"the row of destroyed batch {place.id} of these leaves is gone"


def _audit_records(lifecycle: Lifecycle, result: AuditReport) -> None:
    """Records from before the ledger that the CRM knows no purge of: the database is older, its calls came back."""
    stored = sorted(lifecycle.store.list(DELETIONS))
    known = set(_known_before_the_ledger(lifecycle)) if stored else set[str]()
    for key in (key for key in stored if key not in known):
        result.damaged[key] = "the CRM has no purge row for these records: was its database restored from a backup?"
        records = read_records(lifecycle.store.get(key))
        for component in {record.get("component") for record in records} & {None, *lifecycle.crm.source.components}:
            rows = lifecycle.crm.rows_of(component)
            ids = [record["call_id"] for record in records if record.get("component") == component]
            with lifecycle.crm.database.reading() as connection:
                back = label_calls(map(call_id_text, rows.live(connection, rows.key.parse(ids))), component)
            result.reconciled.returned += [call for call in back if call not in result.reconciled.returned]


def _known_before_the_ledger(lifecycle: Lifecycle) -> Iterator[str]:
    with lifecycle.crm.database.reading() as connection:
        ids = lifecycle.crm.control.all_ids(connection)
        for row_id in ids:
            rows = lifecycle.crm.control.by_ids(connection, [row_id])
            yield from (entries_key(row) for row in rows if row.before_the_ledger)


def _audit_unknown(lifecycle: Lifecycle, survey: LedgerSurvey, result: AuditReport) -> None:
    """Leaves of purges that this database knows nothing of, and which of their calls are back."""
    if survey.published is None or not survey.readable:
        return
    unknown = purges_unknown_to_database(lifecycle, lifecycle.log(), survey.published)
    if leaves := unknown.leaves():
        result.damaged.setdefault(
            f"leaf {leaves[0]}",
            f"the CRM has no purge row for this and {len(leaves) - 1} other leaves: was its database restored from a "
            "backup? `lifecycle replay` names what came back",
        )
    try:
        found = restored_calls(lifecycle, unknown) if leaves else []
    except (ProofError, ObjectMissing) as error:
        result.uncompared[CHECKPOINT] = f"what came back cannot be told: {reason_of(error)}"
        return
    result.reconciled.returned += sorted(set(found) - set(result.reconciled.returned))


def reason_of(error: LifecycleError) -> str:
    """What was found. That nothing was purged on its strength is the purge's to say."""
    return str(error).partition(" Nothing was purged")[0].rstrip(".")
