"""One alert: what happened, to which night, and what to do, in words that hold nothing of any call."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle import errors
from lifecycle.policy.canonical import sha256_hex

_MENDED = "Nothing is lost: what was committed stays, and running again goes on with the rest."


class Severity(StrEnum):
    """Whether something failed, or somebody should look when there is time."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Alert:
    """Sent once or, where an answer was lost, more often under the same `id`.

    `source` is the ledger's name, which tells CRMs apart. `about` holds names of schedules, checks and runs, and
    numbers. No alert holds a call's id, or a message of a database or store: those may name people.
    """

    kind: str
    severity: Severity
    title: str
    source: str
    at: datetime
    lines: tuple[str, ...] = ()
    about: Mapping[str, str | int] = field(default_factory=dict)
    link: str | None = None

    @property
    def id(self) -> str:
        """The same for the same event, whenever it is sent."""
        return sha256_hex("\0".join([self.source, self.kind, self.title, *map(str, self.about.values())]).encode())[:32]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"id": self.id, **asdict(self), "at": self.at.isoformat(), "lines": list(self.lines)}

    def as_text(self) -> str:
        """For people."""
        about = [f"{name}: {value}" for name, value in self.about.items()]
        return "\n".join([self.title, "", *self.lines, "", *about, *([self.link] if self.link else [])])


def failure_lines(error_name: str) -> tuple[str, ...]:
    """What a failure of that name means, and what to do. Never the failure's own message."""
    known = getattr(errors, error_name, None)
    if isinstance(known, type) and issubclass(known, errors.LifecycleError):
        return (f"{error_name}: {(known.__doc__ or '').splitlines()[0]}", _MENDED)
    return (f"{error_name or 'The process'} ended it. The run's page has the details.", _MENDED)
