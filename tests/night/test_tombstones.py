"""A row stays on the timeline where a call was: once, with its purge or not at all, and it does not name the call."""

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lifecycle.crm.control.role_grants import grant_statements
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.mapping.table_rights import missing_rights
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.errors import SourceError
from lifecycle.inquiry.discovery import purged_calls_still_named
from lifecycle.night.industry_night import open_industry_night
from tests.builders import BANK_DAY, CLOCK, NIGHT, SHOP_DAY, World, run_night
from tests.inquiry.test_erasure_requests import asked
from tests.night.driver import night_killed

SAYS = '"A call of {day} ({duration}, {direction}) was deleted on {deleted_on} under {rule}: {record}"'
TOMBSTONE = f"""extends: demo
tombstone:
  table: timeline
  of: contact_id
  columns: {{contact_id: "{{of}}", kind: 7, said: {SAYS}, at: "{{deleted_at}}"}}
"""
IDS = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mysql": "INTEGER AUTO_INCREMENT PRIMARY KEY",
}


def mapped(world: World, text: str = TOMBSTONE) -> World:
    """The world under a mapping of its own, and the right to insert, as the printed grants give it."""
    path = world.policies.parent / "tombstone.yaml"
    path.write_text(text)
    given = world.given()
    world.given = lambda: {**given, "source": str(path)}  # type: ignore[method-assign]
    columns = f"id {IDS[world.dialect]}, contact_id INTEGER, kind INTEGER, said VARCHAR(300), at TIMESTAMP NULL"
    world.execute(f"CREATE TABLE IF NOT EXISTS timeline ({columns})")
    world.execute("DELETE FROM timeline")
    rights = {"sqlite": (), "postgresql": ("INSERT ON timeline", "USAGE ON ALL SEQUENCES IN SCHEMA public")}
    for right in rights.get(world.dialect, ("INSERT ON timeline",)):
        world.execute(f"GRANT {right} TO lifecycle")
    reading = {"sqlite": ()}.get(world.dialect, ("SELECT ON timeline",))
    for right in reading:
        world.execute(f"GRANT {right} TO lifecycle")
    return world


def spoken(world: World) -> World:
    """Three due calls: of one contact, of two, of none; one that stays, and a note of somebody else's."""
    bank = world.account("Banking")
    for key, people in (("id-1", 1), ("id-2", 2), ("id-3", 0), ("id-stays", 1)):
        ended = SHOP_DAY if key == "id-stays" else BANK_DAY
        world.call(key, bank, ended, started_at=ended - timedelta(seconds=67))
        for _ in range(people):
            world.contact(key, bank)
    world.note("id-1")
    world.flush()
    return world


def contacts(world: World) -> dict[str, set[str]]:
    with world.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT call_id, contact_id FROM call_contacts")).fetchall()
    return {call: {str(contact) for key, contact in rows if key == call} for call, _ in rows}


def tombstones(world: World) -> list[tuple[str, str]]:
    """As SQL has them: whose, and what they say."""
    with world.engine.connect() as connection:
        asked = sa.text("SELECT contact_id, said, kind, at FROM timeline ORDER BY id")
        rows = connection.execute(asked).fetchall()
    assert all((row.kind, str(row.at)[:19]) == (7, str(CLOCK)[:19]) for row in rows)
    return [(str(row.contact_id), row.said) for row in rows]


def expected(world: World, of: dict[str, set[str]]) -> Counter:
    """What the records say of the calls that went."""
    said = Counter()
    for record in world.purge_rows():
        words = f"A call of {BANK_DAY.date()} (1:07, in) was deleted on {CLOCK.date()} under {record['rule_id']}"
        for contact in of.get(record["call_id"], ()):
            said[contact, f"{words}: {record['batch']}/{record['row']}"] += 1
    return said


def test_each_contact_of_a_purged_call_gets_one_row_that_says_what_the_record_says(world: World):
    of = contacts(mapped(spoken(world)))
    run_night(world.lifecycle())
    assert world.live() == {"id-stays"}
    assert Counter(tombstones(world)) == expected(world, of)
    assert len(tombstones(world)) == 3
    run_night(world.lifecycle())
    assert len(tombstones(world)) == 3
    work = open_industry_night(world.lifecycle(), "bank", NIGHT)
    found = purged_calls_still_named(world.lifecycle(), work, timedelta(minutes=1))
    assert found.columns == ()


