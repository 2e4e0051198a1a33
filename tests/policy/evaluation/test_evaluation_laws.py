"""What the law does to one call at night: floors, ceilings, clocks of their own, extensions, components, requests."""

from typing import Any

import pyarrow as pa
import pytest

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation import distinct_cases
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components
from lifecycle.policy.evaluation.regime_explanation import explain_regimes, latest_lawful_day
from tests.policy.build import NO_HOLDS, call, day, extension, facts, hold, holds, regime, rule, schedule, schedules

NIGHT = "2026-11-20"


def under(*laws: Regime, **more: Any) -> Schedules:
    """Every call goes a year after its end, its copy too; under the laws given."""
    return schedules(schedule(rule("R", "P1Y", "P1Y", regimes=[law.id for law in laws], **more)), under=laws)


def answer(told: dict[str, Any], of: Schedules, held: Holds = NO_HOLDS, night: str = NIGHT) -> tuple[str, str]:
    (row,) = dispose_calls(facts(told), of, held, day(night)).to_pylist()
    return row["disposition"], row["detail"]


def copy_goes(told: dict[str, Any], of: Schedules, held: Holds = NO_HOLDS) -> str:
    (row,) = dispose_calls(facts(told), of, held, day(NIGHT)).to_pylist()
    return str(row["destroy_on"])


GONE = {"relationship_ended_at": day("2022-05-10")}
AFTER = regime("after", trigger="relationship_ended_at", minimum="P5Y")
DUE = ("due", "R from 2022-03-17")


def test_a_floor_on_another_clock_lengthens_the_life_of_the_copy_only():
    assert (answer(call(**GONE), under(AFTER)), copy_goes(call(**GONE), under(AFTER))) == (DUE, "2027-05-11")
    assert copy_goes(call(relationship_ended_at=day("2010-01-01")), under(AFTER)) == "2022-03-17"


@pytest.mark.parametrize("ended", [None, day("1970-01-01"), day("2027-01-01")])
def test_a_floor_whose_clock_cannot_be_used_keeps_the_call(ended):
    why = "after counts from relationship_ended_at, which is missing or cannot be used"
    assert answer(call(relationship_ended_at=ended), under(AFTER)) == ("awaiting_trigger", why)


def test_the_rules_own_clock_is_named_before_the_laws():
    told = call(ended=None, relationship_ended_at=None)
    assert answer(told, under(AFTER)) == ("awaiting_trigger", "ended_at is missing or no date")


@pytest.mark.parametrize("kind", ["guidance", "limitation", "contract"])
def test_only_a_statute_is_a_floor(kind):
    soft = regime("soft", kind=kind, trigger="relationship_ended_at", minimum="P5Y", maximum="P1D")
    assert (answer(call(**GONE), under(soft)), copy_goes(call(), under(soft))) == (DUE, "2022-03-17")


def test_the_later_of_two_dates_counts_and_both_must_be_known():
    consent = regime("consent", trigger={"later_of": ["ended_at", "relationship_ended_at"]}, minimum="P5Y")
    assert copy_goes(call(**GONE), under(consent)) == "2027-05-11"
    assert copy_goes(call(relationship_ended_at=day("2020-01-01")), under(consent)) == "2026-03-17"
    why = "consent counts from the later of ended_at and relationship_ended_at, which is missing or cannot be used"
    assert answer(call(), under(consent)) == ("awaiting_trigger", why)


def test_a_rule_may_count_from_the_later_of_two_dates_as_well():
    of = under(trigger={"later_of": ["ended_at", "relationship_ended_at"]})
    assert answer(call(**GONE), of) == ("due", "R from 2023-05-11")
    why = "the later of ended_at and relationship_ended_at: not each of them is known and usable"
    assert answer(call(), of) == ("awaiting_trigger", why)


def test_a_year_is_counted_from_its_end_here_or_the_companys():
    told = call(ended="2021-03-16")
    assert answer(told, under(count="year_end")) == ("due", "R from 2023-01-01")
    fiscal = schedules(schedule(rule("R", "P1Y", "P1Y", count="fiscal_year_end"), fiscal_year_ends="06-30"))
    assert answer(told, fiscal) == ("due", "R from 2022-07-01")


def test_a_child_grows_up_first():
    grown = regime(
        "grown", trigger="ended_at", minimum=["P1Y", {"period": "P23Y", "trigger": "born_on", "count": "age"}]
    )
    assert copy_goes(call(born_on=day("2010-06-15")), under(grown)) == "2033-06-15"
    assert copy_goes(call(born_on=day("1950-06-15")), under(grown)) == "2022-03-17"
    assert answer(call(born_on=day("1879-12-31")), under(grown))[0] == "awaiting_trigger"


