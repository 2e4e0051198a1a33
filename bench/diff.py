"""Review of an edit by counting groups, against judging every call one by one, in one run. Prints seconds of CPU.

A SQLite file of the demo's tables is filled by SQL: twelve years of calls, six industries, one account in a hundred
in two of them. A hold is active. The peer streams every call that either law may let go and disposes it, as a plan
does. Both must find the same.

    python bench/diff.py [CALLS] [--no-peer]      default 2000000
"""

import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.sample import demo_schema
from lifecycle.night.survey import night_cutoffs
from lifecycle.policy.documents.hold import Hold, Holds
from lifecycle.policy.documents.schedule import Schedule, Schedules
from lifecycle.policy.evaluation.disposition import dispose_calls
from lifecycle.review.affected_calls import PolicyState, fact_kinds_of
from lifecycle.review.policy_diff import ChangeEffect, change_effect, policy_impacts

NIGHT = date(2026, 11, 20)
INDUSTRIES = ("Banking", "Insurance", "Retail", "Telecom", "Healthcare", "Bankng")
BOTH = ["open_deal", "open_task"]
FILL = (
    "INSERT INTO accounts (id, name, status) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
    "WHERE i < 6000) SELECT i, 'n', 'active' FROM n",
    "INSERT INTO account_industries SELECT id, CASE id % 6 "
    + " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(INDUSTRIES))
    + " END FROM accounts",
    "INSERT OR IGNORE INTO account_industries SELECT id, 'Insurance' FROM accounts WHERE id % 100 = 0",
    "INSERT INTO calls (id, account_id, direction, record_class, started_at, ended_at, deleted, updated_at) "
    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :calls - 1), t AS (SELECT i, "
    "datetime('2014-11-20', '+' || CAST(i * 378691200.0 / :calls AS INTEGER) || ' seconds') || '.000000' AS at FROM n) "
    "SELECT printf('call-%010d', i), 1 + (i * 7919) % 6000, 'in', CASE i % 3 WHEN 0 THEN 'order' ELSE 'talk' END, "
    "at, at, 0, at FROM t",
    "INSERT INTO deals (id, account_id, title, status) VALUES (1, 1, 'd', 'open')",
    "INSERT INTO call_deals SELECT id, 1 FROM calls WHERE substr(id, -2) IN ('16', '17')",
)


def schedule(industry: str, matches: str, purge: str, keep: list[str]) -> Schedule:
    """One rule on ended_at."""
    rule = {"id": industry, "title": "t", "trigger": "ended_at", "purge_after": purge, "destroy_after": "never"}
    given = {"industry": industry, "matches": matches, "owner": "o", "timezone": "Europe/Berlin", "max_share": "2%"}
    return Schedule.model_validate({**given, "rules": [{**rule, "keep_while": keep}]})


def laws(after: dict[str, Schedule]) -> tuple[PolicyState, PolicyState]:
    """Five years everywhere before; some schedules edited after; one hold under both."""
    before = {name.casefold(): schedule(name.casefold(), name, "P5Y", BOTH) for name in INDUSTRIES[:5]}
    given = {"id": "h", "matter": "m", "placed_at": NIGHT, "placed_by": "c", "scope": {"account_ids": [31, 37, 4711]}}
    holds = Holds({"h": Hold.model_validate(given)})
    return PolicyState(Schedules(before, {}), holds), PolicyState(Schedules(before | after, {}), holds)


def fill(url: str, calls: int) -> None:
    """The CRM, written by SQL."""
    engine = sa.create_engine(url)
    demo_schema.create_schema(engine)
    with engine.begin() as connection:
        for statement in FILL:
            connection.execute(sa.text(statement), {"calls": calls} if ":calls" in statement else {})
    engine.dispose()


def one_by_one(crm: Crm, both: tuple[PolicyState, PolicyState]) -> Counter[ChangeEffect]:
    """Every call that either law may let go, streamed and judged under both."""
    found: Counter[ChangeEffect] = Counter()
    widest = night_cutoffs(
        Schedules({f"{n}-{k}": s for n, law in enumerate(both) for k, s in law.schedules.by_industry.items()}, {}),
        NIGHT,
    )
    with crm.database.reading() as connection:
        for facts in crm.facts.candidates(connection, widest):
            answers = [dispose_calls(facts, law.schedules, law.holds, NIGHT)["disposition"].to_pylist() for law in both]
            found.update(effect for pair in zip(*answers, strict=True) if (effect := change_effect(*pair)))
    return found


EDITS = {
    "a year less for one industry": {"banking": schedule("banking", "Banking", "P4Y", BOTH)},
    "a keep_while taken out of another": {"telecom": schedule("telecom", "Telecom", "P5Y", ["open_task"])},
}


def compare(crm: Crm, both: tuple[PolicyState, PolicyState], peer: bool) -> None:
    """Ask for one edit, in groups and one by one."""
    started, on_clock = time.process_time(), time.perf_counter()
    counted = Counter[ChangeEffect]()
    for impact in policy_impacts(crm, both, NIGHT, lambda *_: None):
        counted[impact.effect] += impact.calls
    groups, waited = time.process_time() - started, time.perf_counter() - on_clock
    found = ", ".join(f"{number:,} {effect}" for effect, number in counted.items())
    print(f"  in groups {groups:.1f} s of CPU ({waited:.1f} s on the clock): {found}", flush=True)
    if peer:
        started = time.process_time()
        judged = one_by_one(crm, both)
        rows = time.process_time() - started
        assert judged == counted, (judged, counted)
        print(f"  one by one {rows:.1f} s of CPU, the same; ratio {rows / groups:.1f}", flush=True)


def main() -> None:
    """Fill, ask both ways, compare."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        url, started = f"sqlite:///{Path(folder) / 'crm.db'}", time.process_time()
        fill(url, calls)
        print(f"{calls:,} calls written in {time.process_time() - started:.0f} s of CPU", flush=True)
        for name, after in EDITS.items():
            both = laws(after)
            print(f"{name}:")
            compare(
                Crm(open_database(url), read_source("demo"), fact_kinds_of(both)), both, "--no-peer" not in sys.argv
            )


if __name__ == "__main__":
    main()
