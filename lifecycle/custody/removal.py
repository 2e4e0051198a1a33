"""A batch's objects removed from the store, every version of each, and shown to be gone: listed, then asked for.

Only a batch whose destruction is registered and begun comes here (`destroy`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lifecycle.archive.batches import MANIFEST, batch_folder
from lifecycle.archive.object_store import ObjectStore, StoredVersion
from lifecycle.errors import FixityError, ObjectMissing, ObjectRefused, StoreError


@dataclass
class Removed:
    """How many versions and markers went; and what is there still, by name, with the reason."""

    versions: int = 0
    left: dict[str, str] = field(default_factory=dict)


def remove_batch(
    store: ObjectStore, manifest_key: str, objects: Iterable[tuple[str, str | None]], beside: Sequence[str] = ()
) -> Removed:
    """Remove everything below a batch's folder, its calls and its manifest last: they say what was begun.

    `objects`: what the manifest names, as (key, version). `beside`: keys of what was derived from the batch, which goes
    first. Safe to run again. Raises StoreError.
    """
    result, places = Removed(), [*beside, batch_folder(manifest_key)]
    for place in places:
        for version in sorted(store.versions(place), key=_order):
            try:
                store.delete(version.key, version.version_id)
                result.versions += 1
            except ObjectRefused as error:
                result.left[_name(version)] = _why_left(store, version, error)
    for version in (version for place in places for version in store.versions(place)):
        result.left.setdefault(_name(version), "it is listed still after it was removed")
    for key, version_id in [*objects, (manifest_key, None)]:
        named = any(name.partition(" version ")[0] == key for name in result.left)
        for asked in dict.fromkeys((version_id, None)) if not named else ():
            if not is_absent(store, key, asked):
                result.left.setdefault(_name(StoredVersion(key, asked)), "it can be read still after it was removed")
    return result


def _why_left(store: ObjectStore, version: StoredVersion, error: ObjectRefused) -> str:
    """The lock, with its last moment, where the store says it; else what it said."""
    try:
        retention = store.locks.retention(version.key, version.version_id)
    except StoreError:
        return str(error)
    return retention.text if retention else str(error)


def is_absent(store: ObjectStore, key: str, version_id: str | None) -> bool:
    """Whether the store says, when asked for the object, that there is none."""
    try:
        store.get(key, version_id, at_most=0)
    except ObjectMissing:
        return True
    except FixityError:
        return False
    return False


def _order(version: StoredVersion) -> tuple[int, str]:
    name = version.key.rpartition("/")[2]
    return {"calls.parquet": 1, MANIFEST: 2}.get(name, 0), version.key


def _name(version: StoredVersion) -> str:
    return f"{version.key} version {version.version_id}" if version.version_id else version.key
