"""What of the store's locks and of the bucket's own rules would keep copies too long, or let them go too soon."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import StoreError
from lifecycle.policy.documents.schedule import Schedules

_A_DAY = date(2001, 1, 1)  # any: the difference of two periods is wanted, to a few days


def lock_problems(lifecycle: Lifecycle) -> list[str]:
    """A bucket without lock where one is set; a default lock that outlasts a copy; a rule that expires objects."""
    locks = lifecycle.store.locks
    shortest = min(_days_of_copies(lifecycle.policies.schedules), default=None)
    found = _asked(locks.expirations)
    return [*found, *_asked(partial(locks.problems, shortest))] if lifecycle.settings.object_lock else found


def _asked(question: Callable[[], list[str]]) -> list[str]:
    """The answer; where the store gives none, for want of a right, that is a warning."""
    try:
        return question()
    except StoreError as error:
        return [f"warning: {error}"]


def _days_of_copies(schedules: Schedules) -> Iterator[int]:
    """How long a copy lies in the archive at least, by rule: from the purge on its first day to its destroy date."""
    for schedule in schedules.by_industry.values():
        for rule in schedule.rules:
            if rule.purge_after is not None and rule.destroy_after is not None:
                gone = rule.destroy_after.first_free_day(_A_DAY)
                yield max(0, (gone - rule.purge_after.first_free_day(_A_DAY)).days)