def test_of_several_minima_one_that_is_unknown_leaves_no_floor_to_compare():
    of_age = {"period": "P23Y", "trigger": "born_on", "count": "age"}
    torn = regime("torn", minimum=["P9Y", of_age], maximum="P5Y")
    assert answer(call(born_on=None), under(torn))[0] == "awaiting_trigger"
    assert answer(call(born_on=day("1990-01-01")), under(torn))[0] == "conflict"


SCOPED = regime("scoped", minimum="P9Y", applies={"record_class": ["order"]})


@pytest.mark.parametrize(
    ("written", "goes"),
    [("order", "2030-03-17"), (" ORDER ", "2030-03-17"), (None, "2030-03-17"), ("", "2030-03-17"), ("x", "2022-03-17")],
)
def test_a_law_binds_the_calls_it_speaks_of_and_those_it_may(written, goes):
    assert copy_goes(call(record_class=written), under(SCOPED)) == goes


@pytest.mark.parametrize(
    ("force", "goes"),
    [
        ({"from": "2021-03-16"}, "2030-03-17"),
        ({"from": "2021-03-17"}, "2022-03-17"),
        ({"until": "2021-03-16"}, "2030-03-17"),
        ({"until": "2021-03-15"}, "2022-03-17"),
        ({"from": "2030-03-16", "records": "unexpired"}, "2030-03-17"),
        ({"from": "2030-03-17", "records": "unexpired"}, "2022-03-17"),
        ({"until": "2024-12-31", "records": "unexpired"}, "2025-01-01"),
        ({"until": "2040-12-31", "records": "unexpired"}, "2030-03-17"),
    ],
)
def test_a_law_binds_records_of_its_time(force, goes):
    law = regime("law", minimum="P9Y", in_force={k: v if k == "records" else day(v) for k, v in force.items()})
    assert copy_goes(call(), under(law)) == goes


def test_when_a_record_was_made_is_told_by_its_beginning_where_its_end_is_unknown():
    law = regime("law", trigger="relationship_ended_at", minimum="P9Y", in_force={"from": day("2021-01-01")})
    of = under(law, trigger="relationship_ended_at")
    told = [call(ended=None, started_at=made, **GONE) for made in (call(ended="2020-06-01")["ended_at"], None)]
    assert [copy_goes(each, of) for each in told] == ["2023-05-11", "2031-05-11"]


NATIONAL = regime("national", minimum="P2Y", implements=["directive"], applies={"channel": ["phone"]})
DIRECTIVE = regime("directive", minimum="P9Y")


@pytest.mark.parametrize(("channel", "goes"), [("phone", "2023-03-17"), ("chat", "2030-03-17"), (None, "2030-03-17")])
def test_a_national_law_stands_in_the_place_of_the_directive_where_it_certainly_applies(channel, goes):
    assert copy_goes(call(channel=channel), under(NATIONAL, DIRECTIVE)) == goes


def test_a_copy_that_outlives_a_hard_maximum_is_a_conflict():
    late = regime("late", trigger="relationship_ended_at", maximum="P1M")
    assert answer(call(relationship_ended_at=day("2022-02-16")), under(late)) == DUE
    why = "2022-03-15: a maximum's last day, the copy goes on 2022-03-17"
    assert answer(call(relationship_ended_at=day("2022-02-15")), under(late)) == ("conflict", why)
    for_ever = schedules(schedule(rule("R", "P1Y", "never", regimes=["late"])), under=[late])
    why = "2022-06-10: a maximum's last day, the copy goes never"
    assert answer(call(**GONE), for_ever) == ("conflict", why)


def test_an_unknown_maximum_keeps_nothing():
    late = regime("late", trigger="relationship_ended_at", maximum="P1M")
    assert answer(call(relationship_ended_at=None), under(late)) == DUE


def test_a_maximum_that_gives_way_to_statutes_keeps_nothing():
    soft = regime("soft", maximum="P1D", yields_to=["statute"])
    assert answer(call(), under(soft)) == DUE


def test_a_hold_past_a_hard_maximum_is_shown_to_need_legal_review():
    law = regime("law", maximum="P2Y")
    acme = holds(hold("acme", call_ids=["c"]))
    assert answer(call(), under(law), acme, "2023-03-16") == ("on_hold", "acme")
    why = "acme; needs legal review: a maximum ended on 2023-03-16"
    assert answer(call(), under(law), acme, "2023-03-17") == ("on_hold", why)


