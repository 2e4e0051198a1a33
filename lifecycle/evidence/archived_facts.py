"""The facts of calls as they were archived, kept beside each call: what a copy is judged by once the call is gone.

A call has a row of facts for each of its industries, so a cell of the column is a list. The digest of a row leaves the
column out, as it does every one that begins `_`.
"""

from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.evidence.comparison import CALL_ID

FACTS = "_facts"
# Requests and restores are looked up when a copy is judged.
_NOT_KEPT = ("call_id", "erasure_requested_on", "erasure_request", "restored_until", "restored_at")


def with_facts(calls: pa.Table, facts: pa.Table) -> pa.Table:
    """Call rows with a column of lists: the rows of `facts` that are each call's. Some calls may have none."""
    places = pc.index_in(facts["call_id"].combine_chunks(), calls[CALL_ID].combine_chunks())
    order = pc.array_sort_indices(places).slice(0, len(places) - places.null_count)
    names = [name for name in facts.column_names if name not in _NOT_KEPT]
    columns = [facts[name].combine_chunks().take(order) for name in names]
    rows = pa.StructArray.from_arrays(columns, fields=[facts.schema.field(name) for name in names])
    counts = [0] * calls.num_rows
    for place in places.take(order).to_pylist():
        counts[place] += 1
    ends = pa.array([0, *accumulate(counts)], pa.int32())
    return calls.append_column(FACTS, pa.ListArray.from_arrays(ends, rows))


def facts_of(calls: pa.Table) -> pa.Table:
    """The other way round: `call_id` and the facts, a row a call and industry. Empty where none were archived."""
    if FACTS not in calls.column_names:
        return calls.select([CALL_ID]).slice(0, 0).rename_columns(["call_id"])
    lists = calls[FACTS].combine_chunks()
    of_call = calls[CALL_ID].combine_chunks().take(pc.list_parent_indices(lists))
    rows = pc.list_flatten(lists)
    kinds = [rows.type.field(number) for number in range(rows.type.num_fields)]
    columns = [pc.struct_field(rows, [number]) for number in range(len(kinds))]
    return pa.table([of_call, *columns], names=["call_id", *(kind.name for kind in kinds)])
