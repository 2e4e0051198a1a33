"""A bad row closes its call and no other, and the call is named; on each database, over a whole night."""

import threading
import time
from contextlib import nullcontext
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.crm.control import control_tables
from lifecycle.crm.purging import purge_transaction
from lifecycle.crm.purging.purge_transaction import PurgeTransaction
from lifecycle.errors import DatabaseError
from lifecycle.night.ledger_events import take_census
from tests.night.cases import CALLS, DUE, NIGHT, TIME, YOUNG, Case


@pytest.fixture(params=["postgresql", "mariadb"])
def served(request, new_case) -> Case:
    return new_case(request.param)


REFUSES = {
    "sqlite": [
        "CREATE TRIGGER no BEFORE DELETE ON calls WHEN OLD.id = 1 BEGIN SELECT RAISE(ABORT, 'call 1 is in a case'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 1 THEN "
        "RAISE EXCEPTION 'call 1 is in a case'; END IF; RETURN OLD; END $$",
        "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION no()",
    ],
    "mysql": [
        "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW BEGIN IF OLD.id = 1 THEN "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'call 1 is in a case'; END IF; END"
    ],
}


def test_a_call_that_a_trigger_refuses_to_delete_is_named_with_its_words_and_the_others_go(case):
    case.calls(c1=DUE, c2=DUE, c3=DUE).mapped().run(*REFUSES[case.dialect])
    night = case.night()
    assert (case.ids(), night.calls, night.sealed) == ([1], 2, 2)
    assert night.set_aside == {1: "refused: call 1 is in a case"}


BORROWED = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 1 THEN "
    "RAISE EXCEPTION 'not yours' USING ERRCODE = 'insufficient_privilege'; END IF; RETURN OLD; END $$",
    "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION no()",
)
AT_COMMIT = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 1 THEN "
    "RAISE EXCEPTION 'only at the end'; END IF; RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER no AFTER DELETE ON calls DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION no()",
)
IN_A_CHILD = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 / (OLD.call_id - 1); "
    "RETURN OLD; END $$",
    "CREATE TRIGGER no BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION no()",
)


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (BORROWED, "refused: not yours"),
        (AT_COMMIT, "refused: only at the end"),
        (IN_A_CHILD, "refused: a value (DivisionByZero)"),
    ],
    ids=["borrowed-code", "at-commit", "child"],
)
def test_whatever_way_a_row_makes_the_transaction_fail_only_its_call_stays(new_case, trigger, said):
    case = new_case("postgresql").calls(c1=DUE, c2=DUE, c3=DUE).mapped("[{table: notes, match: {call_id: id}}]")
    case.run("CREATE TABLE notes (id int PRIMARY KEY, call_id int REFERENCES calls)")
    case.run("INSERT INTO notes VALUES (1, 1), (2, 2)", *trigger)
    night = case.night()
    assert (case.ids(), case.ids("notes"), night.set_aside) == ([1], [1], {1: said})


def test_what_is_wrong_with_every_call_fails_the_step_and_does_not_call_a_rerun_safe(new_case):
    case = new_case("postgresql").calls(c1=DUE, c2=DUE).mapped()
    case.night(purge=False)
    case.run(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO nowhere VALUES (1); "
        "RETURN OLD; END $$",
        "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION no()",
    )
    with pytest.raises(Exception, match="a rerun alone will not help"):
        case.night()
    assert case.ids() == [1, 2]


class Holding:
    """Another session that holds a row lock."""

    def __init__(self, case: Case, statement: str) -> None:
        self._engine = sa.create_engine(case.url, poolclass=sa.NullPool)
        self._statement = statement

    def __enter__(self) -> "Holding":
        self._connection = self._engine.connect()
        self._transaction = self._connection.begin()
        self._connection.exec_driver_sql(self._statement)
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        if self._transaction.is_active:
            self._transaction.rollback()
        self._connection.close()


LOCKS = {
    "its own row": "SELECT id FROM calls WHERE id = 2 FOR UPDATE",
    "a row of it": "SELECT id FROM notes WHERE id = 2 FOR UPDATE",
}


def three_calls_with_notes(case: Case) -> Case:
    case.calls(c1=DUE, c2=DUE, c3=DUE).mapped("[{table: notes, match: {call_id: id}}]")
    case.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER REFERENCES calls (id))")
    if case.dialect == "mysql":
        case.run("CREATE INDEX by_call ON notes (call_id)")
    case.run("INSERT INTO notes VALUES (1, 1), (2, 2), (3, 3)")
    case.night(purge=False)
    return case


