"""Hold what waits to be sealed against what it speaks of: a purge row against its batch, a note against its id.

Reads only; what is done with what contradicts is `seal`'s.
"""

from functools import lru_cache, partial

from lifecycle.archive.batches import read_calls, read_manifest
from lifecycle.authority.registered_destruction import require_registered_by_us
from lifecycle.crm.control.ledger_queue import DESTRUCTION, NOTE, PURGE
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
from lifecycle.policy.canonical import sha256_hex

_NAMED = 3  # contradictions in one reason
_OF_COPIES = ((MOVED, "moved"), (DESTROYED, "copies"))  # in the order of the leaves
_NEVER_NOTED = ("purged", "imported", DESTROYED, MOVED)  # these come from rows of their own alone


class SealCheck:
    """Compares purge rows with their batches; rows of one batch that follow each other read it once."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._epochs = epochs_by_id(lifecycle)
        self._batch = lru_cache(maxsize=1)(partial(recorded_batch, lifecycle))

    def problem_of(self, kind: str, name: str) -> str | None:
        """Why what waits must not be signed. None: nothing."""
        asked = {PURGE: self.problem, DESTRUCTION: self.destruction_problem, NOTE: self.note_problem}
        return asked[kind](name)

    def problem(self, row_id: str) -> str | None:
        """Why a purge row must not be signed: what contradicts its batch, or why that cannot be said. None: nothing."""
        control = self._lifecycle.crm.control
        try:
            with self._lifecycle.crm.database.reading() as connection:
                rows = control.by_ids(connection, [row_id])
            found = [reason for row in rows if not row.before_the_ledger for reason in self._contradictions(row)]
        except (ProofError, ObjectMissing) as error:
            return str(error)
        return "; ".join(found[:_NAMED]) or None

    def destruction_problem(self, batch: str) -> str | None:
        """Why the leaves of a destroyed batch must not be signed: they are not what is registered. None: nothing."""
        try:
            gone = self._lifecycle.crm.control.destructions.of_batch(batch)
            if gone is not None:
                require_registered_by_us(self._lifecycle, gone)
            leaves = [read_leaf(f"batch {batch}", body) for body in (gone.entries or b"").splitlines()] if gone else []
        except FixityError as error:
            return str(error)
        named = [(leaf["kind"], leaf.get("batch"), leaf.get("call")) for leaf in leaves]
        wanted = [(kind, batch, copy[3]) for kind, name in _OF_COPIES for copy in gone.details[name]] if gone else []
        if not named or named != wanted:
            return f"batch {batch}: its leaves do not name the copies that are registered to go"
        return None

    def note_problem(self, name: str) -> str | None:
        """Why a note must not be signed: it is no leaf of the kind that its id says, as it was noted. None: nothing."""
        with self._lifecycle.crm.database.reading() as connection:
            bodies = self._lifecycle.crm.control.places.noted(connection, [name])
        for body in bodies.values():
            try:
                kinds = {leaf["kind"] for leaf in read_leaves(f"note {name}", body)}
            except FixityError as error:
                return str(error)
            for kind in sorted(kinds) or ("no leaf",):
                if kind in _NEVER_NOTED or not name.startswith(f"{kind}:"):
                    return f"note {name}: expected a leaf of the kind that its id says, found {kind!r}"
        return None

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


def recorded_batch(lifecycle: Lifecycle, manifest_key: str) -> RecordedBatch:
    """A batch read back for its records: its manifest and its calls, proved. Raises ProofError, ObjectMissing."""
    manifest, body = read_manifest(lifecycle.store, manifest_key)
    return RecordedBatch(manifest_key, sha256_hex(body), manifest, read_calls(lifecycle.store, manifest))


def epochs_by_id(lifecycle: Lifecycle) -> dict[str, EpochKey]:
    """The epochs whose keys are here."""
    return {epoch.id: epoch for epoch in lifecycle.keys.epochs()}
