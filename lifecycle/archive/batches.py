"""Where a batch lies in the store, and how it gets there and back: Parquet objects first, the manifest last, once."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

import pyarrow as pa

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.archive.parquet import fetch_table, is_stored_as_written, put_table
from lifecycle.archive.recording_files import FILES
from lifecycle.errors import CompletenessError, FixityError
from lifecycle.evidence.manifest import ArchivedObject, Manifest

MANIFEST = "manifest.json"
_AT_ONCE = 4  # objects of one batch: a store far away answers slowly, one after the other
ARCHIVE, NEVER = "archive/", "never"


def night_prefix(industry: str, night: date) -> str:
    """The folder of the batches of an industry's night, in the partition spelling that Parquet readers know."""
    return f"{ARCHIVE}industry={industry}/night={night.isoformat()}/"


def batch_place(industry: str, night: date, destroy_on: date | None, batch: str) -> str:
    """Where a batch lies: beside those of its night whose copies go in the same month, or never."""
    month = f"{destroy_on:%Y-%m}" if destroy_on else NEVER
    return f"{night_prefix(industry, night)}destroy={month}/{batch}/"


def put_batch(store: ObjectStore, folder: str, tables: Mapping[str, pa.Table]) -> tuple[ArchivedObject, ...]:
    """Write the non-empty tables of one batch, read each back whole and compare. Raises ProofError.

    What is written here does not count until a manifest names it.
    """
    filled = {name: table for name, table in tables.items() if table.num_rows}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(partial(_put_part, store, folder), filled.keys(), filled.values()))


def _put_part(store: ObjectStore, folder: str, name: str, table: pa.Table) -> ArchivedObject:
    stored = put_table(store, f"{folder}{name}.parquet", table)
    if not is_stored_as_written(store, stored, table):
        raise FixityError(f"{stored.key}: what was read back is not what was written. Nothing was purged")
    return _archived(name, stored, table)


def _archived(name: str, stored: StoredObject, table: pa.Table) -> ArchivedObject:
    return ArchivedObject(
        table=name,
        key=stored.key,
        version_id=stored.version_id,
        bytes=stored.bytes,
        rows=table.num_rows,
        sha256=stored.sha256,
        columns=tuple(table.column_names),
    )


def folder_of(manifest: Manifest) -> str:
    """Where a batch lies, as its manifest says."""
    return batch_place(manifest.industry, manifest.night, manifest.destroy_on, manifest.batch)


def commit_manifest(store: ObjectStore, folder: str, manifest: Manifest) -> StoredObject:
    """Put the manifest: from here on the batch is archived."""
    return store.put_once(f"{folder}{MANIFEST}", manifest.to_bytes())


def batch_folder(key: str) -> str:
    """The folder of the batch that an object of the archive lies in, its files a level below."""
    folder = key.rpartition("/")[0]
    return f"{folder}/".removesuffix(FILES)


def batch_name(manifest_key: str) -> str:
    """The name of a batch, which is its folder's."""
    return manifest_key.split("/")[-2]


def manifest_keys(store: ObjectStore, prefix: str = ARCHIVE) -> Iterator[str]:
    """The keys of every committed manifest below a prefix, sorted."""
    return (key for key in store.list(prefix) if key.endswith(f"/{MANIFEST}"))


def read_manifest(store: ObjectStore, key: str) -> tuple[Manifest, bytes]:
    """One manifest and its bytes. Raises FixityError where it is none, or names objects outside its own folder."""
    body = store.get(key)
    manifest = Manifest.from_bytes(key, body)
    folder = key.removesuffix(MANIFEST)
    strays = [part.key for part in manifest.stored if not part.key.startswith(folder)]
    if strays:
        raise FixityError(f"{key}: names {strays[0]}, which lies outside its batch. Nothing was purged")
    return manifest, body


def read_batch(store: ObjectStore, manifest: Manifest) -> dict[str, pa.Table]:
    """Every table of a batch, proved against the manifest: bytes, rows, columns. Raises ProofError, ObjectMissing."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tables = pool.map(partial(_read_part, store), manifest.objects)
        return {part.table: table for part, table in zip(manifest.objects, tables, strict=True)}


def read_calls(store: ObjectStore, manifest: Manifest) -> pa.Table:
    """The calls of a batch alone, proved as `read_batch` does."""
    only = tuple(part for part in manifest.objects if part.table == "calls")
    found = read_batch(store, manifest.model_copy(update={"objects": only}))
    if "calls" not in found:
        raise CompletenessError(f"batch {manifest.batch}: its manifest names no calls. Nothing was purged")
    return found["calls"]


def _read_part(store: ObjectStore, part: ArchivedObject) -> pa.Table:
    table = fetch_table(store, StoredObject(part.key, part.version_id, part.bytes, part.sha256))
    if (table.num_rows, tuple(table.column_names)) != (part.rows, part.columns):
        raise CompletenessError(
            f"{part.key}: the manifest promises {part.rows} rows of {len(part.columns)} columns, the object has "
            f"{table.num_rows} of {table.num_columns}. Nothing was purged"
        )
    return table
