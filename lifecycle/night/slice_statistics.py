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


@dataclass
class JudgedSlice:
    """What the calls of the slice at work were judged by under lock: facts, and requests by name of the call."""

    facts: pa.Table = field(default_factory=lambda: pa.table({"call_id": []}))
    requests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def slice_statistics(lifecycle: Lifecycle, manifest: Manifest, judged: JudgedSlice, going: Sequence[Any]) -> bytes:
    """Whole calls count, and those that go on request only where it is set. Empty where none does."""
    if manifest.component is not None:
        return b""
    erased = lifecycle.settings.statistics_erased
    counted = [key for key in going if erased or call_id_text(key) not in judged.requests]
    facts = judged.facts.filter(pc.is_in(judged.facts["call_id"], pa.array(counted, judged.facts["call_id"].type)))
    if not facts.num_rows:
        return b""
    industry = pa.array([manifest.industry] * facts.num_rows, pa.string())
    return statistics_bytes(count_calls(facts, industry, lifecycle.crm.dimensions, lifecycle.crm.source.timezone))
