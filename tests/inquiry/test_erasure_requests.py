"""Erasure requests over nights: refused while the law asks for the call, restricted, and gone by itself on the day."""

import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path

import pytest
import sqlalchemy as sa

from lifecycle.crm.database import Database
from lifecycle.custody.destroy import destroy_copies
from lifecycle.deployment.initialisation import initialise
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.errors import DatabaseError, InputError, SourceError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.erasure_requests import open_requests, register_requests, withdraw_request
from lifecycle.inquiry.explanation import explain_call
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night
from lifecycle.night.purge import purge_night
from lifecycle.policy.erasure import ErasureOutcome
from tests.builders import NIGHT, RUN, SHOP_DAY, World, account_for, archive, run_night
from tests.roles import as_role

BANK = """industry: bank
matches: [Banking]
owner: records@example.com
timezone: Europe/Paris
max_share: 100%
rules:
  - {id: BANK-ORDER, title: t, trigger: ended_at, purge_after: P7Y, destroy_after: P7Y, regimes: [eu-mifid2-16-7],
     on_erasure: floor}
"""
FREE = BANK.replace("regimes: [eu-mifid2-16-7],", "")
PARIS = datetime(2021, 3, 16, 10)  # noqa: DTZ001
REGIMES = Path(__file__).resolve().parents[2] / "policies" / "regimes"


def of_bank(world: World, schedule: str = BANK) -> World:
    """Two calls of the worked example, one of which nobody asks about; and one of another industry."""
    (world.policies / "regimes").mkdir()
    shutil.copy(REGIMES / "eu-mifid2-16-7.yaml", world.policies / "regimes")
    world.schedule(schedule)
    account = world.account("Banking")
    world.contact(world.call("id-1", account, PARIS), account)
    world.call("id-2", account, PARIS)
    world.call("id-new", account, SHOP_DAY)
    return world


def on(world: World, day: str | date, **changed) -> Lifecycle:
    """The product on a day, at noon."""
    clock = datetime.combine(date.fromisoformat(str(day)), datetime.min.time(), UTC).replace(hour=12)
    return replace(world.lifecycle(**changed), now=lambda: clock)


def asked(world: World, day: str = "2024-05-02", *calls: str, by: str = "dpo", received=None, ref=None, **changed):
    return register_requests(on(world, day, **changed), calls or ["id-1"], by, date.fromisoformat(day), received, ref)


def night(world: World, day: str, **changed):
    return run_night(on(world, day, **changed), night=date.fromisoformat(day))


def open_on(world: World, day: str):
    return open_requests(on(world, day), date.fromisoformat(day))


def marked(world: World) -> str:
    """A mapping in which the CRM marks restricted calls, and the column it does it by."""
    world.execute("ALTER TABLE calls ADD COLUMN restricted VARCHAR(3) DEFAULT 'no'")
    text = files("lifecycle.crm.mapping").joinpath("sources", "demo.yaml").read_text()
    mapping = world.policies.parent / "marking.yaml"
    marks = "key: id, restricted: {column: restricted, value: 'yes', otherwise: 'no'}, "
    mapping.write_text(text.replace("key: id, ", marks))
    return str(mapping)


def marks(world: World) -> dict[str, str]:
    with world.engine.connect() as connection:
        return {row.id: row.restricted for row in connection.execute(sa.text("SELECT id, restricted FROM calls"))}


def release(world: World, day: str) -> None:
    path = world.policies / "holds" / "hold-1.yaml"
    path.write_text(f"{path.read_text()}released_at: {day}\nreleased_by: counsel@example.com\n")


def test_a_request_waits_for_the_floor_and_a_hold_and_goes_by_itself_on_the_first_lawful_day(sqlite_world):
    """E23: an order call of 2021, asked for in 2024, held from 2026 to 1 September 2027."""
    world = of_bank(sqlite_world)
    start, source = world.dump(), marked(world)
    (first,) = asked(world, source=source)
    assert (first.verdict.outcome, first.registered) == (ErasureOutcome.REFUSED, True)
    assert (first.verdict.goes_on, first.answer_by) == (date(2026, 3, 17), date(2024, 6, 2))
    assert first.verdict.reasons[0].startswith("GDPR Article 17(3)(b): eu-mifid2-16-7 (EU, ")
    assert first.verdict.reasons[0].endswith(" asks for it until 2026-03-16")
    assert marks(world) == {"id-1": "yes", "id-2": "no", "id-new": "no"}
    assert night(world, "2024-05-02", source=source).calls == 0
    assert night(world, "2026-02-09", source=source).calls == 0
    world.hold("{call_ids: [id-1]}")
    assert night(world, "2026-03-17", source=source).plans["bank"].dispositions["on_hold"] == 1
    (held,) = open_on(world, "2026-03-17")
    assert (held.verdict.outcome, held.verdict.goes_on) == (ErasureOutcome.REFUSED, None)
    assert held.verdict.reasons == ("GDPR Article 17(3)(e): legal hold hold-1 (m) keeps it until it is released",)
    release(world, "2027-09-01")
    assert night(world, "2027-09-01", source=source).calls == 0
    assert world.live() == {"id-1", "id-2", "id-new"}
    last = night(world, "2027-09-02", source=source)
    assert (last.calls, world.live()) == (1, {"id-2", "id-new"})
    (record,) = world.records()
    assert record["request"] == {"id": first.request.id, "received_on": "2024-05-02"}
    assert (record["call_id"], record["night"], record["purge_from"]) == ("id-1", "2027-09-02", "2026-03-17")
    (copy,) = open_on(world, "2027-09-02")  # until the archived copy is gone as well
    assert (copy.request.id, copy.verdict.outcome) == (first.request.id, ErasureOutcome.ARCHIVED)
    assert {row["id"] for row in start["calls"]} - world.live() == {"id-1"}


