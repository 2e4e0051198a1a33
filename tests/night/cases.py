"""A small world that is built up line by line: tables, calls that are due or young, a mapping, a hold, a night.

Calls that ended on DUE are due on the night of 2026-11-30, calls of YOUNG are not.
"""

from datetime import date
from pathlib import Path
from typing import Any

from lifecycle.deployment.lifecycle import Lifecycle
from tests.builders import Night, committed, run_night
from tests.night.small import NIGHT, RETAIL, SmallWorld

DUE, YOUNG = "2025-11-20 10:00:00", "2026-11-01 10:00:00"
RET = RETAIL.format(zone="UTC", when="")
FACTS = "SELECT c.{key} AS call_id, c.industry AS industry, c.ended_at AS ended_at FROM {table} c"
CALLS = "CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at {time})"
TIME = {"postgresql": "timestamp", "mysql": "DATETIME", "sqlite": "DATETIME"}


class Case(SmallWorld):
    """One empty database, and what a test lays into it and over it."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder)
        self.folder, self._ready = folder, False

    def run(self, *statements: str) -> "Case":
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        return self

    def calls(self, **ended: str) -> "Case":
        """The table of calls with one row each: `c1=DUE` is call 1."""
        rows = ", ".join(f"({key[1:]}, 'Retail', '{at}')" for key, at in ended.items())
        return self.run(CALLS.format(time=TIME[self.dialect]), f"INSERT INTO calls VALUES {rows}")

    def mapped(self, children: str = "[]", table: str = "calls", more: str = "") -> "Case":
        """The mapping: what belongs to the calls of a table."""
        lines = ["source: case", "dialects: [sqlite, postgresql, mysql]", "timezone: UTC"]
        lines += [f"facts: {FACTS.format(key='id', table=table)}", f"call: {{table: {table}, key: id}}"]
        self.mapping.write_text("\n".join([*lines, f"children: {children}", more]))
        return self

    def held(self, scope: str) -> "Case":
        self.hold(scope)
        return self

    def lifecycle(self, **changed: Any) -> Lifecycle:
        if not self._ready:  # the tables are there by now
            self._ready = True
            self.initialised()
        return super().lifecycle(**changed)

    def night(self, night: date = NIGHT, **steps: bool) -> Night:
        return run_night(self.lifecycle(), night=night, **steps)

    def archived(self, part: str, column: str) -> list[Any]:
        """The values of one column of every archived row of a part, read by plain pyarrow."""
        found = [tables[part][column].to_pylist() for _, tables in committed(self.lifecycle().store) if part in tables]
        return sorted(value for values in found for value in values)
