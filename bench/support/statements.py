"""Where the time of a run goes, statement by statement: counted at SQLAlchemy's own events."""

import re
import time
from collections import defaultdict
from typing import Any

import sqlalchemy as sa


class Statements:
    """Counts and times every statement of every engine, by its text without values."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.count: dict[str, int] = defaultdict(int)
        sa.event.listen(sa.Engine, "before_cursor_execute", self._before)
        sa.event.listen(sa.Engine, "after_cursor_execute", self._after)

    def _before(self, connection: sa.Connection, *_: Any) -> None:
        connection.info["started"] = time.perf_counter()

    def _after(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        text = re.sub(r"\s+", " ", statement)
        text = re.sub(r"IN \([^)]*\)", "IN (…)", text)
        text = re.sub(r"(\(…\)|OR|AND) .{400,}", r"\1 …", text)
        self.seconds[text[:230]] += time.perf_counter() - connection.info["started"]
        self.count[text[:230]] += 1

    def show(self, most: int = 25) -> None:
        """The slowest, with how often and how long."""
        for text, seconds in sorted(self.seconds.items(), key=lambda one: -one[1])[:most]:
            print(f"{seconds:8.2f} s {self.count[text]:6} × {text}")
        print(f"{sum(self.seconds.values()):8.2f} s {sum(self.count.values()):6} statements in all")
