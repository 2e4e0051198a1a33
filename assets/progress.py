"""How far a step is: for the run log, with rate and remaining time, now and then; and as numbers when it is done."""

import time
from collections.abc import Callable
from typing import Any, Protocol

EVERY_SECONDS = 30.0


class Log(Protocol):
    """A logger, as Dagster hands one to a step."""

    def info(self, message: str) -> Any:
        """Say something."""


class LoggedProgress:
    """A Progress that says in a log how far something is, when half a minute has passed since it last did."""

    def __init__(self, log: Log, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._log, self._stopwatch = log, stopwatch
        self._began: dict[str, tuple[float, int]] = {}
        self._said = stopwatch()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Take note of how much is done, of how much in all (0: nobody knows)."""
        now = self._stopwatch()
        started, before = self._began.setdefault(what, (now, done))
        if now - self._said >= EVERY_SECONDS and now > started:
            self._said = now
            self._log.info(progress_line(what, done, of, (done - before) / (now - started)))


def progress_line(what: str, done: int, of: int, rate: float) -> str:
    """`purged bank: 12,000 of 40,000, 1,250 a second, 22 s left`."""
    so_far = f"{done:,} of {of:,}" if of else f"{done:,}"
    left = f", {(of - done) / rate:,.0f} s left" if rate > 0 and of > done else ""
    return f"{what}: {so_far}, {rate:,.0f} a second{left}"


def pace_metadata(calls: int, seconds: float) -> dict[str, Any]:
    """How long a step took and how many calls a second it did: numbers that Dagster draws over time."""
    return {"seconds": round(seconds, 2), "calls_a_second": round(calls / seconds, 1) if seconds > 0 else 0.0}
