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


def take_recording_away(engine: sa.Engine, night: date, folder: Path, years: int = 5) -> Path | None:
    """Somebody moves the recording of a call that becomes due tonight: the call is set aside until it is back."""
    due = night.replace(year=night.year - years)
    calls, recordings = demo_schema.calls, demo_schema.recordings
    spoken_of = sa.select(recordings.c.path).join(calls, calls.c.id == recordings.c.call_id)
    of_banks = calls.c.account_id.in_(
        sa.select(demo_schema.account_industries.c.account_id).where(
            demo_schema.account_industries.c.industry.in_(("Banking", "Financial Services"))
        )
    )
    with engine.connect() as connection:
        path: str | None = connection.scalar(
            spoken_of.where(calls.c.ended_at < datetime.combine(due, time()), of_banks).order_by(calls.c.ended_at)
        )
    if path is None or not (folder / path).exists():
        return None
    return (folder / path).rename(folder / f"{path}{_AWAY}")


def bring_recording_back(file: Path | None) -> None:
    """It is found again."""
    if file is not None:
        file.rename(file.with_name(file.name.removesuffix(_AWAY)))
