"""What SIGTERM and Ctrl-C do to a night: it ends between transactions, or after some seconds wherever it is.

The night runs in a thread beside the one that takes the signals, for Dagster puts its own handlers into the main thread
and would go on with the next run. Ending in the middle of a transaction rolls it back: that is safe, as a power cut is.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 8.0  # seconds from the signal to the end of the process, whatever it does
_LOOK = 0.1
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class StopSignals:
    """The first SIGTERM or Ctrl-C of this process; asked by whoever works whether to stop."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.at = 0.0

    def __call__(self) -> str | None:
        """Who asked this process to stop; None: nobody."""
        return _NAMES[signal.Signals(self.received)] if self.received else None

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells have it; 0: there was none."""
        return 128 + self.received if self.received else 0

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received, self.at = number, time.monotonic()
            with suppress(OSError, ValueError):
                sys.stderr.write(f"{self()}: ending after the current transaction ...\n")

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in a thread of its own; end the process where it does not stop in time."""
        found: list[T] = []
        failed: list[BaseException] = []

        def thread() -> None:
            try:
                found.append(work())
            except BaseException as error:
                failed.append(error)

        before = {number: signal.signal(number, self._take) for number in _NAMES}
        try:
            worker = Thread(target=thread, daemon=True)
            worker.start()
            while worker.is_alive():
                worker.join(_LOOK)
                if self.received and time.monotonic() - self.at > PATIENCE:
                    self._end()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if failed:
            raise failed[0]
        return found[0]

    def _end(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(
                f"stopped by {self()} in the middle of a step: its transaction is rolled back, what was committed "
                "before stays, and running again goes on with the rest\n"
            )
            sys.stderr.flush()
        os._exit(self.exit_code)
