"""Reconcile: every archived call, or component, is live or on the record, and none recorded is back. Reads only."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from lifecycle.archive.batches import manifest_keys, night_prefix, read_batch, read_calls, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.crm.reading.part_reader import UnreadableCalls
from lifecycle.crm.reading.rows import Rows
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import CompletenessError, FixityError, ObjectMissing
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import CallNames, PurgeRow, call_id_text, read_records, recorded_rows
from lifecycle.evidence.leaf import read_leaf
from lifecycle.evidence.manifest import Manifest
from lifecycle.ledger.leaf_index import LeafIndex
from lifecycle.ledger.legacy_records import all_entries
from lifecycle.night.restores_on_record import restored_from
from lifecycle.policy.canonical import sha256_hex

_SEALED = re.compile(r"ledger:(\d{1,18})-(\d{1,18})", re.ASCII)


@dataclass
class Reconciliation:
    """The archived calls of an industry's night (or of everything) against the CRM and the record.

    `vanished`: archived, not live, on no record: somebody deleted them. `returned`: on the record, and live again.
    `restored`: as those, and put back by a restore that is on record.
    Of a component that is said of the component: its call lives, and should. What is new in the call is not returned.
    `components`: how many of the archived are no calls, but this component of one.
    """

    batches: int = 0
    archived: int = 0
    recorded: int = 0
    live: int = 0
    vanished: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    restored: int = 0
    components: Counter[str] = field(default_factory=Counter)


def reconcile_night(lifecycle: Lifecycle, industry: str, night: date) -> Reconciliation:
    """Hold every committed batch of an industry's night against the CRM and the sealed records. Raises ProofError."""
    result = Reconciliation()
    for key in manifest_keys(lifecycle.store, night_prefix(industry, night)):
        manifest, _ = read_manifest(lifecycle.store, key)
        reconcile_batch(lifecycle, manifest, tables_to_reconcile(lifecycle.store, manifest), result)
    return result


def tables_to_reconcile(store: ObjectStore, manifest: Manifest) -> dict[str, pa.Table]:
    """The proved tables that say whether a batch is live: of whole calls the calls alone. Raises ProofError."""
    return read_batch(store, manifest) if manifest.component else {"calls": read_calls(store, manifest)}


def reconcile_batch(
    lifecycle: Lifecycle, manifest: Manifest, tables: Mapping[str, pa.Table], result: Reconciliation
) -> None:
    """Add one batch to the reconciliation, given its proved tables; of whole calls the calls are enough."""
    with lifecycle.crm.database.reading() as connection:
        ids = lifecycle.crm.control.ids_of_batch(connection, manifest.batch)
    rows = recorded_rows(body for row_id in ids for body in _sealed(lifecycle, row_id))
    reconcile_calls(lifecycle, manifest, tables, rows, result)


def reconcile_calls(
    lifecycle: Lifecycle,
    manifest: Manifest,
    tables: Mapping[str, pa.Table],
    recorded_at: Collection[int],
    result: Reconciliation,
) -> None:
    """The same, given which rows of the batch are on record."""
    ids = tables["calls"][CALL_ID].combine_chunks()
    with lifecycle.crm.database.reading() as connection:
        live = {call_id_text(key) for key in _rows_of(lifecycle, manifest).live_as_named(connection, ids.to_pylist())}
    ordered = [call_id_text(key) for key in ids.to_pylist()]
    recorded = {ordered[row] for row in recorded_at if 0 <= row < len(ordered)}
    archived = set(ordered)
    result.batches += 1
    result.archived += len(archived)
    result.components.update({manifest.component: len(archived)} if manifest.component else {})
    result.recorded += len(recorded)
    result.live += len(live)
    back = recorded & live
    back = back if manifest.component is None else components_returned(lifecycle, manifest, tables, back)
    restores = restored_from(lifecycle, back)
    explained = {call for call in back if manifest.batch in restores.get(call, ())}
    result.restored += len(explained)
    result.returned += label_calls(back - explained, manifest.component)
    missing = archived - recorded - live
    result.vanished += label_calls(missing - _recorded_elsewhere(lifecycle, missing, manifest), manifest.component)


def _rows_of(lifecycle: Lifecycle, manifest: Manifest) -> Rows:
    if manifest.component is not None and manifest.component not in lifecycle.crm.source.components:
        raise CompletenessError(
            f"batch {manifest.batch} is of the component {manifest.component}, which source "
            f"{lifecycle.crm.source.source} does not map any more: it cannot be held against the CRM"
        )
    return lifecycle.crm.rows_of(manifest.component)


