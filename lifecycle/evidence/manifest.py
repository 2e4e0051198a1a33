"""The manifest: what one archived batch holds, with digests. Written last, once: it is the archive's commit point."""

from datetime import date, datetime

from pydantic import Field, ValidationError

from lifecycle.errors import FixityError
from lifecycle.policy.canonical import canonical_json
from lifecycle.policy.documents.model_types import StrictModel
from lifecycle.policy.plan import ScheduleVersion


class ArchivedObject(StrictModel):
    """One Parquet object: the part of the call it holds, where it lies, and what it must be."""

    table: str
    key: str
    version_id: str | None
    bytes: int
    rows: int
    sha256: str
    columns: tuple[str, ...] = Field(strict=False)


class ArchivedFile(StrictModel):
    """One file that rows of the batch name: its path where the recordings lie, its copy, and what both must be."""

    path: str
    key: str
    version_id: str | None
    bytes: int
    sha256: str


class Manifest(StrictModel):
    """One archived batch. Times are UTC; `destroy_on` None means never, `component` None the whole call."""

    batch: str
    industry: str
    night: date
    plan_sha256: str
    source: str
    schedule: ScheduleVersion
    created_at: datetime
    run_id: str
    objects: tuple[ArchivedObject, ...] = Field(strict=False)
    calls: int
    destroy_on: date | None
    component: str | None
    files: tuple[ArchivedFile, ...] = Field(strict=False)

    @property
    def stored(self) -> tuple[ArchivedObject | ArchivedFile, ...]:
        """Everything of the batch that lies in the store, but the manifest itself."""
        return (*self.objects, *self.files)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, key: str, body: bytes) -> "Manifest":
        """Read a manifest back. Raises FixityError naming the key."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise FixityError(f"{key}: this is no manifest: {error.errors()[0]['msg']}. Nothing was purged") from error
