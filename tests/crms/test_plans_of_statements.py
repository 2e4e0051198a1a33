"""How the databases find the calls of a night with little due: by an index, on every shipped mapping; never all calls."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import Cutoffs
from tests.builders import NIGHT
from tests.crms.site import Site
from tests.crms.test_nights import SHIPPED, shape_of

ORDINARY = {"fusionpbx", "frappe_crm"}
OTHERS = 10_000  # calls of this year, around a few old ones
_THIS_YEAR = datetime(2026, 3, 4, 5, 6)


@pytest.mark.parametrize(
    "name", [name if name in ORDINARY else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED]
)
def test_a_night_with_little_due_reads_no_table_of_calls_from_end_to_end(name, request, tmp_path):
    shape, rows, files = shape_of(name, 40)
    calls = read_source(shape.name).call
    own = [number_of(rows[calls.table][0][calls.key], number) for number in range(OTHERS)]
    rows[calls.table] += _young(rows[calls.table], calls.key, own)
    if "vtiger_crmentity" in rows:  # the other half of a call's head
        rows["vtiger_crmentity"] += _young(rows["vtiger_crmentity"], "crmid", own)
    site = Site(shape, request.getfixturevalue(shape.server), tmp_path, rows, files)
    site.analyse()
    crm = site.lifecycle().crm
    with crm.database.reading() as connection, _statements(crm.database.engine) as asked:
        found = list(crm.facts.candidates(connection, Cutoffs(NIGHT, {"ended_at": date(2025, 11, 30)})))
    assert 5 < sum(table.num_rows for table in found) < 200
    assert asked
    with crm.database.reading() as connection:
        for statement, values in asked:
            assert list(_read_whole(connection, calls.table, statement, values)) == [], statement


def number_of(key: Any, number: int) -> Any:
    """Another key of the same kind."""
    if isinstance(key, int):
        return 5 * 10**6 + number
    return str(UUID(int=10**30 + number)) if len(key) == 36 else f"{number:0{len(key)}d}"


def _young(known: list[dict[str, Any]], key: str, own: list[Any]) -> list[dict[str, Any]]:
    """Copies of a row of this year under other keys; what differs in every row differs in these."""
    row, rows = known[0], list[dict[str, Any]]()
    alone = [
        name for name, value in row.items() if isinstance(value, str) and len({r[name] for r in known}) == len(known)
    ]
    for number, one in enumerate(own):
        when = _THIS_YEAR + timedelta(minutes=number)
        moved = {name: when.replace(tzinfo=value.tzinfo) for name, value in row.items() if isinstance(value, datetime)}
        rows.append({**row, **{name: number_of(row[name], number) for name in alone}, **moved, key: one})
    return rows


@contextmanager
def _statements(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            found.append((statement, values))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(engine, "before_cursor_execute", note)


def _read_whole(connection: sa.Connection, table: str, statement: str, values: Any) -> Iterator[str]:
    """The places where a statement reads every row, or every entry of an index, of a table."""
    if connection.dialect.name == "postgresql":
        plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar()
        nodes = _nodes((json.loads(plan) if isinstance(plan, str | bytes) else plan)[0]["Plan"])
        yield from (str(node) for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == table)
        return
    named = {table, *re.findall(rf"`?{re.escape(table)}`? (?:AS )?`?(\w+)`?", statement)}
    for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values).mappings():
        if row["table"] in named and row["type"] in ("ALL", "index"):
            yield str(dict(row))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
