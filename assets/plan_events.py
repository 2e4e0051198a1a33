"""The plan runs that Dagster's event log tells of. Anybody at the webserver can report an event: it is none of ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from assets.location import asset_key
from assets.report import GOING_SEPARATOR
from assets.tables import NOBODY

_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class PlanEvent:
    """One run of the plan: its event's storage id, its night, and the industries that could go at once."""

    storage_id: int
    run_id: str
    night: date
    industries: tuple[str, ...]


def newest_plan_event(instance: dg.DagsterInstance) -> PlanEvent | None:
    """The last plan run; None: there is none."""
    return next(_plan_events(instance, None, ascending=False), None)


def plan_events_from(instance: dg.DagsterInstance, storage_id: int) -> Iterator[PlanEvent]:
    """The plan runs from an event on, the oldest first. What is reported, or lacks our metadata, is left out."""
    return _plan_events(instance, storage_id - 1, ascending=True)


def _plan_events(instance: dg.DagsterInstance, after: int | None, ascending: bool) -> Iterator[PlanEvent]:
    wanted = dg.AssetRecordsFilter(asset_key("disposition_plan"), after_storage_id=after)
    cursor: str | None = None
    while True:
        found = instance.fetch_materializations(wanted, limit=_AT_ONCE, cursor=cursor, ascending=ascending)
        yield from filter(None, map(_plan_event, found.records))
        cursor = found.cursor
        if not found.has_more:
            return


def _plan_event(event: dg.EventLogRecord) -> PlanEvent | None:
    """The event as ours; None: it is reported, or does not say what every plan run says."""
    materialization = event.asset_materialization
    said: Any = materialization.metadata if materialization else {}
    night, going = (getattr(said.get(name), "value", None) for name in ("night", "going"))
    if not event.run_id or not isinstance(night, str) or not isinstance(going, str):
        return None
    names = () if going == NOBODY else tuple(going.split(GOING_SEPARATOR))
    try:
        return PlanEvent(event.storage_id, event.run_id, date.fromisoformat(night), names)
    except ValueError:
        return None
