"""Status: how everything stands at this moment, in one look. It writes nothing, and counts no call that no hold names.

Each part is asked by itself. What cannot be asked says why, and the rest is shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from lifecycle.alerts.heartbeat import read_heartbeat
from lifecycle.deployment.lifecycle import Lifecycle, resolve_night
from lifecycle.errors import LifecycleError
from lifecycle.inquiry.hold_report import report_holds
from lifecycle.inquiry.night_status import NightsStatus, read_nights
from lifecycle.ledger.anchors import kept_answer
from lifecycle.night.anchor import anchors_set
from lifecycle.night.drill_gate import RUN_ONE, drill_problem, newest_drill
from lifecycle.night.foreign_objects import hold_without_file
from lifecycle.night.seal import records_waiting
from lifecycle.policy.documents.hold import Hold
from lifecycle.policy.period import RetentionPeriod

_LOOK = 1
_HEARTBEAT_AGE = timedelta(minutes=5)
_LONGEST_WITHOUT_A_NIGHT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StatusLine:
    """How one thing stands. `exit_code`: 0 where nobody must look. `to_type`: the command that tells or does more."""

    subject: str
    said: str
    exit_code: int = 0
    to_type: str = ""


@dataclass
class Status:
    """Everything at once. `tonight`: what a run of this moment would work on; None: the policies cannot be read."""

    at: datetime
    source: str
    tonight: date | None = None
    nights: NightsStatus = field(default_factory=NightsStatus)
    lines: list[StatusLine] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """As of every command: wrong input weighs more than what failed outside, and that more than a look."""
        codes = {line.exit_code for line in self.lines} | {_LOOK for _ in self.nights.waiting}
        return next((code for code in (2, 3, 1) if code in codes), 0)


Question = Callable[[Lifecycle, Status], Iterator[StatusLine]]


def read_status(lifecycle: Lifecycle) -> Status:
    """Ask every part how it stands. What fails with the policies or the database is not asked of either again."""
    status = Status(lifecycle.now(), lifecycle.settings.origin or f"call-lifecycle/{lifecycle.settings.source}")
    if _asked(lifecycle, status, "policies", _policies) and _asked(lifecycle, status, "CRM", _crm):
        for subject, question in _OF_CONTROL_TABLES.items():
            _asked(lifecycle, status, subject, question)
    _asked(lifecycle, status, "anchors", _anchors)
    _asked(lifecycle, status, "schedule", _schedule)
    return status


def _asked(lifecycle: Lifecycle, status: Status, subject: str, question: Question) -> bool:
    """Whether it could be asked."""
    try:
        for line in question(lifecycle, status):
            status.lines.append(line)
    except LifecycleError as error:
        status.lines.append(StatusLine(subject, str(error), error.exit_code))
        return False
    return True


def _policies(lifecycle: Lifecycle, status: Status) -> Iterator[StatusLine]:
    policies = lifecycle.policies
    status.tonight = resolve_night(lifecycle, None)
    commit = f"commit {policies.git_commit[:12]}" if policies.git_commit else "in no git work tree"
    edited = ", edited since" if policies.git_dirty else ""
    said = f"{len(policies.schedules.by_industry)} schedules, {commit}{edited}"
    yield StatusLine("policies", said)
    for reason in policies.broken.values():
        yield StatusLine("policies", f"its industry is kept: {reason}", _LOOK, "lifecycle check --no-crm")


def _crm(lifecycle: Lifecycle, _status: Status) -> Iterator[StatusLine]:
    lifecycle.crm.control.require()
    order = lifecycle.crm.control.stops.order()
    if order:
        why = f": {order.reason}" if order.reason else ""
        yield StatusLine("stop", f"stopped by {order.by} at {order.at}{why}", _LOOK, "lifecycle stop --lift")


def _nights(lifecycle: Lifecycle, status: Status) -> Iterator[StatusLine]:
    status.nights = read_nights(lifecycle)
    for what, error in status.nights.unread.items():
        yield StatusLine(what, str(error), error.exit_code)
    newest = max((one.night for one in status.nights.nights), default=None)
    tonight = status.tonight or lifecycle.now().date()
    if newest is None:
        yield StatusLine("tonight", f"no night was planned yet; the next is {tonight}", 0, "lifecycle plan")
    elif newest < tonight:
        late = tonight - newest > _LONGEST_WITHOUT_A_NIGHT
        said = f"{tonight} is not planned yet; the last was {newest}"
        yield StatusLine("tonight", said, _LOOK if late else 0, "lifecycle plan")
    of_newest = [one for one in status.nights.nights if one.night == newest]
    if newest and not any(one.planned for one in of_newest):
        yield StatusLine("tonight" if newest == tonight else "the last night", f"{newest} was planned: nothing is due")
    aside, overdue = sum(one.set_aside for one in of_newest), sum(one.overdue for one in of_newest)
    if aside:
        yield StatusLine(
            "set aside", f"{aside:,} calls stayed on {newest}", _LOOK, f"lifecycle set-aside --as-of {newest}"
        )
    if overdue:
        yield StatusLine("overdue", f"{overdue:,} calls were due for more than a week on {newest}", _LOOK)


def _holds(lifecycle: Lifecycle, status: Status) -> Iterator[StatusLine]:
    """Which holds need a person. One on a whole industry, or on days alone, is not counted: it may be every call."""
    for hold in lifecycle.unreleased:
        yield StatusLine("holds", hold_without_file(hold), _LOOK)
    today = status.tonight or lifecycle.now().date()
    active = lifecycle.policies.holds.active(today)
    wide = [hold.id for hold in active if _is_wide(hold)]
    reports = report_holds(lifecycle, [hold for hold in active if not _is_wide(hold)], today)
    calls = sum(report.calls for report in reports)
    yield StatusLine(
        "holds", f"{len(active)} active; {calls:,} calls in those that name calls" if active else "none active"
    )
    for report in reports:
        if report.needs_person:
            yield StatusLine("holds", f"{report.hold.id} needs a person's review", _LOOK, "lifecycle holds")
    if wide:
        yield StatusLine("holds", f"not counted here, for they are wide: {', '.join(wide)}", 0, "lifecycle holds")


def _is_wide(hold: Hold) -> bool:
    return any(not scope.wanted().keys() - {"industry"} for scope in hold.scope)


def _ledger(lifecycle: Lifecycle, _status: Status) -> Iterator[StatusLine]:
    waiting = records_waiting(lifecycle)
    if waiting:
        yield StatusLine("ledger", f"{waiting:,} committed purges are not in it yet", _LOOK, "lifecycle run")
    newest = lifecycle.crm.control.newest()
    yield StatusLine("ledger", f"last written {newest[:16].replace('T', ' ')}Z" if newest else "nothing is in it yet")


def _drill(lifecycle: Lifecycle, _status: Status) -> Iterator[StatusLine]:
    newest, needed = newest_drill(lifecycle), lifecycle.settings.purge_needs_drill
    problem = drill_problem(lifecycle, RetentionPeriod.parse(needed)) if needed else None
    if problem:
        yield StatusLine("drill", f"{problem}; nothing is purged without one", _LOOK, "lifecycle drill")
    elif newest is None:
        yield StatusLine("drill", f"never run: {RUN_ONE}", 0, "lifecycle drill")
    else:
        said = "passed" if newest.passed else "FAILED"
        yield StatusLine("drill", f"the newest, of {newest.at.date()}, {said}", 0 if newest.passed else _LOOK)


def _destruction(lifecycle: Lifecycle, _status: Status) -> Iterator[StatusLine]:
    begun = lifecycle.crm.control.destructions.unfinished()
    if begun:
        yield StatusLine(
            "destroy", f"{len(begun)} batches are registered and not gone", _LOOK, "lifecycle destroy --run"
        )
    on = "on" if lifecycle.settings.destroy else "off: copies stay, whatever their day"
    yield StatusLine("destroy", f"LIFECYCLE_DESTROY is {on}", 0, "lifecycle destroy")


_OF_CONTROL_TABLES: dict[str, Question] = {
    "nights": _nights,
    "holds": _holds,
    "ledger": _ledger,
    "drill": _drill,
    "destroy": _destruction,
}


def _anchors(lifecycle: Lifecycle, status: Status) -> Iterator[StatusLine]:
    log = lifecycle.log()
    places, published = anchors_set(lifecycle, log), log.published()
    if not places:
        yield StatusLine("anchors", "none is set: nobody outside remembers a checkpoint", 0, "lifecycle check")
    if published is None:
        if status.nights.nights:
            yield StatusLine("anchors", "the store has no checkpoint, and nights have run", _LOOK, "lifecycle verify")
        return
    for name in places:
        took = kept_answer(lifecycle.store, published, name) is not None
        said = f"{name} {'took' if took else 'did not take'} the newest checkpoint, of {published.size:,} leaves"
        yield StatusLine("anchors", said, 0 if took else _LOOK, "" if took else "lifecycle anchor")


def _schedule(lifecycle: Lifecycle, _status: Status) -> Iterator[StatusLine]:
    file = lifecycle.settings.heartbeat
    beat = read_heartbeat(file) if file else None
    if file is None:
        yield StatusLine("schedule", "not known here: LIFECYCLE_HEARTBEAT names no file; Dagster's UI shows it")
        return
    if beat is None:
        yield StatusLine("schedule", f"there is no heartbeat in {file}: Dagster's daemon never wrote one", _LOOK)
        return
    at = datetime.fromisoformat(str(beat["at"]))
    old = lifecycle.now() - at > _HEARTBEAT_AGE
    on = beat.get("schedule_on") is True
    yield StatusLine(
        "schedule", "on" if on else "off", 0 if on else _LOOK, "" if on else "dagster schedule start nightly"
    )
    said = f"{at:%Y-%m-%d %H:%M}Z" + (": Dagster's daemon, or the sensor heartbeat, does not run" if old else "")
    yield StatusLine("heartbeat", said, _LOOK if old or beat.get("late") else 0)
