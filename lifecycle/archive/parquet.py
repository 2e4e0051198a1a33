"""Arrow tables as Parquet objects in the store, and back. The only place that writes Parquet.

zstd, an explicit schema, a checksum on every page: without it a flipped bit was read as valid wrong data.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.errors import FixityError
from lifecycle.evidence.comparison import find_differences
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.sealed_calls import open_calls
from lifecycle.policy.canonical import sha256_hex

GROUP_ROWS = 20_000
_GROUP_BYTES = 256 * 2**20  # a page counts its bytes in 32 bits, and is cut only between a thousand rows


def open_parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer to a local file, the way every object of the archive is written."""
    return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, write_page_checksum=True)


def put_table(store: ObjectStore, key: str, table: pa.Table) -> StoredObject:
    """Write a table as one object."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        path = Path(folder) / "object.parquet"
        table_file(path, table)
        return store.put_once(key, path)


def table_file(path: Path, table: pa.Table) -> None:
    """Write a table as a file of this machine, for people's own tools."""
    with open_parquet(path, table.schema) as writer:
        writer.write_table(table, row_group_size=rows_a_group(table))


def rows_a_group(table: pa.Table) -> int:
    """How many rows a row group takes: few where they are large, one where even a few could be too many bytes."""
    if table.nbytes <= _GROUP_BYTES:
        return GROUP_ROWS
    return 1 if any(pa.types.is_large_string(t) or pa.types.is_large_binary(t) for t in table.schema.types) else 100


def fetch_table(store: ObjectStore, wanted: StoredObject) -> pa.Table:
    """Read one object whole, by version, and compare its bytes with the promise. Raises FixityError naming the key."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        path = Path(folder) / "object.parquet"
        found = store.fetch(wanted.key, wanted.version_id, path, at_most=wanted.bytes)
        _require_promised(wanted, found.bytes, found.sha256)
        return _read(wanted.key, path)


def is_stored_as_written(store: ObjectStore, wanted: StoredObject, table: pa.Table) -> bool:
    """Read one object back whole, by version, and compare its bytes with the promise and its rows with a table.

    A row group at a time: what is read is not held beside what was written. Raises FixityError naming the key.
    """
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        path = Path(folder) / "object.parquet"
        found = store.fetch(wanted.key, wanted.version_id, path, at_most=wanted.bytes)
        _require_promised(wanted, found.bytes, found.sha256)
        return not any(find_differences({"": one}, {"": other}) for one, other in _row_groups(wanted.key, path, table))


def _row_groups(key: str, path: Path, table: pa.Table) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Each row group of a file beside the rows of the table that should be there, and the rest of the table."""
    place = 0
    with _parquet_named(key), _open(path) as file:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number)
            yield table.slice(place, group.num_rows), group
            place += group.num_rows
        yield table.slice(place), file.schema_arrow.empty_table()


def fetch_sealed_table(store: ObjectStore, wanted: StoredObject, epoch: EpochKey) -> pa.Table:
    """The same of an object that was sealed under an epoch. In memory: nothing of it lies open on a disk."""
    sealed = fetch_promised(store, wanted)
    return _read(wanted.key, pa.BufferReader(open_calls(wanted.key, sealed, epoch)))


def fetch_promised(store: ObjectStore, wanted: StoredObject) -> bytes:
    """The bytes of one object, by version, as they were promised. Raises FixityError naming the key."""
    body = store.get(wanted.key, wanted.version_id, at_most=wanted.bytes)
    _require_promised(wanted, len(body), sha256_hex(body))
    return body


def read_table_bytes(key: str, body: bytes) -> pa.Table:
    """Bytes that were compared with their promise, as a table. Raises FixityError naming the key."""
    return _read(key, pa.BufferReader(body))


def _require_promised(wanted: StoredObject, size: int, sha256: str) -> None:
    if (size, sha256) != (wanted.bytes, wanted.sha256):
        raise FixityError(
            f"{wanted.key}: expected {wanted.bytes} bytes with sha256 {wanted.sha256}, the store has {size} "
            f"bytes with {sha256}. Nothing was purged; archive the calls again"
        )


def _read(key: str, source: Path | pa.BufferReader) -> pa.Table:
    with _parquet_named(key), _open(source) as file:
        return file.read()


def _open(source: Path | pa.BufferReader) -> pq.ParquetFile:
    """Not read_table: it loads all of Arrow's datasets, which takes longer than any batch."""
    return pq.ParquetFile(source, page_checksum_verification=True, memory_map=False)


@contextmanager
def _parquet_named(key: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise FixityError(f"{key}: the bytes are the promised ones and no Parquet: {error}") from error
