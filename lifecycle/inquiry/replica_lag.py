"""Replicas of the CRM's database that a purge could not wait for, because nobody lets it see them. Changes nothing."""

from collections.abc import Iterator

from lifecycle.crm.replicas import unseen_replicas
from lifecycle.deployment.lifecycle import Lifecycle


def unseen_lag(lifecycle: Lifecycle) -> Iterator[str]:
    """A sentence where replicas are there and their lag cannot be seen, or a named one is not reached."""
    if lifecycle.settings.replicas is None and (number := unseen_replicas(lifecycle.crm.database)):
        yield (
            f"{number} replicas, and the role may not see how far behind they are: a purge does not wait for them. "
            "GRANT pg_monitor TO the role, or name them in LIFECYCLE_REPLICAS"
        )
    behind = lifecycle.replicas.furthest_behind()
    if behind is not None and behind.problem:
        yield f"replica {behind.replica}: {behind.problem}. A purge waits while that lasts"
