"""Whether a purge row's records are, byte for byte, what its batch and its first record give.

Writing all of them anew and comparing bytes takes a tenth of the time of reading each. It never says what is wrong:
where the bytes differ, or cannot be foreseen, `record_check` reads record by record.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import PurgeDetails, PurgeRow, call_id_text, deletion_records
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.record_check import RecordedBatch, batch_contradictions, purge_row_contradictions

_ROW = re.compile(rb',"row":(\d{1,9}),')
_REQUEST = b'"request":'


def records_are_as_expected(row: PurgeRow, batch: RecordedBatch, epochs: Mapping[str, EpochKey]) -> bool:
    """Whether nothing contradicts anything: neither the row's columns, nor its records, nor their archived rows."""
    lines = row.entries.splitlines()
    positions = [int(found[1]) for line in lines if (found := _ROW.search(line))]
    if not lines or len(positions) != len(lines) or max(positions) >= batch.calls.num_rows or batch.manifest.files:
        return False  # which files went with a call only its own record says
    calls = batch.calls.take(pa.array(positions, pa.int64()))
    try:
        first = json.loads(lines[0])
        epoch = epochs[first["epoch"]]
        expected = deletion_records(
            batch.manifest,
            _details(first, batch),
            calls.append_column("_row", pa.array(positions, pa.int64())),
            _regimes(lines, calls),
            epoch,
            {},
            _requests(lines, calls),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    if expected != row.entries:
        return False
    last_due = json.loads(lines[pc.index(calls["_purge_from"], pc.max(calls["_purge_from"])).as_py()])
    contradictions = [
        *purge_row_contradictions(row, [first] * len(lines), epochs),
        *batch_contradictions(last_due, batch),
    ]
    return not contradictions


def _details(record: Mapping[str, Any], batch: RecordedBatch) -> PurgeDetails:
    """What all records of a purge row have in common, as its first one says it."""
    moments = [datetime.fromisoformat(record[name]) for name in ("decided_at", "verified_at", "purged_at")]
    return PurgeDetails(record["run_id"], record["actor"], batch.manifest_key, batch.manifest_sha256, *moments)


def _regimes(lines: list[bytes], calls: pa.Table) -> dict[str, tuple[str, ...]]:
    """The regimes of each rule, as the first record under it says them."""
    rules = calls["_rule_id"].combine_chunks()
    firsts = {rule: pc.index(rules, pa.scalar(rule)).as_py() for rule in rules.unique().to_pylist()}
    return {rule: tuple(json.loads(lines[at])["regimes"]) for rule, at in firsts.items()}


def _requests(lines: list[bytes], calls: pa.Table) -> dict[str, dict[str, str]]:
    """The erasure requests that records name, by call."""
    asked = [number for number, line in enumerate(lines) if _REQUEST in line]
    keys = calls[CALL_ID].take(pa.array(asked, pa.int64())).to_pylist()
    found = {call_id_text(key): json.loads(lines[at]).get("request") for key, at in zip(keys, asked, strict=True)}
    return {call: request for call, request in found.items() if request}
