"""Dispositions in columns against the same rules asked call by call, in one run. Prints seconds and the ratio.

The peer is a plain loop over rows with the same calendar, one rule and no holds: less than the product does.
"""

import time
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from lifecycle.policy.disposition import dispose
from lifecycle.policy.hold import Holds
from lifecycle.policy.lawful import read_schedule
from lifecycle.policy.schedule import Schedules

CALLS = 1_000_000
NIGHT = date(2026, 11, 20)
SCHEDULE = """
industry: finance
matches: [Banking]
owner: records@example.com
timezone: Europe/Berlin
max_share: 2%
rules:
  - {id: ORDER, title: t, when: {record_class: [order]}, trigger: ended_at, purge_after: P5Y, destroy_after: P7Y}
  - {id: ANY, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y}
"""


def facts() -> pa.Table:
    """Twelve years of calls, half of them orders."""
    start, step = datetime(2014, 11, 20, tzinfo=UTC), timedelta(days=12 * 365) / CALLS
    times = pa.array([start + step * number for number in range(CALLS)], pa.timestamp("us", "UTC"))
    ids = pa.array([f"call-{number:07}" for number in range(CALLS)])
    classes = pa.array(["order", "talk"] * (CALLS // 2))
    return pa.table({"call_id": ids, "industry": ["Banking"] * CALLS, "record_class": classes, "ended_at": times})


def by_row(table: pa.Table, schedules: Schedules) -> int:
    """Due calls, counted as a loop would."""
    (schedule,) = schedules.by_industry.values()
    due = 0
    for row in table.to_pylist():
        day = row["ended_at"].astimezone(schedule.timezone).date()
        rules = [
            rule
            for rule in schedule.rules
            if row["record_class"] in rule.when.get("record_class", (row["record_class"],))
        ]
        due += max(rule.purge_after.first_free_day(day) for rule in rules if rule.purge_after) <= NIGHT
    return due


def main() -> None:
    """Run both and compare."""
    table, schedules = facts(), Schedules({"finance": read_schedule("finance.yaml", SCHEDULE, {})}, {})
    started = time.perf_counter()
    found = dispose(table, schedules, Holds({}), NIGHT)
    columns = time.perf_counter() - started
    started = time.perf_counter()
    due = by_row(table, schedules)
    rows = time.perf_counter() - started
    counted = {entry["values"]: entry["counts"] for entry in found["disposition"].value_counts().to_pylist()}
    assert counted["due"] == due
    print(f"{CALLS:,} calls, {due:,} due: columns {columns:.2f} s, row by row {rows:.2f} s, ratio {rows / columns:.1f}")


if __name__ == "__main__":
    main()
