"""Whether a purge row's records are, byte for byte, what its batch and its first record give.

Writing all of them anew and comparing bytes takes a tenth of the time of reading each. It never says what is wrong:
where the bytes differ, or cannot be foreseen, `record_check` reads record by record.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.evidence.archived_facts import FACTS
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import PurgeDetails, PurgeRow, call_id_text, deletion_records
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.manifest import ArchivedFile
from lifecycle.evidence.record_check import RecordedBatch, batch_contradictions, column_contradictions

_ROW = re.compile(rb',"row":(\d{1,9}),')
_NEAR = 300  # bytes around a record's row, before which records differ by their regimes, request and files
_decode = json.JSONDecoder().raw_decode


def records_are_as_expected(row: PurgeRow, batch: RecordedBatch, epochs: Mapping[str, EpochKey]) -> bool:
    """Whether nothing contradicts anything: neither the row's columns, nor its records, nor their archived rows."""
    lines = row.entries.splitlines()
    near = _near_row(lines)
    positions = _positions(lines, near)
    if not lines or len(lines) != row.calls or max(positions) >= batch.calls.num_rows or min(positions) < 0:
        return False
    calls = batch.calls.select([name for name in batch.calls.column_names if name != FACTS])
    calls = calls.take(pa.array(positions, pa.int64()))
    keys = calls[CALL_ID].to_pylist()
    try:
        first = json.loads(lines[0])
        files = _files(lines, keys, batch)
        expected = deletion_records(
            batch.manifest,
            _details(first, batch),
            calls.append_column("_row", pa.array(positions, pa.int64())),
            _regimes(lines, calls),
            epochs[first["epoch"]],
            files,
            _said(lines, near, keys, "request"),
            _said(lines, near, keys, "restored_at"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    if expected != row.entries or len({file.key for some in files.values() for file in some}) > row.files:
        return False
    last_due = json.loads(lines[pc.index(calls["_purge_from"], pc.max(calls["_purge_from"])).as_py()])
    contradictions = [*column_contradictions(row, [first], epochs), *batch_contradictions(last_due, batch)]
    return not contradictions


def _near_row(lines: Sequence[bytes]) -> list[bytes]:
    """The part of each record in which its row stands, and what it says beside other records: where it most likely is.

    A guess: where it is wrong, the bytes will differ.
    """
    begin = max(lines[0].find(b',"row":') - _NEAR, 0) if lines else 0
    return [line[begin : begin + 2 * _NEAR] for line in lines]


def _positions(lines: Sequence[bytes], near: Sequence[bytes]) -> list[int]:
    """Which row each record says it is of; -1: none."""
    found = (_ROW.search(part) or _ROW.search(line) for part, line in zip(near, lines, strict=True))
    return [int(one[1]) if one else -1 for one in found]


def _details(record: Mapping[str, Any], batch: RecordedBatch) -> PurgeDetails:
    """What all records of a purge row have in common, as its first one says it."""
    moments = [datetime.fromisoformat(record[name]) for name in ("decided_at", "verified_at", "purged_at")]
    return PurgeDetails(record["run_id"], record["actor"], batch.manifest_key, batch.manifest_sha256, *moments)


def _regimes(lines: Sequence[bytes], calls: pa.Table) -> dict[str, tuple[str, ...]]:
    """The regimes of each rule, as the first record under it says them."""
    rules = calls["_rule_id"].combine_chunks()
    firsts = {rule: pc.index(rules, pa.scalar(rule)).as_py() for rule in rules.unique().to_pylist()}
    return {rule: tuple(json.loads(lines[at])["regimes"]) for rule, at in firsts.items()}


def _files(lines: Sequence[bytes], keys: Sequence[Any], batch: RecordedBatch) -> dict[Any, list[ArchivedFile]]:
    """The files that records name, by call. Raises KeyError for one that is not in the manifest.

    Which files went with a call only its own record says; where it names the first of many alone, it says no more.
    """
    if not batch.manifest.files:
        return {}
    known = {(file.key, file.version_id, file.sha256): file for file in batch.manifest.files}
    named = [_value(line, "files") or () for line in lines]
    found = [[known[file["key"], file["version_id"], file["sha256"]] for file in files] for files in named]
    return dict(zip(keys, found, strict=True))


def _said(lines: Sequence[bytes], near: Sequence[bytes], keys: Sequence[Any], name: str) -> dict[str, Any]:
    """What some records say beside the others under a name, by call."""
    wanted = f'"{name}":'.encode()
    which = [number for number, part in enumerate(near) if wanted in part]
    return {call_id_text(keys[number]): _value(lines[number], name) for number in which}


def _value(line: bytes, name: str) -> Any:
    """The first value under a name in a record; None: it has none."""
    text = line.decode()
    at = text.find(f'"{name}":')
    return _decode(text, at + len(name) + 3)[0] if at >= 0 else None
