"""A CRM of two or three tables, a mapping over it and one schedule: what a small case needs to run a whole night.

Calls that ended on 2025-11-20 are due on the night of 2026-11-30, calls of 2026-11-01 are not.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.ledger.keys import FileKeys, new_signing_key, write_secret
from lifecycle.settings import Settings
from tests.builders import Night, committed, run_night

NIGHT = date(2026, 11, 30)
CLOCK = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DUE, YOUNG = "2025-11-20 10:00:00", "2026-11-01 10:00:00"
RET = """industry: retail
matches: [Retail]
owner: records@example.com
timezone: UTC
max_share: 100%
rules:
  - {id: RET, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P2Y}
"""
FACTS = "SELECT c.{key} AS call_id, c.industry AS industry, c.ended_at AS ended_at FROM {table} c"
CALLS = "CREATE TABLE calls (id {kind} PRIMARY KEY, industry VARCHAR(20), ended_at {time})"
TIME = {"postgresql": "timestamp", "mysql": "DATETIME", "sqlite": "DATETIME"}


class Case:
    """One empty database, a mapping, a store and the schedule RET."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.clock = url, folder, CLOCK
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.dialect = self.engine.dialect.name
        (folder / "policies" / "holds").mkdir(parents=True, exist_ok=True)
        self.schedule(RET)

    def schedule(self, text: str) -> "Case":
        (self.folder / "policies" / "retail.yaml").write_text(text)
        return self

    def hold(self, scope: str) -> "Case":
        words = f"id: h\nmatter: m\nplaced_at: 2026-01-01\nplaced_by: counsel@example.com\nscope: {scope}\n"
        (self.folder / "policies" / "holds" / "h.yaml").write_text(words)
        return self

    def run(self, *statements: str) -> "Case":
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return self

    def calls(self, kind: str = "INTEGER", **ended: str) -> "Case":
        """The table of calls with one row each: `c1=DUE` is call 1."""
        rows = ", ".join(f"({key[1:]}, 'Retail', '{at}')" for key, at in ended.items())
        return self.run(CALLS.format(kind=kind, time=TIME[self.dialect]), f"INSERT INTO calls VALUES {rows}")

    def mapping(self, children: str = "[]", key: str = "id", table: str = "calls", more: str = "") -> "Case":
        lines = ["source: case", "dialects: [sqlite, postgresql, mysql]"]
        lines += [f"facts: {FACTS.format(key=key, table=table)}"]
        lines += ["timezone: UTC", f"call: {{table: {table}, key: {key}}}", f"children: {children}", more]
        (self.folder / "mapping.yaml").write_text("\n".join(lines))
        return self

    def lifecycle(self) -> Lifecycle:
        key = self.folder / "lifecycle.key"
        settings = Settings(
            crm_url=self.url,
            source=str(self.folder / "mapping.yaml"),
            store=(self.folder / "store").as_uri(),
            policies=self.folder / "policies",
            signing_key=key,
        )
        opened = Lifecycle(settings, lambda: self.clock)
        if not key.exists():
            opened.crm.control.create()
            write_secret(key, new_signing_key(), "")
            FileKeys(key).make_epoch(CLOCK.year)
        return opened

    def night(self, night: date = NIGHT, **steps: bool) -> Night:
        return run_night(self.lifecycle(), night=night, **steps)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def ids(self, table: str = "calls", column: str = "id") -> list[Any]:
        return [row[0] for row in self.rows(f"SELECT {column} FROM {table} ORDER BY {column}")]

    def archived(self, part: str, column: str) -> list[Any]:
        """The values of one column of every archived row of a part, read by plain pyarrow."""
        found = [tables[part][column].to_pylist() for _, tables in committed(self.lifecycle().store) if part in tables]
        return sorted(value for values in found for value in values)
