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
    """What the calls of the slice at work were judged by under lock: facts, and requests by name of the call.

    `counted`: calls of the batch that were counted when they went before.
    """

    counted: frozenset[str] = frozenset()
    facts: pa.Table = field(default_factory=lambda: pa.table({"call_id": []}))
    requests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def slice_statistics(lifecycle: Lifecycle, manifest: Manifest, judged: JudgedSlice, going: Sequence[Any]) -> bytes:
    """Whole calls count, and those that go on request only where it is set. Empty where none does."""
    if manifest.component is not None:
        return b""
    erased = lifecycle.settings.statistics_erased
    left_out = judged.counted if erased else judged.counted | judged.requests.keys()
    counted = [key for key in going if call_id_text(key) not in left_out]
    facts = judged.facts.filter(pc.is_in(judged.facts["call_id"], pa.array(counted, judged.facts["call_id"].type)))
    if not facts.num_rows:
        return b""
    industry = pa.array([manifest.industry] * facts.num_rows, pa.string())
    return statistics_bytes(count_calls(facts, industry, lifecycle.crm.dimensions, lifecycle.crm.source.timezone))


def counted_before(lifecycle: Lifecycle, manifest: Manifest, keys: Sequence[Any]) -> frozenset[str]:
    """Of some calls those that were counted when they went before: the CRM has the purge row of that time."""
    if manifest.component is not None:
        return frozenset()
    before, control = PurgeHistory(lifecycle).of(set(map(call_id_text, keys))), lifecycle.crm.control
    with lifecycle.crm.database.reading() as connection:
        known = {one.batch for one in before.values() if control.manifests_of_batch(connection, one.batch)}
    return frozenset(call for call, one in before.items() if one.batch in known)
