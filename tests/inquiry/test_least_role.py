"""The README's role with its grants and nothing more: `check`, `discover`, `plan` and a night need no other right."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from lifecycle.crm.mapping.source import read_source
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.discovery import discover_call, purged_calls_still_named
from lifecycle.inquiry.hold_report import hold_reports
from lifecycle.inquiry.preview import preview_night
from lifecycle.night.industry_night import open_industry_night
from tests import roles
from tests.builders import World
from tests.night.small import FACTS, NIGHT, SmallWorld

KEY = "call-0001-0001"
TABLES = (
    "CREATE TABLE calls (id VARCHAR(40) PRIMARY KEY, industry VARCHAR(20), ended_at TIMESTAMP NULL, account_id INT)",
    "CREATE TABLE notes (id VARCHAR(40) PRIMARY KEY, call_id VARCHAR(40) REFERENCES calls(id), body VARCHAR(40))",
    "CREATE INDEX notes_of_call ON notes (call_id)",
    "CREATE TABLE accounts (id INT PRIMARY KEY, name VARCHAR(40))",
    "CREATE TABLE payroll (id INT PRIMARY KEY, call_id VARCHAR(40))",
    f"INSERT INTO calls VALUES ('{KEY}', 'Retail', '2025-11-20 12:00:00', 4711)",
    "INSERT INTO calls VALUES ('call-0002-0002', 'Retail', '2026-11-01 12:00:00', 4711)",
    f"INSERT INTO notes VALUES ('note-0001-0001', '{KEY}', 'x')",
    "INSERT INTO accounts VALUES (4711, 'Acme')",
    f"INSERT INTO payroll VALUES (1, '{KEY}')",
)
READ = FACTS.replace("calls c", "calls c LEFT JOIN accounts a ON a.id = c.account_id")


class LeastWorld(SmallWorld):
    """A small world whose role has the README's rights on the tables that its mapping reads, and on no other."""

    def given(self):
        source = read_source(str(self.mapping))
        mapped, database = {part.table for part in source.parts()}, str(sa.make_url(self.url).database)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in roles.statements(self.dialect, mapped, mapped | {"accounts"}, database, source.control):
                roles._execute(connection, statement)
        return {**World.given(self), "crm_url": roles.as_role(self.url), "source": str(self.mapping)}

    def initialised(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.builders.product_url", str)  # which would grant more
            return super().initialised()


@pytest.fixture(params=["postgresql", "mariadb"])
def world(request, tmp_path) -> LeastWorld:
    server = request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[request.param])
    more = "children: [{table: notes, match: {call_id: id}}]"
    world = LeastWorld(server.new_database(), tmp_path, READ, more)
    for statement in TABLES:
        world.execute(statement)
    return world


def of_the_crm(world) -> set[tuple[str, str]]:
    """What `check` says of the CRM, but for the clock, which the tests have set."""
    found = check_everything(world.lifecycle())
    return {(one.severity, one.message) for one in found if one.subject in ("CRM", "mapping", "holds")}


def test_check_finds_nothing_to_grant(world):
    # PostgreSQL lists the columns of tables that nobody may read, MariaDB does not
    seen = {
        "payroll: payroll.call_id looks as if it named a call or a row of one, and is not mapped: it stays, and names "
        "nothing. If it does, `children: [{table: payroll, match: {call_id: …}}]`; else "
        "`known: [{finding: payroll.call_id, because: …}]`"
    }
    index = "calls: no index begins with ended_at: every night reads all calls. "
    index += "CREATE INDEX lifecycle_ended_at ON calls (ended_at)"
    known = {("warning", said) for said in ({index, *seen} if world.dialect == "postgresql" else {index})}
    assert of_the_crm(world) == {
        ("warning", "no control tables, so no night can run. Run `lifecycle init` once"),
        *known,
    }
    world.lifecycle().crm.control.create()
    world.hold("{account_ids: [1]}")
    assert of_the_crm(world) == {("warning", "holds/hold-1: its scope matches no call at present"), *known}


def test_discover_says_which_table_it_may_not_read_where_the_database_tells(world):
    found = discover_call(world.lifecycle(), KEY, timedelta(seconds=30))
    assert [(one.table, one.column) for one in found.columns] == [("notes", "call_id")]
    hidden = {"postgresql": ["payroll"], "mysql": []}[world.dialect]  # MariaDB says nothing of what a role may not see
    assert list(found.not_searched) == hidden
    assert all("permission denied" in problem for problem in found.not_searched.values())


def test_a_night_and_all_that_is_asked_around_it_need_no_other_right(world):
    world.initialised()
    preview_night(world.lifecycle(), NIGHT)
    assert hold_reports(world.lifecycle(), NIGHT) == []
    world.ran()
    assert world.ids() == ["call-0002-0002"]
    assert world.ids("notes") == []
    work = open_industry_night(world.lifecycle(), "Retail", NIGHT)
    found = purged_calls_still_named(world.lifecycle(), work, timedelta(seconds=30))
    assert found.columns == ()
    assert list(found.not_searched) == (["payroll"] if world.dialect == "postgresql" else [])


MISSING = [
    ("SELECT ON accounts", "accounts"),
    ("UPDATE ON notes", "notes: the role may not UPDATE"),
    ("DELETE ON calls", "calls: the role may not DELETE"),
    ("SELECT ON notes", "notes"),
]


@pytest.mark.parametrize(("right", "said"), MISSING)
def test_check_names_the_table_and_the_right_that_is_missing(world, right, said):
    lifecycle = world.lifecycle()
    world.execute(f"REVOKE {right} FROM {roles.ROLE}")
    found = [one.message for one in check_everything(lifecycle) if (one.severity, one.subject) == ("error", "CRM")]
    assert [message for message in found if said in message], found
    assert not [message for message in found if "rerun is safe" in message]


def test_a_mapped_view_is_named_as_one(world):
    world.execute("CREATE VIEW remarks AS SELECT * FROM notes")
    world.mapping.write_text(world.mapping.read_text().replace("table: notes", "table: remarks"))
    found = [one.message for one in check_everything(world.lifecycle()) if one.severity == "error"]
    assert [one for one in found if "remarks is a view" in one and "map the table behind" in one], found
