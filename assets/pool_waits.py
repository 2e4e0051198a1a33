"""How a run waits for a slot of a pool: asleep, saying so, and never for a run whose process is dead.

Dagster means to sleep between two looks, and gets the length wrong: it is never above nought, so a waiting run turns
in circles and takes a whole core from those it waits for (dagster-io/dagster#20367, closed unmended). Five small
industries at once took 41 s so, mostly by waiting.
"""

import logging
import time
from typing import Any

from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from assets.dead_runs import close_dead_runs

_LOG = logging.getLogger(__name__)
AS_DAGSTER_HAS_IT = InstanceConcurrencyContext.interval_to_next_pending_claim_check
LONGEST = 2.0  # seconds between two looks; Dagster's grow to 15


def mend_pool_waits() -> None:
    """Have every run of this process wait so."""
    kind = InstanceConcurrencyContext
    kind.interval_to_next_pending_claim_check = _seconds_to_next_look  # type: ignore[assignment, method-assign]


def _seconds_to_next_look(context: Any) -> float:
    """How long to sleep until a slot is asked for again. Whoever holds one and is dead gives it back meanwhile."""
    waiting, until = context._pending_claims, context._pending_timeouts
    if not waiting:
        return 0.0
    for line in close_dead_runs(context._instance):
        _LOG.warning(line)
    soonest = min((until[step] for step in waiting if step in until), default=0.0)
    return float(min(LONGEST, max(0.0, soonest - time.time())))
