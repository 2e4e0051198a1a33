"""What a step works with: the CRM, the store, the policies, the clock it was handed, and which run it is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from lifecycle.archive.object_store import ObjectStore
from lifecycle.archive.open_store import open_store
from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.crm.replicas import Replicas, open_replicas
from lifecycle.deployment.policy_folder import Policies, read_holds_for, read_policies
from lifecycle.errors import NightError, NightStopped, SettingsError
from lifecycle.evidence.notes import require_key_name
from lifecycle.ledger.keys import FileKeys, Keys
from lifecycle.ledger.log import Log
from lifecycle.policy.documents.hold import Hold, Holds
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.distinct_cases import CREATION_FACTS, regimes_of_schedule, required_facts
from lifecycle.settings import Settings

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
    law: Policies | None = None
    stop_requested: Callable[[], str | None] = lambda: None

    def under(self, policies: Policies) -> "Lifecycle":
        """The same under another law than the one on disk: to explain and to compare, never to purge."""
        return replace(self, law=policies)

    @cached_property
    def policies(self) -> Policies:
        """The law as it is on disk when first asked for, or the one given."""
        return self.law or read_policies(self.settings.policies)

    def policies_now(self) -> Policies:
        """The law as it is on disk this moment, or the one given."""
        return self.law or read_policies(self.settings.policies)

    def holds_now(self) -> Holds:
        """The legal holds as they are on disk this moment, and those whose file is gone without a release."""
        return self._with_unreleased(read_holds_for(self.settings.policies, self.policies.schedules))

    @cached_property
    def holds(self) -> Holds:
        """The holds that bind this run: those of its policies, and those whose file is gone without a release."""
        return self.policies.holds if self.law else self._with_unreleased(self.policies.holds)

    @cached_property
    def unreleased(self) -> tuple[Hold, ...]:
        """The holds that earlier runs saw placed, and that have neither a file nor a release. Raises PolicyError."""
        return tuple(self.crm.control.holds.without_file(self.policies.holds.by_id.values()))

    def _with_unreleased(self, holds: Holds) -> Holds:
        """They are looked up once a run; a file that vanishes later is missed among those the run began with."""
        began = {**{hold.id: hold for hold in self.unreleased}, **self.policies.holds.by_id}
        gone = {name: hold for name, hold in began.items() if name not in holds.by_id}
        return replace(holds, by_id={**gone, **holds.by_id})

    @cached_property
    def crm(self) -> Crm:
        """The CRM."""
        return self.crm_reading(fact_kinds(self.policies.schedules))

    def crm_reading(self, kinds: FactKinds) -> Crm:
        """The CRM, with facts read as somebody needs them."""
        database = open_database(self.settings.crm_url.get_secret_value())
        return Crm(database, read_source(self.settings.source), kinds)

    @cached_property
    def control(self) -> ControlTables:
        """The control tables alone: the CRM's own tables are not looked at."""
        source = read_source(self.settings.source)
        return ControlTables(open_database(self.settings.crm_url.get_secret_value()), source.source, source.control)

    @cached_property
    def replicas(self) -> Replicas:
        """The replicas of the CRM's database that a purge waits for."""
        urls = self.settings.replicas.get_secret_value() if self.settings.replicas else ""
        return open_replicas(self.crm.database, [url.strip() for url in urls.split(",") if url.strip()])

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
        return require_key_name(self.settings.origin or f"call-lifecycle/{read_source(self.settings.source).source}")

    def log(self) -> Log:
        """The ledger, read with the keys as they are this moment."""
        return Log(self.store, self.origin, lambda: self.keys.verifiers(self.origin))

    def require_running(self) -> None:
        """Raise NightStopped where this process was told to end, or somebody stopped the nights of this CRM.

        Asked between transactions: what was committed stays, and a rerun goes on from there.
        """
        asked = self.stop_requested()
        if asked:
            raise NightStopped(f"stopped by {asked}. What was committed stays; running again goes on with the rest")
        order = self.crm.control.stops.order()
        if order:
            why = f": {order.reason}" if order.reason else ""
            raise NightStopped(
                f"the nights of this CRM were stopped by {order.by} at {order.at}{why}. What was committed stays; "
                "`lifecycle stop --lift` lets them run again"
            )

    @cached_property
    def recordings(self) -> ObjectStore | None:
        """Where the files lie that rows of calls name. None: nobody said, and they are left alone."""
        url = self.settings.recordings
        if not url:
            return None
        found = open_store(url, self.settings.s3_endpoint, "LIFECYCLE_RECORDINGS")
        ours, theirs = f"{self.store.url}/", f"{found.url}/"
        if ours.startswith(theirs) or theirs.startswith(ours):  # a row could name an object of the archive there
            raise SettingsError(
                f"LIFECYCLE_RECORDINGS: expected a place apart from LIFECYCLE_STORE, found {found.url}. Correct it"
            )
        return found


def fact_kinds(schedules: Schedules, shown: bool = False) -> FactKinds:
    """Which facts the schedules read as times and as yes or no. `shown`: the clocks of laws that bind nobody, too."""
    asked = [required_facts(schedule, schedules.regimes) for schedule in schedules.by_industry.values()]
    times = frozenset(CREATION_FACTS).union(*(each.times for each in asked))
    laws = [
        law for each in schedules.by_industry.values() for law in regimes_of_schedule(each, schedules.regimes) if shown
    ]
    clocks = [clock for law in laws for clock in law.clocks((*law.minimum, *law.maximum))]
    times |= frozenset().union(*(clock.triggers for clock in clocks)) - frozenset().union(
        *(each.words for each in asked)
    )
    return FactKinds(times, frozenset().union(*(each.flags for each in asked)))


def resolve_night(lifecycle: Lifecycle, wanted: date | None) -> date:
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
