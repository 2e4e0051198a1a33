"""Live calls are counted once a week; the brake never lets more go for it, and whatever the count cannot explain is
counted anew."""

from datetime import date, timedelta

import pytest

from lifecycle.crm.reading.call_counts import CallCounts
from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.night import live_calls
from lifecycle.night.plan import plan_night
from tests.builders import CLOCK, RUN
from tests.night.small import FACTS, NIGHT, RETAIL

CALLS = (
    "CREATE TABLE calls (id INT NOT NULL PRIMARY KEY, industry VARCHAR(20), ended_at TIMESTAMP NULL, account_id INT)",
    "CREATE INDEX by_end ON calls (ended_at)",
    "CREATE TABLE tags (call_id INT NOT NULL, tag VARCHAR(9))",
)
ENDED, DUE = "2026-11-01 10:00:00", "2025-11-20 10:00:00"
LIVE = 300


@pytest.fixture(autouse=True)
def _always_worth_it(monkeypatch):
    monkeypatch.setattr(live_calls, "MANY_CALLS", 1)
    monkeypatch.setattr(live_calls, "LONG_MILLISECONDS", 0)


@pytest.fixture
def counted(small, monkeypatch):
    """A CRM of 300 calls that a night has counted, nothing due; and how often all were counted since."""
    return after_a_count("sqlite", small, monkeypatch)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def counted_anywhere(request, small, monkeypatch):
    return after_a_count(request.param, small, monkeypatch)


def after_a_count(database, small, monkeypatch):
    world = small(database, *CALLS)
    insert(world, LIVE, ENDED)
    world.schedule(SHARE)
    world.initialised()
    found = Counting(monkeypatch)
    assert (planned(world).live, found.times) == (LIVE, 1)
    found.times = 0
    return world, found


SHARE = RETAIL.format(zone="UTC", when="").replace("100%", "2%")


class Counting:
    """How often every call was counted."""

    def __init__(self, monkeypatch) -> None:
        self.times, count = 0, CallCounts.by_industry

        def counting(counts, connection):
            self.times += 1
            return count(counts, connection)

        monkeypatch.setattr(CallCounts, "by_industry", counting)


def insert(world, number, ended, industry="Retail", first=1):
    rows = ", ".join(f"({key}, '{industry}', '{ended}', 7)" for key in range(first, first + number))
    world.execute(f"INSERT INTO calls VALUES {rows}")


def planned(world, later=timedelta(0), night=NIGHT, **changed):
    """The plan of a night, so much later."""
    lifecycle = world.lifecycle(**changed)
    lifecycle = Lifecycle(lifecycle.settings, lambda: CLOCK + later)
    return plan_night(lifecycle, night + later, RUN)[1]["Retail"]


def real(world, industry="Retail"):
    return world.rows(f"SELECT COUNT(*) FROM calls WHERE industry = '{industry}'")[0][0]


DAY = timedelta(days=1)


def test_a_night_with_nothing_due_counts_no_call(counted_anywhere):
    world, found = counted_anywhere
    plan = planned(world, DAY)
    assert (plan.live, plan.counted_at, found.times) == (LIVE, CLOCK, 0)
    assert plan.dispositions == {"retained": LIVE}
    world.execute(f"UPDATE calls SET ended_at = '{DUE}' WHERE id <= 3")
    assert world.ran(NIGHT + DAY).calls == 0  # its plan was made before, and stays
    assert world.ran(NIGHT + 2 * DAY).calls == 3
    assert (planned(world, 3 * DAY).live, real(world), found.times) == (LIVE - 3, LIVE - 3, 0)


def test_what_is_due_goes_where_so_many_calls_are_seen_that_it_may(counted):
    world, found = counted
    world.execute(f"UPDATE calls SET ended_at = '{DUE}' WHERE id <= 6")
    plan = planned(world, DAY)
    assert (plan.due, plan.waits_for, plan.counted_at, found.times) == (6, (), CLOCK, 0)


def test_the_brake_counts_what_it_cannot_see(counted_anywhere):
    world, found = counted_anywhere
    world.execute(f"UPDATE calls SET ended_at = '{DUE}' WHERE id <= 6")
    world.execute("UPDATE calls SET industry = 'Elsewhere' WHERE id = 300")  # 299 are left: six are more than 2 %
    plan = planned(world, DAY)
    assert (plan.live, plan.counted_at, found.times) == (real(world), None, 1)
    assert plan.waits_for == ("brake: 6 of 299 live calls are due, 2.01%; max_share is 2%",)


def test_a_brake_that_trips_shows_the_numbers_of_this_night(counted):
    world, found = counted
    insert(world, 30, DUE, first=1000)
    plan = planned(world, DAY)
    assert (plan.live, plan.counted_at, found.times) == (real(world), None, 1)
    assert plan.waits_for == ("brake: 30 of 330 live calls are due, 9.09%; max_share is 2%",)


