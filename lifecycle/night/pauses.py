"""When a purge waits for others: a replica that is behind, a queue of sessions that wait for locks, the night's hours.

Asked between transactions, when the purge holds nothing, and at most once a second. How long it rests for the share of
the time in which a transaction may be open is said by `slice_pace`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.crm.lock_queue import sessions_in_lock_queue
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night.night_window import is_window_open

QUEUE = 10  # sessions; fewer come and go on any busy server
LONGEST_WAIT = 1800.0
EVERY = 1.0
FOR_REPLICA, FOR_LOCKS, FOR_DUTY = "a replica", "the lock queue", "others' share of the time"


@dataclass
class Pauses:
    """Lets a purge go on, or waits. `waited`: the seconds it did, by for what."""

    lifecycle: Lifecycle
    waited: dict[str, float]
    stopwatch: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _asked: float | None = None

    def may_go_on(self) -> bool:
        """Whether another transaction may begin, once nobody has to be waited for.

        False: the window closed, or others were waited for half an hour in all; the rest is for a later night. Raises
        NightStopped where that is asked for meanwhile.
        """
        while is_window_open(self.lifecycle):
            reason = self._reason()
            if reason is None:
                return True
            if sum(self.waited.get(what, 0) for what in (FOR_REPLICA, FOR_LOCKS)) >= LONGEST_WAIT:
                return False
            self.lifecycle.require_running()
            self._wait(EVERY, reason)
        return False

    def rest(self, seconds: float) -> None:
        """Leave the database to others for so long; less where somebody wants this process to end."""
        end = self.stopwatch() + seconds
        while (left := end - self.stopwatch()) > 0 and not self.lifecycle.stop_requested():
            self._wait(min(left, EVERY), FOR_DUTY)

    def _wait(self, seconds: float, reason: str) -> None:
        before = self.stopwatch()
        self.sleep(seconds)
        self.waited[reason] = self.waited.get(reason, 0) + self.stopwatch() - before
        self.lifecycle.progress(f"seconds waited for {reason}", round(self.waited[reason]), 0)

    def _reason(self) -> str | None:
        """For what to wait. What was fine a moment ago is not asked again."""
        now = self.stopwatch()
        if self._asked is not None and now - self._asked < EVERY:
            return None
        behind = self.lifecycle.replicas.furthest_behind()
        if behind is not None and behind.seconds > self.lifecycle.settings.replica_lag:
            return FOR_REPLICA
        if sessions_in_lock_queue(self.lifecycle.crm.database) >= QUEUE:
            return FOR_LOCKS
        self._asked = now
        return None
