"""What happens to the sample CRM between the demo's nights, so that brakes, checks and plots have something to show."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import sqlalchemy as sa

from lifecycle.crm.sample import demo_schema

_IMPORTED = 12  # of some three hundred: more than the 2% that telecom's schedule lets go in one night
_AWAY = ".away"


def import_old_calls(engine: sa.Engine, night: date) -> None:
    """Somebody imports calls of a bought operator, all past their retention by one day: telecom's brake trips."""
    ended = datetime.combine(night.replace(year=night.year - 1) - timedelta(days=1), time(12))
    calls, industries = demo_schema.calls, demo_schema.account_industries
    with engine.begin() as connection:
        wanted = sa.select(industries.c.account_id).where(industries.c.industry == "Telecommunications")
        account = connection.scalar(wanted.order_by(industries.c.account_id).limit(1))
        template = connection.execute(calls.select().where(calls.c.account_id == account).limit(1)).mappings().one()
        same = {**template, "started_at": ended, "ended_at": ended, "updated_at": ended, "repeat_parent_id": None}
        rows = [{**same, "id": f"imported-{night}-{n:02}", "subject": "Imported"} for n in range(_IMPORTED)]
        connection.execute(calls.insert(), rows)


def take_recordings_away(engine: sa.Engine, night: date, folder: Path) -> list[Path]:
    """Somebody moves the recordings of calls that become due these days: their calls are set aside until they are back.

    Gives the files as they are named meanwhile.
    """
    calls, recordings = demo_schema.calls, demo_schema.recordings
    edges = [datetime.combine(night.replace(year=night.year - years), time()) for years in (1, 5, 6, 10)]
    due = [calls.c.ended_at.between(edge - timedelta(days=2), edge) for edge in edges]
    with engine.connect() as connection:
        wanted = sa.select(recordings.c.path).join(calls, calls.c.id == recordings.c.call_id).where(sa.or_(*due))
        paths = [folder / path for path in connection.scalars(wanted)]
    return [path.rename(path.with_name(path.name + _AWAY)) for path in paths if path.exists()]


def bring_recordings_back(files: list[Path]) -> None:
    """They are found again."""
    for file in files:
        file.rename(file.with_name(file.name.removesuffix(_AWAY)))