def test_a_share_of_less_than_a_call_lets_none_go(counted):
    world, _ = counted
    world.schedule(SHARE.replace("max_share: 2%", "max_share: 0.1%"))
    world.execute(f"UPDATE calls SET ended_at = '{DUE}' WHERE id = 1")
    assert planned(world, DAY).waits_for == ("brake: 1 of 300 live calls are due, 0.33%; max_share is 0.1%",)


@pytest.mark.parametrize("away", [8 * DAY, -DAY], ids=["a week ago", "in the future"])
def test_a_count_of_another_time_is_made_anew(counted, away):
    world, found = counted
    insert(world, 1, ENDED, first=1000)
    plan = planned(world, away)
    assert (plan.live, plan.counted_at, found.times) == (LIVE + 1, None, 1)


def test_a_count_is_made_anew_where_the_mapping_or_the_schema_changed(counted):
    world, found = counted
    world.mapping.write_text(world.mapping.read_text().replace("FROM calls c", "FROM calls c WHERE c.id > 10"))
    assert (planned(world, DAY).live, found.times) == (LIVE - 10, 1)
    world.execute("ALTER TABLE calls ADD COLUMN more INT")
    assert (planned(world, 2 * DAY).counted_at, found.times) == (None, 2)


def test_an_industry_that_was_not_counted_is_counted(counted):
    world, found = counted
    insert(world, 1, DUE, industry="Retial", first=1000)
    plan = planned(world, DAY)
    assert (plan.counted_at, found.times) == (None, 1)


def test_a_database_that_was_restored_is_counted_anew(counted_anywhere):
    world, found = counted_anywhere
    for first in range(1000, 21000, 1000):
        insert(world, 1000, ENDED, first=first)
    if world.dialect == "mariadb":
        world.rows("ANALYZE TABLE calls")
    assert (planned(world, DAY).live, found.times) == (LIVE + 20_000, 1)


def test_without_its_table_every_night_counts(counted):
    world, found = counted
    world.execute(f"DROP TABLE {'lifecycle.census' if world.dialect == 'postgresql' else 'lifecycle_census'}")
    assert (planned(world, DAY).counted_at, planned(world, 2 * DAY).counted_at, found.times) == (None, None, 2)
    assert "no table of counted calls" in " ".join(world.lifecycle().crm.control.missing())


def test_a_count_that_nobody_can_read_is_made_anew(counted):
    world, found = counted
    table = "lifecycle.census" if world.dialect == "postgresql" else "lifecycle_census"
    world.execute(f"UPDATE {table} SET counted_at = 'yesterday'")
    assert (planned(world, DAY).counted_at, found.times) == (None, 1)


def test_a_plan_that_somebody_edited_is_nothing_to_count_by(counted):
    world, found = counted
    world.execute(f"UPDATE calls SET ended_at = '{DUE}' WHERE id <= 3")
    assert world.ran(NIGHT + DAY).calls == 3
    world.execute("UPDATE lifecycle_plans SET body = '{}' WHERE night = '2026-12-01'")
    assert (planned(world, 2 * DAY).live, found.times) == (LIVE - 3, 1)


def test_a_small_crm_is_counted_every_night(counted, monkeypatch):
    world, found = counted
    monkeypatch.setattr(live_calls, "MANY_CALLS", LIVE + 1)
    assert (planned(world, DAY).counted_at, found.times) == (None, 1)


def test_calls_are_seen_however_many_rows_of_facts_each_has(counted_anywhere):
    """What is shown is never more than there is; on MariaDB two spellings are equal to the column."""
    world, _ = counted_anywhere
    world.execute("INSERT INTO tags SELECT id, 'a' FROM calls")
    world.execute("INSERT INTO tags SELECT id, 'b' FROM calls WHERE id <= 200")
    world.execute("UPDATE calls SET industry = 'RETAIL' WHERE id > 290")
    plain = FACTS.replace("\n", "\n  ")
    several = plain.replace("FROM calls c", "FROM calls c LEFT JOIN tags t ON t.call_id = c.id")
    for facts in (plain, several):
        world.mapping.write_text(world.mapping.read_text().replace(plain, facts))
        crm = world.lifecycle().crm
        with crm.database.reading() as connection:
            seen = [crm.facts.counts.are_at_least(connection, number, ["Retail"]) for number in (1, 290, 291, 300)]
        assert seen == [True, True, False, False]


def test_sqlite_finds_what_is_due_by_its_index(counted):
    """In one statement it would read every call: it knows no distribution, and takes four ranges for most of them."""
    crm = counted[0].lifecycle().crm
    asked = crm.facts._search.may_go(Cutoffs(NIGHT, {"ended_at": date(2025, 11, 30)}))
    with crm.database.reading() as connection:
        for statement in asked:
            compiled = statement.compile(crm.database.engine)
            values = tuple(compiled.params[name] for name in compiled.positiontup)
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)]
            assert plan, statement
            assert all("USING INDEX by_end" in line for line in plan), plan
    assert len(asked) == 4
