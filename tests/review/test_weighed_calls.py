"""Counting in groups says what judging every call says: random calls, random policies before and after, real SQL."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.crm.reading.group_statements import RowsInReach
from lifecycle.policy.documents.schedule import Rule, Schedule, Schedules
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components
from lifecycle.review.affected_calls import PolicyState, affected_calls_query
from lifecycle.review.policy_diff import ChangeEffect, calls_disposed_otherwise, change_effect
from lifecycle.review.weighed_calls import weigh_affected_calls
from tests.policy.build import NO_HOLDS, hold, holds, regime, rule, schedule, schedules
from tests.policy.evaluation.test_disposition_laws import AS_OF, CAPPED, HOLDS, NIGHTS, ROWS, TAIL, laws
from tests.roles import product_url

Row = dict[str, Any]
COLUMNS = {
    "call_id": "VARCHAR(40)", "industry": "VARCHAR(40)", "started_at": "TIMESTAMP", "ended_at": "TIMESTAMP",
    "relationship_ended_at": "DATE", "record_class": "VARCHAR(40)", "channel": "VARCHAR(40)",
    "account_id": "VARCHAR(40)", "open_deal": "INTEGER", "open_task": "INTEGER", "has_recording": "INTEGER",
    "erasure_requested_on": "DATE", "disputed": "INTEGER", "dispute_ended_at": "DATE",
}  # fmt: skip
DATES = ("relationship_ended_at", "erasure_requested_on", "dispute_ended_at")
KINDS = FactKinds(
    frozenset({"started_at", "ended_at", *DATES}), frozenset({"open_deal", "open_task", "has_recording", "disputed"})
)
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
        source = read_source(str(folder / "rows.yaml"))
        self.crm = Crm(open_database(product_url(url, source)), source, KINDS)

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


def in_groups(of: Rows, both: tuple[PolicyState, PolicyState], as_of: date) -> Effects:
    found: Effects = Counter()
    for part in weigh_affected_calls(of.crm, both, as_of, lambda *_: None):
        for (effect, component, _, _, was, becomes), calls, _ in calls_disposed_otherwise(part, both, as_of):
            found[(effect, component, was, becomes)] += calls
    return found


def one_by_one(of: Rows, rows: Sequence[Row], both: Sequence[PolicyState], as_of: date) -> Effects:
    facts = of.all_facts(rows)
    found: Effects = Counter()
    calls, recordings = zip(*(said_of(facts, law, as_of) for law in both), strict=True)
    for call in calls[0]:
        was, becomes = (answers[call] for answers in calls)
        found[(change_effect(was, becomes), None, was, becomes)] += 1
        if "due" not in (was, becomes):
            was, becomes = (own.get(call, answers[call]) for own, answers in zip(recordings, calls, strict=True))
            if was != becomes and "due" in (was, becomes):
                effect = ChangeEffect.NEWLY_DUE if becomes == "due" else ChangeEffect.STAYS
                found[(effect, "recording", was, becomes)] += 1
    return Counter({key: count for key, count in found.items() if key[0]})


def said_of(facts: Any, law: PolicyState, as_of: date) -> list[dict[str, str]]:
    answers = (each(facts, law.schedules, law.holds, as_of).to_pylist() for each in (dispose_calls, dispose_components))
    return [{row["call_id"]: row["disposition"] for row in rows} for rows in answers]


REGIMES = {
    each.id: each
    for each in (
        regime("floor", trigger="relationship_ended_at", minimum="P1M", applies={"channel": ["phone"]}),
        regime("cap", maximum="P28D"),
        regime("capped", minimum=CAPPED),
        regime("tail", minimum=["P28D", TAIL], maximum={"period": "P1M", "only_if": "disputed"}),
        regime("cap-months", maximum="P1M", minimum="P28D"),
        regime("old", minimum="P3M", trigger="started_at", in_force={"from": AS_OF - timedelta(days=30)}),
    )
}
RECORDING = Rule.model_validate(rule("REC", "P1D", "never", component="recording"))
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
    lambda s: edited(s, trigger={"earlier_of": ["ended_at", "relationship_ended_at"]}),
    lambda s: edited(s, trigger="relationship_ended_at", at_the_latest={"period": "P1M", "trigger": "ended_at"}),
    lambda s: edited(s, at_the_latest={"period": "P28D", "trigger": "started_at"}),
    lambda s: edited(s, only_if="disputed"),
    lambda s: edited(s, purge_after="at_once", destroy_after="never"),
    lambda s: edited(s, count="year_end"),
    lambda s: edited(s, component="recording"),
    lambda s: s.model_copy(update={"rules": (*s.rules, RECORDING)}),
    lambda s: edited(s, on_erasure="floor", purge_after="P1Y", destroy_after="P1Y"),
    lambda s: edited(s, regimes=["floor"]),
    lambda s: edited(s, regimes=["cap"]),
    lambda s: edited(s, regimes=["cap-months", "old"]),
    lambda s: edited(s, regimes=["capped"]),
    lambda s: edited(s, regimes=["capped", "cap"]),
    lambda s: edited(s, regimes=["tail"]),
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
def edits(draw: st.DrawFn) -> tuple[PolicyState, PolicyState]:
    """Policies before and after: schedules edited, one left out now and then, holds placed or released."""
    before = draw(laws())
    after = [draw(st.sampled_from(EDITS))(each) for each in before.by_industry.values() if draw(st.integers(0, 9))]
    held = draw(st.sampled_from(["none", "same", "placed", "released"]))
    holds = draw(HOLDS) if held != "none" else NO_HOLDS
    return (
        PolicyState(under_regimes(before), holds if held in ("same", "released") else NO_HOLDS),
        PolicyState(under_regimes(schedules(*after)), holds if held in ("same", "placed") else NO_HOLDS),
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


@settings(max_examples=40)
@given(MANY, edits(), NIGHTS)
def test_groups_count_what_judging_every_call_counts(sqlite_rows, rows, both, as_of):
    sqlite_rows.fill(rows)
    assert in_groups(sqlite_rows, both, as_of) == one_by_one(sqlite_rows, rows, both, as_of)


def quarter_hours(around: date) -> list[datetime]:
    """Every quarter of an hour of the days around one."""
    start = datetime.combine(around - timedelta(days=2), time(), UTC)
    return [start + timedelta(minutes=15 * n) for n in range(4 * 24 * 4)]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York", "Asia/Kathmandu"])
def test_a_call_beside_a_cutoff_falls_on_its_own_side_of_midnight_in_every_zone(sqlite_rows, zone):
    """P1M back from 20 November is 19 October, P2M 19 September: calls of every quarter hour around both."""
    moments = [*quarter_hours(date(2026, 10, 19)), *quarter_hours(date(2026, 9, 19))]
    rows = [{"call_id": f"c{n}", "industry": "Banking", "ended_at": each} for n, each in enumerate(moments)]
    one, two = (law_of(schedule(rule("R", each, "never"), zone=zone)) for each in ("P1M", "P2M"))
    sqlite_rows.fill(rows)
    found = in_groups(sqlite_rows, (two, one), date(2026, 11, 20))
    assert found == one_by_one(sqlite_rows, rows, (two, one), date(2026, 11, 20))
    assert 300 < found[(ChangeEffect.NEWLY_DUE, None, "retained", "due")] < 500


def law_of(*given: Schedule, held: Any = NO_HOLDS) -> PolicyState:
    return PolicyState(schedules(*given), held)


def many_rows() -> list[Row]:
    """Some of everything: industries that look alike to a database, holds, several rows, no dates."""
    at = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(0, 320, 4)]
    names = ["Banking", "banking", "Bànking", " Banking ", "Retail", "Nowhere", None]
    classes = ["order", "Order", "ordér", "chat", None]
    return [
        {"call_id": f"c{n % 390}", "industry": names[n % 7], "ended_at": None if n % 23 == 0 else at[n % 80],
         "record_class": classes[n % 5], "account_id": str(n % 50), "open_deal": n % 3 == 0, "open_task": False,
         "relationship_ended_at": at[n % 70].date(), "has_recording": [True, False, None][n % 3]}
        for n in range(400)
    ]  # fmt: skip


def test_servers_count_as_judging_every_call_does(served_rows):
    rows, night = many_rows(), date(2026, 11, 20)
    before = law_of(
        schedule(
            rule("ANY", "P6M", "never", keep_while=["open_deal"]),
            rule("ORDER", "P8M", "never", {"record_class": "order"}),
        ),
        schedule(rule("RET", "P1M", "never", trigger="relationship_ended_at"), industry="retail", matches="Retail"),
        held=holds(hold("h", account_ids=["7", "8"]), hold("all", industries=["retail"], released="2026-11-01")),
    )
    after = law_of(
        schedule(
            rule("ANY", "P3M", "never"),
            rule("ORDER", "P5M", "never", {"record_class": "ordér"}),
            rule("REC", "P1M", "never", component="recording"),
        ),
        schedule(rule("RET", "P3M", "never", trigger="relationship_ended_at"), industry="retail", matches="Retail"),
        held=holds(hold("h", account_ids=["8"])),
    )
    served_rows.fill(rows)
    found = in_groups(served_rows, (before, after), night)
    assert found == one_by_one(served_rows, rows, (before, after), night)
    assert {effect for effect, *_ in found} == {ChangeEffect.NEWLY_DUE, ChangeEffect.STAYS}
    assert {component for _, component, *_ in found} == {None, "recording"}


def test_what_does_not_change_is_not_asked_for(sqlite_rows):
    before = law_of(schedule(rule("A", "P6M", "never")), schedule(rule("B"), industry="retail", matches="Retail"))
    after = law_of(
        schedule(rule("A", "P3M", "never")), schedule(rule("B", title="other"), industry="retail", matches="Retail")
    )
    by = affected_calls_query((before, after), ["Banking", "banking ", "Retail", "Nowhere"], date(2026, 11, 20))
    assert by.reaches == (
        RowsInReach(("Banking", "banking "), {"ended_at": ((date(2026, 5, 20), date(2026, 8, 19)),)}),
    )
    assert affected_calls_query((before, before), ["Banking", "Retail"], date(2026, 11, 20)).reaches == ()