def test_a_request_that_no_law_stands_against_goes_with_the_next_night_on_every_database(world):
    start = of_bank(world, FREE).dump()
    (answer,) = asked(world, "2026-11-20")
    assert (answer.verdict.outcome, answer.verdict.needs_person) == (ErasureOutcome.GRANTED, False)
    run_night(world.lifecycle())
    assert account_for(world, start) == {"id-1"}
    assert [record["request"]["id"] for record in world.records()] == [answer.request.id]


def test_records_of_calls_that_nobody_asked_for_name_no_request(sqlite_world):
    of_bank(sqlite_world)
    asked(sqlite_world)
    night(sqlite_world, "2028-03-17")
    assert {r["call_id"]: "request" in r for r in sqlite_world.records()} == {"id-1": True, "id-2": False}


def test_registering_purges_nothing_and_a_plan_of_before_does_not_take_the_call(sqlite_world):
    world = of_bank(sqlite_world, FREE)
    start = world.dump()
    before = plan_night(world.lifecycle(), NIGHT, RUN)[1]["bank"]
    asked(world, "2026-11-20")
    again = run_night(world.lifecycle())
    assert (before.due, again.plans["bank"].sha256, again.calls) == (0, before.sha256, 0)
    assert world.dump() == start
    night(world, "2026-11-21")
    assert account_for(world, start) == {"id-1"}


def test_a_request_withdrawn_after_archiving_keeps_the_call(sqlite_world):
    world = of_bank(sqlite_world, FREE)
    (answer,) = asked(world, "2026-11-20")
    archive(world)
    withdraw_request(world.lifecycle(), answer.request.id, "dpo")
    lifecycle = world.lifecycle()
    done = purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)
    assert done.set_aside == {"id-1": "retained: BANK-ORDER from 2028-03-17"}
    assert world.live() == {"id-1", "id-2", "id-new"}


def test_a_request_of_a_call_that_no_clock_has_reached_is_a_candidate(sqlite_world):
    of_bank(sqlite_world, FREE)
    asked(sqlite_world, "2026-11-20", "id-new", "id-2")
    run_night(sqlite_world.lifecycle())
    assert sqlite_world.live() == {"id-1"}


def test_a_request_received_later_does_not_count_on_an_earlier_night(sqlite_world):
    of_bank(sqlite_world, FREE)
    asked(sqlite_world, "2026-11-20")
    assert run_night(sqlite_world.lifecycle(), night=date(2026, 11, 19)).calls == 0


# --- on file ----------------------------------------------------------------------------------------------------------


def test_registering_twice_is_registering_once(sqlite_world):
    of_bank(sqlite_world)
    (first,) = asked(sqlite_world, ref="R-7")
    again = [
        asked(sqlite_world, "2024-05-09"),
        asked(sqlite_world, "2024-05-09", ref="R-7", by="another"),
        asked(sqlite_world, "2024-05-09", received=date(2024, 5, 2)),
        asked(sqlite_world, "2024-05-09", "id-1", "id-1"),
    ]
    assert [[(one.request, one.registered) for one in each] for each in again] == [[(first.request, False)]] * 4
    assert [one.request for one in open_on(sqlite_world, "2024-05-09")] == [first.request]


def test_a_second_person_makes_a_second_request_and_the_earlier_counts(sqlite_world):
    of_bank(sqlite_world)
    (first,) = asked(sqlite_world, ref="R-7")
    (second,) = asked(sqlite_world, "2024-07-01", ref="R-8")
    assert second.registered
    assert [one.request for one in open_on(sqlite_world, "2024-07-01")] == [first.request, second.request]
    (answer_one, answer_two) = open_on(sqlite_world, "2024-07-01")
    assert (answer_one.answer_by, answer_two.answer_by) == (date(2024, 6, 2), date(2024, 8, 1))
    night(sqlite_world, "2026-03-17")
    assert [record["request"]["id"] for record in sqlite_world.records()] == [first.request.id]


