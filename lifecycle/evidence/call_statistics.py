"""What calls were for, kept without the calls: how many, and how long, by day, industry and what the mapping names.

A table has a row a group and bucket of durations: `period`, `industry`, a column a dimension, `from_seconds` (the
bucket; NULL: nobody knows how long), `calls`, `seconds`. Nothing names a call. How small a group may be is decided in
`group_suppression`.
"""

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.errors import FixityError
from lifecycle.evidence.duration_buckets import bucket_of
from lifecycle.policy.evaluation.condition_matching import local_dates

PERIOD, INDUSTRY, BUCKET, CALLS, SECONDS = "period", "industry", "from_seconds", "calls", "seconds"
USUAL_DIMENSIONS = ("agent_id", "direction", "outcome", "record_class")
WITHHELD = "*"
_COUNTED = (CALLS, SECONDS)


def count_calls(facts: pa.Table, industry: pa.Array, dimensions: Sequence[str], zone: ZoneInfo) -> pa.Table:
    """The statistics of some calls by their facts, given the industry of each row; a call is counted once.

    A call of several rows counts under the least of its values. The day is that of its beginning, in the zone.
    """
    rows = pa.table(
        {
            "call_id": facts["call_id"],
            PERIOD: local_dates(facts, "started_at", zone).cast(pa.string()),
            INDUSTRY: industry,
            **{name: _texts(facts, name) for name in dimensions},
            SECONDS: whole_seconds(facts),
        }
    )
    names = [name for name in rows.column_names if name != "call_id"]
    calls = rows.group_by("call_id").aggregate([(name, "min") for name in names])
    table = calls.select([f"{name}_min" for name in names]).rename_columns(names)
    lasted = table[SECONDS].combine_chunks().dictionary_encode()
    buckets = pa.array([None if s is None else bucket_of(s) for s in lasted.dictionary.to_pylist()], pa.int32())
    one, known = pa.array([1] * table.num_rows, pa.int64()), pc.fill_null(table[SECONDS], 0)
    table = table.drop_columns([SECONDS]).append_column(BUCKET, buckets.take(lasted.indices))
    return add_up([table.append_column(CALLS, one).append_column(SECONDS, known)])


def add_up(tables: Iterable[pa.Table]) -> pa.Table:
    """Several statistics as one: groups that agree in everything are one. A dimension that one lacks is unknown."""
    found = pa.concat_tables([empty_statistics(), *tables], promote_options="default")
    keys = [name for name in found.column_names if name not in _COUNTED]
    order = [PERIOD, INDUSTRY, *(name for name in keys if name not in (PERIOD, INDUSTRY, BUCKET)), BUCKET]
    summed = found.group_by(keys).aggregate([(name, "sum") for name in _COUNTED])
    renamed = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    return renamed.select([*order, *_COUNTED]).sort_by([(name, "ascending") for name in order])


def empty_statistics() -> pa.Table:
    """No call."""
    texts = [(PERIOD, pa.string()), (INDUSTRY, pa.string())]
    return pa.schema([*texts, (BUCKET, pa.int32()), (CALLS, pa.int64()), (SECONDS, pa.int64())]).empty_table()


def dimensions_of(table: pa.Table) -> list[str]:
    """The dimensions of some statistics, those to be given up last first."""
    return [name for name in table.column_names if name not in (PERIOD, INDUSTRY, BUCKET, *_COUNTED)]


def statistics_bytes(table: pa.Table) -> bytes:
    """Statistics as bytes, for a control table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read_statistics_bytes(name: str, body: bytes) -> pa.Table:
    """The other way round. Raises FixityError, naming whose they are, for other bytes."""
    try:
        return pa.ipc.open_stream(body).read_all()
    except (pa.ArrowException, OSError) as error:
        raise FixityError(f"statistics {name}: expected an Arrow stream, found other bytes ({error})") from error


def _texts(facts: pa.Table, name: str) -> pa.Array:
    if name not in facts.column_names:
        return pa.nulls(facts.num_rows, pa.string())
    values = facts[name].combine_chunks().cast(pa.string())
    return pc.if_else(pc.equal(values, WITHHELD), f"({WITHHELD})", values)  # a value must not pass for a group


def whole_seconds(facts: pa.Table) -> pa.Array:
    """Whole seconds from beginning to end; NULL where one is unknown or a mere day, or the end comes first."""
    ends = [facts[name].combine_chunks() for name in ("started_at", "ended_at") if name in facts.column_names]
    if len(ends) < 2 or not all(pa.types.is_timestamp(each.type) for each in ends):
        return pa.nulls(facts.num_rows, pa.int64())
    lasted = pc.divide(pc.subtract(*reversed([each.cast(pa.timestamp("us")).cast(pa.int64()) for each in ends])), 10**6)
    return pc.if_else(pc.greater_equal(lasted, 0), lasted, pa.scalar(None, pa.int64()))
