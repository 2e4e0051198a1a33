"""What can be said of a schedule before any call is seen: breaches, advice, rules that tear a call apart."""

import pytest

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.lawfulness import claim_line, read_schedule
from lifecycle.policy.documents.regime import Regime
from lifecycle.policy.documents.regime_compliance import (
    extensions_without_effect,
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


# ---- what takes a law's place

ENDING = regime("ending", minimum="P5Y", in_force={"until": FIVE.review_by}, replaced_by=["next", "nowhere"])
NEXT = regime("next", minimum="P5Y")


def written(trigger: str = "ended_at", life: str = "P5Y", names: str = "law") -> str:
    text = TEXT.replace("TRIGGER", trigger).replace("COUNT", "after_event").replace("LIFE", life)
    return text.replace("[law]", f"[{names}]")


def complaints(text: str, *laws: Regime) -> list[str]:
    try:
        read_schedule("f.yaml", text, {law.id: law for law in laws})
    except PolicyError as error:
        return str(error).splitlines()
    return []


def test_a_law_that_ends_is_not_named_without_what_takes_its_place_where_that_is_shipped():
    why = "f.yaml:7: R: ending (ending) ends on 2030-01-01: name next as well, which takes its place"
    assert complaints(written(names="ending"), ENDING, NEXT) == [why]
    assert complaints(written(names="ending, next"), ENDING, NEXT) == []
    assert complaints(written(names="ending"), ENDING) == []


# ---- a component's maximum ends at the component

VOICE = regime("voice", maximum="P6M", components=["recording"])
REC = "  - {id: REC, title: t, component: recording, trigger: ended_at, purge_after: P1M, destroy_after: P6M}\n"


@pytest.mark.parametrize(
    ("trigger", "life", "refused"),
    [("ended_at", "P5Y", True), ("ended_at", "P6M", False), ("relationship_ended_at", "P6M", True)],
)
def test_a_maximum_of_a_part_needs_a_rule_that_lets_the_part_go(trigger, life, refused):
    text = written(trigger, life, "voice").replace("P1Y", "P1M")
    why = "f.yaml:7: R: the maximum of voice (voice) is one of the recording, which no rule lets go by itself. Write a "
    assert complaints(text, VOICE) == ([f"{why}rule with component: recording"] if refused else [])
    assert complaints(text + REC, VOICE) == []


@pytest.mark.parametrize(
    ("parts", "asked", "lawful"),
    [
        ([{"record_class": ["order"]}], {}, False),  # of all other calls the recording would stay
        ([{"record_class": ["order"]}], {"record_class": ["ORDER"]}, True),
        ([{"record_class": ["order"]}], {"record_class": ["order", "talk"]}, False),
        ([{"record_class": ["order"]}, {"record_class": ["talk"]}], {"record_class": ["order", "talk"]}, True),
        ([{"record_class": ["order"]}, {"record_class": ["talk"]}], {}, False),  # there are calls of no class
        ([{"record_class": ["order"], "channel": ["phone"]}], {"record_class": ["order"]}, False),
        ([{"record_class": ["order"]}], {"record_class": ["order"], "channel": ["phone"]}, True),
    ],
)
def test_every_call_of_the_rule_needs_one(parts, asked, lawful):
    text = written("ended_at", "P5Y", "voice").replace("P1Y", "P1M").replace("title: t,", f"title: t, when: {asked},")
    for number, when in enumerate(parts):
        text += REC.replace("REC", f"REC-{number}").replace("title: t,", f"title: t, when: {when},")
    said = complaints(text.replace("'", ""), VOICE)
    assert (said == []) is lawful, said
    assert lawful or "which no rule of these calls lets go by itself" in said[0]


def test_a_rule_of_the_part_that_outlives_the_maximum_is_named_though_it_names_no_law():
    text = written("ended_at", "P5Y", "voice").replace("P1Y", "P1M") + REC.replace("P6M}", "P1Y}")
    (said,) = complaints(text, VOICE)
    assert said == "f.yaml:7: R: the maximum of voice (voice) is one of the recording, whose rule REC outlives it"


def test_the_rule_of_the_part_is_held_against_it():
    late = REC.replace("P6M}", "P1Y, regimes: [voice]}")
    (said,) = complaints(written().replace(", regimes: [law]", "") + late, VOICE)
    assert said.startswith("f.yaml:8: REC: outlives the maximum P6M of voice (voice)")


def test_rules_tear_apart_only_what_they_both_speak_of():
    call = regime("call", minimum="P3Y", components=["metadata"])
    whole = rule("R", "P1Y", "P5Y", regimes=["voice", "call"])
    part = rule("REC", "P1M", "P6M", component="recording")
    laws = {law.id: law for law in (VOICE, call, LONG)}
    assert list(rule_conflicts(schedule(whole, part), laws)) == []
    found = list(rule_conflicts(schedule(whole, {**part, "regimes": ["long"]}), laws))
    assert len(found) == 1
    assert "the maximum of voice (voice) ends on 2020-07-01, the minimum of long (long) lasts until 2030" in found[0]


# ---- caps, at once, and the rest of the language


@pytest.mark.parametrize(
    ("law", "cap", "lawful"),
    [
        (regime("law", minimum="P5Y"), "P4Y", False),
        (regime("law", minimum="P5Y"), "P5Y", True),
        (regime("law", maximum="P6Y"), "P7Y", False),
        (regime("law", maximum="P6Y"), "P6Y", True),
    ],
)
def test_a_cap_must_not_undercut_a_minimum_and_may_keep_within_a_maximum(law, cap, lawful):
    life = f"P9Y, at_the_latest: {{period: {cap}, trigger: ended_at}}"
    found = complaints(written("relationship_ended_at", life), law)
    assert [each.partition(" of law")[0] for each in found] == (
        [] if lawful else [f"f.yaml:7: R: undercuts the minimum {law.minimum[0].period}"] if law.minimum
        else [f"f.yaml:7: R: outlives the maximum {law.maximum[0].period}"]
    )  # fmt: skip


def test_a_cap_beside_never_is_refused():
    life = "never, at_the_latest: {period: P9Y, trigger: started_at}"
    why = "f.yaml:7: R: at_the_latest ends what never ends: expected purge_after and destroy_after to be periods"
    assert complaints(written(life=life).replace(", regimes: [law]", "")) == [why]


def test_at_once_undercuts_every_minimum_and_keeps_within_every_maximum():
    text = written(life="at_once").replace("purge_after: P1Y", "purge_after: at_once")
    at_once = regime("law", maximum="at_once")
    assert complaints(text, at_once) == []
    assert len(complaints(text.replace("destroy_after: at_once", "destroy_after: P1D"), at_once)) == 1
    (said,) = complaints(text, regime("law", minimum="P5Y"))
    assert "may go from 2020-01-02, the law asks for it until 2025-01-01" in said


def test_a_limit_that_hangs_on_more_than_its_trigger_is_left_to_the_night():
    for more in ({"only_if": "disputed"}, {"at_the_latest": {"period": "P6Y", "trigger": "started_at"}}):
        assert said(regime("law", minimum={"period": "P5Y", **more}), "P1Y") == []
    assert len(said(regime("law", minimum=["P5Y", {"period": "P6Y", "only_if": "disputed"}]), "P1Y")) == 1


# ---- everything at once

MANY = """\
industry: finance
matches: [Banking]
owner: o
timezone: Europe/Berlim
max_share: 2%
rules:
  - {id: A, title: t, trigger: ended_at, purge_after: 5y, destroy_after: P7Y}
  - {id: B, title: t, trigger: ended_at, purge_after: P5Y, destroy_after: P4Y, regimes: [Five, nowhere-at-all]}
  - {id: B, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y, regimes: [five], keepwhile: [x]}
  - {id: C, title: t, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y, regimes: [five]}
owner: p
"""


def test_all_that_is_wrong_with_a_schedule_is_said_at_once():
    assert [line.removeprefix("f.yaml:") for line in complaints(MANY, FIVE)] == [
        "11: the key 'owner' is repeated; the first stands in line 3",
        "4: timezone: expected a time zone of the IANA database such as Europe/Berlin, found 'Europe/Berlim'",
        "7: A: purge_after: expected an ISO 8601 period such as P5Y, P6M or P90D, found '5y'",
        "9: B: keepwhile: unknown key; did you mean keep_while?",
        "8: B: destroy_after P4Y ends before purge_after P5Y",
        "8: B: unknown regime 'Five'; did you mean five?",
        "8: B: unknown regime 'nowhere-at-all'; known: five",
        "10: C: outlives the maximum P5Y of five (five): triggered on 2020-01-01, the last copy goes on 2027-01-02, "
        "the law allows it until 2025-01-01",
    ]


def test_a_name_that_is_like_none_lists_few_and_counts_many():
    many = [regime(f"regime-{number}", minimum="P1Y") for number in range(9)]
    assert complaints(written(names="xyz"), *many) == [
        "f.yaml:7: R: unknown regime 'xyz'; none of the 9 there are is like it"
    ]


def test_the_line_at_which_a_file_claims_an_industry():
    text = "owner: o\nindustry: Finance\nmatches:\n  - Banking\n  - Straße\n"
    assert [claim_line("f", text, name) for name in ("banking", "strasse", "finance")] == [4, 5, 2]
    assert claim_line("f", text.replace("\n  - Banking\n  - Straße", " BANKING"), "banking") == 3