@pytest.mark.parametrize("row", list(LOCKS))
def test_a_call_of_which_somebody_holds_a_row_is_named_and_the_others_go(served, row, monkeypatch):
    monkeypatch.setattr(purge_transaction, "LOCK_SECONDS", 2)
    case = three_calls_with_notes(served)
    with Holding(case, LOCKS[row]):
        night = case.night()
    assert (case.ids(), case.ids("notes"), list(night.set_aside)) == ([2], [2], [2])
    assert night.set_aside[2].startswith("locked: another transaction holds a row of it")
    assert case.night().calls == 1
    assert (case.ids(), case.ids("notes")) == ([], [])


@pytest.mark.parametrize("row", list(LOCKS))
def test_a_call_whose_row_comes_free_meanwhile_goes_the_same_night(served, row):
    case = three_calls_with_notes(served)
    with Holding(case, LOCKS[row]) as holding:
        later = threading.Timer(4, holding.let_go)
        later.start()
        began = time.monotonic()
        night = case.night()
        later.join()
    assert (night.calls, night.set_aside, case.ids(), case.ids("notes")) == (3, {}, [], [])
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("stays", [True, False], ids=["stays-locked", "comes-free"])
def test_a_call_that_shares_rows_with_a_locked_one_waits_with_it(new_case, monkeypatch, stays):
    monkeypatch.setattr(purge_transaction, "LOCK_SECONDS", 2)
    case = new_case("postgresql").run(
        "CREATE TABLE calls (id int PRIMARY KEY, grp text, industry text, ended_at timestamp)",
        "CREATE TABLE ev (id int PRIMARY KEY, grp text)",
        f"INSERT INTO calls VALUES (1, 'g', 'Retail', '{DUE}'), (2, 'g', 'Retail', '{DUE}')",
        f"INSERT INTO calls VALUES (3, 'h', 'Retail', '{DUE}')",
        "INSERT INTO ev VALUES (1, 'g')",
    )
    case.mapped("[{table: ev, match: {grp: grp}}]").night(purge=False)
    with Holding(case, "SELECT id FROM calls WHERE id = 1 FOR UPDATE") as holding:
        later = threading.Timer(0.1, holding.let_go if not stays else lambda: None)
        monkeypatch.setattr(PurgeTransaction, "come_back", after(later, PurgeTransaction.come_back))
        night = case.night()
    assert (night.calls, case.ids(), sorted(night.set_aside)) == ((1, [1, 2], [1, 2]) if stays else (3, [], []))
    assert all(reason.startswith("locked: ") for reason in night.set_aside.values())


def after(timer: threading.Timer, come_back):
    def wait_and_come_back(self, *given):
        timer.start()
        timer.join()
        return come_back(self, *given)

    return wait_and_come_back


def test_a_key_whose_case_changed_since_the_archive_is_set_aside_and_goes_the_next_night(new_case):
    case = new_case("mariadb").run(
        "CREATE TABLE calls (id VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, "
        "industry VARCHAR(20), ended_at DATETIME)",
        f"INSERT INTO calls VALUES ('AbC', 'Retail', '{DUE}'), ('b', 'Retail', '{DUE}'), ('c', 'Retail', '{DUE}')",
    )
    case.mapped().night(purge=False)
    case.run("UPDATE calls SET id = 'ABC' WHERE id = 'AbC'")
    night = case.night()
    assert (case.ids(), night.set_aside) == (
        ["ABC"],
        {"AbC": "renamed: the CRM writes its key otherwise than when it was archived"},
    )
    audited = audit_archive_and_ledger(case.lifecycle())
    assert (audited.sound, audited.reconciled.vanished) == (True, [])
    assert case.night(NIGHT + timedelta(days=1)).calls == 1
    assert case.ids() == []


def test_a_key_whose_case_changed_between_plan_and_archive_is_set_aside(new_case, monkeypatch):
    case = new_case("mariadb").run(
        "CREATE TABLE calls (id VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, "
        "industry VARCHAR(20), ended_at DATETIME)",
        f"INSERT INTO calls VALUES ('AbC', 'Retail', '{DUE}'), ('b', 'Retail', '{DUE}')",
    )
    case.mapped()
    mapping = case.mapping  # the facts come from a table that writes the key otherwise
    mapping.write_text(mapping.read_text().replace("c.id AS call_id", "LOWER(c.id) AS call_id"))
    night = case.night()
    assert (case.ids(), night.calls, list(night.set_aside)) == (["AbC"], 1, ["abc"])
    assert night.set_aside["abc"].startswith("renamed: ")


