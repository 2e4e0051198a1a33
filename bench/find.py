"""`lifecycle find` over a thousand batches: by id and by telephone, with the index and without it (as it was before).

Beside it what looks calls up by the ledger's index: `record`, `prove`, `explain`, and `nothing_came_back` for as many
live calls as were ever archived; with that index and without it.

The archive is the one of `bench/verify.py`: one night of 20,000 calls in batches of 20, on SQLite with a folder. Given
a number of calls a batch, the index alone is measured on made batches too: ten million calls are a thousand of 10,000.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.verify import BATCHES, CALLS, build, opened
from lifecycle.archive.batch_index import BATCH_INDEXES, put_batch_index, read_batch_indexes, remove_batch_index
from lifecycle.archive.batches import manifest_keys
from lifecycle.archive.folder_store import FolderStore
from lifecycle.audit.proof import prove_call
from lifecycle.custody.find import find_calls
from lifecycle.custody.record_lookup import find_records
from lifecycle.custody.search_question import SearchQuestion
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.leaf import EpochKey
from lifecycle.evidence.search_terms import phone_keys, search_terms
from lifecycle.inquiry.explanation import explain_call
from lifecycle.night.batch_indexing import index_batches, index_of_calls
from lifecycle.night.purged_before import PurgeHistory


class CountedStore:
    """Counts what is read through it."""

    def __init__(self, store: Any) -> None:
        self._store, self.reads = store, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name in ("get", "fetch"):
            self.reads += 1
        return found


def timed(folder: Path, ask: Callable[[Lifecycle], int]) -> tuple[float, int, int]:
    """Seconds, objects read, and what was found: how many."""
    lifecycle = opened(folder)
    store = CountedStore(lifecycle.store)
    lifecycle.__dict__["store"] = store
    start = time.perf_counter()
    found = ask(lifecycle)
    return time.perf_counter() - start, store.reads, found


def asking(question: SearchQuestion) -> Callable[[Lifecycle], int]:
    return lambda lifecycle: find_calls(lifecycle, question, 0, 50).total


LIVE = [f"live-{number:07}" for number in range(BATCHES * CALLS)]
LOOKUPS: dict[str, Callable[[Lifecycle], int]] = {
    "record": lambda lifecycle: len(find_records(lifecycle, "id-0012345").records),
    "prove": lambda lifecycle: len(prove_call(lifecycle, "id-0012345")),
    "explain": lambda lifecycle: len(explain_call(lifecycle, "id-0012345", date(2026, 12, 1)).records),
    f"nothing_came_back, {len(LIVE)} live calls": lambda lifecycle: len(PurgeHistory(lifecycle).of(LIVE)),
}


def show(what: str, run: Callable[[], tuple[float, int, int]]) -> None:
    runs = sorted(run() for _ in range(3))
    seconds, reads, calls = runs[1]
    print(f"{what}: {seconds:.2f} s, {reads} objects read, {calls} found", flush=True)


def measure(folder: Path) -> None:
    questions = {
        "id of an archived call": SearchQuestion(calls=frozenset(["id-0012345"])),
        "id that was never seen": SearchQuestion(calls=frozenset(["id-nowhere"])),
        "phone of one call": SearchQuestion(phones=frozenset(["020 7901 2345"])),
        "phone of nobody": SearchQuestion(phones=frozenset(["+1 212 555 0000"])),
    }
    for name, question in questions.items():
        show(f"with the index, {name}", partial(timed, folder, asking(question)))
    for name, ask in LOOKUPS.items():
        show(f"with the ledger's index, {name}", partial(timed, folder, ask))
    lifecycle = opened(folder)
    for key in list(manifest_keys(lifecycle.store)):
        remove_batch_index(lifecycle.store, key)
    for name, question in questions.items():
        show(f"without it, {name}", partial(timed, folder, asking(question)))
    start = time.perf_counter()
    print(f"index made anew: {index_batches(opened(folder))} batches in {time.perf_counter() - start:.1f} s")
    shutil.rmtree(folder / "store" / "index" / "leaves")
    for name, ask in LOOKUPS.items():
        show(f"without the ledger's index, {name}", partial(timed, folder, ask))


def measure_large(folder: Path, batches: int, calls: int) -> None:
    """The index objects of made batches, and a lookup in all of them."""
    store, epoch = FolderStore(folder), EpochKey.of_key(2026, b"k" * 32)
    keys = [f"archive/industry=x/batch-{number:05}/manifest.json" for number in range(batches)]
    size, start = 0, time.perf_counter()
    for number, key in enumerate(keys):
        ids = [f"{number:05}-{call:08}-4f2a-9c77" for call in range(calls)]
        phones = [f"+4420{(number * calls + call) % 90_000_000 + 10_000_000}" for call in range(calls)]
        facts = pa.StructArray.from_arrays([pa.array(phones)], names=["phone"])
        listed = pa.ListArray.from_arrays(pa.array(range(calls + 1), pa.int32()), facts)
        index = index_of_calls(epoch, key, "0" * 64, pa.table({"_call_id": ids, "_facts": listed}))
        size += len(index.to_bytes())
        put_batch_index(store, index)
    print(f"{batches} batches of {calls}: index made in {time.perf_counter() - start:.0f} s, {size / 1e6:.0f} MB")
    term = search_terms(epoch, "phone", phone_keys("+442010000007"))
    for _ in range(3):
        start = time.perf_counter()
        hits = sum(
            index is None or index.may_have("phone", term) for _, index in read_batch_indexes(store, keys, [epoch.id])
        )
        print(f"  one telephone in all of them: {time.perf_counter() - start:.2f} s, {hits} batches to read")


def main() -> None:
    with tempfile.TemporaryDirectory() as here:
        (Path(here) / "a").mkdir()
        build(Path(here) / "a", BATCHES)
        print(f"{BATCHES} batches of {CALLS} calls, listed in {BATCH_INDEXES}")
        measure(Path(here) / "a")
        if len(sys.argv) > 1:
            measure_large(Path(here) / "b", BATCHES, int(sys.argv[1]))


if __name__ == "__main__":
    main()
