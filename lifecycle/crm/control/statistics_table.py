"""The table `statistics`: what slices add to the statistics, and what was published of it. No id of a call.

A slice's part commits with its purge row, under the same id. Publishing takes parts away and puts what they come to in
one transaction: so nothing counts twice, and nothing is lost. What the bytes mean, and what may be published, is
decided elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from lifecycle.crm.database import Database
from lifecycle.errors import DatabaseError

_LARGEST = 2**24 - 1  # of a MySQL MEDIUMBLOB
_AT_ONCE = 500  # ids a statement
_WAITS, _PUBLISHED = "waits", "published"


@dataclass(frozen=True, slots=True)
class StatisticsPart:
    """One part: `added_at` as ISO 8601. `sha256`: of its object in the store, once that was put."""

    id: str
    added_at: str
    body: bytes
    sha256: str | None = None


class StatisticsTable:
    """Parts that wait, and parts that were published."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}statistics",
            metadata,
            sa.Column("id", sa.String(160), primary_key=True),
            sa.Column("state", sa.String(10), nullable=False),
            sa.Column("added_at", sa.String(40), nullable=False),
            sa.Column("body", sa.LargeBinary(_LARGEST), nullable=False),
            sa.Column("sha256", sa.String(64), nullable=True),
            **of,
        )

    def add(self, connection: sa.Connection, purge: str, added_at: str, body: bytes) -> None:
        """Add a slice's part to the transaction that deletes its calls."""
        self._insert(connection, purge, _WAITS, added_at, body)

    def waiting(self) -> list[StatisticsPart]:
        """What was not published yet, the oldest first."""
        return self._parts(_WAITS)

    def published(self) -> list[StatisticsPart]:
        """What was published, the oldest first; of what is in the store the body is empty."""
        return self._parts(_PUBLISHED)

    def publish(
        self, taken: Sequence[StatisticsPart], body: bytes | None, kept: dict[str, bytes], at: datetime
    ) -> None:
        """Put `body` and what waits on (`kept`, by when it was added) in the place of some parts that waited.

        Raises DatabaseError where another run published one of them meanwhile.
        """
        ids = [part.id for part in taken]
        with self._database.writing() as connection:
            chunks = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
            mine = self.table.c.state == _WAITS
            gone = sum(
                connection.execute(self.table.delete().where(mine, self.table.c.id.in_(c))).rowcount for c in chunks
            )
            if gone != len(ids):
                raise DatabaseError(
                    "another run publishes statistics at this moment. Nothing was done; a rerun is safe"
                )
            if body is not None:
                self._insert(connection, f"{at:%Y-%m-%d}-{uuid4().hex[:12]}", _PUBLISHED, at.isoformat(), body)
            for added_at, rest in kept.items():
                self._insert(connection, f"rest-{uuid4().hex}", _WAITS, added_at, rest)

    def mark_put(self, part: StatisticsPart, sha256: str) -> None:
        """Note that a published part is in the store; its body is there from now on."""
        with self._database.writing() as connection:
            mine = self.table.c.id == part.id
            connection.execute(self.table.update().where(mine).values(sha256=sha256, body=b""))

    def _insert(self, connection: sa.Connection, name: str, state: str, added_at: str, body: bytes) -> None:
        row = {"id": name, "state": state, "added_at": added_at, "body": body}
        connection.execute(self.table.insert().values(row))

    def _parts(self, state: str) -> list[StatisticsPart]:
        columns = self.table.c
        chosen = sa.select(columns.id, columns.added_at, columns.body, columns.sha256).where(columns.state == state)
        with self._database.reading() as connection:
            return [StatisticsPart(*row) for row in connection.execute(chosen.order_by(columns.added_at, columns.id))]
