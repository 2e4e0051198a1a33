"""What a step works with: the CRM, the store, the policies, the clock it was handed, and which run it is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from lifecycle.archive.objects import ObjectStore, open_store
from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.facts import FactKinds
from lifecycle.crm.source import read_source
from lifecycle.errors import NightError
from lifecycle.evidence.notes import named
from lifecycle.ledger.keys import FileKeys, Keys
from lifecycle.ledger.log import Log
from lifecycle.policy.hold import Holds
from lifecycle.policy.schedule import Schedules
from lifecycle.settings import Settings
from lifecycle.steps.policies import Policies, read_holds, read_policies

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Run:
    """Who works: Dagster's run id, and the schedule or person it runs for."""

    id: str
    actor: str


@dataclass(frozen=True)
class Lifecycle:
    """Everything outside, opened on first use. `now` is the only clock below the command line and Dagster."""

    settings: Settings
    now: Callable[[], datetime]
    progress: Progress = lambda _what, _done, _of: None

    @cached_property
    def policies(self) -> Policies:
        """The law as it is on disk when first asked for."""
        return read_policies(self.settings.policies)

    def holds_now(self) -> Holds:
        """The legal holds as they are on disk this moment."""
        return read_holds(self.settings.policies)

    @cached_property
    def crm(self) -> Crm:
        """The CRM."""
        database = open_database(self.settings.crm_url.get_secret_value())
        return Crm(database, read_source(self.settings.source), fact_kinds(self.policies.schedules))

    @cached_property
    def store(self) -> ObjectStore:
        """The object store."""
        return open_store(self.settings.store, self.settings.s3_endpoint)

    @cached_property
    def keys(self) -> Keys:
        """The keeper of the ledger's secrets."""
        return FileKeys(self.settings.signing_key)

    @property
    def origin(self) -> str:
        """The ledger's name, in its checkpoints and in the name of its key."""
        return named(self.settings.origin or f"call-lifecycle/{self.crm.source.source}")

    def log(self) -> Log:
        """The ledger, read with the keys as they are this moment."""
        return Log(self.store, self.origin, lambda: self.keys.verifiers(self.origin))


def fact_kinds(schedules: Schedules) -> FactKinds:
    """Which facts the schedules read as times and as yes or no."""
    rules = [rule for schedule in schedules.by_industry.values() for rule in schedule.rules]
    times = {rule.trigger for rule in rules} | {"started_at", "ended_at"}
    return FactKinds(frozenset(times), frozenset(fact for rule in rules for fact in rule.keep_while))


def night_of(lifecycle: Lifecycle, wanted: date | None) -> date:
    """The night to work on: the one asked for, or the latest that has begun in every schedule's time zone.

    Days begin at the schedules' local midnights: nothing goes early anywhere. Raises NightError for a night to come.
    """
    now = lifecycle.now()
    zones = [schedule.timezone for schedule in lifecycle.policies.schedules.by_industry.values()]
    latest = min(now.astimezone(zone).date() for zone in [*zones, ZoneInfo(lifecycle.settings.nightly_timezone)])
    if wanted is not None and wanted > latest:
        raise NightError(
            f"--as-of {wanted}: expected a night that has begun in every schedule's time zone (up to {latest}). "
            "Nothing was done; `lifecycle plan` shows nights to come"
        )
    return wanted or latest
