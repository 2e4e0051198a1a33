"""Drill: what comes back equal passes and is on record; anything else is named; a purge can be made to wait for it."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from lifecycle.custody.drill import drill_archive
from lifecycle.errors import DrillMissing, InputError, SettingsError
from lifecycle.night.drill_gate import newest_drill
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK, CLOCK, DUE, NIGHT, World, run_night
from tests.custody.test_restore import COMPONENTS, scratch_url


@pytest.fixture
def purged(world) -> World:
    run_night(world.furnish().lifecycle())
    return world


def test_every_batch_comes_back_equal_and_the_crm_is_as_it_was(purged, tmp_path, request):
    before = purged.dump()
    url = scratch_url(request, purged, tmp_path)
    result = drill_archive(purged.lifecycle(), 100, url, "clerk")
    assert (result.failed, result.calls, result.passed) == ({}, len(DUE), True)
    assert purged.dump() == before
    again = drill_archive(purged.lifecycle(), 1, url, "clerk")  # its own tables are made anew
    assert (again.passed, len(again.batches)) == (True, 1)
    seal_ledger(purged.lifecycle())
    assert [leaf["passed"] for leaf in purged.leaves() if leaf["kind"] == "drilled"] == [True, True]


def test_a_database_with_tables_that_are_not_ours_is_left_alone(sqlite_world, tmp_path):
    run_night(sqlite_world.furnish().lifecycle())
    url = f"sqlite:///{tmp_path}/theirs.db"
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE calls (id TEXT)")
        connection.exec_driver_sql("INSERT INTO calls VALUES ('precious')")
    with pytest.raises(SettingsError, match="Name an empty database"):
        drill_archive(sqlite_world.lifecycle(), 1, url)
    with sa.create_engine(url).connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM calls").scalar() == "precious"
    with pytest.raises(SettingsError, match="found the CRM itself"):
        drill_archive(sqlite_world.lifecycle(), 1, sqlite_world.url)


def test_components_and_files_are_drilled_too_and_a_rotten_file_is_named(sqlite_world):
    sqlite_world.schedule(BANK + COMPONENTS.strip("\n") + "\n")
    bank = sqlite_world.account("Banking")
    sqlite_world.call("id-young", bank, datetime(2024, 5, 1, 9), transcript="said")  # noqa: DTZ001
    sqlite_world.recorded("id-young", "2024/y.wav", b"RIFF young")
    run_night(sqlite_world.lifecycle())
    result = drill_archive(sqlite_world.lifecycle(), 9)
    assert (result.failed, result.files, len(result.batches)) == ({}, 1, 2)
    (copy,) = (sqlite_world.policies.parent / "store").glob("archive/**/files/*")
    copy.write_bytes(b"RIFF rotte")
    assert list(drill_archive(sqlite_world.lifecycle(), 9).failed) == [
        copy.relative_to(sqlite_world.policies.parent / "store").as_posix()
    ]


def test_a_rotten_batch_fails_the_drill_and_the_record_says_so(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle())
    path = sorted((sqlite_world.policies.parent / "store").glob("archive/**/calls.parquet"))[0]
    path.write_bytes(b"rotten")
    result = drill_archive(sqlite_world.lifecycle(), 100)
    assert (result.passed, len(result.failed)) == (False, 1)
    newest = newest_drill(sqlite_world.lifecycle())
    assert newest is not None
    assert newest.passed is False


def test_a_column_that_was_dropped_since_fails_the_drill_where_it_had_a_value(sqlite_world):
    run_night(sqlite_world.furnish().lifecycle())
    with sqlite_world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE notes DROP COLUMN body")
    result = drill_archive(sqlite_world.lifecycle(), 100)
    assert not result.passed
    assert {name.partition(" of ")[0] for name in result.failed} == {"notes.body"}
    assert all(why.startswith("expected a column for ") for why in result.failed.values())


def test_an_empty_archive_is_no_drill(sqlite_world):
    with pytest.raises(InputError, match="no batch yet"):
        drill_archive(sqlite_world.lifecycle())
    assert newest_drill(sqlite_world.lifecycle()) is None


def test_a_purge_waits_for_a_drill_that_passed_and_is_recent(sqlite_world):
    sqlite_world.furnish()

    def night():
        return run_night(sqlite_world.lifecycle(purge_needs_drill="P14D"), night=NIGHT)

    with pytest.raises(DrillMissing, match="no drill was ever run"):
        night()
    assert sqlite_world.live() >= DUE
    path = sorted((sqlite_world.policies.parent / "store").glob("archive/**/calls.parquet"))[0]
    body = path.read_bytes()
    path.write_bytes(b"rotten")
    assert drill_archive(sqlite_world.lifecycle(), 100).passed is False
    path.write_bytes(body)
    with pytest.raises(DrillMissing, match="failed"):
        night()
    old = sqlite_world.lifecycle()
    object.__setattr__(old, "now", lambda: CLOCK + timedelta(minutes=1))
    assert drill_archive(old, 100).passed
    late = sqlite_world.lifecycle(purge_needs_drill="P14D")
    object.__setattr__(late, "now", lambda: CLOCK + timedelta(days=15))
    with pytest.raises(DrillMissing, match="older than P14D"):
        run_night(late, night=NIGHT)
    assert sqlite_world.live() >= DUE
    assert night().calls == len(DUE)
