"""The register of locks in the store: which batches this product locked, until when, and which it put under legal hold.

A hold that somebody else put there is never lifted: only what stands here is.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from lifecycle.crm.database import Database


class LegalHold(IntEnum):
    """Whether the objects of a batch are under a hold of ours: none, perhaps some, all."""

    NONE = 0
    IN_PART = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class BatchLock:
    """What was done to a batch: locked until a moment (ISO 8601; None: no lock), and whether under legal hold."""

    batch: str
    until: str | None = None
    legal_hold: LegalHold = LegalHold.NONE


class LockRegister:
    """The table `locks` of schema `lifecycle` on PostgreSQL, `lifecycle_locks` elsewhere."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}locks",
            metadata,
            sa.Column("batch", sa.String(120), primary_key=True),
            sa.Column("locked_until", sa.String(40), nullable=True),
            sa.Column("legal_hold", sa.Integer, nullable=False),
            sa.Column("noted_at", sa.String(40), nullable=False),
            **of,
        )

    def of_batch(self, batch: str) -> BatchLock:
        """What was done to a batch; nothing where it is not known."""
        columns = self.table.c
        chosen = sa.select(columns.locked_until, columns.legal_hold).where(columns.batch == batch)
        with self._database.reading() as connection:
            row = connection.execute(chosen).first()
        return BatchLock(batch, row.locked_until, LegalHold(row.legal_hold)) if row else BatchLock(batch)

    def note(self, lock: BatchLock, at: datetime) -> None:
        """Note what is about to be done to a batch; that comes before it is done."""
        values = {"locked_until": lock.until, "legal_hold": int(lock.legal_hold), "noted_at": at.isoformat()}
        mine = self.table.c.batch == lock.batch
        with self._database.writing() as connection:
            if connection.scalar(sa.select(self.table.c.batch).where(mine)) is None:
                connection.execute(self.table.insert().values(batch=lock.batch, **values))
            else:
                connection.execute(self.table.update().where(mine).values(values))
