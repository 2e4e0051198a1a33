"""The rows that stay where calls were, for the calls of one slice: which day, how long, deleted under which rule."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pyarrow as pa

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.call_statistics import whole_seconds
from lifecycle.evidence.comparison import CALL_ID
from lifecycle.evidence.deletion import call_id_text
from lifecycle.evidence.manifest import Manifest
from lifecycle.night.slice_statistics import JudgedSlice
from lifecycle.policy.evaluation.condition_matching import local_dates


def tombstone_rows(
    lifecycle: Lifecycle, manifest: Manifest, judged: JudgedSlice, going: pa.Table, at: datetime
) -> tuple[Mapping[str, Any], ...]:
    """A row a call that goes whole, and value of `of`; none of calls that go on request, or left one before.

    `going`: their archived rows, with `_row` and what was decided.
    """
    tombstone = lifecycle.crm.source.tombstone
    if tombstone is None or manifest.component is not None:
        return ()
    zone, found = lifecycle.crm.source.timezone, list[Mapping[str, Any]]()
    rows = {row[CALL_ID]: row for row in going.select([CALL_ID, "_row", "_rule_id"]).to_pylist()}
    moment = {"deleted_on": at.astimezone(zone).date(), "deleted_at": at.astimezone(zone)}
    for key, facts in _facts_by_call(judged.facts, tombstone.of, zone).items():
        name = call_id_text(key)
        if key not in rows or name in judged.counted or name in judged.requests:
            continue
        number = f"{manifest.batch}/{rows[key]['_row']}"
        given = {**facts, **moment, "rule": rows[key]["_rule_id"], "industry": manifest.industry, "record": number}
        found += [tombstone.row({**given, "of": of, "uuid": str(uuid4())}) for of in facts["of"]]
    return tuple(found)


def _facts_by_call(facts: pa.Table, of: str | None, zone: ZoneInfo) -> dict[Any, dict[str, Any]]:
    """What a row may say of each call. A call of several rows says the first that is known."""
    nothing = pa.nulls(facts.num_rows, pa.string())
    columns = {
        "day": local_dates(facts, "started_at", zone),
        "seconds": whole_seconds(facts),
        "direction": facts["direction"] if "direction" in facts.column_names else nothing,
        "of": facts[of] if of is not None else nothing,
    }
    found: dict[Any, dict[str, Any]] = {}
    for row in pa.table({"call_id": facts["call_id"], **columns}).to_pylist():
        seconds = row["seconds"]
        duration = None if seconds is None else f"{seconds // 60}:{seconds % 60:02}"
        values = row["of"] if isinstance(row["of"], list) else [row["of"]]
        named = [None] if of is None else [value for value in dict.fromkeys(values or ()) if value is not None]
        mine = found.setdefault(row["call_id"], {"day": row["day"], "direction": row["direction"], "of": []})
        mine.setdefault("duration", duration)
        mine["of"] += [value for value in named if value not in mine["of"]]
    return found
