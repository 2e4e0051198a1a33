"""Dagster's storage and the exported events name no call, whatever happened; whoever runs the night is told all."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.export import export_finished
from assets.night import NightResult, run_night
from lifecycle.errors import RowRefused
from lifecycle.inquiry.set_aside_calls import set_aside_calls
from tests.builders import DUE, NIGHT, World

WORDS = "id-bank-1 of +49 30 1234 may not go"
REFUSES = (
    f"CREATE TRIGGER stays BEFORE DELETE ON calls WHEN old.id = 'id-bank-1' BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
)
ASKED = "INSERT INTO lifecycle_requests VALUES ('erase-a', 'id-new', 'soon', '2026-11-01', 'x', '', NULL, NULL)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        yield instance


def night(instance: dg.DagsterInstance) -> NightResult:
    return run_night(instance, {"as_of": NIGHT.isoformat()}, "a test", lambda *_: None)


def named_in(world: World, home: Path, calls: set[str]) -> dict[str, list[str]]:
    """Where any of the calls is named: in the files of Dagster's storage, and in the events in the store."""
    store = world.lifecycle().store
    bodies = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    bodies |= {key: store.get(key) for key in store.list("runs/")}
    assert len(bodies) > 3
    assert any(b"purged_calls" in body for body in bodies.values()), "the storage is searched in a form we can read"
    found = {where: sorted(call for call in calls if call.encode() in body) for where, body in bodies.items()}
    return {where: names for where, names in found.items() if names}


def fold_wal(home: Path) -> None:
    for path in home.rglob("*.db"):
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_no_log_names_a_call_and_the_person_at_the_terminal_is_told(
    world: World, instance: dg.DagsterInstance, home: Path
) -> None:
    calls = {row["id"] for row in world.dump()["calls"]}
    world.execute(REFUSES)
    world.execute(ASKED)
    result = night(instance)
    export_finished(instance, world.lifecycle().store)
    fold_wal(home)
    assert named_in(world, home, {*calls, "+49 30 1234", "erase-a"}) == {}
    (bank, shop) = result.done
    assert bank["set_aside"] == {"id-bank-1": f"refused: {WORDS}"}
    assert shop["sample"][0] in DUE
    assert list(result.planned["left_out"]) == ["request erase-a for call id-new"]
    aside = [(one.industry, one.call, one.reason) for one in set_aside_calls(world.lifecycle(), NIGHT)]
    assert aside == [("bank", "id-bank-1", "refused")]


SELDOM = pytest.param(KeyError("id-bank-1"), marks=pytest.mark.slow)


@pytest.mark.parametrize("error", [RowRefused(WORDS), SELDOM])
def test_a_failure_keeps_its_words_from_the_log(
    world: World, instance: dg.DagsterInstance, home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    calls = {row["id"] for row in world.dump()["calls"]}

    def fails(*_: object) -> None:
        try:
            raise sqlite3.IntegrityError(f"DETAIL: Key (id)=({WORDS})")
        except sqlite3.Error as cause:
            raise error from cause

    monkeypatch.setattr("assets.nightly.purge_night", fails)
    result = night(instance)
    export_finished(instance, world.lifecycle().store)
    fold_wal(home)
    assert result.exit_code == 3
    assert "id-bank-1" in result.failures[0][0]
    assert named_in(world, home, {*calls, "+49 30 1234"}) == {}


@pytest.mark.slow
def test_who_has_no_key_any_more_learns_no_name(world: World, instance: dg.DagsterInstance) -> None:
    world.execute(REFUSES)
    night(instance)
    (key,) = world.policies.parent.glob("lifecycle.epochs/*.key")
    key.rename(key.with_suffix(".destroyed"))
    (one,) = set_aside_calls(world.lifecycle(), NIGHT)
    assert (one.call, one.reason) == (None, "refused")
