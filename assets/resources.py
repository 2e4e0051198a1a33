"""What Dagster hands to an asset: the lifecycle, opened in the run from the environment; and whose run it is."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime

import dagster as dg

from assets.dead_runs import PROCESS_TAG, this_process
from lifecycle.deployment.lifecycle import Lifecycle, Progress, Run
from lifecycle.errors import LifecycleError, OutsideError
from lifecycle.policy.approval import UNKNOWN_REQUESTER
from lifecycle.settings import read_settings

NIGHT_TAG, ACTOR_TAG = "lifecycle/night", "lifecycle/actor"


class LifecycleResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens CRM, store and policies from LIFECYCLE_… when a run asks, never when definitions load."""

    def open(self) -> Lifecycle:
        """A lifecycle with the wall clock: the place where the product learns what time it is."""
        progress, stop_requested = _WATCHERS[-1]
        return Lifecycle(read_settings(), lambda: datetime.now(UTC), progress, stop_requested=stop_requested)


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


def run_of(context: dg.AssetExecutionContext) -> Run:
    """The run, and who asked for it: a person named on the command line, a schedule, a sensor, or someone in the UI.

    Notes on the run which process it is, so that a later one can tell that it died.
    """
    tags: Mapping[str, str] = context.run.tags
    context.instance.add_run_tags(context.run.run_id, {PROCESS_TAG: this_process()})
    asked = [
        f"{kind} {tags[f'dagster/{kind}_name']}" for kind in ("schedule", "sensor") if f"dagster/{kind}_name" in tags
    ]
    return Run(context.run.run_id, tags.get(ACTOR_TAG) or next(iter(asked), UNKNOWN_REQUESTER))


def night_tag(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> date | None:
    """The night a cohort run belongs to; None means the newest that planned it."""
    text = context.run.tags.get(NIGHT_TAG)
    return date.fromisoformat(text) if text else None


@contextmanager
def dagster_failures() -> Iterator[None]:
    """Turn our errors into Dagster failures with their own words; only what lies outside is worth a retry.

    A person at a terminal is told at once instead, and runs again.
    """
    try:
        yield
    except LifecycleError as error:
        name = type(error).__name__
        retry = isinstance(error, OutsideError) and not _somebody_watches()
        raise dg.Failure(f"{name}: {error}", metadata={"exit_code": error.exit_code}, allow_retries=retry) from error
