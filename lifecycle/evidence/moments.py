"""A moment as people read it: in the zone of a schedule, with UTC beside it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def local_and_utc(at: datetime | str, zone: str) -> str:
    """A moment in a schedule's zone, with UTC beside it."""
    moment = (datetime.fromisoformat(at) if isinstance(at, str) else at).astimezone(UTC)
    utc = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return utc if zone == "UTC" else f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone} ({utc})"
