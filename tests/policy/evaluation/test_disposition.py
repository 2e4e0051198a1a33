"""Tonight's answer for one call, rule by rule of the interfaces. For all calls: test_disposition_laws."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import RULE_RESULT_SCHEMA, Disposition, dispose_calls, evaluate_rules
from tests.policy.build import NO_HOLDS, answers, at, call, day, facts, hold, holds, regime, rule, schedule, schedules

FINANCE = schedules(schedule(rule("FIN")))  # P5Y, then P7Y
NOTHING = {"trigger_date": None, "purge_from": None, "destroy_on": None}


def whole(told: dict, of: Schedules = FINANCE, as_of: str = "2026-11-20", held=NO_HOLDS) -> dict:
    """The whole row of one call."""
    (row,) = dispose_calls(facts(told), of, held, day(as_of)).to_pylist()
    return row


def row(disposition: str, detail: str, rule_id: str | None = "FIN", **more) -> dict:
    given = {"call_id": "c", "disposition": disposition, "detail": detail, "industry": "finance", "rule_id": rule_id}
    usual = {"trigger_date": "2021-03-16", "purge_from": "2026-03-17", "destroy_on": "2028-03-17"}
    dates = {name: day(text) if isinstance(text, str) else text for name, text in {**usual, **more}.items()}
    return {**given, **dates, **({"industry": more["industry"]} if "industry" in more else {})}


def said(*told: dict, of: Schedules = FINANCE, as_of: str = "2026-11-20", held=NO_HOLDS) -> list[tuple[str, str]]:
    """Disposition and detail of each call."""
    return [answer[1:] for answer in answers(facts(*told), of, as_of, held)]


def test_the_answers_win_over_one_another_in_this_order():
    names = "conflict unscheduled awaiting_trigger permanent retained on_hold kept due"
    assert [str(disposition) for disposition in Disposition] == names.split()


def test_a_call_is_due_from_the_day_after_its_last_day():
    assert whole(call(), as_of="2026-03-17") == row("due", "FIN from 2026-03-17")


def test_a_call_is_retained_through_its_last_day():
    assert whole(call(), as_of="2026-03-16") == row("retained", "FIN from 2026-03-17")


def test_a_rule_without_end_is_permanent():
    of = schedules(schedule(rule("FIN", "never", "never")))
    expected = row("permanent", "FIN keeps for ever", purge_from="9999-12-31", destroy_on=None)
    assert whole(call(), of) == expected


def test_a_due_call_whose_copy_is_kept_for_ever_has_no_destroy_date():
    of = schedules(schedule(rule("FIN", "P5Y", "never")))
    assert whole(call(), of) == row("due", "FIN from 2026-03-17", destroy_on=None)


@pytest.mark.parametrize(
    ("industry", "detail"),
    [
        (None, "no industry"),
        ("", "no industry"),
        (" \t", "no industry"),
        ("Bankng", "no schedule matches industry 'Bankng'"),
        ("Banking, Insurance", "no schedule matches industry 'Banking, Insurance'"),
    ],
)
def test_an_unknown_industry_is_unscheduled(industry, detail):
    expected = row("unscheduled", detail, None, **NOTHING)
    assert whole(call(industry=industry)) == {**expected, "industry": None}


def test_an_industry_is_found_trimmed_and_case_folded():
    of = schedules(schedule(rule("FIN"), matches=["Straße"]))
    assert [answer for answer, _ in said(call(industry=" STRASSE "), call("d", "strasse"), of=of)] == ["due", "due"]


def test_a_class_no_rule_speaks_of_is_unscheduled():
    of = schedules(schedule(rule("FIN", when={"record_class": "order"})))
    assert whole(call(record_class="chat"), of) == row("unscheduled", "no rule of finance matches", None, **NOTHING)


@pytest.mark.parametrize(
    ("ended", "detail"),
    [
        (None, "ended_at is missing or no date"),
        ("1970-01-01T23:59:59", "ended_at 1970-01-01 is before 1970-01-02"),
        ("0001-01-01", "ended_at 0001-01-01 is before 1970-01-02"),
        ("2026-11-21T00:00", "ended_at 2026-11-21 is in the future"),
        ("9999-12-30", "ended_at 9999-12-30 is in the future"),
    ],
)
def test_a_trigger_that_cannot_be_used_is_awaited(ended, detail):
    found = whole(call(ended=ended))
    clock = None if ended is None else day(ended[:10])
    assert found == row("awaiting_trigger", detail, trigger_date=clock, purge_from=None, destroy_on=None)


@pytest.mark.parametrize("ended", ["1970-01-02T00:00", "2026-11-20T23:59:59"])
def test_the_first_and_the_last_trigger_that_can_be_used(ended):
    of = schedules(schedule(rule("FIN", "P1D", "P1D")))
    assert whole(call(ended=ended), of)["disposition"] in ("due", "retained")


def test_never_another_clock():
    of = schedules(schedule(rule("FIN", trigger="relationship_ended_at")))
    expected = ("awaiting_trigger", "relationship_ended_at is missing or no date")
    told = [call(started_at=at("2001-01-01"), relationship_ended_at=None), call("d")]
    assert said(*told, of=of) == [expected, expected]


def test_a_trigger_the_source_does_not_give_is_awaited():
    of = schedules(schedule(rule("FIN", trigger="relationship_ended_at")))
    assert said(call(), of=of) == [("awaiting_trigger", "relationship_ended_at is missing or no date")]


@pytest.mark.parametrize(
    ("zone", "purge_from"),
    [("UTC", "2026-03-17"), ("Europe/Berlin", "2026-03-18"), ("America/New_York", "2026-03-17")],
)
def test_the_schedule_says_where_a_day_begins(zone, purge_from):
    of = schedules(schedule(rule("FIN"), zone=zone))
    assert whole(call(ended="2021-03-16T23:30"), of)["purge_from"] == day(purge_from)


def test_two_industries_may_disagree_about_the_day():
    berlin, tokyo = (
        schedule(rule("B"), zone="Europe/Berlin"),
        schedule(rule("T"), zone="Asia/Tokyo", industry="t", matches="T"),
    )
    told = facts(call(ended="2021-03-16T16:00"), call("d", "T", ended="2021-03-16T16:00"))
    found = dispose_calls(told, schedules(berlin, tokyo), NO_HOLDS, day("2026-11-20"))
    assert found["trigger_date"].to_pylist() == [day("2021-03-16"), day("2021-03-17")]


def test_summer_time_moves_the_midnight():
    of = schedules(schedule(rule("FIN"), zone="Europe/Berlin"))
    told = [call(ended="2021-07-16T22:30"), call("d", ended="2021-01-16T22:30")]
    found = dispose_calls(facts(*told), of, NO_HOLDS, day("2026-11-20"))
    assert found["trigger_date"].to_pylist() == [day("2021-07-17"), day("2021-01-16")]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_date_is_a_day_already(zone):
    of = schedules(schedule(rule("FIN"), zone=zone))
    found = dispose_calls(facts(call(ended=day("2021-03-16")), ended_at=pa.date32()), of, NO_HOLDS, day("2026-11-20"))
    assert found["trigger_date"].to_pylist() == [day("2021-03-16")]


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s", "UTC"), pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("us", "UTC")]
)
def test_a_time_is_the_same_in_whatever_zone_it_is_given(kind):
    told = facts(call(ended="2021-03-16T16:00"), ended_at=kind)
    assert dispose_calls(told, FINANCE, NO_HOLDS, day("2026-11-20"))["trigger_date"].to_pylist() == [day("2021-03-16")]


def test_a_time_without_a_zone_is_a_programming_error():
    naive = facts(call(ended=datetime(2021, 1, 1, tzinfo=UTC).replace(tzinfo=None)), ended_at=pa.timestamp("us"))
    with pytest.raises(TypeError, match="the fact ended_at is a timestamp without a zone"):
        dispose_calls(naive, FINANCE, NO_HOLDS, day("2026-11-20"))


ORDERS = schedules(
    schedule(rule("ORD", "P5Y", "P7Y", {"record_class": ["order", "advice"]}), rule("ALL", "P1Y", "P10Y"))
)


def test_the_last_rule_to_let_go_decides_and_the_latest_copy_stays():
    assert whole(call(record_class="order"), ORDERS) == row(
        "due", "ORD from 2026-03-17", "ORD", destroy_on="2031-03-17"
    )


def test_a_rule_that_does_not_match_has_no_say():
    expected = row("due", "ALL from 2022-03-17", "ALL", purge_from="2022-03-17", destroy_on="2031-03-17")
    assert whole(call(record_class="chat"), ORDERS) == expected


@pytest.mark.parametrize("written", ["order", " order ", "advice\n"])
def test_a_fact_is_compared_trimmed(written):
    assert whole(call(record_class=written), ORDERS)["rule_id"] == "ORD"


def test_a_maximum_that_ends_before_anothers_minimum_is_a_conflict_whatever_else_is_said():
    laws = {"short": regime("short", maximum="P1Y"), "long": regime("long", minimum="P5Y")}
    rules = (rule("A", "P1Y", "P1Y", regimes=["short"]), rule("B", "P5Y", "P5Y", regimes=["long"]))
    of = Schedules({"finance": schedule(*rules)}, {}, laws)
    detail = "2022-03-16: a maximum's last day, a minimum lasts until 2026-03-16"
    assert said(call(), of=of, held=holds(hold(call_ids=["c"]))) == [("conflict", detail)]
    apart = Schedules({"finance": schedule(rules[0]), "retail": schedule(rules[1], industry="retail")}, {}, laws)
    assert said(call(), of=apart) == [("due", "A from 2022-03-17")]


def test_a_class_is_compared_trimmed_and_case_folded():
    strict = schedule(rule("FIN", when={"record_class": ["ORDER"]}), rule("ANY", "P1Y", "P1Y"))
    assert said(call(record_class=" Order "), of=schedules(strict), as_of="2023-01-01") == [
        ("retained", "FIN from 2026-03-17")
    ]


def test_a_hold_on_an_industry_may_say_the_schedules_name():
    assert said(call(), held=holds(hold(industries=["FINANCE"]))) == [("on_hold", "h")]


@pytest.mark.parametrize("unknown", [None, "", "  "])
def test_an_unknown_class_can_only_lengthen(unknown):
    told = call(record_class=unknown, ended="2023-03-16")
    assert said(told, of=ORDERS) == [("retained", "ORD from 2028-03-17")]
    assert said(call(ended="2023-03-16"), of=ORDERS) == [("retained", "ORD from 2028-03-17")]


def test_an_unknown_class_never_permits_the_end():
    of = schedules(schedule(rule("ORD", when={"record_class": "order"})))
    assert said(call(record_class=None), of=of) == [("unscheduled", "no rule of finance matches")]


def test_every_condition_of_a_rule_must_match():
    of = schedules(schedule(rule("ORD", when={"record_class": "order", "channel": "phone"}), rule("ALL", "P1Y", "P1Y")))
    told = {
        "op": ("order", "phone"),
        "oc": ("order", "chat"),
        "xp": ("chat", "phone"),
        "o?": ("order", None),
        "x?": ("chat", None),
    }
    table = facts(*[call(name, record_class=c, channel=h) for name, (c, h) in told.items()])
    found = dispose_calls(table, of, NO_HOLDS, day("2026-11-20"))
    assert found["rule_id"].to_pylist() == ["ORD", "ALL", "ALL", "ORD", "ALL"]


def test_never_wins_over_every_date():
    of = schedules(schedule(rule("A", "P1Y", "never"), rule("B", "P5Y", "P7Y")))
    assert whole(call(), of) == row("due", "B from 2026-03-17", "B", destroy_on=None)
    of = schedules(schedule(rule("A", "P1Y", "P2Y"), rule("B", "never", "never")))
    expected = row("permanent", "B keeps for ever", "B", purge_from="9999-12-31", destroy_on=None)
    assert whole(call(), of) == expected


def test_an_awaited_trigger_of_one_rule_keeps_what_another_lets_go():
    of = schedules(schedule(rule("A", "P1Y", "P2Y"), rule("B", trigger="relationship_ended_at")))
    expected = ("awaiting_trigger", "relationship_ended_at is missing or no date")
    assert said(call(relationship_ended_at=None), of=of) == [expected]


def test_of_several_industries_the_strictest_wins():
    both = schedules(schedule(rule("FIN")), schedule(rule("RET", "P1Y", "P9Y"), industry="retail", matches="Retail"))
    told = facts(call(industry="Retail"), call(industry="Banking"), call("d", "Retail"))
    assert dispose_calls(told, both, NO_HOLDS, day("2026-11-20")).to_pylist() == [
        row("due", "FIN from 2026-03-17", destroy_on="2030-03-17"),
        {
            **row("due", "RET from 2022-03-17", "RET", purge_from="2022-03-17", destroy_on="2030-03-17"),
            "call_id": "d",
            "industry": "retail",
        },
    ]


@pytest.mark.parametrize("other", [None, "", "Bankng"])
def test_one_unknown_industry_of_several_keeps_the_call(other):
    answer = [found for found, _ in said(call(), call(industry=other))]
    assert answer == ["unscheduled"]


KEPT = schedules(schedule(rule("FIN", keep_while=["open_deal", "open_task"])))


@pytest.mark.parametrize(
    ("deal", "task", "answer"),
    [
        (False, False, ("due", "FIN from 2026-03-17")),
        (True, False, ("kept", "open_deal")),
        (False, True, ("kept", "open_task")),
        (True, True, ("kept", "open_deal, open_task")),
        (None, False, ("kept", "open_deal?")),
        (True, None, ("kept", "open_deal, open_task?")),
        (None, None, ("kept", "open_deal?, open_task?")),
    ],
)
def test_a_call_is_kept_while_a_fact_is_true_or_unknown(deal, task, answer):
    assert said(call(open_deal=deal, open_task=task), of=KEPT) == [answer]


def test_a_keeping_fact_the_source_does_not_give_is_unknown():
    assert said(call(open_deal=False), of=KEPT) == [("kept", "open_task?")]


def test_a_keeping_fact_changes_nothing_before_the_end():
    told = call(open_deal=True, open_task=True)
    assert said(told, of=KEPT, as_of="2026-03-16") == [("retained", "FIN from 2026-03-17")]


def test_a_keeping_fact_in_any_row_of_a_call_keeps_it():
    told = [call(open_deal=False, open_task=False), call(open_deal=True, open_task=False)]
    assert said(*told, of=KEPT) == said(*reversed(told), of=KEPT) == [("kept", "open_deal")]


ACME = holds(hold("acme", account_ids=["A"]), hold("bolt", phones=["1"]))


def test_a_hold_beats_due_and_kept():
    told = call(account_id="A", phone="2", open_deal=True, open_task=False)
    assert said(told, of=KEPT, held=ACME) == [("on_hold", "acme")]
    assert whole(call(account_id="A", phone="1"), held=ACME) == row("on_hold", "acme, bolt")


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        (call(account_id="A", phone="1", ended="2025-01-01"), ("retained", "FIN from 2030-01-02")),
        (call(account_id="A", phone="1", ended=None), ("awaiting_trigger", "ended_at is missing or no date")),
        (call(account_id="A", phone="1", industry=None), ("unscheduled", "no industry")),
    ],
)
def test_what_keeps_longer_than_a_hold_is_said_instead(told, answer):
    assert said(told, held=ACME) == [answer]


def test_a_hold_on_any_row_of_a_call_holds_it():
    both = schedules(schedule(rule("FIN")), schedule(rule("RET", "P1Y", "P9Y"), industry="retail", matches="Retail"))
    told = [call(account_id="B", phone="2"), call(industry="Retail", account_id="A", phone="2")]
    assert said(*told, of=both, held=ACME) == said(*reversed(told), of=both, held=ACME) == [("on_hold", "acme")]


def test_a_released_hold_holds_no_more():
    acme = holds(hold("acme", account_ids=["A"], released="2026-11-20"))
    assert said(call(account_id="A"), held=acme, as_of="2026-11-20") == [("on_hold", "acme")]
    assert said(call(account_id="A"), held=acme, as_of="2026-11-21") == [("due", "FIN from 2026-03-17")]


def test_a_hold_on_an_industry_folds_as_the_schedule_does():
    of, acme = schedules(schedule(rule("FIN"), matches="Straße")), holds(hold("acme", industries=["Straße"]))
    assert said(call(industry="Straße"), of=of, held=acme) == [("on_hold", "acme")]


def test_a_hold_on_an_industry_by_the_schedules_name_still_asks_for_the_rest():
    acme = holds(hold("acme", industries=["finance"], phones=["1"]))
    told = [call(phone="1"), call("d", phone="2")]
    assert [answer for answer, _ in said(*told, held=acme)] == ["on_hold", "due"]


def test_a_hold_counts_days_in_the_zone_of_the_schedule():
    of = schedules(schedule(rule("FIN"), zone="Europe/Berlin"))
    late = holds(hold("late", **{"from": day("2021-03-17")}))
    told = [call(ended="2021-03-16T23:30"), call("d", ended="2021-03-16T22:30")]
    assert [answer for answer, _ in said(*told, of=of, held=late)] == ["on_hold", "due"]


def test_calls_are_answered_in_the_order_of_first_appearance():
    told = [call("z"), call("a", "Nowhere"), call("m", None), call("a"), call("z"), call("b", record_class="x")]
    assert [answer[0] for answer in answers(facts(*told), FINANCE, "2026-11-20")] == ["z", "a", "m", "b"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.binary(), pa.decimal128(20, 0)])
def test_a_call_id_keeps_its_type(kind):
    ids = {pa.int64(): [7, 3], pa.string(): ["7", "3"], pa.binary(): [b"\xff", b"\x00"]}.get(kind, [7, 3])
    found = dispose_calls(facts(*map(call, ids), call_id=kind), FINANCE, NO_HOLDS, day("2026-11-20"))
    assert (found["call_id"].type, found["call_id"].to_pylist()) == (kind, pa.array(ids, kind).to_pylist())


OUT = {
    "call_id": pa.string(),
    "disposition": pa.string(),
    "detail": pa.string(),
    "industry": pa.string(),
    "rule_id": pa.string(),
    "trigger_date": pa.date32(),
    "purge_from": pa.date32(),
    "destroy_on": pa.date32(),
}
SOME = [(), (call(),), (call(industry=None),), (call(), call(industry="x")), (call(), call("d"), call("d", None))]


@pytest.mark.parametrize("told", SOME, ids=len)
@pytest.mark.parametrize("of", [FINANCE, ORDERS, KEPT, Schedules({}, {})])
def test_the_answer_has_one_shape_whatever_there_is_to_answer(told, of):
    found = dispose_calls(facts(*told), of, holds(hold(call_ids=["c"])), day("2026-11-20"))
    assert dict(zip(found.column_names, found.schema.types, strict=True)) == OUT
    assert found.num_rows == len({each["call_id"] for each in told})
    assert evaluate_rules(facts(*told), of, NO_HOLDS, day("2026-11-20")).schema == RULE_RESULT_SCHEMA


def test_no_facts_in_no_chunk_are_no_answer():
    kinds = zip(facts().column_names, facts().schema.types, strict=True)
    none = pa.table({name: pa.chunked_array([], kind) for name, kind in kinds})
    assert dispose_calls(none, ORDERS, ACME, day("2026-11-20")).num_rows == 0


def test_without_schedules_everything_is_kept():
    expected = ("unscheduled", "no schedule matches industry 'Banking'")
    assert said(call(), call("d"), of=Schedules({}, {})) == [expected, expected]


def test_a_broken_file_keeps_its_industry():
    broken = Schedules({}, {"finance.yaml": "finance.yaml:1: it is broken"})
    assert said(call(), of=broken) == [("unscheduled", "no schedule matches industry 'Banking'")]


def test_each_row_of_facts_is_judged_by_every_rule_it_may_fall_under():
    told = facts(call(record_class="order"), call("d", record_class=None), call("e", "x"))
    found = (
        evaluate_rules(told, ORDERS, NO_HOLDS, day("2026-11-20")).select(["row", "rule_id", "purge_from"]).to_pylist()
    )
    assert sorted((each["row"], str(each["rule_id"]), str(each["purge_from"])) for each in found) == [
        (0, "ALL", "2022-03-17"),
        (0, "ORD", "2026-03-17"),
        (1, "ALL", "2022-03-17"),
        (1, "ORD", "2026-03-17"),
        (2, "None", "None"),
    ]
