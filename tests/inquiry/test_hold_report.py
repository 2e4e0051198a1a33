"""Legal holds over nights: what a hold reaches by links, what it keeps, and that a release purges nothing by itself."""

from datetime import date
from importlib.resources import files

import pytest

from lifecycle.errors import PolicyError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.explanation import explain_call
from lifecycle.inquiry.hold_report import hold_reports
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.purge import purge_night
from tests.builders import BANK_DAY, NIGHT, RUN, SHOP_DAY, World, account_for, archive, plan, run_night

RELEASED = "released_at: 2026-11-19\nreleased_by: counsel@example.com\n"


def mapping(world: World, **links: str) -> str:
    """The demo's mapping with links of one's own."""
    text = files("lifecycle.crm.mapping").joinpath("sources", "demo.yaml").read_text()
    head, rest = text.split("links:\n")
    path = world.policies.parent / "linked.yaml"
    path.write_text(
        head + "links:\n" + "".join(f"  {n}: {sql}\n" for n, sql in links.items()) + rest[rest.index("time") :]
    )
    return str(path)


def purge_only(world: World, **changed):
    """The purge of what the last plan archived, under the holds of this moment."""
    lifecycle = world.lifecycle(**changed)
    return purge_night(lifecycle, open_industry_night(lifecycle, "bank", NIGHT), RUN)


def release(world: World, words: str = RELEASED) -> None:
    path = world.policies / "holds" / "hold-1.yaml"
    path.write_text(path.read_text() + words)


def around_deals(world: World) -> World:
    """A call with a deal, one with another, one with none; all due."""
    account = world.account("Banking")
    for key in ("id-a", "id-b", "id-c"):
        world.contact(world.call(key, account, BANK_DAY), account)
    world.deal("id-a", account)  # deals are 6, 7
    world.deal("id-b", account)
    world.flush()
    return world


def deal_of(world: World, key: str) -> int:
    return next(row["deal_id"] for row in world.dump()["call_deals"] if row["call_id"] == key)


def test_a_hold_on_a_deal_keeps_its_calls_and_lets_the_others_go(sqlite_world):
    world = sqlite_world
    start = around_deals(world).dump()
    world.hold(f"{{deal_ids: [{deal_of(world, 'id-a')}]}}")
    night = run_night(world.lifecycle())
    assert night.plans["bank"].dispositions["on_hold"] == 1
    assert account_for(world, start) == {"id-b", "id-c"}


def test_a_link_added_after_archiving_keeps_the_call_in_the_purge_transaction(world):
    around_deals(world)
    world.hold(f"{{deal_ids: [{deal_of(world, 'id-a')}]}}")
    archive(world)
    world.execute("INSERT INTO call_deals (call_id, deal_id) VALUES ('id-c', :deal)", deal=deal_of(world, "id-a"))
    assert purge_only(world).set_aside == {"id-c": "on_hold: hold-1"}
    assert world.live() == {"id-a", "id-c"}


def test_a_link_by_rows_that_no_archive_holds_keeps_the_call_in_the_purge_transaction(sqlite_world):
    """A deal's account and so its calls: what moves is no row of the call, and nothing but the links can tell."""
    world = sqlite_world
    account, other = world.account("Banking"), world.account("Retail")
    source = mapping(world, deal_id="SELECT c.id AS call_id, d.id AS deal_id FROM deals d "
                                    "JOIN calls c ON c.account_id = d.account_id")  # fmt: skip
    world.call("id-a", account, BANK_DAY)
    deal = world.deal(world.call("id-other", other, SHOP_DAY, "gossip"), other)
    world.hold(f"{{deal_ids: [{deal}]}}")
    assert run_night(world.lifecycle(source=source), purge=False).plans["bank"].due == 1
    world.execute("UPDATE deals SET account_id = :account WHERE id = :deal", account=account, deal=deal)
    assert purge_only(world, source=source).set_aside == {"id-a": "on_hold: hold-1"}


def test_a_hold_placed_on_a_deal_after_archiving_keeps_its_calls(sqlite_world):
    around_deals(sqlite_world)
    archive(sqlite_world)
    sqlite_world.hold(f"{{deal_ids: [{deal_of(sqlite_world, 'id-a')}], account_ids: [1]}}")
    assert purge_only(sqlite_world).set_aside == {"id-a": "on_hold: hold-1"}


def test_a_hold_on_a_contact_and_on_a_task_keeps_their_calls(sqlite_world):
    world = sqlite_world
    account = world.account("Banking")
    for key in ("id-a", "id-b", "id-c"):
        world.contact(world.call(key, account, BANK_DAY), account)
    task = world.task("id-b", account)
    contact = next(r["contact_id"] for r in world.dump()["call_contacts"] if r["call_id"] == "id-a")
    world.hold(f"[{{contact_ids: [{contact}]}}, {{task_ids: [{task}]}}]")
    run_night(world.lifecycle())
    assert world.live() == {"id-a", "id-b"}


def test_explain_shows_the_links_and_the_hold_that_comes_by_them(sqlite_world):
    around_deals(sqlite_world)
    deal = deal_of(sqlite_world, "id-a")
    sqlite_world.hold(f"{{deal_ids: [{deal}]}}")
    found = explain_call(sqlite_world.lifecycle(), "id-a", NIGHT)
    assert (found.facts[0]["deal_id"], found.facts[0]["task_id"]) == ([str(deal)], [])
    assert [hold.id for hold in found.holds] == ["hold-1"]
    assert explain_call(sqlite_world.lifecycle(), "id-b", NIGHT).holds == ()


