"""Hold what waits to be sealed against what it speaks of: a purge row against its batch, a note against its id.

Reads only; what is done with what contradicts is `seal`'s.
"""

from functools import lru_cache

from lifecycle.archive.batch_index import BatchIndex
from lifecycle.archive.batches import read_calls, read_manifest
from lifecycle.authority.registered_destruction import require_registered_by_us
from lifecycle.crm.control.destruction_register import Destruction
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import FixityError, ObjectMissing, ProofError
from lifecycle.evidence.deletion import PurgeRow
from lifecycle.evidence.destruction import DESTROYED, MOVED
from lifecycle.evidence.expected_records import records_are_as_expected
from lifecycle.evidence.leaf import EpochKey, read_leaf, read_leaves
from lifecycle.evidence.record_check import (
    RecordedBatch,
    batch_contradictions,
    openable,
    purge_row_contradictions,
    read_purge_records,
    row_contradictions,
)
from lifecycle.night.batch_indexing import index_of_calls, is_indexed
from lifecycle.policy.canonical import sha256_hex

_NAMED = 3  # contradictions in one reason
_OF_COPIES = ((MOVED, "moved"), (DESTROYED, "copies"))  # in the order of the leaves
_NEVER_NOTED = ("purged", "imported", DESTROYED, MOVED)  # these come from rows of their own alone


class SealCheck:
    """Compares purge rows with their batches; rows of one batch that follow each other read it once.

    `indexes`: of the batches that were read and have none, for they are in memory here.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._epochs = epochs_by_id(lifecycle)
        self._batch = lru_cache(maxsize=1)(self._indexed_batch)
        self.indexes: list[BatchIndex] = []

    def problem_of(self, name: str, found: PurgeRow | Destruction | bytes) -> str | None:
        """Why a purge row, a destroyed batch or a note must not be signed; `name` is its id. None: nothing."""
        if isinstance(found, PurgeRow):
            return self._purge_problem(found)
        return note_problem(name, found) if isinstance(found, bytes) else self._destruction_problem(found)

    def _purge_problem(self, row: PurgeRow) -> str | None:
        """What contradicts its batch, or why that cannot be said."""
        try:
            found = [] if row.before_the_ledger else self._contradictions(row)
        except (ProofError, ObjectMissing) as error:
            return str(error)
        return "; ".join(found[:_NAMED]) or None

    def _destruction_problem(self, gone: Destruction) -> str | None:
        """That its leaves are not what is registered."""
        try:
            require_registered_by_us(self._lifecycle, gone)
            leaves = [read_leaf(f"batch {gone.batch}", body) for body in (gone.entries or b"").splitlines()]
        except FixityError as error:
            return str(error)
        named = [(leaf["kind"], leaf.get("batch"), leaf.get("call")) for leaf in leaves]
        wanted = [(kind, gone.batch, copy[3]) for kind, name in _OF_COPIES for copy in gone.details[name]]
        if not named or named != wanted:
            return f"batch {gone.batch}: its leaves do not name the copies that are registered to go"
        return None

    def _indexed_batch(self, manifest_key: str) -> RecordedBatch:
        batch = recorded_batch(self._lifecycle, manifest_key)
        if self._epochs and not is_indexed(self._lifecycle, manifest_key, self._epochs):
            epoch = self._lifecycle.keys.epoch()
            self.indexes.append(index_of_calls(epoch, manifest_key, batch.manifest_sha256, batch.calls))
        return batch

    def _contradictions(self, row: PurgeRow) -> list[str]:
        batch = self._batch(row.manifest_key)
        if records_are_as_expected(row, batch, self._epochs):
            return []
        records = read_purge_records(row)
        if not all(openable(record, self._epochs) for record in records):
            raise FixityError(f"the key of epoch {records[0].get('epoch')} is not here: its records cannot be checked")
        found = list(purge_row_contradictions(row, records, self._epochs))
        found += [f"record {n}: {why}" for n, one in enumerate(records) for why in batch_contradictions(one, batch)]
        found += [f"record {n}: {reason}" for n, reason in row_contradictions(records, batch, self._epochs)]
        return found


def note_problem(name: str, body: bytes) -> str | None:
    """Why a note must not be signed: it is no leaf of the kind that its id says, as it was noted. None: nothing."""
    try:
        kinds = {leaf["kind"] for leaf in read_leaves(f"note {name}", body)}
    except FixityError as error:
        return str(error)
    for kind in sorted(kinds) or ("no leaf",):
        if kind in _NEVER_NOTED or not name.startswith(f"{kind}:"):
            return f"note {name}: expected a leaf of the kind that its id says, found {kind!r}"
    return None


def recorded_batch(lifecycle: Lifecycle, manifest_key: str) -> RecordedBatch:
    """A batch read back for its records: its manifest and its calls, proved. Raises ProofError, ObjectMissing."""
    manifest, body = read_manifest(lifecycle.store, manifest_key)
    return RecordedBatch(manifest_key, sha256_hex(body), manifest, read_calls(lifecycle.store, manifest))


def epochs_by_id(lifecycle: Lifecycle) -> dict[str, EpochKey]:
    """The epochs whose keys are here."""
    return {epoch.id: epoch for epoch in lifecycle.keys.epochs()}
