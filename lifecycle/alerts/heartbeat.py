"""The heartbeat: one small JSON file that any monitor can read. Old: Dagster's daemon, or the sensor, does not run."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lifecycle.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What was so at `at`. `planned_at`: when the newest night was planned, None: never. `undelivered`: alerts."""

    at: datetime
    source: str
    schedule_on: bool
    night: str | None
    planned_at: datetime | None
    late: bool
    undelivered: int = 0

    def as_json(self) -> dict[str, Any]:
        """For a file, or a program."""
        times = {name: value.isoformat() if value else None for name, value in self._times()}
        return {**asdict(self), **times}

    def _times(self) -> list[tuple[str, datetime | None]]:
        return [("at", self.at), ("planned_at", self.planned_at)]


def write_heartbeat(file: Path, beat: Heartbeat) -> None:
    """Replace the file at once: a monitor never reads half of one. Raises SettingsError where it cannot be written."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(beat.as_json(), indent=1) + "\n", "utf-8")
        beside.replace(file)
    except OSError as error:
        raise SettingsError(f"LIFECYCLE_HEARTBEAT: {file} cannot be written: {error.strerror}") from error


def read_heartbeat(file: Path) -> dict[str, Any] | None:
    """The file's content; None: there is none that can be read."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
