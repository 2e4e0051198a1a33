"""Clocks: this machine's held against the database's, the store's and the ledger's. A night under an odd one is none.

Which calls are due hangs on what day it is, and this machine alone would say it. Reads only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import ClockError

MOST_APART = timedelta(minutes=10)
HOST, DATABASE, STORE, LEDGER = "this machine", "the CRM database", "the store", "the ledger"


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What one clock said, and what this machine's said at that moment."""

    whose: str
    says: datetime
    host: datetime

    @property
    def ahead(self) -> timedelta:
        """How far it is before this machine's; negative: behind."""
        return self.says - self.host


def read_clocks(lifecycle: Lifecycle) -> list[ClockReading]:
    """What the clocks beside this machine's say; a database in a file and a folder have none of their own."""
    crm, store = lifecycle.crm, lifecycle.store
    found = [(DATABASE, crm.database.now(), lifecycle.now()), (STORE, store.now(), lifecycle.now())]
    return [ClockReading(whose, says, host) for whose, says, host in found if says is not None]


def odd_clocks(lifecycle: Lifecycle) -> dict[str, str]:
    """The clocks that nobody should trust, and why; nothing where all agree to ten minutes."""
    readings, host = read_clocks(lifecycle), lifecycle.now()
    apart = {one.whose: one for one in readings if abs(one.ahead) > MOST_APART}
    found = dict(_behind(lifecycle, host))
    if not apart:
        return found
    if len(apart) == len(readings):  # all others are against this machine's, or there is only one other
        said = "; ".join(_said(one) for one in apart.values())
        return {HOST: f"it says {_written(host)}, and {said}", **found}
    return {whose: f"{_said(one)}, and this machine {_written(one.host)}" for whose, one in apart.items()} | found


def require_agreeing_clocks(lifecycle: Lifecycle) -> None:
    """Raise ClockError where a clock is more than ten minutes off, or this machine's is behind the ledger."""
    odd = odd_clocks(lifecycle)
    if odd:
        raise ClockError(clock_message(odd))


def clock_message(odd: dict[str, str]) -> str:
    """What to say of odd clocks."""
    said = ". ".join(f"the clock of {whose} is odd: {why}" for whose, why in odd.items())
    return f"{said}. Set it right; no night runs, and nothing was done"


def _behind(lifecycle: Lifecycle, host: datetime) -> Iterator[tuple[str, str]]:
    """Whatever was signed or purged was so in the past: a clock before it went wrong then, or is wrong now."""
    newest = lifecycle.crm.control.newest()
    if newest is not None and datetime.fromisoformat(newest) > host + MOST_APART:
        yield LEDGER, f"its newest entry is of {newest}, and this machine says {_written(host)}"


def _said(one: ClockReading) -> str:
    return f"{one.whose} {_written(one.says)}"


def _written(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds")
