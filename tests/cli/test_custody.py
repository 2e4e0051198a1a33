"""find, export, restore and drill as a person types them."""

import csv
import io
import json
from pathlib import Path

import click
from typer.main import get_command

from lifecycle.cli.main import app
from lifecycle.cli.search_options import question
from lifecycle.custody.search_question import SearchQuestion
from tests.cli.conftest import Place, Run_


def test_find_says_where_a_call_is(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    said = lifecycle("find", call, "--json")
    (found,) = said.json["calls"]
    assert (said.code, found["call_id"], found["state"]) == (0, call, "archived")
    assert {leaf["kind"] for leaf in found["record"]} == {"purged"}
    told = lifecycle("find", call)
    assert (told.code, found["copies"][0]["object"] in told.out) == (0, True)
    nowhere = lifecycle("find", "nowhere")
    assert (nowhere.code, "never seen" in nowhere.out, "Found:" in nowhere.out) == (1, True, False)
    assert "Found: 1." in lifecycle("find", call, "nowhere").out


def test_find_by_phone_gives_csv_that_no_spreadsheet_calculates(lifecycle: Run_, purged: Place) -> None:
    ((phone,),) = purged.sql("SELECT phone FROM calls WHERE phone LIKE '+%' LIMIT 1")
    said = lifecycle("find", "--phone", phone, "--csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.code == 0
    assert {row["phone"] for row in rows} == {f"'{phone}"}


def test_find_asks_for_something(lifecycle: Run_, purged: Place) -> None:
    assert lifecycle("find").code == lifecycle("find", "--phone", "nobody").code == 2
    assert lifecycle("find", "--from", "2026-01-02", "--to", "2026-01-01").code == 2


def test_restore_names_what_would_come_back_and_puts_it_back_once(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    dry = lifecycle("restore", call, "--dry-run", "--json")
    assert (dry.code, list(dry.json["restored"]), purged.sql("SELECT id FROM calls WHERE id = ?", [call])) == (
        0,
        [call],
        [],
    )
    assert lifecycle("restore", call).code == 2  # no reason
    done = lifecycle("restore", call, "--reason", "court order", "--yes", "--json")
    assert (done.code, list(done.json["restored"]), done.json["refused"]) == (0, [call], {})
    assert purged.sql("SELECT id FROM calls WHERE id = ?", [call]) == [(call,)]
    again = lifecycle("restore", call, "--reason", "court order", "--yes", "--json")
    assert (again.code, again.json["before"]) == (0, [call])
    assert lifecycle("find", call, "--json").json["calls"][0]["state"] == "restored"
    assert lifecycle("restore", "nowhere", "--reason", "x", "--yes").code == 1


def test_restore_takes_what_find_found(lifecycle: Run_, purged: Place, tmp_path: Path) -> None:
    found = lifecycle("find", purged.purged()[1], "--json")
    (tmp_path / "found.json").write_text(found.out)
    dry = lifecycle("restore", "--from-find", str(tmp_path / "found.json"), "--dry-run", "--json")
    assert list(dry.json["restored"]) == [purged.purged()[1]]
    (tmp_path / "found.json").write_text("[]")
    assert lifecycle("restore", "--from-find", str(tmp_path / "found.json"), "--dry-run").code == 2


def test_export_writes_and_says_what_is_on_record(lifecycle: Run_, purged: Place, tmp_path: Path) -> None:
    call = purged.purged()[0]
    said = lifecycle("export", call, "--to", str(tmp_path / "out"), "--reason", "request 7", "--json")
    assert (said.code, said.json["calls"]) == (0, 1)
    with (tmp_path / "out/calls.csv").open(encoding="utf-8-sig") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [call]
    taken = lifecycle("export", call, "--to", str(tmp_path / "out"), "--reason", "request 7")
    assert (taken.code, "a name that is free" in taken.err) == (2, True)
    assert lifecycle("export", call, "--to", str(tmp_path / "x"), "--reason", "r", "--format", "docx").code == 2


def test_drill_says_whether_it_passed(lifecycle: Run_, purged: Place) -> None:
    said = lifecycle("drill", "--batches", "2", "--json")
    assert (said.code, said.json["passed"], len(said.json["batches"])) == (0, True, 2)
    for objects in purged.objects("calls.parquet"):
        objects.write_bytes(b"rotten")
    failed = lifecycle("drill", "--batches", "1")
    assert (failed.code, "FAILED" in failed.out) == (1, True)


def test_a_url_that_is_none_is_said_by_the_name_of_its_option(lifecycle: Run_, purged: Place) -> None:
    for command in (("restore", purged.purged()[0], "--dry-run"), ("drill",)):
        said = lifecycle(*command, "--to", "nonsense")
        assert (said.code, said.err.startswith("error: --to: expected one of postgresql+psycopg://")) == (2, True)


def test_print_grants_is_for_servers(lifecycle: Run_, purged: Place) -> None:
    assert lifecycle("restore", "--print-grants").out == ""
    assert json.loads(lifecycle("find", "nowhere", "--json").out)["total"] == 1


def test_find_and_export_take_the_same_options_but_for_the_spelling_of_the_last_day():
    every = get_command(app)
    assert isinstance(every, click.Group)
    commands = [every.get_command(click.Context(every), name) for name in ("find", "export")]
    find, export = ({o for p in one.params if p.name.startswith("search_") for o in p.opts} for one in commands if one)
    assert find - export == {"--to"}
    assert export - find == {"--until"}
    assert len(find & export) == 12


def test_a_longest_of_no_seconds_is_a_question_of_its_own():
    assert question({"longest": 0}) == SearchQuestion(longest=0)
