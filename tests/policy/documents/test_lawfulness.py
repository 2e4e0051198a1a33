"""What can be said of a schedule before any call is seen: breaches, advice, rules that tear a call apart."""

import pytest

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.lawfulness import (
    extensions_without_effect,
    read_schedule,
    regime_advice,
    rule_conflicts,
    rules_can_meet,
)
from lifecycle.policy.documents.schedule import Rule, Schedules
from tests.policy.build import extension, regime, rule, schedule, schedules

FIVE = regime("five", minimum="P5Y", maximum="P5Y")
TEXT = """\
industry: finance
matches: [Banking]
owner: o
timezone: UTC
max_share: 2%
rules:
  - {id: R, title: t, trigger: TRIGGER, count: COUNT, purge_after: P1Y, destroy_after: LIFE, regimes: [law]}
"""


def said(law, life: str, trigger: str = "ended_at", count: str = "after_event") -> list[str]:
    text = TEXT.replace("TRIGGER", trigger).replace("COUNT", count).replace("LIFE", life)
    try:
        read_schedule("f.yaml", text, {law.id: law})
    except PolicyError as error:
        return str(error).splitlines()
    return []


def test_seven_years_to_be_safe_is_unlawful_where_five_is_also_the_maximum():
    law = regime("law", minimum="P5Y", maximum="P5Y")
    assert said(law, "P5Y") == []
    assert said(law, "P7Y") == [
        "f.yaml:7: R: outlives the maximum P5Y of law (law): triggered on 2020-01-01, the last copy goes on "
        "2027-01-02, the law allows it until 2025-01-01"
    ]
    assert said(law, "P4Y") == [
        "f.yaml:7: R: undercuts the minimum P5Y of law (law): triggered on 2020-01-01, the last copy may go from "
        "2024-01-02, the law asks for it until 2025-01-01"
    ]


@pytest.mark.parametrize("kind", ["guidance", "limitation", "contract"])
def test_only_a_statute_is_enforced_and_the_others_are_advice(kind):
    law = regime("law", kind=kind, minimum="P5Y", maximum="P6Y")
    assert (said(law, "P1Y"), said(law, "P7Y")) == ([], [])
    short = schedule(rule("R", "P1Y", "P1Y", regimes=["law"]))
    (told,) = regime_advice(short, {"law": law})
    assert told.startswith("R: undercuts the minimum P5Y of law (law)")
    assert told.endswith(f". It is {kind}, so nothing is enforced")


def test_a_maximum_that_gives_way_to_statutes_is_advice():
    law = regime("law", maximum="P6M", yields_to=["statute"])
    assert said(law, "P5Y") == []
    (told,) = regime_advice(schedule(rule("R", "P5Y", "P5Y", regimes=["law"])), {"law": law})
    assert told.endswith("the law allows it until 2020-07-01. It gives way to statutes, so nothing is enforced")


def test_a_year_end_asks_for_more_than_the_same_years():
    law = regime("law", minimum="P6Y", count="year_end")
    assert said(law, "P6Y", count="year_end") == []
    assert said(law, "P7Y") == []
    (told,) = said(law, "P6Y")
    assert "triggered on 2020-01-01, the last copy may go from 2026-01-02, the law asks for it until 2026-12-31" in told


def test_beginning_on_the_date_is_a_day_less():
    law = regime("law", minimum="P5Y", maximum="P5Y", count="from_event")
    assert said(law, "P5Y", count="from_event") == []
    assert "outlives the maximum" in said(law, "P5Y")[0]


def test_of_several_minima_each_is_enforced():
    law = regime("law", minimum=["P1Y", "P5Y"], maximum=["P9Y", "P6Y"])
    assert ["minimum P5Y" in line for line in said(law, "P4Y")] == [True]
    assert ["maximum P6Y" in line for line in said(law, "P7Y")] == [True]


def test_what_is_on_another_trigger_is_left_to_the_night():
    law = regime("law", trigger="relationship_ended_at", minimum="P5Y", maximum="P5Y")
    assert (said(law, "P1Y"), said(law, "P9Y")) == ([], [])
    assert len(said(law, "P1Y", trigger="relationship_ended_at")) == 1


def test_a_law_for_old_records_only_is_left_to_the_night():
    old = regime("law", minimum="P10Y", in_force={"until": FIVE.review_by})
    now = regime("law", minimum="P10Y", in_force={"from": FIVE.review_by})
    assert (len(said(old, "P6Y")), len(said(now, "P6Y"))) == (0, 1)