SEVEN = regime("law", minimum="P5Y", extension={"to": "P7Y"})
TWO_MORE = regime("law", minimum="P5Y", maximum="P5Y", extension={"by": "P2Y", "before_expiry": True})


def five_years(law: Regime) -> Schedules:
    return schedules(schedule(rule("R", "P5Y", "P5Y", regimes=[law.id])), under=[law])


@pytest.mark.parametrize("dated", ["2025-11-03", "2026-03-20"])
def test_an_extension_to_a_total_counts_from_the_trigger(dated):
    asked = holds(extended=[extension("x", dated=dated, call_ids=["c"])])
    assert copy_goes(call(), five_years(SEVEN), asked) == "2028-03-17"
    assert copy_goes(call("other"), five_years(SEVEN), asked) == "2026-03-17"


def test_an_extension_by_a_period_counts_from_expiry_and_moves_the_maximum():
    asked = holds(extended=[extension("x", dated="2026-03-16", call_ids=["c"])])
    assert copy_goes(call(), five_years(TWO_MORE), asked) == "2028-03-17"
    assert answer(call(), five_years(TWO_MORE), asked)[0] == "due"


def test_an_extension_that_came_too_late_is_for_a_person_to_decide():
    asked = holds(extended=[extension("x", dated="2026-03-17", call_ids=["c"])])
    why = "extension x of 2026-03-17 came after the minimum of law had ended"
    assert answer(call(), five_years(TWO_MORE), asked) == ("conflict", why)


def test_a_withdrawn_extension_binds_until_its_day():
    asked = extension("x", call_ids=["c"])
    ended = asked.model_copy(update={"withdrawn_at": day(NIGHT), "withdrawn_by": "c"})
    assert copy_goes(call(), five_years(SEVEN), holds(extended=[ended])) == "2026-03-17"
    lasting = asked.model_copy(update={"withdrawn_at": day("2026-11-21"), "withdrawn_by": "c"})
    assert copy_goes(call(), five_years(SEVEN), holds(extended=[lasting])) == "2028-03-17"


# ---- components

RECORDED = {"has_recording": True}
PARTS = [rule("R", "P5Y", "P7Y"), rule("REC", "P6M", "P1Y", component="recording")]


def parts(
    told: dict[str, Any], of: Schedules, held: Holds = NO_HOLDS, night: str = NIGHT
) -> list[tuple[str, str, str, str]]:
    names = ("component", "disposition", "detail", "destroy_on")
    found = dispose_components(facts(told), of, held, day(night)).to_pylist()
    return [tuple(str(row[name]) for name in names) for row in found]


def test_a_component_goes_before_its_call():
    of = schedules(schedule(*PARTS))
    assert parts(call(ended="2026-01-10", **RECORDED), of) == [
        ("recording", "due", "REC from 2026-07-11", "2027-01-11")
    ]
    assert answer(call(ended="2026-01-10", **RECORDED), of)[0] == "retained"


def test_a_component_that_is_gone_or_perhaps_not_there_is_never_due():
    of = schedules(schedule(*PARTS))
    assert [parts(call(has_recording=there), of) for there in (False, None)] == [[], []]
    assert parts(call(), of) == []


def test_a_call_stays_as_long_as_the_component_in_it_must():
    of = schedules(schedule(rule("R", "P1Y", "P1Y"), rule("REC", "P9Y", "P9Y", component="recording")))
    stays = ("retained", "REC from 2030-03-17")
    said = [answer(call(has_recording=there), of) for there in (True, None, False)]
    assert said == [stays, stays, DUE]


def test_a_rule_for_the_metadata_is_a_rule_for_the_call():
    of = schedules(schedule(rule("R", "P1Y", "P1Y", component="metadata")))
    assert (answer(call(), of), parts(call(**RECORDED), of)) == (DUE, [])


def test_a_component_alone_schedules_no_call():
    of = schedules(schedule(rule("REC", "P6M", "P1Y", component="recording")))
    assert answer(call(**RECORDED), of) == ("unscheduled", "no rule of finance matches")
    assert [row[1] for row in parts(call(**RECORDED), of)] == ["due"]


def test_the_floors_of_the_call_hold_the_copy_of_its_component():
    whole, mine = regime("whole", minimum="P5Y"), regime("other", minimum="P9Y", components=["notes"])
    rules = [{**PARTS[0], "regimes": ["whole", "other"]}, PARTS[1]]
    of = schedules(schedule(*rules), under=[whole, mine])
    assert parts(call(ended="2026-01-10", **RECORDED), of)[0][3] == "2031-01-11"


