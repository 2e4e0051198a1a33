"""Counting in groups says what judging every call says: random calls, random policies before and after, real SQL."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.facts import FactKinds
from lifecycle.crm.source import read_source
from lifecycle.policy.disposition import dispose
from lifecycle.policy.schedule import Rule, Schedule, Schedules
from lifecycle.steps.diff import _effect
from lifecycle.steps.reach import Law
from lifecycle.steps.weigh import weigh
from tests.policy.build import NO_HOLDS, regime, rule, schedule, schedules
from tests.policy.test_disposition_laws import AS_OF, HOLDS, NIGHTS, ROWS, laws

Row = dict[str, Any]
COLUMNS = {
    "call_id": "VARCHAR(40)", "industry": "VARCHAR(40)", "started_at": "TIMESTAMP", "ended_at": "TIMESTAMP",
    "relationship_ended_at": "DATE", "record_class": "VARCHAR(40)", "channel": "VARCHAR(40)",
    "account_id": "VARCHAR(40)", "open_deal": "INTEGER", "open_task": "INTEGER", "has_recording": "INTEGER",
    "erasure_requested_on": "DATE",
}  # fmt: skip
DATES = ("relationship_ended_at", "erasure_requested_on")
KINDS = FactKinds(frozenset({"started_at", "ended_at", *DATES}), frozenset({"open_deal", "open_task", "has_recording"}))
MAPPING = f"""source: rows
dialects: [sqlite, postgresql, mysql]
facts: SELECT {", ".join(COLUMNS)} FROM f
timezone: UTC
call: {{table: t, key: id}}
"""


class Rows:
    """A CRM whose facts are the rows of one table, to be filled anew for each case."""

    def __init__(self, url: str, folder: Any) -> None:
        (folder / "rows.yaml").write_text(MAPPING)
        self.database = open_database(url)
        typed = {"TIMESTAMP": "DATETIME(6)"} if self.database.dialect == "mysql" else {}
        columns = ", ".join(f"{name} {typed.get(kind, kind)}" for name, kind in COLUMNS.items())
        with self.database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (id VARCHAR(40) PRIMARY KEY)")
            connection.exec_driver_sql(f"CREATE TABLE f ({columns})")
        self.crm = Crm(self.database, read_source(str(folder / "rows.yaml")), KINDS)

    def fill(self, rows: Sequence[Row]) -> None:
        with self.database.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM f")
            names = ", ".join(f":{name}" for name in COLUMNS)
            if rows:
                connection.execute(sa.text(f"INSERT INTO f VALUES ({names})"), [self._row(row) for row in rows])

    def _row(self, row: Row) -> Row:
        given = {name: row.get(name) for name in COLUMNS}
        for name in ("started_at", "ended_at"):
            if isinstance(given[name], datetime):
                given[name] = given[name].replace(tzinfo=None)
                given[name] = given[name].isoformat(" ") if self.database.dialect == "sqlite" else given[name]
        for name in DATES if self.database.dialect == "sqlite" else ():
            given[name] = given[name] and given[name].isoformat()
        return given | {name: None if given[name] is None else int(given[name]) for name in KINDS.flags}

    def all_facts(self, rows: Sequence[Row]) -> Any:
        with self.database.reading() as connection:
            return self.crm.facts.of(connection, sorted({row["call_id"] for row in rows}))


@pytest.fixture(scope="module")
def sqlite_rows(tmp_path_factory) -> Rows:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "crm.db").touch()
    return Rows(f"sqlite:///{folder}/crm.db", folder)


@pytest.fixture(params=["postgres_server", "mariadb_server"])
def served_rows(request, tmp_path) -> Rows:
    return Rows(request.getfixturevalue(request.param).new_database(), tmp_path)


Effects = Counter[tuple[Any, ...]]


def in_groups(of: Rows, both: Sequence[Law], as_of: date) -> Effects:
    found: Effects = Counter()
    for part in weigh(of.crm, both, as_of, lambda *_: None):
        for was, becomes, calls in zip(*(each["disposition"].to_pylist() for each in part.answers),
                                       part.calls.to_pylist(), strict=True):  # fmt: skip
            found[(_effect(was, becomes), was, becomes)] += calls
    return Counter({key: calls for key, calls in found.items() if key[0] and key[1] != key[2]})


def one_by_one(of: Rows, rows: Sequence[Row], both: Sequence[Law], as_of: date) -> Effects:
    facts = of.all_facts(rows)
    answers = [dispose(facts, law.schedules, law.holds, as_of)["disposition"].to_pylist() for law in both]
    return Counter(
        (_effect(*pair), *pair) for pair in zip(*answers, strict=True) if pair[0] != pair[1] and _effect(*pair)
    )


REGIMES = {
    each.id: each
    for each in (
        regime("floor", trigger="relationship_ended_at", minimum="P1M", applies={"channel": ["phone"]}),
        regime("cap", maximum="P28D"),
        regime("cap-months", maximum="P1M", minimum="P28D"),
        regime("old", minimum="P3M", trigger="started_at", in_force={"from": AS_OF - timedelta(days=30)}),
    )
}
EDITS: list[Callable[[Schedule], Schedule]] = [
    lambda s: s,
    lambda s: s.model_copy(update={"max_share": s.max_share / 2}),
    lambda s: edited(s, purge_after="P1D", destroy_after="never"),
    lambda s: edited(s, purge_after="P30D", destroy_after="never"),
    lambda s: edited(s, purge_after="P1M", destroy_after="never"),
    lambda s: edited(s, purge_after="P1Y1D", destroy_after="never"),
    lambda s: edited(s, purge_after="never", destroy_after="never"),
    lambda s: edited(s, keep_while=[]),
    lambda s: edited(s, keep_while=["open_task"]),
    lambda s: edited(s, when={}),
    lambda s: edited(s, when={"record_class": ["complaint"]}),
    lambda s: edited(s, trigger="relationship_ended_at"),
    lambda s: edited(s, trigger={"later_of": ["ended_at", "relationship_ended_at"]}),
    lambda s: edited(s, count="year_end"),
    lambda s: edited(s, component="recording"),
    lambda s: edited(s, on_erasure="floor", purge_after="P1Y", destroy_after="P1Y"),
    lambda s: edited(s, regimes=["floor"]),
    lambda s: edited(s, regimes=["cap"]),
    lambda s: edited(s, regimes=["cap-months", "old"]),
    lambda s: s.model_copy(update={"rules": s.rules[1:] or s.rules}),
    lambda s: s.model_copy(update={"matches": s.matches[:1]}),
    lambda s: schedule(rule("new", "P2W", "never"), industry=s.industry, matches=list(s.matches), zone="Asia/Kolkata"),
]


def edited(of: Schedule, **fields: Any) -> Schedule:
    """The schedule with some fields of its first rule as a file would give them."""
    read = Rule.model_validate({**rule("x", "P1D", "never"), **fields})
    first = of.rules[0].model_copy(update={name: getattr(read, name) for name in fields})
    return of.model_copy(update={"rules": (first, *of.rules[1:])})


def under_regimes(of: Schedules) -> Schedules:
    return Schedules(of.by_industry, {}, REGIMES)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Law, Law]:
    """Policies before and after: schedules edited, one left out now and then, holds placed or released."""
    before = draw(laws())
    after = [draw(st.sampled_from(EDITS))(each) for each in before.by_industry.values() if draw(st.integers(0, 9))]
    held = draw(st.sampled_from(["none", "same", "placed", "released"]))
    holds = draw(HOLDS) if held != "none" else NO_HOLDS
    return (
        Law(under_regimes(before), holds if held in ("same", "released") else NO_HOLDS),
        Law(under_regimes(schedules(*after)), holds if held in ("same", "placed") else NO_HOLDS),
    )


def as_calls(rows: Sequence[Row]) -> list[Row]:
    """Most of them calls of one row; every fifth asked to be erased, every third without a recording."""
    asked = {0: AS_OF - timedelta(days=3), 5: AS_OF + timedelta(days=20)}
    return [
        {**row, "call_id": f"{row['call_id']}-{n % 14}", "erasure_requested_on": asked.get(n % 10),
         "has_recording": [True, None, False][n % 3]}
        for n, row in enumerate(rows)
    ]  # fmt: skip


MANY = st.lists(ROWS, max_size=25).map(as_calls)


@settings(max_examples=60)
@given(MANY, edits(), NIGHTS)
def test_groups_count_what_judging_every_call_counts(sqlite_rows, rows, both, as_of):
    sqlite_rows.fill(rows)
    assert in_groups(sqlite_rows, both, as_of) == one_by_one(sqlite_rows, rows, both, as_of)
