"""A night in a process of its own that kills itself with SIGKILL at its k-th write to the outside.

Processes are forked from one that has imported everything and touched nothing. A write is an object put into the store,
a file removed where it lay, or a COMMIT of a transaction that writes.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.crm.database import Database
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import LifecycleError
from lifecycle.night.seal import seal_ledger
from lifecycle.settings import Settings
from tests.builders import CLOCK, World, run_night

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.night.driver"])


class Suicide:
    """Counts writes; dies at one of them, before it or after it."""

    def __init__(self, at: int, when: str) -> None:
        self.at, self.when, self.writes, self.lock = at, when, 0, Lock()

    @contextmanager
    def write(self) -> Iterator[None]:
        with self.lock:  # the objects of a batch are put several at a time
            self.writes += 1
            mine = self.writes == self.at
        if mine and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if mine and self.when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        put_once, swapped, writing = FolderStore.put_once, FolderStore.swap, Database.writing
        delete = FolderStore.delete

        def put(store: FolderStore, key: str, body: Any) -> Any:
            with self.write():
                return put_once(store, key, body)

        def remove(store: FolderStore, key: str, version_id: str | None) -> None:
            with self.write():
                delete(store, key, version_id)

        @contextmanager
        def write(database: Database, *patience: int) -> Iterator[sa.Connection]:
            manager = writing(database, *patience)
            connection = manager.__enter__()
            try:
                yield connection
            except BaseException as error:
                if not manager.__exit__(type(error), error, error.__traceback__):
                    raise
                return
            with self.write():
                manager.__exit__(None, None, None)

        def swap(store: FolderStore, key: str, body: bytes, expected: bytes | None) -> Any:
            with self.write():
                return swapped(store, key, body, expected)

        FolderStore.put_once = put  # type: ignore[method-assign]
        FolderStore.swap = swap  # type: ignore[method-assign]
        FolderStore.delete = remove  # type: ignore[method-assign]
        Database.writing = write  # type: ignore[method-assign]


def _night(given: dict[str, Any], run: str, at: int, when: str, said: Path, barrier: Any, work: Any) -> None:
    suicide = Suicide(at, when)
    suicide.install()
    lifecycle = Lifecycle(Settings(**given), lambda: CLOCK)
    if barrier is not None:
        barrier.wait()
    try:
        work(lifecycle, Run(run, "tester"))
    except LifecycleError as error:
        said.write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(error.exit_code) from None
    said.write_text(str(suicide.writes))


def whole(lifecycle: Lifecycle, run: Run) -> None:
    """A whole night."""
    run_night(lifecycle, run)


def without_sealing(lifecycle: Lifecycle, run: Run) -> None:
    """A night up to its last purge."""
    run_night(lifecycle, run, sealing=False)


def sealing(lifecycle: Lifecycle, _run: Run) -> None:
    """What is left of a night after its last purge."""
    seal_ledger(lifecycle)


def begin(
    world: World, run: str = "run-1", at: int = 0, when: str = "before", barrier: Any = None, work: Any = whole
) -> Any:
    """Start work in its own process; `said(process)` is what it said."""
    world.flush()
    given = world.given()
    said = world.policies.parent / f"said-{run}-{at}-{when}"
    process = processes.Process(target=_night, args=(given, run, at, when, said, barrier, work))
    process.start()
    return process, said


def night_killed(world: World, at: int, when: str, run: str = "run-1", work: Any = whole) -> int | None:
    """Run a night that dies at a write: None. Where it came to its end before: the number of its writes."""
    process, said = begin(world, run, at, when, work=work)
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0, said.read_text() if said.exists() else process.exitcode
    return int(said.read_text())
