"""Rows of facts without an industry beside rows with one: another guest's, an account that nobody classified.

No schedule speaks of such a row, and for its sake its call would stay for ever. It is judged under the industries that
the call has, with all that the row itself says: its times, flags and what a hold may name. A call that has none stays.
"""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def with_industries_of_others(facts: pa.Table) -> tuple[pa.Table, set[Any]]:
    """Facts of whole calls in which a row without an industry has those of its call, a row each; and which calls."""
    industries = facts["industry"]
    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(industries), ""), fill_value=True)
    if not pc.any(blank).as_py():
        return facts, set()
    calls, said, without = facts["call_id"].to_pylist(), industries.to_pylist(), blank.to_pylist()
    known = defaultdict[Any, dict[str, None]](dict)
    for call, industry, missing in zip(calls, said, without, strict=True):
        if not missing:
            known[call][industry] = None
    taken, written, beside = list[int](), list[str | None](), set[Any]()
    for row, (call, industry, missing) in enumerate(zip(calls, said, without, strict=True)):
        of = list(known[call]) if missing and call in known else [industry]
        beside.update([call] if missing and call in known else [])
        taken += [row] * len(of)
        written += of
    if not beside:
        return facts, set()
    place = facts.column_names.index("industry")
    return facts.take(taken).set_column(place, "industry", pa.array(written, industries.type)), beside