SLOW = {
    "postgresql": [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 1 THEN PERFORM pg_sleep(3); "
        "END IF; RETURN OLD; END $$",
        "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION no()",
        "ALTER ROLE lifecycle IN DATABASE {} SET statement_timeout = '1s'",
    ],
    "mysql": [
        "CREATE TRIGGER no BEFORE DELETE ON calls FOR EACH ROW BEGIN DECLARE x INT; IF OLD.id = 1 THEN "
        "SELECT SLEEP(3) INTO x; END IF; END",
        "SET GLOBAL max_statement_time = 1",
    ],
}


def test_a_call_that_takes_longer_than_a_role_or_server_allows_stops_nothing(served):
    """Such a limit would end the transaction at every rerun alike: the session has its own."""
    served.calls(c1=DUE, c2=DUE, c3=DUE).mapped().lifecycle()
    database = sa.make_url(served.url).database
    try:
        night = served.run(*(one.format(database) for one in SLOW[served.dialect])).night()
    finally:
        served.run(*(["SET GLOBAL max_statement_time = DEFAULT"] if served.dialect == "mysql" else []))
    assert (served.ids(), night.set_aside) == ([], {})


@pytest.mark.parametrize("how", ["ROLLBACK, 'no'", "FAIL, 'no'", "IGNORE"])
def test_whatever_a_trigger_of_sqlite_raises_only_its_call_stays(new_case, how):
    case = new_case("sqlite").calls(c1=DUE, c2=DUE, c3=DUE).mapped("[{table: notes, match: {call_id: id}}]")
    case.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER)", "INSERT INTO notes VALUES (1, 1), (2, 2)")
    case.run(f"CREATE TRIGGER no BEFORE DELETE ON calls WHEN OLD.id = 1 BEGIN SELECT RAISE({how}); END")
    assert list(case.night().set_aside) == [1]
    assert (case.ids(), case.ids("notes")) == ([1], [1])


@pytest.mark.parametrize("known", [True, False])
def test_records_of_more_than_a_statement_may_hold_go_in_several(new_case, monkeypatch, known):
    """MariaDB ends the session that sends more, at every rerun alike: many a server allows 1 MiB."""
    case = new_case("mariadb").run(CALLS.format(time=TIME["mysql"]))
    case.run(f"INSERT INTO calls SELECT seq, 'Retail', '{DUE}' FROM seq_1_to_900").mapped()
    if not known:
        monkeypatch.setattr(control_tables, "largest_statement", lambda _: float("inf"))
    case.run("SET GLOBAL max_allowed_packet = 131072")
    try:
        refused = pytest.raises(DatabaseError, match=r"gone away|Lost connection|max_allowed_packet")
        with nullcontext() if known else refused:
            assert case.night().set_aside == {}
    finally:
        case.run("SET GLOBAL max_allowed_packet = DEFAULT")
    assert len(case.ids()) == (0 if known else 900)


def test_a_key_that_names_several_calls_is_set_aside_and_the_others_go(case):
    case.run(
        f"CREATE TABLE calls (uid INTEGER PRIMARY KEY, id INTEGER, industry VARCHAR(9), ended_at {TIME[case.dialect]})",
        f"INSERT INTO calls VALUES (1, 10, 'Retail', '{DUE}'), (2, 10, 'Retail', '{DUE}'), (3, 30, 'Retail', '{DUE}')",
    )
    night = case.mapped().night()
    assert (case.ids(), night.calls) == ([10, 10], 1)
    assert night.set_aside == {10: "ambiguous: its key names 2 rows of the call table"}


def test_a_second_row_under_a_key_that_came_after_the_archive_keeps_both(case):
    case.run(
        f"CREATE TABLE calls (uid INTEGER PRIMARY KEY, id INTEGER, industry VARCHAR(9), ended_at {TIME[case.dialect]})",
        f"INSERT INTO calls VALUES (1, 10, 'Retail', '{DUE}'), (3, 30, 'Retail', '{DUE}')",
    )
    case.mapped().night(purge=False)
    case.run(f"INSERT INTO calls VALUES (2, 10, 'Retail', '{YOUNG}')")
    night = case.night()
    assert (case.ids(), night.calls, list(night.set_aside)) == ([10, 10], 1, [10])


def test_a_damaged_batch_of_an_earlier_night_keeps_no_call_of_tonight(new_case):
    case = new_case("sqlite").calls(c1=DUE, c2=DUE).mapped()
    case.night(NIGHT - timedelta(days=1), purge=False)
    (manifest,) = (case.folder / "store" / "archive").rglob("manifest.json")
    manifest.write_bytes(b"no manifest")
    lifecycle = case.lifecycle()
    take_census(lifecycle, NIGHT)
    night = case.night()
    assert (night.calls, night.set_aside, case.ids()) == (2, {}, [])
