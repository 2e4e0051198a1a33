"""Whether deletion records agree with what they speak of: their purge row, their manifest, their archived rows.

Every function gives the contradictions in words, one a field; nothing given means that all was compared and agreed.
Values only: what is read from where, and what a contradiction leads to, is the caller's.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa

from lifecycle.errors import FixityError
from lifecycle.evidence.canonical_columns import rows_as_json
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import DECIDING, PurgeRow, call_id_text, purge_row_id
from lifecycle.evidence.leaf import EpochKey, commitment, read_leaf
from lifecycle.evidence.manifest import Manifest
from lifecycle.policy.canonical import canonical_json

PURGED = "purged"
_IN_COLUMNS = ("batch", "industry", "night", "run_id", "manifest_key", "manifest_sha256", "purged_at")
_IN_TIME = ("decided_at", "archived_at", "verified_at", "purged_at")
_CLOCKS_DIFFER = timedelta(hours=1)  # plan, archive and purge may be of different machines


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """A batch as it was read back: what its records must agree with."""

    manifest_key: str
    manifest_sha256: str
    manifest: Manifest
    calls: pa.Table


def read_purge_records(row: PurgeRow) -> list[dict[str, Any]]:
    """The records of a purge row. Raises FixityError where it has none, or one that is no leaf as a purge writes it."""
    records = []
    for number, line in enumerate(row.entries.split(b"\n")[:-1]):
        record = read_leaf(f"purge {row.id}, record {number}", line)
        if record["kind"] != PURGED or canonical_json(record) != line:
            raise FixityError(f"purge {row.id}, record {number}: expected a deletion record, found another leaf")
        records.append(record)
    if not records or not row.entries.endswith(b"\n"):
        raise FixityError(f"purge {row.id}: expected {row.calls} deletion records, found none that is whole")
    return records


def purge_row_contradictions(
    row: PurgeRow, records: Sequence[Mapping[str, Any]], epochs: Mapping[str, EpochKey]
) -> Iterator[str]:
    """Between the columns of a purge row and its own records.

    The row's id holds a keyed digest of the records: without the epoch's key nobody can write others under it.
    """
    if row.calls != len(records):
        yield f"it says {row.calls} calls, and holds {len(records)} records"
    yield from column_contradictions(row, records, epochs)


def column_contradictions(
    row: PurgeRow, records: Sequence[Mapping[str, Any]], epochs: Mapping[str, EpochKey]
) -> Iterator[str]:
    """The same of what all records of a row have in common; how many there are is not counted."""
    for name in _IN_COLUMNS:
        said = sorted({str(record.get(name)) for record in records})
        if said != [getattr(row, name)]:
            yield f"{name}: the row says {getattr(row, name)}, its records {', '.join(said[:3])}"
    files = {file["key"] for record in records for file in record.get("files", ())}
    if row.files < len(files):
        yield f"files: the row says {row.files}, its records name {len(files)}"
    epoch = epochs.get(str(records[0].get("epoch")))
    if epoch is not None and row.id != purge_row_id(row.batch, row.entries, epoch):
        yield "its id is not the keyed digest of its records: they are not what the purge wrote"


def batch_contradictions(record: Mapping[str, Any], batch: RecordedBatch) -> Iterator[str]:
    """Between a record and the manifest it relied on: schedule, plan, night, object with version, component."""
    for name, expected in _as_recorded(batch).items():
        if record.get(name) != expected:
            yield f"{name}: the record says {_short(record.get(name))}, the manifest {_short(expected)}"
    copies = {(file.key, file.version_id, file.sha256) for file in batch.manifest.files}
    named = [(file.get("key"), file.get("version_id"), file.get("sha256")) for file in record.get("files", ())]
    yield from (f"files: {key} is not in the manifest with that version and digest" for key, *_ in set(named) - copies)
    yield from _out_of_time(record)


def row_contradictions(
    records: Sequence[Mapping[str, Any]], batch: RecordedBatch, epochs: Mapping[str, EpochKey]
) -> Iterator[tuple[int, str]]:
    """Between records and the archived rows they point at: rule, trigger, dates, the call, the digest of the row.

    Each with the position of its record in `records`. The last two are opened with the epoch's key; where that is not
    there, they are left out: `openable` says how many could be compared.
    """
    inside = [n for n, record in enumerate(records) if _position(record) in range(batch.calls.num_rows)]
    for number in sorted(set(range(len(records))) - set(inside)):
        yield number, f"row: {_short(records[number].get('row'))} is none of the batch"
    rows = batch.calls.take(pa.array([records[n]["row"] for n in inside], pa.int64()))
    for column in DECIDING:
        name = column.removeprefix("_")
        for number, archived in zip(inside, rows[column].to_pylist(), strict=True):
            expected = archived.isoformat() if hasattr(archived, "isoformat") else archived
            if records[number].get(name) != expected:
                said = _short(records[number].get(name))
                yield number, f"{name}: the record says {said}, the archived row {expected}"
    for number, key, body in zip(inside, rows[CALL_ID].to_pylist(), rows_as_json(rows), strict=True):
        yield from ((number, reason) for reason in _not_opened(records[number], call_id_text(key), body, epochs))


def law_contradictions(record: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[str]:
    """Between a record and what the log says of the version of its schedule: its rule, and the laws that rule names.

    `rules`: the version's rules, in words, by id.
    """
    rule = rules.get(str(record.get("rule_id")))
    if not isinstance(rule, Mapping):
        yield f"rule_id: the version of the schedule in the ledger has no rule {_short(record.get('rule_id'))}"
    elif record.get("regimes") != rule.get("regimes"):
        yield f"regimes: the record says {_short(record.get('regimes'))}, its rule names {_short(rule.get('regimes'))}"


def openable(record: Mapping[str, Any], epochs: Mapping[str, EpochKey]) -> bool:
    """Whether the key is there under which a record names its call."""
    return record.get("epoch") in epochs


def _not_opened(record: Mapping[str, Any], call_id: str, row: bytes, epochs: Mapping[str, EpochKey]) -> Iterator[str]:
    epoch = epochs.get(str(record.get("epoch")))
    if epoch is None:
        return
    source = str(record.get("source"))
    salt = epoch.salt(source, call_id)
    if record.get("call") != commitment(source, call_id, salt):
        yield "call: it is not the call of the archived row"
    elif record.get("row_sha256") != hashlib.sha256(salt + row).hexdigest():
        yield "row_sha256: the archived row is not the one that was deleted"


def _as_recorded(batch: RecordedBatch) -> dict[str, Any]:
    """What every record of a batch says, whichever call it is of."""
    manifest = batch.manifest
    archived = next(part for part in manifest.objects if part.table == "calls")
    return {
        "manifest_key": batch.manifest_key,
        "manifest_sha256": batch.manifest_sha256,
        "object": {"key": archived.key, "version_id": archived.version_id, "sha256": archived.sha256},
        "batch": manifest.batch,
        "industry": manifest.industry,
        "night": manifest.night.isoformat(),
        "source": manifest.source,
        "component": manifest.component,
        "schedule": manifest.schedule.model_dump(mode="json"),
        "plan_sha256": manifest.plan_sha256,
        "archived_at": manifest.created_at.isoformat(),
    }


def _out_of_time(record: Mapping[str, Any]) -> Iterator[str]:
    """Nothing goes before it was decided, archived and proved, and nothing before its day."""
    try:
        moments = [datetime.fromisoformat(record[name]) for name in _IN_TIME]
        if any(after < before - _CLOCKS_DIFFER for before, after in pairwise(moments)):
            yield f"times: {', '.join(_IN_TIME)} are not in that order"
        if not record["purge_from"] <= record["night"]:
            yield f"purge_from: it could go from {record['purge_from']}, and went in the night {record['night']}"
    except (KeyError, TypeError, ValueError):
        yield "times: one of them is missing or no time"


def _position(record: Mapping[str, Any]) -> int:
    row = record.get("row")
    return row if type(row) is int else -1


def _short(value: Any) -> str:
    text = str(value.get("key", value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 120 else f"{text[:117]}..."
