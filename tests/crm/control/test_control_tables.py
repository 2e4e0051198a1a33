"""The control tables: made where they are missing, asked for by name, one note an id."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.control.ledger_queue import PURGE, LedgerPlace
from lifecycle.crm.control.restored_table import RESTORED_COLUMNS
from lifecycle.crm.control.table_version import VERSION
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.errors import DatabaseError, SourceError
from tests.builders import CLOCK
from tests.crm.conftest import purge_row
from tests.roles import ROLE, as_administrator, product_url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def control(request, make) -> ControlTables:
    return ControlTables(open_database(product_url(make(request.param).url)))


def test_tables_that_are_missing_are_asked_for_and_made(control):
    with pytest.raises(SourceError, match=r"the CRM has no control tables. Run `lifecycle init` once"):
        control.require()
    for _ in range(2):
        control.create()
        control.require()


def test_an_installation_from_before_the_ledger_is_told_to_run_init_and_keeps_its_rows(control):
    control.create()
    with control._database.writing() as connection:
        control.insert(connection, purge_row(["c-1"]))
    engine = sa.create_engine(as_administrator(control._database.engine.url.render_as_string(hide_password=False)))
    with engine.begin() as connection:
        for table in (control.places.leaves, control.places.places, control.places.checkpoints):
            table.drop(connection)
    engine.dispose()
    with pytest.raises(SourceError, match="Run `lifecycle init` once"):
        control.require()
    control.create()
    control.require()
    with control._database.reading() as connection:
        assert control.unsealed(connection) == ["row-c-1"]
        assert [name for _, _, name in control.places.waiting(connection)] == ["row-c-1"]


def test_a_note_is_kept_once_whoever_notes_it_again(control):
    control.create()
    assert control.places.note({"a": b"1", "b": b"2"}, CLOCK) == ["a", "b"]
    assert control.places.note({"b": b"other", "c": b"3"}, CLOCK) == ["c"]
    assert list(control.places._insert([{"id": "c", "noted_at": "t", "body": b"x"}])) == []
    with control._database.reading() as connection:
        assert control.places.noted(connection, ["a", "b", "c"]) == {"a": b"1", "b": b"2", "c": b"3"}


def test_a_place_is_given_once(control):
    control.create()
    control.places.give([LedgerPlace(0, 2, PURGE, "p"), LedgerPlace(2, 1, PURGE, "q")])
    for taken in (LedgerPlace(2, 1, PURGE, "r"), LedgerPlace(3, 1, PURGE, "p")):
        with pytest.raises(DatabaseError, match="A rerun is safe"):
            control.places.give([taken])
    control.places.give([LedgerPlace(7, 1, PURGE, "q")], instead_of=[LedgerPlace(2, 1, PURGE, "q")])
    with control._database.reading() as connection:
        assert control.places.from_on(connection, 0) == [LedgerPlace(0, 2, PURGE, "p"), LedgerPlace(7, 1, PURGE, "q")]


def test_the_last_checkpoint_and_those_of_a_day_are_remembered(control):
    control.create()
    control.places.sealed(3, b"three", [], CLOCK)
    control.places.sealed(3, b"again", [], CLOCK)
    control.places.sealed(5, b"five", [], CLOCK.replace(day=22))
    with control._database.reading() as connection:
        assert control.places.seen(connection) == b"five"
        assert control.places.seen_since(connection, CLOCK.replace(day=22)) == [b"three", b"five"]
        assert control.places.seen_since(connection, CLOCK.replace(day=23)) == [b"five"]
        assert isinstance(connection, sa.Connection)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, make) -> str:
    """A database with the README's rights for control tables of two names."""
    made = make(request.param)
    product_url(made.url, read_source("demo").model_copy(update={"control": "lifecycle_two"}))
    return product_url(made.url)


def test_a_second_source_is_refused_the_control_tables_of_another(url):
    ControlTables(open_database(url), "one").create()
    second = ControlTables(open_database(url), "two")
    for refused in (second.create, second.require):
        with pytest.raises(SourceError, match=r"`lifecycle` of this database are those of source one.*lifecycle_two"):
            refused()
    ControlTables(open_database(url), "one").require()


def test_a_second_mapping_of_the_same_name_over_another_table_of_calls_is_refused_them_too(url):
    ControlTables(open_database(url), "one", calls="calls").create()
    second = ControlTables(open_database(url), "one", calls="archive.calls")
    for refused in (second.create, second.require):
        with pytest.raises(SourceError, match=r"source one, with its calls in calls; .*= 'archive.calls' WHERE"):
            refused()
    for again in (None, "calls"):
        ControlTables(open_database(url), "one", calls=again).require()


def test_where_the_calls_are_is_noted_by_the_next_init_of_an_installation_that_did_not(url):
    ControlTables(open_database(url), "one").create()
    ControlTables(open_database(url), "one", calls="calls").create()
    with pytest.raises(SourceError, match="its calls in calls"):
        ControlTables(open_database(url), "one", calls="others").require()


def test_two_sources_with_names_of_their_own_share_a_database(url):
    first, second = ControlTables(open_database(url), "one"), ControlTables(open_database(url), "two", "lifecycle_two")
    for control, key in ((first, "c-1"), (second, "c-2")):
        control.create()
        with control._database.writing() as connection:
            control.insert(connection, purge_row([key]))
    for control, key in ((first, "row-c-1"), (second, "row-c-2")):
        control.require()
        with control._database.reading() as connection:
            assert control.all_ids(connection) == [key]


