"""`lifecycle destroy` on many batches: requests to the store and statements to the database a batch, seconds, memory.

The archive is the one of `bench/verify.py`: one night of calls in batches of 20, on SQLite with a folder. Each number
of batches is destroyed in a process of its own: what a batch costs, and the memory, must not grow with their number.
Then the same with one call of every tenth batch under a hold, so that the others of its batch go and it is moved.

    python -m bench.destroy [BATCHES…] [--whole | --s3]   # default: 250 1000; --whole: without the second

`--s3`: in a bucket with versions of SeaweedFS, started here, and without the second.
"""

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from bench.verify import CALLS, build, opened
from lifecycle.archive.s3_store import S3Store
from lifecycle.custody.destroy import destroy_copies
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, CLOCK
from tests.servers import S3

DAY = date(2040, 1, 1)
COUNTED = ("put_once", "swap", "get", "fetch", "list", "versions", "delete")


class CountedStore:
    """Counts what is asked of a store, by method."""

    def __init__(self, store: Any) -> None:
        self._store, self.asked = store, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.asked.update([name] if name in COUNTED else [])
        return getattr(self._store, name)


def highest_memory() -> float:
    """MiB of this process at most; getrusage says the parent's where that had more."""
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def follow_the_clock() -> None:
    """The store's clock says what the calls' clock does, in each process."""
    S3Store.now = lambda _: CLOCK  # type: ignore[method-assign]


def destroy(folder: Path, place: str | None, said: Any) -> None:
    """Destroy everything; says what it took."""
    import sqlalchemy as sa

    follow_the_clock()
    lifecycle = opened(folder, place)
    lifecycle = Lifecycle(lifecycle.settings.model_copy(update={"destroy": True}), lifecycle.now)
    store, statements = CountedStore(lifecycle.store), Counter[str]()
    lifecycle.__dict__["store"] = store
    engine = lifecycle.crm.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *_: statements.update(["statements"]))
    memory = highest_memory()
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    done = destroy_copies(lifecycle, DAY, Run("bench", "bench"))
    destroyed = time.perf_counter()
    asked = Counter(store.asked)
    seal_ledger(lifecycle)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert not done.needs_person, (done.done.set_aside, done.done.left)
    said.put(
        {
            "batches": len(done.done.batches),
            "copies": done.done.copies,
            "moved": done.done.moved,
            "asked": asked,
            "statements": statements["statements"],
            "seconds": destroyed - start,
            "sealing": time.perf_counter() - destroyed,
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak": highest_memory(),
            "grown": highest_memory() - memory,
        }
    )


def measured(folder: Path, place: str | None = None) -> dict[str, Any]:
    processes = multiprocessing.get_context("spawn")
    said: Any = processes.Queue()
    process = processes.Process(target=destroy, args=(folder, place, said))
    process.start()
    found: dict[str, Any] = said.get()
    process.join()
    return found


def show(found: dict[str, Any]) -> None:
    batches, asked = found["batches"], found["asked"]
    by_method = ", ".join(f"{name} {asked[name] / batches:.1f}" for name in COUNTED if asked[name])
    print(f"{batches} batches, {found['copies']} copies gone, {found['moved']} moved:", flush=True)
    print(f"  {sum(asked.values()) / batches:.1f} requests a batch ({by_method}), "
          f"{found['statements'] / batches:.1f} statements a batch")  # fmt: skip
    print(f"  {1000 * found['seconds'] / batches:.0f} ms a batch, sealing {found['sealing']:.1f} s, "
          f"CPU {found['cpu']:.1f} s, peak {found['peak']:.0f} MiB, {found['grown']:.0f} MiB more")  # fmt: skip


def hold_one_call_of_every_tenth_batch(folder: Path, batches: int) -> None:
    held = ", ".join(f"id-{number * CALLS:07}" for number in range(0, batches, 10))
    text = f"id: h\nmatter: m\nplaced_at: 2026-01-01\nplaced_by: x@example.com\nscope: [{{call_ids: [{held}]}}]\n"
    (folder / "policies" / "holds" / "h.yaml").write_text(text)


def measure_in_a_bucket(numbers: list[int]) -> None:
    server = S3()
    try:
        os.environ.update(server.environment())
        follow_the_clock()
        for number in numbers:
            with tempfile.TemporaryDirectory() as here:
                place = f"s3://{server.bucket}/{server.new_prefix()}"
                build(Path(here), number, "Banking", BANK_DAY, place)
                show(measured(Path(here), place))
    finally:
        server.remove()


def main() -> None:
    numbers = [int(given) for given in sys.argv[1:] if given.isdigit()] or [250, 1000]
    if "--s3" in sys.argv:
        measure_in_a_bucket(numbers)
        return
    for number in numbers:
        with tempfile.TemporaryDirectory() as here:
            whole, held = Path(here) / "whole", Path(here) / "held"
            whole.mkdir()
            build(whole, number, "Banking", BANK_DAY)
            shutil.copytree(whole, held)
            show(measured(whole))
            if "--whole" not in sys.argv:
                hold_one_call_of_every_tenth_batch(held, number)
                show(measured(held))


if __name__ == "__main__":
    main()
