"""The table `census`: how many calls were counted when, by industry. One row, written whole or not at all.

What it says is for people to read. No plan is let go on its strength (`night/live_calls`).
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lifecycle.crm.database import Database, translated_errors

_LARGEST = 2**24 - 1  # of a MySQL MEDIUMBLOB


@dataclass(frozen=True, slots=True)
class CountedCalls:
    """Calls by the industry that the CRM writes, and what tells whether they still mean something.

    `question`: a digest of what was counted. `believed`: what the database believed of its call table at that moment.
    `milliseconds`: how long counting took.
    """

    calls: Mapping[str | None, int]
    counted_at: datetime
    question: str
    believed: int
    milliseconds: int


class CensusTable:
    """The last count of a CRM's calls."""

    def __init__(self, database: Database, metadata: sa.MetaData, prefix: str) -> None:
        self._database = database
        of: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}
        self.table = sa.Table(
            f"{prefix}census",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("counted_at", sa.String(40), nullable=False),
            sa.Column("question", sa.String(64), nullable=False),
            sa.Column("believed", sa.BigInteger, nullable=False),
            sa.Column("milliseconds", sa.Integer, nullable=False),
            sa.Column("calls", sa.LargeBinary(_LARGEST), nullable=False),
            **of,
        )

    def there(self) -> bool:
        """Whether the table is there; an installation of before lacks it, and counts every night."""
        with translated_errors():
            return sa.inspect(self._database.engine).has_table(self.table.name, schema=self.table.schema)

    def last(self) -> CountedCalls | None:
        """The last count; None: there is none, or none that can be read."""
        if not self.there():
            return None
        with self._database.reading() as connection:
            row = connection.execute(self.table.select()).mappings().first()
        return _counted(row) if row else None

    def remember(self, counted: CountedCalls) -> None:
        """Note a count in place of the last one. Of two nights at once the later stays."""
        values = {
            "counted_at": counted.counted_at.isoformat(),
            "question": counted.question,
            "believed": counted.believed,
            "milliseconds": counted.milliseconds,
            "calls": json.dumps(list(counted.calls.items())).encode(),
        }
        if not self.there():
            return
        with (
            suppress(IntegrityError),
            self._database.writing() as connection,
        ):  # another night was faster
            if not connection.execute(self.table.update().values(values)).rowcount:
                connection.execute(self.table.insert().values(id=1, **values))


def _counted(row: sa.RowMapping) -> CountedCalls | None:
    try:
        calls = {None if name is None else str(name): int(number) for name, number in json.loads(row["calls"])}
        at = datetime.fromisoformat(row["counted_at"])
    except (ValueError, TypeError):
        return None  # then calls are counted anew
    if at.tzinfo is None:
        return None
    return CountedCalls(calls, at, row["question"], row["believed"], row["milliseconds"])