def test_a_withdrawn_request_can_be_made_anew(sqlite_world):
    of_bank(sqlite_world)
    source = marked(sqlite_world)
    (first,) = asked(sqlite_world, source=source)
    done = withdraw_request(on(sqlite_world, "2024-05-03", source=source), first.request.id, "dpo")
    assert withdraw_request(on(sqlite_world, "2024-05-04", source=source), first.request.id, "other") == done
    assert (open_on(sqlite_world, "2024-05-04"), marks(sqlite_world)["id-1"]) == ([], "no")
    (second,) = asked(sqlite_world, "2024-05-02", source=source)
    assert (second.registered, second.request.id != first.request.id) == (True, True)
    assert marks(sqlite_world)["id-1"] == "yes"


def test_the_mark_stays_while_another_request_is_open(sqlite_world):
    of_bank(sqlite_world)
    source = marked(sqlite_world)
    (first,), (second,) = asked(sqlite_world, ref="a", source=source), asked(sqlite_world, ref="b", source=source)
    withdraw_request(on(sqlite_world, "2024-05-03", source=source), first.request.id, "dpo")
    assert marks(sqlite_world)["id-1"] == "yes"
    withdraw_request(on(sqlite_world, "2024-05-03", source=source), second.request.id, "dpo")
    assert marks(sqlite_world)["id-1"] == "no"


def test_explain_shows_the_request(sqlite_world):
    of_bank(sqlite_world)
    (one,) = asked(sqlite_world)
    (fact,) = explain_call(on(sqlite_world, "2024-05-03"), "id-1", date(2024, 5, 3)).facts
    assert (fact["erasure_requested_on"], fact["erasure_request"]) == (date(2024, 5, 2), one.request.id)
    (other,) = explain_call(on(sqlite_world, "2024-05-03"), "id-2", date(2024, 5, 3)).facts
    assert "erasure_requested_on" not in other


def test_of_a_call_that_went_before_the_archived_copy_is_meant(sqlite_world):
    of_bank(sqlite_world)
    night(sqlite_world, "2028-03-17")
    (answer,) = asked(sqlite_world, "2028-03-18")
    assert (answer.verdict.outcome, answer.registered, answer.request.call_id) == ("archived", True, "id-1")
    assert answer.verdict.reasons[0] == (
        "it left the CRM at 2028-03-17T12:00:00+00:00; its archived copy goes with the next destruction"
    )
    assert answer.verdict.reasons[-1].startswith("destroying is switched off")
    assert (answer.verdict.copy_goes_on, answer.verdict.needs_person) == (date(2028, 3, 17), True)
    (answer,) = asked(sqlite_world, "2028-03-18", destroy=True)
    assert (answer.registered, answer.verdict.needs_person) == (False, False)


@pytest.mark.parametrize("calls", [["id-nowhere"], ["id-1", "id-nowhere"]])
def test_a_call_that_is_nowhere_stops_the_whole_request(sqlite_world, calls):
    of_bank(sqlite_world)
    with pytest.raises(InputError, match="call 'id-nowhere': expected a call of the CRM or of the record"):
        asked(sqlite_world, "2024-05-02", *calls)
    assert open_on(sqlite_world, "2024-05-02") == []


def test_a_request_of_tomorrow_is_refused(sqlite_world):
    of_bank(sqlite_world)
    with pytest.raises(InputError, match="--received 2024-05-03: expected a day up to 2024-05-02"):
        asked(sqlite_world, received=date(2024, 5, 3))


def test_a_request_that_is_on_no_file_cannot_be_withdrawn(sqlite_world):
    with pytest.raises(InputError, match="request 'erase-1': expected the id of a request"):
        withdraw_request(sqlite_world.lifecycle(), "erase-1", "dpo")


def test_a_request_is_open_until_the_copy_is_gone_as_well_and_can_be_withdrawn_till_then(sqlite_world):
    of_bank(sqlite_world, FREE)
    (one,) = asked(sqlite_world, "2026-11-20")
    run_night(sqlite_world.lifecycle())
    assert [each.request.id for each in open_on(sqlite_world, "2026-11-21")] == [one.request.id]
    assert withdraw_request(sqlite_world.lifecycle(), one.request.id, "dpo").withdrawn_by == "dpo"
    assert open_on(sqlite_world, "2026-11-21") == []


