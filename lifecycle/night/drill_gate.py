"""The newest drill, and whether a purge may go on with it. How a drill is run is custody's."""

from dataclasses import dataclass
from datetime import date, datetime

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import DrillMissing
from lifecycle.evidence.leaf import read_leaf
from lifecycle.policy.period import RetentionPeriod

DRILLED = "drilled"
RUN_ONE = "`lifecycle drill` restores some batches into a scratch database and compares them"


@dataclass(frozen=True, slots=True)
class NewestDrill:
    """When the newest drill ended, and whether everything came back equal."""

    at: datetime
    passed: bool

    def counts_until(self, period: RetentionPeriod) -> date:
        """The last day on which it is recent."""
        return period.last_day(self.at.date())


def newest_drill(lifecycle: Lifecycle) -> NewestDrill | None:
    """The newest drill on record, logged or waiting. None: there was none."""
    with lifecycle.crm.database.reading() as connection:
        found = lifecycle.crm.control.places.newest_noted(connection, f"{DRILLED}:")
    if found is None:
        return None
    leaf = read_leaf("the newest drill", found)
    return NewestDrill(datetime.fromisoformat(leaf["noted_at"]), leaf["kind"] == DRILLED and leaf["passed"] is True)


def require_recent_drill(lifecycle: Lifecycle) -> None:
    """Raise DrillMissing where a purge needs a drill, and the newest failed, is too old, or there is none."""
    setting = lifecycle.settings.purge_needs_drill
    problem = drill_problem(lifecycle, RetentionPeriod.parse(setting)) if setting else None
    if problem:
        raise DrillMissing(f"LIFECYCLE_PURGE_NEEDS_DRILL={setting}: {problem}. Nothing was purged; {RUN_ONE}")


def drill_problem(lifecycle: Lifecycle, period: RetentionPeriod) -> str | None:
    """Why there is no drill that counts; None: there is."""
    newest = newest_drill(lifecycle)
    if newest is None:
        return "no drill was ever run"
    if not newest.passed:
        return f"the newest drill, of {newest.at.date()}, failed"
    if newest.counts_until(period) < lifecycle.now().date():
        return f"the newest drill is of {newest.at.date()}, older than {period}"
    return None
