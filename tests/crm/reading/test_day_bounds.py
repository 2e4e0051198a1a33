"""A hold's days in the database: never fewer calls than the law finds, whatever is missing or the wrong way round."""

from datetime import date
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from lifecycle.crm.reading.fact_selection import FactKinds, Narrowing
from lifecycle.policy.evaluation.condition_matching import holds_on_rows
from tests.policy.build import hold

FACTS = "SELECT id AS call_id, 'x' AS industry, started_at AS started_at, ended_at AS ended_at FROM t"
KINDS = FactKinds(times=frozenset({"started_at", "ended_at"}), flags=frozenset())
DAYS = [None, "1970-01-01 12:00:00", *(f"2020-01-0{n} {hour}:30:00" for n in (1, 2, 3) for hour in ("00", "12", "23"))]
FAR = ["1971-06-01 12:00:00", "2026-06-01 12:00:00"]


@pytest.mark.parametrize(
    ("first", "last"), [("2020-01-02", None), (None, "2020-01-02"), ("2020-01-02", "2020-01-02"), (None, "9999-12-31")]
)
def test_a_narrowing_to_days_lets_every_call_through_that_the_law_may_find(made, first, last):
    rows = [(f"c{number}", *pair) for number, pair in enumerate(product(DAYS + FAR, DAYS + FAR))]
    values = ", ".join(
        "(" + ", ".join("NULL" if value is None else f"'{value}'" for value in row) + ")" for row in rows
    )
    made.run("CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, started_at TIMESTAMP NULL, ended_at TIMESTAMP NULL)")
    crm = made.run(f"INSERT INTO t VALUES {values}").crm(facts=FACTS, kinds=KINDS)
    first, last = (day and date.fromisoformat(day) for day in (first, last))
    held = hold(**{"from": first, "to": last})
    with crm.database.reading() as connection:
        every = crm.facts.of(connection, [row[0] for row in rows])
        through = list(crm.facts.in_scopes(connection, [Narrowing({}, first, last)]))
    found = {call for table in through for call in table["call_id"].to_pylist()}
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        inside = holds_on_rows(every, [held], ZoneInfo(zone))
        assert set(every["call_id"].filter(inside.is_valid()).to_pylist()) <= found
    assert len(found) < len(rows) or (last and last.year == 9999)