def test_an_installation_from_before_is_the_source_whose_records_it_holds(make):
    url = make("sqlite").url
    control = ControlTables(open_database(url))
    control.create()
    with control._database.writing() as connection:
        row = replace(purge_row(["c-1"]), entries=b'{"kind":"purged","source":"one"}\n')
        control.insert(connection, row)
        control.owner.table.drop(connection)
    assert control.missing() == ["no table lifecycle_source, so another source could share the control tables"]
    ControlTables(open_database(url), "two").require()  # as before, until somebody runs init
    with pytest.raises(SourceError, match="source one"):
        ControlTables(open_database(url), "two").create()
    ControlTables(open_database(url), "one").create()


@pytest.fixture
def administrator(control: ControlTables) -> Iterator[sa.Connection]:
    engine = sa.create_engine(as_administrator(control._database.engine.url.render_as_string(hide_password=False)))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_tables_of_a_newer_release_are_refused_and_left_as_they_are(control, administrator):
    control.create()
    administrator.execute(control.version.table.update().values(version=VERSION + 1))
    administrator.commit()
    for refused in (control.require, control.create, lambda: control.proof_of("a")):
        with pytest.raises(
            SourceError, match=f"of version {VERSION + 1}, made by a newer release; .* nothing was done"
        ):
            refused()
    assert administrator.scalar(sa.select(control.version.table.c.version)) == VERSION + 1


def test_an_older_installation_gets_its_columns_keeps_its_rows_and_is_not_worked_on_before(control, administrator):
    control.create()
    with control._database.writing() as connection:
        control.insert(connection, purge_row(["c-1"]))
    purges = administrator.dialect.identifier_preparer.format_table(control.table)
    for column in ("files", "files_removed_at"):
        administrator.exec_driver_sql(f"ALTER TABLE {purges} DROP COLUMN {column}")
    administrator.execute(control.version.table.update().values(version=0))
    administrator.commit()
    with pytest.raises(SourceError, match="of version 0, this release works with"):
        control.require()
    if administrator.dialect.name == "mysql":  # the README's role may not change tables; docs/upgrades.md
        with pytest.raises(DatabaseError, match="ALTER"):
            control.create()
        administrator.exec_driver_sql(f"GRANT ALTER ON {purges} TO {ROLE}")
    for _ in range(2):
        control.create()
        control.require()
    with control._database.reading() as connection:
        (row,) = control.by_ids(connection, ["row-c-1"])
    assert (row, administrator.scalar(sa.select(control.version.table.c.version))) == (purge_row(["c-1"]), VERSION)


def test_restored_calls_of_an_older_installation_stay_known_and_new_ones_are_taken(control, administrator):
    control.create()
    restored = administrator.dialect.identifier_preparer.format_table(control.restored.table)
    row = administrator.dialect.identifier_preparer.quote("row")
    for column in ("manifest_key VARCHAR(400)", f"{row} INTEGER", "restored_by VARCHAR(80)"):
        default = "0" if "INTEGER" in column else "''"
        administrator.exec_driver_sql(f"ALTER TABLE {restored} ADD COLUMN {column} DEFAULT {default} NOT NULL")
    known = {"batch": "b", "restored_at": "2026-01-01T00:00:00+00:00", "restored_until": "2026-02-01"}
    administrator.execute(control.restored.table.insert().values(id="1", call_id="c-1", **known))
    administrator.execute(control.version.table.update().values(version=1))
    administrator.commit()
    if administrator.dialect.name == "mysql":
        with pytest.raises(DatabaseError, match="ALTER"):
            control.create()
        administrator.exec_driver_sql(f"GRANT ALTER ON {restored} TO {ROLE}")
    for _ in range(2):
        control.create()
    columns = sa.inspect(administrator).get_columns(control.restored.table.name, schema=control.restored.table.schema)
    assert {column["name"] for column in columns} == set(RESTORED_COLUMNS)
    administrator.execute(control.restored.table.insert().values(id="2", call_id="c-2", **known))
    assert sorted(administrator.scalars(sa.select(control.restored.table.c.call_id))) == ["c-1", "c-2"]


def test_an_installation_without_a_version_runs_on_and_says_what_it_lacks(control, administrator):
    control.create()
    control.version.table.drop(administrator)
    administrator.commit()
    control.require()
    assert control.missing() == [
        "no table " + control.version.table.name + ", so a newer release could change them unseen"
    ]
    control.create()
    assert control.missing() == []


def test_what_waits_for_a_place_is_looked_for_once(make):
    """With NOT IN PostgreSQL read a million places for each purge row, as soon as they did not fit into work_mem."""
    control = ControlTables(open_database(product_url(make("postgresql").url)))
    control.create()
    of, notes = control.table.c, control.places.leaves.c
    asked = [
        control.places._without_place(of.purged_at, of.id),
        control.places._without_place(notes.noted_at, notes.id),
    ]
    with control._database.reading() as connection:
        for statement in asked:
            plan = [row[0] for row in connection.execute(sa.text(f"EXPLAIN {statement.compile(connection.engine)}"))]
            assert any("Anti Join" in line for line in plan), plan
            assert not any("SubPlan" in line for line in plan), plan
