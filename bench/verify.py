"""`lifecycle verify` on a thousand batches, and a lookup in the same archive: seconds, cost a batch, memory.

One night archives and purges 20,000 calls in batches of 20, on SQLite with a folder. Then, each in its own process:
the audit of everything with 250 and with 1,000 batches (cost a batch and memory must not grow with their number); one
call's record, and one batch, found by the index, and the same with the index removed, which is how it was before.
"""

import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from lifecycle.night import archive, destroy_batches
from tests.builders import SHOP_DAY, World, run_night

BATCHES, CALLS, TIMES = 1_000, 20, 5


def build(
    folder: Path, batches: int, industry: str = "Retail", ended: datetime = SHOP_DAY, store: str | None = None
) -> None:
    """A world after one night with so many batches, in a store in its folder or in another."""
    import sqlalchemy as sa

    from lifecycle.crm.sample import demo_schema

    destroy_batches.BATCH_CALLS = archive.FIRST_READ = archive.LARGEST_READ = CALLS
    url = f"sqlite:///{folder / 'crm.db'}"
    engine = sa.create_engine(url)
    demo_schema.create_schema(engine)
    engine.dispose()
    world = world_in(folder, store).initialised()
    account = world.account(industry)
    for number in range(batches * CALLS):
        key = world.call(f"id-{number:07}", account, ended, phone=f"+44 20 79{number:06}")
        if number % 2 == 0:
            world.note(key)
    run_night(world.lifecycle())


def world_in(folder: Path, store: str | None) -> World:
    place, endpoint = store or (folder / "store").as_uri(), os.environ.get("LIFECYCLE_S3_ENDPOINT")
    return World(f"sqlite:///{folder / 'crm.db'}", place, folder / "policies", endpoint)


def opened(folder: Path, store: str | None = None) -> Any:
    return world_in(folder, store).lifecycle()


def audit_everything(folder: Path) -> int:
    from lifecycle.audit.whole_audit import audit_archive_and_ledger

    found = audit_archive_and_ledger(opened(folder))
    assert found.sound, (found.damaged, found.uncompared)
    return int(found.batches)


def one_record(folder: Path) -> int:
    from lifecycle.custody.record_lookup import find_records

    return len(find_records(opened(folder), "id-0000777").records)


def one_batch(folder: Path) -> int:
    from lifecycle.audit.single_batch import audit_single_batch

    name = next((folder / "store/archive").rglob("manifest.json")).parent.name
    found = audit_single_batch(opened(folder), name)
    assert found.sound
    return int(found.batches)


def measured(work: Callable[[Path], int], folder: Path, said: Any) -> None:
    work(folder) if work is not audit_everything else None  # what is imported and opened once is not what is asked
    before = os.times()
    start = time.perf_counter()
    count = work(folder)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.user + after.system - before.user - before.system
    said.put((seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count))


def run(name: str, work: Callable[[Path], int], folder: Path, times: int = TIMES) -> tuple[float, float]:
    """Median seconds and CPU seconds, each in a fresh process."""
    found = []
    for _ in range(times):
        context = multiprocessing.get_context("spawn")
        said = context.Queue()
        process = context.Process(target=measured, args=(work, folder, said))
        process.start()
        found.append(said.get())
        process.join()
    seconds, cpu = median(one[0] for one in found), median(one[1] for one in found)
    memory, count = max(one[2] for one in found), found[0][3]
    print(f"{name:44} {seconds:8.3f} s  {cpu:8.3f} s CPU  {memory:6.0f} MiB  ({count})", flush=True)
    return seconds, cpu


def main() -> None:
    with tempfile.TemporaryDirectory() as text:
        costs = []
        for batches in (BATCHES // 4, BATCHES):
            folder = Path(text) / str(batches)
            folder.mkdir()
            start = datetime.now().timestamp()  # noqa: DTZ005
            build(folder, batches)
            print(f"{'built in':44} {datetime.now().timestamp() - start:8.1f} s", flush=True)  # noqa: DTZ005
            _, cpu = run(f"verify, {batches:,} batches of {CALLS} calls", audit_everything, folder, 3)
            costs.append(cpu / batches * 1000)
        print(f"{'':44} CPU a batch: {', '.join(f'{cost:.1f} ms' for cost in costs)}")
        record, batch = run("record of one call", one_record, folder), run("verify of one batch", one_batch, folder)
        shutil.rmtree(folder / "store" / "index")
        before = run("record of one call, without the index", one_record, folder)
        whole = run("verify of one batch, without the index", one_batch, folder)
        print(f"{'':44} by the index: record {record[0] / before[0]:.3f}, batch {batch[0] / whole[0]:.3f} of the time")


if __name__ == "__main__":
    main()
