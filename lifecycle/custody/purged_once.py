"""Calls of which nothing is on record but one purge of the whole call. Most are so, and are read a column at a time.

What this does not give is not unknown: `call_history` reads everything on record of a call.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from lifecycle.custody.call_history import PURGED, leaves_beside_the_ledger
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.deletion import CallNames
from lifecycle.evidence.leaf import VERSION
from lifecycle.ledger.leaf_index import LeafIndex

_TEXTS = ("kind", "source", "call", "batch", "manifest_key", "manifest_sha256", "component", "destroy_on")
_SCHEMA = pa.schema(
    [("v", pa.int64()), ("row", pa.int64()), ("request", pa.struct([("id", pa.string())]))]
    + [(name, pa.string()) for name in _TEXTS]
)


class CopySource(NamedTuple):
    """Where the copy behind one deletion record is: its batch as the record names it, manifest, row, component (None:
    the whole call), and the first day on which it may be destroyed (None: never)."""

    batch: str
    manifest_key: str
    manifest_sha256: str
    row: int
    component: str | None
    destroy_on: date | None


def purged_once(lifecycle: Lifecycle, call_ids: Collection[str]) -> dict[str, CopySource]:
    """By call, where its copy is. Not the calls that went under a request to erase."""
    names = CallNames(lifecycle.crm.source.source, call_ids, lifecycle.keys.epochs())
    # What waits first: a leaf that is logged meanwhile is found twice, and its call is not given.
    beside = {names.of(leaf) for leaf in leaves_beside_the_ledger(lifecycle)}
    log = lifecycle.log()
    published = log.published()
    if published is None or not names.commitments:
        return {}
    bodies = [body for _, body in LeafIndex(log, published).unread_of_calls(list(names.commitments))]
    leaves = _read(bodies).filter(pc.field("source") == lifecycle.crm.source.source)
    calls = pa.array(names.commitments.values(), pa.string()).take(
        pc.index_in(leaves["call"], pa.array(names.commitments, pa.string())).combine_chunks()
    )
    found = leaves.append_column("call_id", calls).filter(pc.is_valid(calls))
    counts = found.group_by("call_id").aggregate([([], "count_all")])
    once = counts.filter(pc.field("count_all") == 1)["call_id"].combine_chunks()
    plain = (pc.field("v") == VERSION) & (pc.field("kind") == PURGED) & pc.field("call_id").isin(once)
    found = found.filter(plain & pc.field("component").is_null() & pc.field("request").is_null())
    return {call: source for call, source in _sources(found) if call not in beside}


def _read(bodies: Sequence[bytes]) -> pa.Table:
    """What leaves say that is asked here. Where Arrow cannot read them, none of them."""
    options = arrow_json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore")
    try:
        return arrow_json.read_json(pa.BufferReader(b"\n".join(bodies)), parse_options=options)
    except pa.ArrowException:
        return _SCHEMA.empty_table()


def _sources(found: pa.Table) -> Iterator[tuple[str, CopySource]]:
    days = [None if day is None else date.fromisoformat(day) for day in found["destroy_on"].to_pylist()]
    columns = [found[name].to_pylist() for name in CopySource._fields[:-1]]
    yield from zip(found["call_id"].to_pylist(), map(CopySource._make, zip(*columns, days, strict=True)), strict=True)
