"""Dispositions in columns against the same rules asked call by call, in one run. Prints seconds and the ratio.

Ten rules under five regimes, one of them on a clock of its own. The peer is a plain loop over rows with the same
calendar: no holds, no extensions, no explanations, less than the product does. It loops over a part of the calls.
"""

import time
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import Regime, read_regime
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.evaluation.disposition import dispose_calls

CALLS, LOOPED = 1_000_000, 50_000
ACCOUNTS, CLASSES = 5_000, 9
NIGHT = date(2026, 11, 20)
HEAD = "title: t, jurisdiction: EU, citation: c, evidence: e, verified: text, review_by: 2030-01-01, kind: statute"
LAWS = {
    "five": "trigger: ended_at, minimum: P5Y",
    "ten": "trigger: ended_at, minimum: P1Y, maximum: P10Y",
    "after": "trigger: relationship_ended_at, count: year_end, minimum: P5Y",
    "some": "trigger: ended_at, minimum: P1Y, applies: {record_class: [class-3]}",
    "longer": "trigger: ended_at, minimum: P3Y, extension: {to: P7Y}",
}
RULE = """
  - {{id: R{0}, title: t, when: {{record_class: [class-{0}, other]}}, trigger: ended_at, purge_after: P{1}Y,
     destroy_after: P7Y, regimes: [{2}], keep_while: [open_deal]}}"""
SCHEDULE = """
industry: finance
matches: [Banking]
owner: records@example.com
timezone: Europe/Berlin
max_share: 2%
rules:
  - {id: ANY, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y, regimes: [five]}"""


def schedules() -> Schedules:
    """A rule for every class and one for all, each under a regime."""
    laws = {name: read_regime(read_yaml_document(name, f"{{id: {name}, {HEAD}, {law}}}")) for name, law in LAWS.items()}
    rules = "".join(RULE.format(number, 1 + number % 5, list(LAWS)[number % 5]) for number in range(CLASSES))
    return Schedules({"finance": read_schedule("finance.yaml", SCHEDULE + rules, laws)}, {}, laws)


def facts() -> pa.Table:
    """Twelve years of calls of five thousand accounts, one in three of which has left."""
    start, step = datetime(2014, 11, 20, tzinfo=UTC), timedelta(days=12 * 365) / CALLS
    left = [date(2015, 1, 1) + timedelta(account * 7919 % 4000) if account % 3 == 0 else None for account in
            range(ACCOUNTS)]  # fmt: skip
    accounts = [number * 7907 % ACCOUNTS for number in range(CALLS)]
    return pa.table(
        {
            "call_id": [f"call-{number:07}" for number in range(CALLS)],
            "industry": ["Banking"] * CALLS,
            "record_class": [f"class-{number % CLASSES}" for number in range(CALLS)],
            "ended_at": pa.array([start + step * number for number in range(CALLS)], pa.timestamp("us", "UTC")),
            "relationship_ended_at": pa.array([left[account] for account in accounts], pa.date32()),
            "open_deal": [account % 50 == 0 for account in accounts],
        }
    )


def by_row(table: pa.Table, law: Schedules) -> int:
    """Due calls, counted as a loop would."""
    (schedule,) = law.by_industry.values()
    due = 0
    for row in table.to_pylist():
        day = row["ended_at"].astimezone(schedule.timezone).date()
        rules = [r for r in schedule.rules if row["record_class"] in r.when.get("record_class", (row["record_class"],))]
        kept = row["open_deal"] and any(rule.keep_while for rule in rules)
        known = all(_floors_known(row, rule, schedule, law.regimes) for rule in rules)
        last = max(schedule.term(rule, rule.purge_after).first_free_day(day) for rule in rules if rule.purge_after)
        due += known and not kept and last <= NIGHT
    return due


def _floors_known(row: dict[str, object], rule: Rule, schedule: Schedule, laws: dict[str, Regime]) -> bool:
    for law in (laws[name] for name in rule.regimes):
        day = row[law.trigger[0]]
        day = day.astimezone(schedule.timezone).date() if isinstance(day, datetime) else day
        if day is None or day > NIGHT:
            return False
        for limit in law.floor:
            schedule.limit(law, limit).last_day(day)
    return True


def main() -> None:
    """Run both and compare."""
    table, law = facts(), schedules()
    started = time.perf_counter()
    found = dispose_calls(table, law, Holds({}), NIGHT)
    columns = time.perf_counter() - started
    mixed = table.take(pa.array([number * 7919 % CALLS for number in range(CALLS)]))
    started = time.perf_counter()
    dispose_calls(mixed, law, Holds({}), NIGHT)
    unordered = time.perf_counter() - started
    every = CALLS // LOOPED
    some = table.take(pa.array(range(0, CALLS, every)))
    started = time.perf_counter()
    due = by_row(some, law)
    rows = (time.perf_counter() - started) * every
    answers = found["disposition"].take(pa.array(range(0, CALLS, every))).to_pylist()
    assert answers.count("due") == due, (answers.count("due"), due)
    counted = {entry["values"]: entry["counts"] for entry in found["disposition"].value_counts().to_pylist()}
    print(f"{CALLS:,} calls, ten rules, five regimes: {counted}")
    print(f"columns {columns:.2f} s, {unordered:.2f} s where calls come in no order")
    print(f"row by row {rows:.1f} s (from {LOOPED:,} of them); ratio {rows / columns:.0f}")


if __name__ == "__main__":
    main()
