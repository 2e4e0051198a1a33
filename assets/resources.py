"""What Dagster hands to an asset: the lifecycle, opened in the run from the environment; and for which night."""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from assets.dead_runs import PROCESS_TAG, close_dead_runs, this_process
from assets.failures import stated_failure
from assets.location import require_own_location
from assets.progress import Log, LoggedProgress
from lifecycle.deployment.lifecycle import Lifecycle, Progress
from lifecycle.errors import LifecycleError, OutsideError, place_of
from lifecycle.settings import read_settings


class LifecycleResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens CRM, store and policies from LIFECYCLE_… when a run asks, never when definitions load.

    Dagster makes one of it for each run, whose steps share what the first of them opened.
    """

    _opened: Lifecycle | None = PrivateAttr(default=None)
    _logged: Progress | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note on the run, before its first step, which process it is: another can tell later that it died.

        As this one tells of those of its machine, whose slots in pools it would wait for: on a machine of workers
        alone no sensor does.
        """
        if context.run is not None and context.instance is not None:
            require_own_location(context.run)
            context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: this_process()})
            close_dead_runs(context.instance)

    def open(self, log: Log | None = None) -> Lifecycle:
        """A lifecycle with the wall clock: the place where the product learns what time it is.

        `log`: of the step that works with it, which says there how far it is.
        """
        self._logged = LoggedProgress(log) if log else None
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Lifecycle:
        watcher = _WATCHERS[-1]

        def progress(what: str, done: int, of: int) -> None:
            watcher.progress(what, done, of)
            if self._logged:
                self._logged(what, done, of)

        now = partial(datetime.now, UTC)
        return Lifecycle(read_settings(), now, progress, stop_requested=watcher.stop_requested)


_LOG = logging.getLogger(__name__)
StopRequested = Callable[[], str | None]


@dataclass(frozen=True)
class Watcher:
    """A person at a terminal who runs a night in this process, and is told what Dagster's storage must not keep.

    `named`: what a step says of single calls, by asset. `words`: the message in the run log → the whole message.
    """

    progress: Progress
    stop_requested: StopRequested
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


_WATCHERS: list[Watcher] = [Watcher(lambda _what, _done, _of: None, lambda: None)]


@contextmanager
def watched_by(progress: Progress, stop_requested: StopRequested) -> Iterator[Watcher]:
    """Report progress of runs in this process to a person who watches, and stop when told to, for a while."""
    _WATCHERS.append(Watcher(progress, stop_requested))
    try:
        yield _WATCHERS[-1]
    finally:
        _WATCHERS.pop()


def name_calls_to_watcher(asset: str, **named: Any) -> None:
    """Tell whoever watches which calls a step speaks of. Nobody does: nothing is kept."""
    if _somebody_watches():
        _WATCHERS[-1].named[asset] = named


def _somebody_watches() -> bool:
    return len(_WATCHERS) > 1


@contextmanager
def dagster_failures(step: dg.AssetExecutionContext | None = None) -> Iterator[None]:
    """Turn our errors into Dagster failures with their own words; only what lies outside is worth a retry.

    `step`: which asset asks; it is tried again where that has a retry policy, and nothing else is.
    A person at a terminal is told at once instead, and runs again. Dagster keeps what it is given for years: a driver's
    error quotes rows, so no cause goes with a failure, and of what is unexpected only the place.
    """
    try:
        yield
    except LifecycleError as error:
        logged = f"{type(error).__name__}: {error.without_values}"
        _tell_watcher(logged, error)
        _LOG.debug("%s\n%s", logged, "".join(traceback.format_tb(error.__traceback__)))
        again = step if isinstance(error, OutsideError) and not _somebody_watches() else None
        failure = stated_failure(logged, error.exit_code, again)
        raise failure from failure.__cause__  # and never from ours, whose words may name a call
    except Exception as error:
        if isinstance(error, (dg.DagsterError, dg.Failure)):
            raise
        said = f"a bug of lifecycle ({type(error).__name__} at {place_of(error)}); `lifecycle run` shows its words"
        _tell_watcher(said, error)
        raise stated_failure(said, 3) from None


def _tell_watcher(logged: str, error: Exception) -> None:
    if _somebody_watches():
        _WATCHERS[-1].words[logged] = f"{type(error).__name__}: {error}"
