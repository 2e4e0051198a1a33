"""How the record names the copies of a batch, and which of them nobody may let go: of live calls, or on no record.

Reads the control tables, the ledger and the CRM.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lifecycle.archive.batches import read_batch
from lifecycle.crm.control.purge_counts import files_wait
from lifecycle.custody.registered_copies import row_origins
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import CompletenessError
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import CallNames, call_id_text, read_records
from lifecycle.evidence.destruction import CopyName
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.manifest import Manifest
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.night.reconciliation import components_returned

NO_RECORD = "no record: it is not in the CRM, and no purge of it is on record"
FILES_WAIT = "files: recordings that its batch has a copy of wait to be removed where they lay"
LIVE = "live: it is in the CRM"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CopyNames:
    """Each copy of a batch, by row, as the record names it, and whether a deletion record of the batch does."""

    each: Sequence[CopyName]
    recorded: Sequence[bool]


def names_of_copies(lifecycle: Lifecycle, manifest: Manifest, calls: pa.Table) -> CopyNames:
    """How the record names the copies of a batch. A copy on no record of its batch is named under today's epoch."""
    origins = list(row_origins(manifest, calls))
    rows = defaultdict[str, list[int]](list)
    for name, row in origins:
        rows[name].append(row)
    records = {name: dict(records_of_batch(lifecycle, name, some)) for name, some in rows.items()}
    epoch, source = lifecycle.keys.epoch(), manifest.source
    decided = zip(calls["_rule_id"].to_pylist(), calls["_destroy_on"].to_pylist(), strict=True)
    each, recorded = list[CopyName](), list[bool]()
    keys = calls[CALL_ID].to_pylist()
    for place, ((batch, row), key, (rule, day)) in enumerate(zip(origins, keys, decided, strict=True)):
        record = records[batch].get(row)
        call = record["call"] if record else epoch.commitment(source, call_id_text(key))
        each.append(
            CopyName(place, batch, row, call, record["epoch"] if record else epoch.id, rule, day and day.isoformat())
        )
        recorded.append(record is not None)
    return CopyNames(each, recorded)


def records_of_batch(lifecycle: Lifecycle, batch: str, wanted: Collection[int]) -> Iterator[tuple[int, Record]]:
    """The deletion records of a batch, by row: of its purge rows, and where these lack one, of the ledger."""
    control, found = lifecycle.crm.control, set[int]()
    with lifecycle.crm.database.reading() as connection:
        rows = control.of_batch(connection, batch)
    for row in (row for row in rows if not row.before_the_ledger):
        for record in read_records(row.entries):
            found.add(record["row"])
            yield record["row"], record
    if set(wanted) - found:
        log = lifecycle.log()
        published = log.published()
        for index, body in LeafIndex(log, published).of_batch(batch) if published else ():
            leaf = read_leaf(f"leaf {index}", body)
            if leaf["kind"] == "purged":
                yield leaf["row"], leaf


def standing_reasons(
    lifecycle: Lifecycle, manifest: Manifest, calls: pa.Table, names: CopyNames
) -> Iterator[tuple[int, str]]:
    """The copies that stay whatever the law says, by row: of calls that are in the CRM, and the only ones there are.

    A live call is restored, or was set aside and not purged yet: a purge may rely on the copy at this moment.
    """
    batches = sorted({name.record_batch for name in names.each})
    with lifecycle.crm.database.reading() as connection:
        waiting = files_wait(lifecycle.crm.control, connection, batches)
    if waiting:
        yield from ((row, FILES_WAIT) for row in range(calls.num_rows))
        return
    texts = [call_id_text(key) for key in calls[CALL_ID].to_pylist()]
    live = _live(lifecycle, manifest, calls)
    lost = [text for text, known in zip(texts, names.recorded, strict=True) if not known and text not in live]
    elsewhere = _recorded_elsewhere(lifecycle, manifest, lost)
    for row, text in enumerate(texts):
        if text in live:
            yield row, LIVE
        elif not names.recorded[row] and text not in elsewhere:
            yield row, NO_RECORD


def _live(lifecycle: Lifecycle, manifest: Manifest, calls: pa.Table) -> set[str]:
    """The calls, or those of which the component, that the CRM has."""
    component = manifest.component
    if component is not None and component not in lifecycle.crm.source.components:
        raise CompletenessError(f"batch {manifest.batch}: its component {component} is not mapped any more")
    with lifecycle.crm.database.reading() as connection:
        keys = calls[CALL_ID].to_pylist()
        live = set(map(call_id_text, lifecycle.crm.rows_of(None).live_as_named(connection, keys)))
    if component is None or not live:
        return live
    return components_returned(lifecycle, manifest, read_batch(lifecycle.store, manifest), live)


def _recorded_elsewhere(lifecycle: Lifecycle, manifest: Manifest, calls: Collection[str]) -> set[str]:
    """Of calls that were set aside here those that a later batch purged: that one has the copy that counts."""
    log, found = lifecycle.log(), set[str]()
    published = log.published() if calls else None
    names = CallNames(manifest.source, calls, lifecycle.keys.epochs())
    for index, body in LeafIndex(log, published).of_calls(list(names.commitments)) if published else ():
        leaf = read_leaf(f"leaf {index}", body)
        if (
            leaf["kind"] == "purged"
            and leaf.get("component") in (None, manifest.component)
            and (call := names.of(leaf))
        ):
            found.add(call)
    return found
