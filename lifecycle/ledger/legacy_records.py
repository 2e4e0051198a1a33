"""Records from before the ledger: one JSON Lines object a purge transaction. Only still read, and pinned by a leaf.

A purge of that time that was not sealed yet is brought here first.
"""

from collections.abc import Iterator
from typing import Any

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.evidence.deletion import PurgeRow, read_records

DELETIONS = "deletions/"


def entries_key(row: PurgeRow) -> str:
    """Where the records of a purge row lie."""
    return f"{DELETIONS}night={row.night}/industry={row.industry}/{row.id}.jsonl"


def put_entries(store: ObjectStore, row: PurgeRow) -> StoredObject:
    """Write the records, byte for byte as the purge fixed them; again and again the same object."""
    return store.put_once(entries_key(row), row.entries)


def all_entries(store: ObjectStore) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every object of deletion records, by key, the newest night first."""
    for key in reversed(list(store.list(DELETIONS))):
        yield key, read_records(store.get(key))
