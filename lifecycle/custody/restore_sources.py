"""From which copies calls come back: what their records say, what the law and requests forbid, the rows themselves.

Nothing is written. A copy is proved before its rows are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.archive.batches import read_batch, read_manifest
from lifecycle.archive.object_store import ObjectStore
from lifecycle.crm.restoring.restored_rows import archived_rows
from lifecycle.custody.call_history import CallLeaf, restored_batches
from lifecycle.custody.copy_location import CopyLocation, copy_locations
from lifecycle.custody.purged_once import CopySource
from lifecycle.errors import FixityError
from lifecycle.evidence.comparison import CALL_ID, rows_of_calls
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.policy.canonical import sha256_hex


class CallCopies(NamedTuple):
    """The copies from which one call, or one component of a call that is live, comes back.

    `parts`: components that went before the call did, and come back with it.
    """

    call_id: str
    copy: CopySource
    parts: tuple[CopySource, ...] = ()


def choose_copies(call_id: str, history: Sequence[CallLeaf], live: bool, today: date) -> list[CallCopies] | str:
    """What of a call can come back, from which copies; or why nothing can, in words. Nothing to do is an empty list."""
    places = copy_locations(history)
    whole = [one for one in places if one.component is None]
    chosen: list[tuple[CopyLocation, tuple[CopyLocation, ...]]]
    last, restored = whole[-1].record.at if whole else "", restored_batches(history)
    if live and whole and whole[-1].record.leaf["batch"] not in restored:
        return "a call with its id is in the CRM, put there by nobody's restore"
    if live:
        gone = [one for one in places if one.component is not None and one.record.leaf["batch"] not in restored]
        chosen = [(one, ()) for one in gone if one.record.at >= last]
    elif not whole:
        return "it is not on record as purged" if not places else "the call is gone, and only a component is on record"
    else:
        before = whole[-2].record.at if len(whole) > 1 else ""
        parts = [one for one in places if one.component is not None and before < one.record.at <= last]
        chosen = [(whole[-1], tuple(one for one in parts if one.destroyed is None))]
    refused = next((why for one, _ in chosen if (why := _forbidden(one, today))), None)
    return refused or [CallCopies(call_id, copy_source(one), tuple(map(copy_source, more))) for one, more in chosen]


def copy_source(place: CopyLocation) -> CopySource:
    """Where a copy is read."""
    record, day = place.record.leaf, place.record.leaf.get("destroy_on")
    at = place.manifest_key, place.manifest_sha256, place.row, place.component
    return CopySource(str(record["batch"]), *at, date.fromisoformat(day) if day else None)


def _forbidden(one: CopyLocation, today: date) -> str | None:
    record, day = one.record.leaf, copy_source(one).destroy_on
    if one.destroyed is not None:
        return f"its copy was destroyed at {one.destroyed.at}"
    if "request" in record:
        return f"it went under the request to erase {record['request']['id']}"
    if day is not None and day <= today:
        return f"its copy may be kept no longer than {day}"
    return None


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """The rows of some calls as they were, by part, and their files by path."""

    tables: Mapping[str, pa.Table]
    files: Mapping[str, ArchivedFile]


def read_copies(store: ObjectStore, calls: Sequence[CallCopies]) -> CopiedRows:
    """The rows of calls of one batch, with those of their components. Raises ProofError, ObjectMissing."""
    tables, files = _rows_at(store, {one.call_id: one.copy for one in calls})
    extra: dict[str, dict[str, CopySource]] = {}
    for one in calls:
        for part in one.parts:
            extra.setdefault(part.manifest_key, {})[one.call_id] = part
    for places in extra.values():
        more, its = _rows_at(store, places)
        files = {**files, **its}
        tables = _merged(tables, more)
    return CopiedRows(tables, files)


def _rows_at(
    store: ObjectStore, places: Mapping[str, CopySource]
) -> tuple[dict[str, pa.Table], dict[str, ArchivedFile]]:
    """The rows of calls in one batch, proved; each call is in the row that its record says."""
    first = next(iter(places.values()))
    manifest, body = read_manifest(store, first.manifest_key)
    if sha256_hex(body) != first.manifest_sha256:
        raise FixityError(f"{first.manifest_key}: it is not the manifest that the record names. Nothing was put back")
    tables = read_batch(store, manifest)
    found = tables["calls"][CALL_ID].combine_chunks()
    rows = [place.row for place in places.values()]
    keys = found.take(pa.array([row if row < len(found) else None for row in rows], pa.int64()))
    for row, call, key in zip(rows, places, keys.to_pylist(), strict=True):
        if key is None or call_id_text(key) != call:
            raise FixityError(f"{manifest.objects[0].key}: row {row} is not the call's. Nothing was put back")
    mine = rows_of_calls({name: archived_rows(table) for name, table in tables.items()}, keys)
    return mine, {file.path: file for file in manifest.files}


def _merged(tables: Mapping[str, pa.Table], component: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Rows of whole calls with those of a component that went before: its rows, and the values of its columns."""
    merged = dict(tables)
    for name, rows in component.items():
        if name != "calls":
            merged[name] = pa.concat_tables([merged[name], rows], promote_options="default") if name in merged else rows
            continue
        calls = merged["calls"]
        place = pc.index_in(calls[CALL_ID].combine_chunks(), rows[CALL_ID].combine_chunks())
        for column in (c for c in rows.column_names if c != CALL_ID and c in calls.column_names):
            filled = pc.coalesce(calls[column].combine_chunks(), rows[column].combine_chunks().take(place))
            calls = calls.set_column(calls.column_names.index(column), calls.schema.field(column), filled)
        merged["calls"] = calls
    return merged
