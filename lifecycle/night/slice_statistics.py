"""What the calls of one slice add to the statistics when they go. Committed with their purge row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.call_statistics import count_calls, statistics_bytes
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.purged_before import PurgeHistory


@dataclass
class JudgedSlice:
    """What the calls of the slice at work were judged by under lock: facts, and by name of the call requests to erase,
    and when a restore put it back.

    `counted`: calls of the batch that were counted when they went before.
    """

    counted: frozenset[str] = frozenset()
    facts: pa.Table = field(default_factory=lambda: pa.table({"call_id": []}))
    requests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    restored: Mapping[str, str] = field(default_factory=dict)


def requested_calls(facts: pa.Table) -> dict[str, dict[str, str]]:
    """The requests to erase that calls were judged under, of those that were."""
    if "erasure_request" not in facts.column_names:
        return {}
    rows = facts.select(["call_id", "erasure_request", "erasure_requested_on"]).to_pylist()
    return {
        call_id_text(row["call_id"]): {
            "id": row["erasure_request"],
            "received_on": row["erasure_requested_on"].isoformat(),
        }
        for row in rows
        if row["erasure_request"] is not None
    }


def restored_calls(facts: pa.Table) -> dict[str, str]:
    """When calls were put back from the archive, of those that were."""
    if "restored_at" not in facts.column_names:
        return {}
    rows = facts.select(["call_id", "restored_at"]).to_pylist()
    return {call_id_text(row["call_id"]): row["restored_at"] for row in rows if row["restored_at"] is not None}


def slice_statistics(lifecycle: Lifecycle, manifest: Manifest, judged: JudgedSlice, going: Sequence[Any]) -> bytes:
    """Whole calls count once, however often they were put back, and those that go on request only where it is set.

    Empty where none does.
    """
    if manifest.component is not None:
        return b""
    erased = lifecycle.settings.statistics_erased
    left_out = {*judged.counted, *judged.restored, *(() if erased else judged.requests)}
    counted = [key for key in going if call_id_text(key) not in left_out]
    facts = judged.facts.filter(pc.is_in(judged.facts["call_id"], pa.array(counted, judged.facts["call_id"].type)))
    if not facts.num_rows:
        return b""
    industry = pa.array([manifest.industry] * facts.num_rows, pa.string())
    return statistics_bytes(count_calls(facts, industry, lifecycle.crm.dimensions, lifecycle.crm.source.timezone))


def counted_before(
    lifecycle: Lifecycle, history: PurgeHistory, manifest: Manifest, keys: Sequence[Any]
) -> frozenset[str]:
    """Of some calls those that were counted when they went before: the CRM has the purge row of that time."""
    if manifest.component is not None:
        return frozenset()
    before, control = history.of(set(map(call_id_text, keys))), lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        known = {one.batch for one in before.values() if control.manifests_of_batch(connection, one.batch)}
    return frozenset(call for call, one in before.items() if one.batch in known)
