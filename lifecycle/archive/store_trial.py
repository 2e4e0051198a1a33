"""A store tried out with one object: which promises it keeps. What only S3 can say is `s3_trial`'s."""

from collections.abc import Callable
from uuid import uuid4

from lifecycle.archive.object_store import ObjectStore, StoredObject
from lifecycle.errors import LifecycleError, ObjectExists, ObjectMissing


def try_store_out(store: ObjectStore, extra: Callable[[StoredObject], list[str]]) -> list[str]:
    """Write, read, list and delete one object of our own, and say what went otherwise than promised.

    `extra` asks what only one kind of store can be asked, while the object is there. Removing it is the last question.
    """
    try:
        first = store.put_once(f"probe/{uuid4().hex}", b"first")
    except LifecycleError as error:
        return [str(error)]
    problems: list[str] = []
    for question in (_reads, _second_writer, lambda _, stored: extra(stored), _swaps, _removed):
        try:
            problems += question(store, first)
        except LifecycleError as error:
            problems.append(str(error))
    return problems


def _reads(store: ObjectStore, first: StoredObject) -> list[str]:
    problems = []
    if first.version_id is None:
        problems.append("warning: the bucket keeps no versions; turn them on, or an object can be replaced unseen")
    if store.get(first.key) != b"first":
        problems.append("reading back gave other bytes than were written")
    if store.get(first.key, first.version_id) != b"first":
        problems.append("reading by version gave other bytes than were written")
    if first.key not in store.list(first.key):
        problems.append("an object just written is not listed")
    return problems


def _second_writer(store: ObjectStore, first: StoredObject) -> list[str]:
    try:
        second = store.put_once(first.key, b"second")
    except ObjectExists:
        return []
    if second.version_id is not None:
        store.delete(first.key, second.version_id)
    return ["a second writer overwrote an object: this store cannot put once, and nothing in it is safe"]


def _swaps(store: ObjectStore, first: StoredObject) -> list[str]:
    key = f"{first.key}-swapped"
    made = [store.swap(key, b"one", None), store.swap(key, b"two", b"one")]
    try:
        if store.get(key) != b"two":
            return ["replacing an object left other bytes than were written: the ledger's checkpoint cannot go on"]
    finally:
        for stored in reversed(made):
            store.delete(key, stored.version_id)
    return []


def _removed(store: ObjectStore, first: StoredObject) -> list[str]:
    store.delete(first.key, first.version_id)
    problems = ["a deleted object is still listed"] if first.key in store.list(first.key) else []
    try:
        store.get(first.key)
    except ObjectMissing:
        return problems
    return [*problems, "a deleted object can still be read"]
