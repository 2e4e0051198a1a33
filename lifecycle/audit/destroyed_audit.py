"""A batch that is not there any more, held against the record: each copy is on a leaf as destroyed, or was moved.

What is missing without that is damage; so is what a leaf calls destroyed and the store still has. Reads only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.archive.batches import batch_folder, batch_name
from lifecycle.audit.ledger_audit import LedgerSurvey
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ProofError
from lifecycle.evidence.deletion import PurgeRow
from lifecycle.evidence.destruction import DESTROYED
from lifecycle.evidence.leaf import EpochKey, read_leaf
from lifecycle.evidence.record_check import purge_row_contradictions, read_purge_records
from lifecycle.ledger.log import LeafReader
from lifecycle.night.reconciliation import sealed_records

Copies = Mapping[int, str]
"""By row of a batch, how the record names the call."""


@dataclass
class DestroyedAudit:
    """What came of it. `damaged` by object, leaf or row; `uncompared` what nobody can tell yet; `copies` destroyed."""

    damaged: dict[str, str] = field(default_factory=dict)
    uncompared: dict[str, str] = field(default_factory=dict)
    copies: int = 0
    purge_rows: int = 0
    unsealed: int = 0


def audit_destroyed_batch(
    lifecycle: Lifecycle,
    survey: LedgerSurvey,
    batch: str,
    key: str,
    moved: Collection[int],
    epochs: Mapping[str, EpochKey],
) -> DestroyedAudit:
    """Hold a batch, of which no manifest is there, against purge rows and leaves. `moved`: rows found elsewhere."""
    result = DestroyedAudit()
    purged = dict(_purged(lifecycle, batch, epochs, result))
    purged |= {
        leaf.get("row", -1): leaf.get("call", "") for leaf in _leaves(lifecycle, survey, survey.spans.get(key, ()))
    }
    ended = _leaves(lifecycle, survey, survey.destroyed.get(batch, ()))
    gone = {leaf["record"]["row"]: leaf["call"] for leaf in ended}
    registered = _registered(lifecycle, batch)
    result.unsealed += bool(registered.keys() - gone.keys())
    gone = {**registered, **gone}
    for number, call in gone.items():
        if purged.get(number, call) != call:
            result.damaged[f"batch {batch}, row {number}"] = "the leaf of its destruction names another call"
        if number in moved:
            result.damaged[f"batch {batch}, row {number}"] = "a leaf says that it is destroyed, and its copy is there"
    lost = sorted(purged.keys() - gone.keys() - set(moved))
    unfinished = unfinished_removal(lifecycle, batch)
    if lost and unfinished:
        result.uncompared[key] = unfinished
    elif lost and gone:
        result.damaged[key] = f"missing: {len(lost)} copies are not on record as destroyed, the first is row {lost[0]}"
    elif lost:
        result.damaged[key] = _relied_on(lifecycle, survey, batch, key)
    result.copies = len(gone)
    return result


def _relied_on(lifecycle: Lifecycle, survey: LedgerSurvey, batch: str, key: str) -> str:
    with lifecycle.crm.database.reading() as connection:
        ids = lifecycle.crm.control.ids_of_batch(connection, batch)
    if ids:
        return f"missing: purge {ids[0]} and {len(ids) - 1} others deleted calls on its strength"
    return f"missing: leaf {survey.spans[key][0][0]} and those after it rely on it"


def _purged(
    lifecycle: Lifecycle, batch: str, epochs: Mapping[str, EpochKey], result: DestroyedAudit
) -> Iterator[tuple[int, str]]:
    """What the purge rows say, each held against its own columns and, byte for byte, against its leaves."""
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        ids = control.ids_of_batch(connection, batch)
    for row_id in ids:
        try:
            with lifecycle.crm.database.reading() as connection:
                (row,) = control.by_ids(connection, [row_id])
            yield from _records(lifecycle, row, epochs, result)
        except ProofError as error:
            result.damaged[f"purge {row_id}"] = str(error).partition(" Nothing was")[0]


def _records(
    lifecycle: Lifecycle, row: PurgeRow, epochs: Mapping[str, EpochKey], result: DestroyedAudit
) -> Iterator[tuple[int, str]]:
    records = read_purge_records(row)
    for reason in purge_row_contradictions(row, records, epochs):
        result.damaged[f"purge {row.id}"] = reason
    if row.sealed_key is not None and sealed_records(lifecycle, row) != row.entries:
        result.damaged[row.sealed_key] = f"other bytes than the deletion records that purge {row.id} committed"
    result.purge_rows += 1
    result.unsealed += row.sealed_key is None
    yield from ((record["row"], record["call"]) for record in records)


def _leaves(
    lifecycle: Lifecycle, survey: LedgerSurvey, spans: Iterable[tuple[int, int]]
) -> Iterator[Mapping[str, Any]]:
    if survey.published is None or not survey.readable:
        return
    reader = LeafReader(lifecycle.log(), survey.published.size)
    for start, end in spans:
        yield from (read_leaf(f"leaf {index}", reader.leaf(index)) for index in range(start, end))


def _registered(lifecycle: Lifecycle, batch: str) -> Copies:
    """The copies of a batch that the register has as destroyed, in it or in those that they were moved to."""
    found, register = dict[int, str](), lifecycle.crm.control.destructions
    row = register.of_batch(batch)
    while row is not None:
        leaves = [read_leaf(f"batch {row.batch}", body) for body in (row.entries or b"").splitlines()]
        ended = (leaf for leaf in leaves if leaf["kind"] == DESTROYED and leaf["record"]["batch"] == batch)
        found |= {leaf["record"]["row"]: leaf["call"] for leaf in ended}
        row = register.of_batch(batch_name(row.moved_to)) if row.moved_to and row.begun_at else None
    return found


def unfinished_removal(lifecycle: Lifecycle, batch: str) -> str | None:
    """What to say of a batch whose removal a run began and did not finish. None: there is none."""
    row = lifecycle.crm.control.destructions.of_batch(batch)
    if row is None or row.begun_at is None or row.destroyed_at is not None:
        return None
    return f"its removal was begun at {row.begun_at} and is not finished; `lifecycle destroy --run` finishes it"


def objects_still_there(lifecycle: Lifecycle, survey: LedgerSurvey) -> Iterator[tuple[str, str]]:
    """What the store has below the folders of batches that leaves call destroyed, every version asked for."""
    for key, leaf in survey.removed.items():
        for version in lifecycle.store.versions(batch_folder(key)):
            yield version.key, f"leaf {leaf} says that its batch is destroyed, and the store has it"