@pytest.mark.parametrize("key", ["lead_ids", "case_ids"])
def test_a_hold_on_a_link_that_the_source_does_not_declare_stops_everything_before_the_plan(sqlite_world, key):
    start = around_deals(sqlite_world).dump()
    sqlite_world.hold(f"{{{key}: [1]}}")
    for step in (
        plan,
        lambda world: run_night(world.lifecycle()),
        lambda world: hold_reports(world.lifecycle(), NIGHT),
    ):
        with pytest.raises(PolicyError, match=f"a hold asks for {key[:-1]}, which source demo does not give"):
            step(sqlite_world)
    assert (sqlite_world.dump(), list(sqlite_world.lifecycle().store.list("plans/"))) == (start, [])
    found = [one.message for one in check_everything(sqlite_world.lifecycle()) if one.severity == "error"]
    assert f"holds/hold-1: asks for {key[:-1]}, which source demo does not give: no night runs" in found


def test_a_hold_on_an_undeclared_link_placed_after_archiving_stops_the_purge(sqlite_world):
    world = around_deals(sqlite_world)
    start = world.dump()
    archive(world)
    world.hold("{lead_ids: [1]}")
    with pytest.raises(PolicyError, match="hold hold-1: its scope asks for the fact 'lead_id'"):
        purge_only(world)
    assert world.dump() == start


# --- release ----------------------------------------------------------------------------------------------------------


def test_a_release_purges_nothing_and_joins_no_plan_of_before(sqlite_world):
    world = around_deals(sqlite_world)
    start = world.dump()
    world.hold("{call_ids: [id-a]}")
    archive(world)
    release(world)
    lifecycle = world.lifecycle()
    assert lifecycle.holds_now().active(NIGHT) == ()
    assert world.dump() == start
    assert purge_only(world).set_aside == {}
    assert account_for(world, start, sealed=False) == {"id-b", "id-c"}
    assert run_night(world.lifecycle(), night=date(2026, 11, 21)).calls == 1
    assert account_for(world, start) == {"id-a", "id-b", "id-c"}


def test_a_call_goes_the_night_after_the_day_of_the_release(sqlite_world):
    world = around_deals(sqlite_world)
    world.hold("{industries: [Banking]}")
    release(world)
    assert run_night(world.lifecycle(), night=date(2026, 11, 19)).calls == 0
    assert run_night(world.lifecycle(), night=date(2026, 11, 20)).calls == 3


def test_half_a_release_by_two_people_stops_the_night_and_the_whole_one_lets_go(sqlite_world):
    world = around_deals(sqlite_world)
    start = world.dump()
    world.hold("{call_ids: [id-a]}")
    release(world, f"release: two_people\n{RELEASED}")
    with pytest.raises(PolicyError, match=r"holds/hold-1\.yaml:1: release: two_people: expected release_confirmed_by"):
        run_night(world.lifecycle())
    assert world.dump() == start
    release(world, "release_confirmed_by: gc@example.com\n")
    assert run_night(world.lifecycle()).calls == 3


# --- what is on file --------------------------------------------------------------------------------------------------


def counted(world: World, as_of: date = NIGHT):
    return {m.hold.id: (m.active, m.calls, m.by_scope, m.needs_person) for m in hold_reports(world.lifecycle(), as_of)}


def test_every_hold_is_counted_call_by_call_whatever_their_industry(sqlite_world):
    world = sqlite_world.furnish()
    world.hold("{industries: [ retail ]}", "retail")
    world.hold("{industries: [bankng, nowhere]}", "misspelt")
    world.hold("[{call_ids: [id-nobody, id-new]}, {phones: ['+44 20 7946 0001'], to: 2021-03-01}]", "two")
    world.hold("{phones: ['+44 20 7946 0001'], from: 2021-03-02}", "nothing")
    world.hold("{to: 2021-03-01}", "days")
    assert counted(world) == {
        "days": (True, 13, [13], False),
        "misspelt": (True, 1, [1], False),
        "nothing": (True, 10, [10], True),  # those whose phone nobody knows
        "retail": (True, 7, [7], False),
        "two": (True, 14, [2, 13], False),
    }


def test_released_holds_stay_on_the_list_with_their_calls(sqlite_world):
    around_deals(sqlite_world)
    sqlite_world.hold("{call_ids: [id-a]}")
    release(sqlite_world)
    sqlite_world.hold("{call_ids: [id-nowhere]}", "active")
    assert list(counted(sqlite_world).items()) == [
        ("active", (True, 0, [0], True)),
        ("hold-1", (False, 1, [1], False)),
    ]
    assert counted(sqlite_world, date(2026, 11, 19))["hold-1"] == (True, 1, [1], False)


def test_a_held_call_past_a_maximum_of_the_law_is_shown_for_legal_review(sqlite_world):
    world = around_deals(sqlite_world)
    world.regime("most", "trigger: ended_at, maximum: P5Y")
    rule = "{id: R, title: t, trigger: ended_at, purge_after: P5Y, destroy_after: P5Y, regimes: [most]}"
    world.schedule(f"industry: bank\nmatches: Banking\nowner: o\ntimezone: UTC\nmax_share: 100%\nrules:\n  - {rule}\n")
    world.hold("{call_ids: [id-a, id-b]}")
    (found,) = hold_reports(world.lifecycle(), NIGHT)
    assert (found.calls, found.legal_review, found.needs_person) == (2, 2, True)
    assert found.reasons["id-a"] == "hold-1; needs legal review: a maximum ended on 2026-03-01"
    assert run_night(world.lifecycle()).calls == 1
