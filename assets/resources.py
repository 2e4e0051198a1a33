"""What Dagster hands to an asset: the lifecycle, opened in the run from the environment; and for which night."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from lifecycle.deployment.lifecycle import Lifecycle, Progress
from lifecycle.errors import LifecycleError, OutsideError
from lifecycle.settings import read_settings


class LifecycleResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens CRM, store and policies from LIFECYCLE_… when a run asks, never when definitions load.

    Dagster makes one of it for each run, whose steps share what the first of them opened.
    """

    _opened: Lifecycle | None = PrivateAttr(default=None)

    def open(self) -> Lifecycle:
        """A lifecycle with the wall clock: the place where the product learns what time it is."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Lifecycle:
        progress, stop_requested = _WATCHERS[-1]
        return Lifecycle(read_settings(), lambda: datetime.now(UTC), progress, stop_requested=stop_requested)


_MENDED = "What was committed stays and is on record; launching the run again goes on with the rest."
StopRequested = Callable[[], str | None]
_WATCHERS: list[tuple[Progress, StopRequested]] = [(lambda _what, _done, _of: None, lambda: None)]


@contextmanager
def watched_by(progress: Progress, stop_requested: StopRequested) -> Iterator[None]:
    """Report progress of runs in this process to a person who watches, and stop when told to, for a while."""
    _WATCHERS.append((progress, stop_requested))
    try:
        yield
    finally:
        _WATCHERS.pop()


def _somebody_watches() -> bool:
    return len(_WATCHERS) > 1


@contextmanager
def dagster_failures() -> Iterator[None]:
    """Turn our errors into Dagster failures with their own words; only what lies outside is worth a retry.

    A person at a terminal is told at once instead, and runs again. The stack goes into the debug log: the run's page
    says what failed, that nothing is lost, and what to do.
    """
    try:
        yield
    except LifecycleError as error:
        name = type(error).__name__
        retry = isinstance(error, OutsideError) and not _somebody_watches()
        dg.get_dagster_logger().debug("".join(traceback.format_exception(error)))
        said: dict[str, Any] = {"exit_code": error.exit_code, "nothing_is_lost": _MENDED}
        raise dg.Failure(f"{name}: {error}", metadata=said, allow_retries=retry) from None