def label_calls(calls: Iterable[str], component: str | None) -> list[str]:
    """Calls, or one component of each, as they are said."""
    return sorted(call if component is None else f"{call} ({component})" for call in calls)


def components_returned(
    lifecycle: Lifecycle, manifest: Manifest, tables: Mapping[str, pa.Table], calls: Collection[str]
) -> set[str]:
    """Of calls of which a component was purged, those that have a row or a value of it that was archived.

    Raises CompletenessError where the CRM cannot be asked about it.
    """
    rows = _rows_of(lifecycle, manifest)
    try:
        with lifecycle.crm.database.reading() as connection:
            now = rows.read(connection, rows.key.parse(sorted(calls))) if calls else {}
    except UnreadableCalls as error:
        raise CompletenessError(f"batch {manifest.batch}: what the CRM has now of its calls: {error}") from error
    found = set[tuple[Any, ...]]()
    for part in (part for part in rows.parts if part.name in now and part.name in tables and not part.detach):
        asked = [rows.row_key(part)] if part.columns is None else [(name,) for name in part.columns]
        for columns in asked:
            found |= _values(now[part.name], columns) & _values(tables[part.name], columns)
    return {call for call, *values in found if values != [None]} & set(calls)


def _values(table: pa.Table, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """Each call with the values of some columns of its rows."""
    calls = [call_id_text(key) for key in table[CALL_ID].to_pylist()]
    return set(zip(calls, *(table[name].to_pylist() for name in columns), strict=True))


def _sealed(lifecycle: Lifecycle, row_id: str) -> Iterator[bytes]:
    """The records of a purge row as the store holds them, which must be the bytes that the purge fixed."""
    with lifecycle.crm.database.reading() as connection:
        rows = lifecycle.crm.control.by_ids(connection, [row_id])
    for row in rows:
        try:
            stored = row.entries if row.sealed_key is None else sealed_records(lifecycle, row)
        except ObjectMissing as error:
            raise CompletenessError(f"{row.sealed_key}: the records of purge {row.id} are missing: {error}") from error
        if sha256_hex(stored) != row.entries_sha256:
            raise FixityError(f"{row.sealed_key}: the deletion records are not the ones the purge {row.id} committed")
        yield stored


def sealed_records(lifecycle: Lifecycle, row: PurgeRow) -> bytes:
    """The records of a sealed purge row, read from the ledger, or from their object of before it."""
    assert row.sealed_key is not None
    if row.before_the_ledger:
        return lifecycle.store.get(row.sealed_key)
    first, end = sealed_place(row)
    log = lifecycle.log()
    published = log.published()
    if published is None or end > published.size:
        raise FixityError(f"{row.sealed_key}: the ledger in the store ends before these leaves")
    return b"".join(leaf + b"\n" for leaf in log.leaves(first, end, published.size))


def sealed_place(row: PurgeRow) -> tuple[int, int]:
    """Where a purge row says that its leaves are: the first, and the one after the last. Raises FixityError."""
    found = _SEALED.fullmatch(row.sealed_key or "")
    if found is None or int(found[1]) > int(found[2]):
        raise FixityError(f"purge {row.id}: expected sealed_key ledger:<first>-<last leaf>, found {row.sealed_key!r}")
    return int(found[1]), int(found[2]) + 1


def _recorded_elsewhere(lifecycle: Lifecycle, missing: set[str], manifest: Manifest) -> set[str]:
    """Of some calls those that another batch purged: they were set aside once and archived again.

    The record of a whole call speaks for its components too, never the other way round.
    """
    if not missing:
        return set()
    names = CallNames(lifecycle.crm.source.source, missing, lifecycle.keys.epochs())
    others = (r for r in _records_naming(lifecycle, names) if r.get("batch") != manifest.batch)
    speaking = (r for r in others if r.get("component") in (None, manifest.component))
    return {called for record in speaking if (called := names.of(record))}


def _records_naming(lifecycle: Lifecycle, names: CallNames) -> Iterator[dict[str, Any]]:
    """The records of some calls: leaves by the index, what is not sealed yet, and what is from before the ledger."""
    log = lifecycle.log()
    published = log.published()
    for index, body in LeafIndex(log, published).of_calls(list(names.commitments)) if published else ():
        leaf = read_leaf(f"leaf {index}", body)
        if leaf["kind"] == "purged":  # a leaf of a call that was set aside names it too
            yield leaf
    control = lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        for row_id in control.unsealed(connection):
            yield from (r for row in control.by_ids(connection, [row_id]) for r in read_records(row.entries))
    for _, records in all_entries(lifecycle.store):
        yield from records
