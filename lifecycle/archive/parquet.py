"""Arrow tables as Parquet objects in the store, and back. The only place that writes Parquet.

zstd, an explicit schema, a checksum on every page: without it a flipped bit was read as valid wrong data.
"""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.errors import FixityError

GROUP_ROWS = 20_000
_GROUP_BYTES = 256 * 2**20  # a page counts its bytes in 32 bits, and is cut only between a thousand rows


def open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer to a local file, the way every object of the archive is written."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, write_page_checksum=True)


def put_table(store: ObjectStore, key: str, table: pa.Table) -> StoredObject:
    """Write a table as one object."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        path = Path(folder) / "object.parquet"
        with open_parquet(path, table.schema) as writer:
            writer.write_table(table, row_group_size=rows_a_group(table))
        return store.put_once(key, path)


def rows_a_group(table: pa.Table) -> int:
    """How many rows a row group takes: few where they are large, one where even a few could be too many bytes."""
    if table.nbytes <= _GROUP_BYTES:
        return GROUP_ROWS
    return 1 if any(pa.types.is_large_string(t) or pa.types.is_large_binary(t) for t in table.schema.types) else 100


def fetch_table(
    store: ObjectStore, wanted: StoredObject, filters: list[tuple[str, str, str]] | None = None
) -> pa.Table:
    """Read one object whole, by version, and compare its bytes with the promise. Raises FixityError naming the key."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        path = Path(folder) / "object.parquet"
        found = store.fetch(wanted.key, wanted.version_id, path, at_most=wanted.bytes)
        if (found.bytes, found.sha256) != (wanted.bytes, wanted.sha256):
            raise FixityError(
                f"{wanted.key}: expected {wanted.bytes} bytes with sha256 {wanted.sha256}, the store has {found.bytes} "
                f"bytes with {found.sha256}. Nothing was purged; archive the calls again"
            )
        try:
            return pq.read_table(path, page_checksum_verification=True, filters=filters, memory_map=False)
        except (pa.ArrowException, OSError) as error:
            raise FixityError(f"{wanted.key}: the bytes are the promised ones and no Parquet: {error}") from error