def test_a_request_whose_copy_is_destroyed_is_done_and_cannot_be_withdrawn(sqlite_world):
    of_bank(sqlite_world, FREE)
    (one,) = asked(sqlite_world, "2026-11-20")
    run_night(sqlite_world.lifecycle())
    lifecycle = on(sqlite_world, "2040-01-01", destroy=True)
    assert destroy_copies(lifecycle, date(2040, 1, 1), RUN).done.copies == 1
    assert open_on(sqlite_world, "2040-01-02") == []
    with pytest.raises(InputError, match="call id-1 is gone, and its copy: nothing is left to withdraw"):
        withdraw_request(on(sqlite_world, "2040-01-02"), one.request.id, "dpo")
    (again,) = asked(sqlite_world, "2040-01-02")
    assert (again.verdict.outcome, again.request, again.verdict.needs_person) == ("gone", None, False)
    assert "its archived copy was destroyed at 2040-01-01T12:00:00+00:00" in again.verdict.reasons[0]


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_an_installation_of_before_has_no_requests_and_init_adds_the_table(new_world, database):
    world = of_bank(new_world(database), FREE)
    table = "lifecycle.requests" if world.dialect == "postgresql" else "lifecycle_requests"
    world.execute(f"DROP TABLE {table}")
    assert (run_night(world.lifecycle()).calls, open_on(world, "2026-11-20")) == (0, [])
    with pytest.raises(SourceError, match="no table of erasure requests"):
        asked(world, "2026-11-20")
    said = "no table of erasure requests, so there are none. Run `lifecycle init` once"
    assert said in [finding.message for finding in check_everything(world.lifecycle())]
    made = initialise(world.lifecycle(signing_key=world.policies.parent / "k")).made
    assert "the control tables in the CRM" in made
    asked(world, "2026-11-20")
    assert run_night(world.lifecycle(), night=date(2026, 11, 21)).calls == 1


# --- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cut_request", "swallow_answer"])
@pytest.mark.parametrize("database", ["postgresql", pytest.param("mariadb", marks=pytest.mark.slow)])
def test_a_request_whose_commit_fails_either_way_is_on_file_once_after_a_second_try(
    request, new_world, fault_proxy, monkeypatch, database, kind
):
    server = request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[database])
    proxy, world = fault_proxy(server), of_bank(new_world(database))
    through = as_role(server.url(sa.make_url(world.url).database, proxy.port))
    writing = Database.writing

    @contextmanager
    def struck(database):
        with writing(database) as connection:
            yield connection
            getattr(proxy, kind)(server.commit)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", struck)
        with pytest.raises(DatabaseError, match="A rerun is safe"):
            asked(world, crm_url=through)
    assert proxy.struck == 1
    proxy.pass_through()
    assert len(open_on(world, "2024-05-02")) == (kind == "swallow_answer")
    (again,) = asked(world, crm_url=through)
    assert (again.registered, [one.request for one in open_on(world, "2024-05-02")]) == (
        kind == "cut_request",
        [again.request],
    )
    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", struck)
        with pytest.raises(DatabaseError, match="A rerun is safe"):
            withdraw_request(on(world, "2024-05-03", crm_url=through), again.request.id, "dpo")
    proxy.pass_through()
    ids = [one.request.id for one in open_on(world, "2024-05-03")]
    assert ids == ([again.request.id] if kind == "cut_request" else [])
    assert withdraw_request(on(world, "2024-05-03", crm_url=through), again.request.id, "dpo").withdrawn_by == "dpo"
    assert open_on(world, "2024-05-03") == []


def test_the_mark_and_the_request_commit_together(sqlite_world):
    of_bank(sqlite_world)
    source = marked(sqlite_world)
    sqlite_world.execute(
        "CREATE TRIGGER no BEFORE UPDATE ON calls WHEN NEW.restricted = 'yes' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises(DatabaseError, match="refused"):
        asked(sqlite_world, source=source)
    assert (open_on(sqlite_world, "2024-05-02"), marks(sqlite_world)["id-1"]) == ([], "no")


def test_the_same_request_by_somebody_who_was_faster_stands(sqlite_world, monkeypatch):
    of_bank(sqlite_world)
    (first,) = asked(sqlite_world)
    from lifecycle.crm.control.request_table import RequestTable

    of_calls, blind = RequestTable.of_calls, iter([True])

    def unseen(self, connection, calls, withdrawn=False):
        return [] if next(blind, False) else of_calls(self, connection, calls, withdrawn)

    monkeypatch.setattr(RequestTable, "of_calls", unseen)
    (again,) = asked(sqlite_world, by="another")
    assert again.request.id == first.request.id
    assert [one.request for one in open_on(sqlite_world, "2024-05-02")] == [first.request]
