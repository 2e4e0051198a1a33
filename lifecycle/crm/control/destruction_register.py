"""The register of destructions: which copies are going, which are gone. Nothing goes that is not here.

A row a batch, written before the first object of it is removed. When a step is done is decided elsewhere; the plans are
in `destroy_plan_register`.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.control.inflation import inflate
from lifecycle.crm.database import Database
from lifecycle.errors import DatabaseError, FixityError
from lifecycle.policy.canonical import canonical_json, sha256_hex

_LARGEST = 2**24 - 1  # of a MySQL MEDIUMBLOB
_LONGEST_ACTOR = 200
_BATCHES = (
    sa.Column("batch", sa.String(120), primary_key=True),
    sa.Column("manifest_key", sa.String(400), nullable=False),
    sa.Column("manifest_sha256", sa.String(64), nullable=False),
    sa.Column("plan_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("run_id", sa.String(80), nullable=False),
    sa.Column("actor", sa.String(_LONGEST_ACTOR), nullable=False),
    sa.Column("registered_at", sa.String(40), nullable=False),
    sa.Column("details", sa.LargeBinary(_LARGEST), nullable=False),
    sa.Column("moved_to", sa.String(400), nullable=True),
    sa.Column("moved_sha256", sa.String(64), nullable=True),
    sa.Column("begun_at", sa.String(40), nullable=True),
    sa.Column("destroyed_at", sa.String(40), nullable=True),
    sa.Column("entries", sa.LargeBinary(_LARGEST), nullable=True),
)


@dataclass(frozen=True, slots=True)
class Destruction:
    """One batch on its way out. Times are ISO 8601 texts; `details` is JSON, `entries` the leaves as JSON Lines.

    `moved_to`: the manifest that the copies that stay are moved to; None: none stay. Before `begun_at` nothing was
    removed. After `destroyed_at` nothing is left of it.
    """

    batch: str
    manifest_key: str
    manifest_sha256: str
    plan_sha256: str
    run_id: str
    actor: str
    registered_at: str
    details: Mapping[str, Any]
    moved_to: str | None = None
    moved_sha256: str | None = None
    begun_at: str | None = None
    destroyed_at: str | None = None
    entries: bytes | None = None


@dataclass(frozen=True, slots=True)
class BatchOnRecord:
    """A batch that has archived copies: its manifest, and the digest that this had when it was relied on."""

    batch: str
    industry: str
    manifest_key: str
    manifest_sha256: str


class DestructionRegister:
    """The table `destructions` of schema `lifecycle` on PostgreSQL, `lifecycle_destructions` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, purges: sa.Table, prefix: str) -> None:
        self._database, self._purges = database, purges
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(f"{prefix}destructions", metadata, *[c._copy() for c in _BATCHES], **of)

    def register(self, row: Destruction) -> None:
        """Register that a batch is to go. Raises DatabaseError where it is registered already."""
        values = {name: getattr(row, name) for name in row.__slots__} | {"details": _packed(row.details)}
        try:
            with self._database.writing() as connection:
                connection.execute(self.table.insert().values(values))
        except IntegrityError:
            raise DatabaseError(f"batch {row.batch}: another run destroys it. A rerun is safe") from None

    def begin(self, row: Destruction, moved_sha256: str | None, at: datetime) -> Destruction:
        """Note that from now on objects of the batch may be gone, and which manifest has the copies that stay."""
        begun = replace(row, moved_sha256=moved_sha256, begun_at=at.isoformat())
        self._update(row.batch, {"moved_sha256": moved_sha256, "begun_at": begun.begun_at})
        return begun

    def begin_all(self, rows: Sequence[Destruction], moved_sha256: str, at: datetime) -> list[Destruction]:
        """Note the same of several batches whose copies were moved to one, in one transaction: of all or of none."""
        begun = [replace(row, moved_sha256=moved_sha256, begun_at=at.isoformat()) for row in rows]
        with self._database.writing() as connection:
            for row in begun:
                values = {"moved_sha256": moved_sha256, "begun_at": row.begun_at}
                connection.execute(self.table.update().where(self.table.c.batch == row.batch).values(values))
        return begun

    def finish(self, row: Destruction, entries: bytes, at: datetime) -> None:
        """Note that nothing is left of the batch, with the leaves that say so, for the next sealing."""
        kept = zlib.compress(entries) if entries else None
        self._update(row.batch, {"entries": kept, "destroyed_at": at.isoformat()})

    def withdraw(self, row: Destruction) -> None:
        """Forget a batch of which nothing was removed."""
        with self._database.writing() as connection:
            connection.execute(self.table.delete().where(self.table.c.batch == row.batch))

    def _update(self, batch: str, values: Mapping[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(self.table.update().where(self.table.c.batch == batch).values(values))

    def of_batch(self, batch: str) -> Destruction | None:
        """What is registered of a batch; None: nothing."""
        return next(iter(self._rows(self.table.c.batch == batch)), None)

    def of_batches(self, batches: Sequence[str]) -> dict[str, Destruction | FixityError]:
        """What is registered of some batches; of a row that no run of ours wrote, why it says nothing."""
        with self._database.reading() as connection:
            rows = connection.execute(self.table.select().where(self.table.c.batch.in_(batches))).mappings().all()
        return {row["batch"]: _destruction_or_error(row) for row in rows}

    def unfinished(self) -> list[Destruction]:
        """The batches that are registered, and not gone yet."""
        return self._rows(self.table.c.destroyed_at.is_(None))

    def moved(self) -> dict[str, tuple[str, str]]:
        """The manifests that copies were moved to, with digest, by the batch that they were moved from."""
        columns = self.table.c
        there = (columns.begun_at, columns.moved_to, columns.moved_sha256)
        wanted = sa.and_(*(column.is_not(None) for column in there))
        statement = sa.select(columns.batch, columns.moved_to, columns.moved_sha256).where(wanted)
        with self._database.reading() as connection:
            return {row.batch: (row.moved_to, row.moved_sha256) for row in connection.execute(statement)}

    def moved_under(self) -> list[tuple[str, str]]:
        """The manifests that copies were moved to, each with the digest of the plan it was moved under."""
        columns = self.table.c
        statement = sa.select(columns.moved_to, columns.plan_sha256).where(columns.moved_sha256.is_not(None)).distinct()
        with self._database.reading() as connection:
            return [(row.moved_to, row.plan_sha256) for row in connection.execute(statement)]

    def batches_on_record(self) -> list[BatchOnRecord]:
        """The batches that purges relied on, in order."""
        of = self._purges.c
        chosen = sa.select(of.batch, of.industry, of.manifest_key, of.manifest_sha256).distinct()
        with self._database.reading() as connection:
            return [BatchOnRecord(*row) for row in connection.execute(chosen.order_by(of.batch, of.manifest_key))]

    def states(self) -> dict[str, bool]:
        """Every batch that is registered, and whether it is gone."""
        statement = sa.select(self.table.c.batch, self.table.c.destroyed_at)
        with self._database.reading() as connection:
            return {row.batch: row.destroyed_at is not None for row in connection.execute(statement)}

    def _rows(self, wanted: sa.ColumnElement[bool]) -> list[Destruction]:
        with self._database.reading() as connection:
            rows = connection.execute(self.table.select().where(wanted).order_by(self.table.c.batch)).mappings().all()
        return [_destruction(row) for row in rows]


def _packed(details: Mapping[str, Any]) -> bytes:
    body = canonical_json(details)
    return zlib.compress(canonical_json([sha256_hex(body), body.decode()]))


def _destruction_or_error(row: sa.RowMapping) -> Destruction | FixityError:
    try:
        return _destruction(row)
    except FixityError as error:
        return error


def _destruction(row: sa.RowMapping) -> Destruction:
    """Raises FixityError for a row that no run of ours wrote."""
    try:
        digest, body = json.loads(inflate(row["details"]))
        entries = inflate(row["entries"]) if row["entries"] is not None else None
    except (ValueError, TypeError, zlib.error):
        digest, body, entries = "", "", None
    if sha256_hex(body.encode()) != digest:
        raise FixityError(f"batch {row['batch']}: its row in the register of destructions was changed. Restore it")
    return Destruction(**{**row, "details": json.loads(body), "entries": entries})
