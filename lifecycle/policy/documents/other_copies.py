"""Copies of calls that this software does not reach: backups, replicas, what was handed out.

They are named in `policies/copies.yaml`, so that a leaf of destruction, and a certificate, say what they are not of.
"""

from datetime import date

from pydantic import Field

from lifecycle.policy.documents.model_types import Name, Period, StrictModel, Text
from lifecycle.policy.documents.yaml_document import YamlDocument, parse_model

COPIES = "copies.yaml"


class OtherCopy(StrictModel):
    """One place: what it holds, who answers for it. `kept`: for how long after a call is gone here; None: unknown."""

    id: Name
    holds: Text
    held_by: Text
    kept: Period | None = None

    def not_reached(self, destroyed_on: date) -> dict[str, str]:
        """What a leaf of destruction says of it."""
        until = {"until": self.kept.last_day(destroyed_on).isoformat()} if self.kept else {}
        return {"name": self.id, "holds": self.holds, "held_by": self.held_by, **until}


class OtherCopies(StrictModel):
    """The whole file."""

    copies: tuple[OtherCopy, ...] = Field(strict=False)


def read_other_copies(document: YamlDocument) -> OtherCopies:
    """Read the file. Raises PolicyError with file and line."""
    return parse_model(OtherCopies, document)
