"""How many calls one transaction takes, and how long to wait after it: locks are held for a fifth of a second.

The first slice is small; each one's time says how large the next may be. No clock here but a stopwatch.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOCK_SECONDS = 0.2  # aimed at
LONGEST_SECONDS = 2.0
FEWEST, MOST = 100, 20_000
FEW = 900  # as many keys as one statement of MariaDB takes (`bound_values.value_chunks`); the first slice too
_GROWTH = 3


class SlicePace:
    """The size of slices, and the pauses between them.

    Below FEW calls a slice costs what it costs, however small: it gets smaller only where it took LONGEST_SECONDS.

    `duty`: the share of the time, from 0 to 1, in which a transaction is open; the rest belongs to everybody else.
    """

    def __init__(
        self,
        duty: float = 1.0,
        stopwatch: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls = FEW
        self._duty, self._stopwatch, self._sleep = duty, stopwatch, sleep

    @contextmanager
    def slice(self, calls: int) -> Iterator[None]:
        """Around the transaction of a slice: sizes the next one by its time, and pauses where a duty is set."""
        started = self._stopwatch()
        yield
        seconds = self._stopwatch() - started
        wanted = int(calls * LOCK_SECONDS / seconds) if seconds > 0 else MOST
        fewest = FEWEST if seconds > LONGEST_SECONDS else FEW
        self.calls = max(fewest, min(MOST, wanted, max(calls, FEW) * _GROWTH))
        pause = seconds * (1 / self._duty - 1)
        if pause > 0:
            self._sleep(pause)