def test_an_unknown_floor_of_the_call_keeps_its_component():
    rules = [{**PARTS[0], "regimes": ["after"]}, PARTS[1]]
    of = schedules(schedule(*rules), under=[AFTER])
    why = "after counts from relationship_ended_at, which is missing or cannot be used"
    assert [row[:3] for row in parts(call(**RECORDED), of)] == [("recording", "awaiting_trigger", why)]


def test_a_law_about_a_component_says_nothing_of_a_call_without_it():
    law = regime("law", minimum="P9Y", components=["recording"])
    goes = [copy_goes(call(has_recording=there), under(law)) for there in (True, None, False)]
    assert goes == ["2030-03-17", "2030-03-17", "2022-03-17"]


def test_in_an_industry_without_a_rule_for_it_a_component_follows_the_call():
    retail = schedule(rule("RET", "P3Y", "P3Y"), industry="retail", matches="Retail")
    told = [call(ended="2025-01-10", industry=name, **RECORDED) for name in ("Banking", "Retail")]
    found = dispose_components(facts(*told), schedules(schedule(*PARTS), retail), NO_HOLDS, day(NIGHT)).to_pylist()
    assert [(row["disposition"], row["detail"]) for row in found] == [("retained", "RET from 2028-01-11")]


@pytest.mark.parametrize("first", ["Banking", "Retail"])
def test_an_industry_without_components_hides_none_of_another(first):
    retail = schedule(rule("RET", "P3Y", "P3Y"), industry="retail", matches="Retail")
    other = {"Banking": "Retail", "Retail": "Banking"}[first]
    told = [call(name, name, ended="2026-01-10", **RECORDED) for name in (first, other)]
    found = dispose_components(facts(*told), schedules(schedule(*PARTS), retail), NO_HOLDS, day(NIGHT)).to_pylist()
    assert [(row["call_id"], row["disposition"]) for row in found] == [("Banking", "due")]


def test_a_held_call_keeps_its_components():
    found = parts(
        call(ended="2026-01-10", **RECORDED), schedules(schedule(*PARTS)), holds(hold("acme", call_ids=["c"]))
    )
    assert [row[1:3] for row in found] == [("on_hold", "acme")]


# ---- erasure requests


def asked_on(text: str, **more: Any) -> dict[str, Any]:
    return call(ended="2024-03-16", erasure_requested_on=day(text), **more)


@pytest.mark.parametrize(
    ("asked", "night", "said"),
    [
        ("2026-11-20", NIGHT, ("due", "R from 2026-11-20")),
        ("2026-11-21", NIGHT, ("retained", "R from 2029-03-17")),
        ("2030-01-01", "2030-06-01", ("due", "R from 2029-03-17")),
    ],
)
def test_a_request_ends_the_companys_own_wish(asked, night, said):
    of = schedules(schedule(rule("R", "P5Y", "P7Y", on_erasure="floor")))
    assert answer(asked_on(asked), of, night=night) == said


def test_a_request_waits_for_the_rule_unless_the_rule_says_otherwise():
    assert answer(asked_on("2026-01-01"), schedules(schedule(rule("R")))) == ("retained", "R from 2029-03-17")


def test_a_request_waits_for_every_statutes_floor_and_takes_the_copy_with_it():
    law = regime("law", minimum="P3Y")
    of = schedules(schedule(rule("R", "P5Y", "P7Y", on_erasure="floor", regimes=["law"])), under=[law])
    assert answer(asked_on("2026-01-01"), of) == ("retained", "R from 2027-03-17")
    assert copy_goes(asked_on("2026-01-01"), of) == "2027-03-17"


def test_a_request_ends_for_ever_but_no_hold_and_no_open_deal():
    lasting = rule("R", "never", "never", on_erasure="floor", keep_while=["open_deal"])
    of, told = schedules(schedule(lasting)), asked_on("2026-01-01", open_deal=False)
    assert answer(told, of) == ("due", "R from 2026-01-01")
    assert answer({**told, "open_deal": True}, of) == ("kept", "open_deal")
    assert answer(told, of, holds(hold("acme", call_ids=["c"]))) == ("on_hold", "acme")


def test_a_request_starts_no_clock():
    of = schedules(schedule(rule("R", on_erasure="floor")))
    told = call(ended=None, erasure_requested_on=day("2026-01-01"))
    assert answer(told, of) == ("awaiting_trigger", "ended_at is missing or no date")


# ---- many cases


