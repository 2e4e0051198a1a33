"""Tables of rows: joined, in the order of the row keys, each row once."""

from collections.abc import Sequence

import pyarrow as pa

from lifecycle.crm.mapping.columns import large_type
from lifecycle.evidence.comparison import CALL_ID

LARGE_BYTES = 2**30  # of a column: beyond it a large type, for 32 bits count 2 GiB


def joined_tables(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of the same columns as one. A column of more bytes than 32 bits can count has a large type."""
    found = pa.concat_tables(tables, promote_options="permissive")
    wide = [field.name for field in found.schema if found[field.name].nbytes > LARGE_BYTES]
    schema = pa.schema(
        [field.with_type(large_type(field.type)) if field.name in wide else field for field in found.schema]
    )
    return found.cast(schema).combine_chunks()


def once(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Rows with these columns, each once: rows without a key above them may name one twice."""
    numbered = table.append_column("_place", pa.array(range(table.num_rows), pa.int64()))
    first = numbered.group_by(list(names), use_threads=False).aggregate([("_place", "min")])
    return table.take(first["_place_min"].combine_chunks())


def in_order(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows by call, then by their key; those without one by what they hold."""
    order = key or [field.name for field in table.schema if field.name != CALL_ID and _sorts(field.type)]
    return table.sort_by([(name, "ascending") for name in (CALL_ID, *order)])


def _sorts(kind: pa.DataType) -> bool:
    """Whether Arrow puts values of a type in order: rows without a key are told apart by what they hold."""
    return not (pa.types.is_nested(kind) or pa.types.is_boolean(kind) or pa.types.is_duration(kind))