def test_a_call_that_goes_on_request_leaves_none(sqlite_world: World):
    world = mapped(spoken(sqlite_world))
    of = contacts(world)
    asked(world, "2026-01-01", "id-1")
    run_night(world.lifecycle())
    assert {contact for contact, _ in tombstones(world)} == of["id-2"]


def whole(lifecycle: Lifecycle, run: Run) -> None:
    run_night(lifecycle, run, sealing=False)


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_killed_at_the_purge_there_is_one_row_or_none_and_one_in_the_end(new_world, when: str):
    at, ended = 8, None  # the last writes of the night
    while ended is None:
        at += 1
        world = mapped(spoken(new_world("sqlite")))
        of = contacts(world)
        ended = night_killed(world, at, when, work=whole)
        assert Counter(tombstones(world)) == expected(world, of)
        run_night(world.lifecycle())
        assert Counter(tombstones(world)) == expected(world, of)
        assert len(tombstones(world)) == 3
    assert ended > 9


def test_a_row_that_the_database_refuses_keeps_its_call(sqlite_world: World):
    world = mapped(spoken(sqlite_world))
    of = contacts(world)
    (contact,) = of["id-1"]
    world.execute(
        f"CREATE TRIGGER full BEFORE INSERT ON timeline WHEN NEW.contact_id = {contact} "
        "BEGIN SELECT RAISE(ABORT, 'the timeline is full'); END"
    )
    night = run_night(world.lifecycle())
    assert night.set_aside == {"id-1": "refused: the timeline is full"}
    assert {contact for contact, _ in tombstones(world)} == of["id-2"]
    assert world.live() == {"id-1", "id-stays"}


def test_what_a_trigger_on_the_timeline_deletes_is_seen(sqlite_world: World):
    world = mapped(spoken(sqlite_world))
    world.execute("CREATE TABLE log (id INTEGER)")
    world.execute("INSERT INTO log VALUES (1)")
    world.execute("CREATE TRIGGER wipe AFTER INSERT ON timeline BEGIN DELETE FROM log; END")
    night = run_night(world.lifecycle())
    assert set(night.set_aside) == {"id-1", "id-2"}
    assert all("deleted other rows than those compared" in reason for reason in night.set_aside.values())


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("table: notes, columns: {body: '{call_id}'}", "expected places"),
        ("table: notes, columns: {body: '{of}'}", "expected `of` and the place"),
        ("table: notes, of: contact_id, columns: {body: x}", "expected `of` and the place"),
        ("table: calls, columns: {subject: x}", "expected another table than that of the calls"),
        ("table: notes, columns: {colour: x}", "notes has no column colour"),
        ("table: graves, columns: {body: x}", "the database has no table graves"),
        ("table: notes, of: shoe_size, columns: {body: '{of}'}", "no fact or link shoe_size"),
    ],
)
def test_what_cannot_be_a_tombstone_is_refused(sqlite_world: World, says: str, found: str):
    world = mapped(sqlite_world, f"extends: demo\ntombstone: {{{says}}}\n")
    with pytest.raises(SourceError, match=found):
        _ = world.lifecycle().crm


def test_the_right_to_insert_is_printed_and_missed(served_world: World):
    world = mapped(served_world)
    dialect = world.dialect
    source = read_source(str(world.given()["source"]))
    printed = [line for line in grant_statements(source, dialect, "crm", "lifecycle") if "timeline" in line]
    assert [line.partition(" ON ")[0] for line in printed] == ["GRANT INSERT"]
    crm = world.lifecycle().crm
    assert missing_rights(crm.database, crm.source) == []
    world.execute("REVOKE INSERT ON timeline FROM lifecycle")
    crm = world.lifecycle().crm
    assert missing_rights(crm.database, crm.source) == [
        "timeline: the role may not INSERT, which a night does. GRANT it"
    ]


def test_a_column_that_asks_for_a_value_and_gets_none_is_found(sqlite_world: World):
    world = mapped(sqlite_world)
    assert world.lifecycle().crm.tombstones.missing() == []
    world.execute("DROP TABLE timeline")
    world.execute(
        "CREATE TABLE timeline (id INTEGER PRIMARY KEY, contact_id INT, kind INT, said TEXT, at TEXT, of TEXT NOT NULL)"
    )
    assert world.lifecycle().crm.tombstones.missing() == ["of"]
