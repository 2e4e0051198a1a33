"""A CRM of a few rows on any database: tables by DDL, a mapping of one's own, one schedule; a night on it.

In each, call 1 of 2025-11-20 is due on NIGHT under the one schedule, and call 2 of 2026-11-01 is not.
"""

from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine

from lifecycle.crm.mapping.source import read_source
from tests.builders import Night, World, run_night
from tests.roles import product_url

NIGHT = date(2026, 11, 30)
RETAIL = """industry: Retail
matches: [Retail]
owner: records@example.com
timezone: {zone}
max_share: 100%
rules:
  - {{id: RET, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P2Y{when}}}
"""
FACTS = """SELECT c.id AS call_id, c.industry AS industry, c.ended_at AS ended_at, c.ended_at AS started_at,
c.account_id AS account_id FROM calls c"""
MAPPING = """source: {source}
dialects: [sqlite, postgresql, mysql]
facts: |
  {facts}
timezone: {zone}
call: {{table: calls, key: id}}
"""


class SmallWorld(World):
    """One database with its own mapping; `more` are further lines of it."""

    def __init__(
        self, url: str, folder: Path, facts: str = FACTS, more: str = "", zone: str = "UTC", source: str = "small"
    ) -> None:
        for name in ("holds", "extensions"):
            (folder / "policies" / name).mkdir(parents=True)
        super().__init__(url, (folder / "store").as_uri(), folder / "policies")
        self.engine = create_engine(url, poolclass=NullPool)
        self.mapping = folder / "mapping.yaml"
        text = MAPPING.format(source=source, facts=facts.replace("\n", "\n  "), zone=zone)
        self.mapping.write_text(f"{text}{more}\n")
        self.schedule(RETAIL.format(zone=zone, when=""))

    def given(self) -> dict[str, Any]:
        url = product_url(self.url, read_source(str(self.mapping)))
        return {**super().given(), "crm_url": url, "source": str(self.mapping)}

    def ran(self, night: date = NIGHT) -> Night:
        """Plan, archive, purge and seal one night."""
        return run_night(self.lifecycle(), night=night)

    def ids(self, table: str = "calls") -> list[Any]:
        """The ids of a table, asked by plain SQL."""
        with self.engine.connect() as connection:
            return [row[0] for row in connection.exec_driver_sql(f"SELECT id FROM {table} ORDER BY id")]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What plain SQL finds."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]