def test_so_many_kinds_of_each_fact_that_their_codes_would_overflow_are_still_told_apart(monkeypatch):
    classes, channels = [f"c{n}" for n in range(12)], [f"h{n}" for n in range(9)]
    told = [call(f"{c}{h}", record_class=c, channel=h) for c in classes for h in channels]
    law = regime("law", minimum="P9Y", applies={"record_class": classes[:4], "channel": channels[:3]})
    expected = dispose_calls(facts(*told), under(law), NO_HOLDS, day(NIGHT))
    monkeypatch.setattr(distinct_cases, "_MOST_CODES", 10)
    assert dispose_calls(facts(*told), under(law), NO_HOLDS, day(NIGHT)).equals(expected)
    assert [str(day) for day in expected["destroy_on"].to_pylist()].count("2030-03-17") == 12


# ---- the reasons


def test_each_law_says_what_it_asks_for():
    soft = regime("soft", kind="guidance", minimum="P1Y", maximum="P6M")
    later = regime("later", kind="limitation", trigger="left_on", minimum="P1Y")
    of = under(regime("hard", minimum="P5Y", maximum="P9Y"), soft, later, SCOPED, AFTER)
    told = facts(call(record_class="x", left_on=day("2022-01-31")), left_on=pa.date32())
    said = {one.regime.id: one for one in explain_regimes(told, of, NO_HOLDS, day(NIGHT))}
    days = {name: (one.applies, str(one.trigger_date), str(one.floor), str(one.ceiling)) for name, one in said.items()}
    assert days == {
        "hard": (True, "2021-03-16", "2026-03-16", "2030-03-16"),
        "soft": (True, "2021-03-16", "None", "None"),
        "later": (True, "2022-01-31", "None", "None"),
        "scoped": (False, "2021-03-16", "None", "None"),
        "after": (True, "None", "None", "None"),
    }
    assert (said["soft"].soft_floor, said["soft"].soft_ceiling) == (day("2022-03-16"), day("2021-09-16"))
    assert said["later"].soft_floor == day("2023-01-31")
    assert said["after"].waits == "after counts from relationship_ended_at, which is missing or cannot be used"


@pytest.mark.parametrize(
    ("left", "trigger", "started", "ends"),
    [
        ("2022-01-31", "left_on", "2022-01-31", "2023-01-31"),
        (NIGHT, "left_on", NIGHT, "2027-11-20"),
        ("2026-11-21", "left_on", "2026-11-21", None),  # in the future: shown, and no clock
        ("1970-01-02", "left_on", "1970-01-02", "1971-01-02"),
        ("1970-01-01", "left_on", "1970-01-01", None),  # what software writes for no date
        (None, "left_on", None, None),
        ("2022-01-31", {"later_of": ["ended_at", "left_on"]}, "2022-01-31", "2023-01-31"),
        ("2020-01-31", {"later_of": ["ended_at", "left_on"]}, "2021-03-16", "2022-03-16"),
        (NIGHT, {"later_of": ["ended_at", "left_on"]}, NIGHT, "2027-11-20"),
        ("2026-11-21", {"later_of": ["ended_at", "left_on"]}, None, None),
        ("1970-01-01", {"later_of": ["ended_at", "left_on"]}, None, None),
        (None, {"later_of": ["ended_at", "left_on"]}, None, None),
    ],
)
def test_what_binds_nobody_counts_from_its_own_clock(left, trigger, started, ends):
    of = under(regime("advice", kind="guidance", trigger=trigger, minimum="P1Y"))
    told = facts(call(left_on=left and day(left)), left_on=pa.date32())
    (said,) = explain_regimes(told, of, NO_HOLDS, day(NIGHT))
    assert (said.trigger_date, said.soft_floor) == (started and day(started), ends and day(ends))


def test_what_binds_nobody_says_nothing_of_a_fact_that_is_text():
    of = under(regime("advice", kind="guidance", trigger="left_on", minimum="P1Y"))
    (said,) = explain_regimes(facts(call(left_on="2022-01-31"), left_on=pa.string()), of, NO_HOLDS, day(NIGHT))
    assert (said.trigger_date, said.soft_floor) == (None, None)


@pytest.mark.parametrize(
    ("grace", "ceiling", "latest"),
    [
        ("P30D", None, "2026-04-15"),
        ("P7D", None, "2026-03-23"),
        ("none", None, "None"),
        ("P30D", "2026-03-16", "2026-04-15"),  # the law leaves no day: the grace does
        ("P30D", "2026-03-17", "2026-03-17"),
        ("none", "2026-08-01", "2026-08-01"),
    ],
)
def test_the_latest_day_is_the_laws_own_or_the_end_of_the_grace(grace, ceiling, latest):
    its = schedule(rule("R"), grace=grace)
    assert str(latest_lawful_day(day("2026-03-17"), day(ceiling) if ceiling else None, its)) == latest