def test_a_disapplied_law_cannot_be_named():
    law = regime("law", minimum="P70D", status="disapplied", evidence="the court of 2023")
    assert said(law, "P1Y") == ["f.yaml:7: R: law (law) is not applied: the court of 2023. Take it out"]


def meet(one: dict, other: dict) -> bool:
    return rules_can_meet(*(Rule.model_validate(rule(id, when=when)) for id, when in (("A", one), ("B", other))))


def test_two_rules_meet_unless_a_fact_rules_it_out():
    order, talk = {"record_class": ["order", "Advice"]}, {"record_class": ["talk"]}
    assert all(meet(order, other) for other in ({}, {"channel": ["phone"]}, {"record_class": ["advice"]}))
    assert not meet(order, talk)
    assert not meet({**order, "channel": ["phone"]}, {**talk, "channel": ["phone"]})


LONG = regime("long", minimum="P10Y")


def torn(*rules: dict) -> list[str]:
    return list(rule_conflicts(schedule(*rules), {law.id: law for law in (FIVE, LONG)}))


def test_a_maximum_against_anothers_minimum_is_said_with_the_case():
    assert torn(rule("A", "P5Y", "P5Y", regimes=["five"]), rule("B", "P9Y", "P10Y", regimes=["long"])) == [
        "A and B can meet on one call: triggered on 2020-01-01, the maximum of five (five) ends on 2025-01-01, the "
        "minimum of long (long) lasts until 2030-01-01. Such a call is kept as a conflict",
        "A and B can meet on one call: triggered on 2020-01-01, the maximum of five (five) ends on 2025-01-01, the "
        "copy under B lasts until 2030-01-01. Such a call is kept as a conflict",
    ]


def test_rules_that_never_meet_tear_nothing():
    a = rule("A", "P5Y", "P5Y", {"record_class": "order"}, regimes=["five"])
    assert torn(a, rule("B", "P9Y", "P10Y", {"record_class": "talk"}, regimes=["long"])) == []
    assert len(torn(a, rule("B", "P9Y", "P10Y", {"channel": "phone"}))) == 1


@pytest.mark.parametrize(
    ("applies", "when", "replaced"),
    [
        ({}, "", True),
        ({"country": ["DE", "AT"]}, "when: {country: [de]}, ", True),
        ({"country": ["DE"]}, "", False),
        ({"country": ["DE"]}, "when: {country: [DE, FR]}, ", False),
    ],
)
def test_a_national_law_stands_in_the_place_of_what_it_implements_where_it_covers_the_rule(applies, when, replaced):
    directive = regime("directive", minimum="P7Y")
    national = regime("national", minimum="P5Y", maximum="P5Y", implements=["directive"], applies=applies)
    text = TEXT.replace("TRIGGER", "ended_at").replace("COUNT", "after_event").replace("LIFE", "P5Y")
    text = text.replace("trigger:", f"{when}trigger:").replace("[law]", "[national, directive]")
    laws = {law.id: law for law in (directive, national)}
    if replaced:
        assert list(rule_conflicts(read_schedule("f.yaml", text, laws), laws)) == []
        return
    with pytest.raises(PolicyError, match="R: undercuts the minimum P7Y of directive"):
        read_schedule("f.yaml", text, laws)


def test_an_extension_must_lengthen_something():
    laws = [regime("law", minimum="P5Y", extension={"to": "P7Y"}), regime("fixed", minimum="P5Y")]
    laws.append(regime("soft", kind="guidance", minimum="P5Y", extension={"to": "P7Y"}))
    of = schedules(schedule(rule("R", regimes=["law", "fixed", "soft"])), under=laws)

    def idle(regime: str, given: Schedules = of) -> list[str]:
        return list(extensions_without_effect(given, {"x": extension("x", regime, account_ids=["1"])}))

    unnamed = schedules(schedule(rule("R")), under=laws)
    assert idle("law") == []
    assert idle("lwa") == ["extensions/x: expected a regime that can be used, found 'lwa'"]
    for name in ("fixed", "soft"):
        no_more = f"extensions/x: the regime {name} ({name}) has no statutory minimum that could be extended"
        assert idle(name) == [no_more]
    nothing = "extensions/x: no rule of a usable schedule names the regime law, so nothing would be lengthened"
    assert idle("law", unnamed) == [nothing]
