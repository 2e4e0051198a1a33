"""What makes a schedule unlawful: each error of a schedule file, at its line; and which schedule an industry has."""

import hashlib
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import PolicyError
from lifecycle.policy.clock import Clock, Term
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.regime import read_regime
from lifecycle.policy.documents.regime_compliance import first_trigger_ending_before
from lifecycle.policy.documents.schedule import Example, Rule, Schedule, collect_schedules
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.period import RetentionPeriod
from tests.policy.build import day, kept_until, rule, schedule, schedules

REGIME = """{id: mifid, title: t, jurisdiction: EU, citation: 16(7), evidence: e, verified: text, kind: statute,
  review_by: 2027-06-30, trigger: ended_at, minimum: P5Y}"""
REGIMES = {"mifid": read_regime(read_yaml_document("regimes/mifid.yaml", REGIME))}
LAWFUL = """\
industry: finance
matches: [Banking, Financial Services, 金融]
owner: records@example.com
timezone: Europe/Berlin
max_share: 2%
rules:
  - id: FIN-ORDER
    title: Calls about client orders
    when: {record_class: [order, advice]}
    trigger: ended_at
    purge_after: P5Y
    destroy_after: P7Y
    regimes: [mifid]
    keep_while: [open_deal, open_task]
    review: required
  - id: FIN-REST
    title: The rest
    trigger: ended_at
    purge_after: P10Y
    destroy_after: never
examples:
  - {ended_at: 2021-03-16, record_class: order, purge_from: 2026-03-17, destroy_from: never}
"""


def read(text: str) -> Schedule:
    return read_schedule("finance.yaml", text, REGIMES)


def complaints(old: str, new: str) -> list[str]:
    """What is said of the lawful schedule with one line changed, without the file's name."""
    assert LAWFUL.count(old) == 1
    with pytest.raises(PolicyError) as error:
        read(LAWFUL.replace(old, new))
    lines = str(error.value).splitlines()
    assert all(line.startswith("finance.yaml:") for line in lines)
    return [line.removeprefix("finance.yaml:") for line in lines]


def test_a_lawful_schedule_is_read_whole():
    order = {
        "id": "FIN-ORDER", "title": "Calls about client orders", "when": {"record_class": ("order", "advice")},
        "trigger": ("ended_at",), "purge_after": RetentionPeriod(60, 0), "destroy_after": RetentionPeriod(84, 0),
        "regimes": ("mifid",), "keep_while": ("open_deal", "open_task"), "review": "required",
    }  # fmt: skip
    rest = {
        "id": "FIN-REST", "title": "The rest", "trigger": ("ended_at",), "purge_after": RetentionPeriod(120, 0),
        "destroy_after": None, "when": {}, "regimes": (), "keep_while": (), "review": "none",
    }  # fmt: skip
    facts = {"ended_at": date(2021, 3, 16), "record_class": "order"}
    assert read(LAWFUL) == Schedule.model_construct(
        industry="finance",
        matches=("Banking", "Financial Services", "金融"),
        owner="records@example.com",
        timezone=ZoneInfo("Europe/Berlin"),
        max_share=Decimal("0.02"),
        rules=(Rule.model_construct(**order), Rule.model_construct(**rest)),
        examples=(Example.model_construct(facts=facts, purge_from=date(2026, 3, 17), destroy_from=None),),
        sha256=hashlib.sha256(LAWFUL.encode()).hexdigest(),
    )


PERIOD = "expected an ISO 8601 period such as P5Y, P6M or P90D, found"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5y", f"{PERIOD} '5y'"),
        ("-P1Y", f"{PERIOD} '-P1Y'"),
        ("P0D", "expected a period longer than nothing, found 'P0D'"),
        ("P5", f"{PERIOD} 'P5'"),
        ("P", f"{PERIOD} 'P'"),
        ("PT5H", f"{PERIOD} 'PT5H'"),
        ("P1.5Y", f"{PERIOD} 'P1.5Y'"),
        ("''", f"{PERIOD} ''"),
        ("", f"{PERIOD} None"),
        ("5", f"{PERIOD} 5"),
        ("Never", f"{PERIOD} 'Never'"),
        ("[P5Y]", f"{PERIOD} ['P5Y']"),
        ("P201Y", "expected at most 200 years, found 'P201Y'; what is kept for ever says never"),
    ],
)
def test_a_period_that_cannot_be_read_is_refused_at_its_line(written, said):
    old = "purge_after: P5Y"
    assert complaints(old, f"purge_after: {written}") == [f"11: FIN-ORDER: purge_after: {said}"]
    assert complaints("destroy_after: P7Y", f"destroy_after: {written}") == [f"12: FIN-ORDER: destroy_after: {said}"]


SHARE = "expected a share such as 2% or 0.5%, found"
RANGE = "expected a share above 0% and up to 100%, found"
ZONE = "expected a time zone of the IANA database such as Europe/Berlin, found"
NAME = "string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$', found"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("industry: finance", "industry: ' '", f"1: industry: {NAME} ' '"),
        ("industry: finance\n", "", "1: the key 'industry' is missing"),
        ("industry: finance", "industri: finance",
         ["1: the key 'industry' is missing", "1: industri: unknown key; did you mean industry?"]),
        ("[Banking, Financial Services, 金融]", "[]", "2: matches: expected at least one value, found an empty list"),
        ("[Banking, Financial Services, 金融]", "[Banking, '']", "2: matches: expected a value, found a blank text"),
        ("Financial Services", "true", "2: matches: expected a text or a whole number, found True"),
        ("records@example.com", "", "3: owner: input should be a valid string, found None"),
        ("records@example.com", "{a: b}", "3: owner: input should be a valid string, found {'a': 'b'}"),
        ("Europe/Berlin", "Europe/Berlim", f"4: timezone: {ZONE} 'Europe/Berlim'"),
        ("Europe/Berlin", "Europe", f"4: timezone: {ZONE} 'Europe'"),
        ("Europe/Berlin", "", f"4: timezone: {ZONE} None"),
        ("Europe/Berlin", "../../etc/passwd", f"4: timezone: {ZONE} '../../etc/passwd'"),
        ("max_share: 2%", "max_share: 2", f"5: max_share: {SHARE} 2"),
        ("max_share: 2%", "max_share: 0.02", f"5: max_share: {SHARE} '0.02'"),
        ("max_share: 2%", "max_share: two%", f"5: max_share: {SHARE} 'two%'"),
        ("max_share: 2%", "max_share: NaN%", f"5: max_share: {SHARE} 'NaN%'"),
        ("max_share: 2%", "max_share: inf%", f"5: max_share: {SHARE} 'inf%'"),
        ("max_share: 2%", "max_share: 0%", f"5: max_share: {RANGE} '0%'"),
        ("max_share: 2%", "max_share: -1%", f"5: max_share: {RANGE} '-1%'"),
        ("max_share: 2%", "max_share: 100.1%", f"5: max_share: {RANGE} '100.1%'"),
        ("max_share: 2%", "max_share: 2%\nmax_share: 3%",
         "6: the key 'max_share' is repeated; the first stands in line 5"),
        ("max_share: 2%", "max_share: 2%\nsha256: abc", "6: sha256: unknown key"),
        ("id: FIN-ORDER", "id: FIN ORDER", f"7: FIN ORDER: id: {NAME} 'FIN ORDER'"),
        ("- id: FIN-ORDER\n    title", "- title", "7: rules 1: the key 'id' is missing"),
        ("id: FIN-REST", "id: FIN-ORDER", "16: expected distinct rule ids, found FIN-ORDER more than once"),
        ("{record_class: [order, advice]}", "[order]",
         "9: FIN-ORDER: when: input should be a valid dictionary, found ['order']"),
        (
            "{record_class: [order, advice]}",
            "{record_class: []}",
            "9: FIN-ORDER: when.record_class: expected at least one value, found an empty list",
        ),
        (
            "{record_class: [order, advice]}",
            "{record_class: order, record_class: advice}",
            "9: the key 'record_class' is repeated; the first stands in line 9",
        ),
        ("trigger: ended_at\n    purge_after: P5Y", "purge_after: P5Y", "7: FIN-ORDER: the key 'trigger' is missing"),
        ("    purge_after: P5Y\n", "", "7: FIN-ORDER: the key 'purge_after' is missing"),
        ("    destroy_after: P7Y\n", "", "7: FIN-ORDER: the key 'destroy_after' is missing"),
        ("    purge_after: P5Y\n", "    purge_afer: P5Y\n    purge_after: P5Y\n",
         "11: FIN-ORDER: purge_afer: unknown key; did you mean purge_after?"),
        (
            "    purge_after: P5Y\n",
            "    purge_after: P5Y\n    purge_after: P1Y\n",
            "12: the key 'purge_after' is repeated; the first stands in line 11",
        ),
        ("P7Y", "P4Y", [
            "12: FIN-ORDER: destroy_after P4Y ends before purge_after P5Y",
            "12: FIN-ORDER: undercuts the minimum P5Y of mifid (16(7)): triggered on 2020-01-01, the last copy may go "
            "from 2024-01-02, the law asks for it until 2025-01-01",
        ]),
        ("[mifid]", "[mifid, mifid2]", "13: FIN-ORDER: unknown regime 'mifid2'; did you mean mifid?"),
        ("[mifid]", "mifid", "13: FIN-ORDER: regimes: input should be a valid tuple, found 'mifid'"),
        (
            "[open_deal, open_task]",
            "[open_deal, '']",
            f"14: FIN-ORDER: keep_while 2: {NAME} ''",
        ),
        ("review: required", "review: yes", "15: FIN-ORDER: review: input should be 'none' or 'required', found 'yes'"),
        (
            "destroy_after: never",
            "destroy_after: P9Y11M",
            "20: FIN-REST: destroy_after P9Y11M ends before purge_after P10Y",
        ),
        (
            ", destroy_from: never}",
            "}",
            "22: examples 1: expected facts with purge_from and destroy_from (a date or never), found "
            "{'ended_at': datetime.date(2021, 3, 16), 'record_class': 'order', "
            "'purge_from': datetime.date(2026, 3, 17)}",
        ),
        (
            "destroy_from: never",
            "destroy_from: soon",
            "22: examples 1: destroy_from: input should be a valid date, found 'soon'",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(old, new, said):
    assert complaints(old, new) == ([said] if isinstance(said, str) else said)


def test_a_call_may_stay_for_ever_where_its_copy_does():
    assert read(LAWFUL.replace("purge_after: P10Y", "purge_after: never")).rules[1].purge_after is None


@pytest.mark.parametrize("text", ["[]", "finance", "- industry: finance"])
def test_a_schedule_is_a_mapping(text):
    with pytest.raises(PolicyError, match=r"^finance.yaml:1: input should be a valid dictionary"):
        read(text)


def test_a_schedule_has_a_rule():
    head = LAWFUL[: LAWFUL.index("rules:")]
    with pytest.raises(PolicyError) as error:
        read(f"{head}rules: []\n")
    assert str(error.value) == "finance.yaml:6: rules: expected at least one rule, found none"


def test_an_unlimited_stay_asks_for_an_unlimited_copy():
    said = ["20: FIN-REST: destroy_after P10Y ends before purge_after never"]
    rest = "purge_after: P10Y\n    destroy_after: never"
    assert complaints(rest, "purge_after: never\n    destroy_after: P10Y") == said


def test_every_unlawful_rule_of_a_file_is_named():
    text = LAWFUL.replace("P7Y", "P1Y").replace("destroy_after: never", "destroy_after: P1Y\n    regimes: [x]")
    with pytest.raises(PolicyError) as error:
        read(text)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["12", "12", "20", "21"]


@pytest.mark.parametrize(
    ("destroy", "purge", "lawful"),
    [
        ("P1M", "P1M", True),
        ("P1M", "P28D", True),
        ("P1M", "P29D", False),  # February
        ("P1M", "P30D", False),
        ("P30D", "P1M", False),  # a month of 31 days
        ("P31D", "P1M", True),
        ("P1Y", "P365D", True),
        ("P1Y", "P366D", False),
        ("P365D", "P1Y", False),
        ("P366D", "P1Y", True),
        ("P2M", "P59D", True),
        ("P2M", "P60D", False),
        ("P61D", "P2M", False),  # July and August
        ("P62D", "P2M", True),
        ("P1Y", "P12M", True),
        ("P4W", "P28D", True),
        ("P4Y", "P1460D", True),
        ("P4Y", "P1461D", False),  # 2096 to 2100: a century without a leap day
        ("P1461D", "P4Y", True),
        ("P36524D", "P100Y", False),  # 1970 to 2070: 36525 days
        ("P36525D", "P100Y", True),
        ("P1M1D", "P1M", True),
        ("P1M", "P1M1D", False),
    ],
)
def test_no_copy_ends_before_the_call_on_any_day_of_the_calendar(destroy, purge, lawful):
    text = LAWFUL.replace("P10Y", purge).replace("destroy_after: never", f"destroy_after: {destroy}")
    if lawful:
        assert read(text).rules[1].destroy_after == RetentionPeriod.parse(destroy)
        return
    with pytest.raises(PolicyError) as error:
        read(text)
    parsed = (RetentionPeriod.parse(period) for period in (destroy, purge))
    said = "finance.yaml:20: FIN-REST: destroy_after {} ends before purge_after {}".format(*parsed)
    assert str(error.value) == said


MONTHS = st.integers(0, 50)
PERIODS = st.builds(lambda months, shift: (months, shift), MONTHS, st.integers(0, 70))


@given(PERIODS, PERIODS, st.dates(date(1970, 1, 2), date(2399, 12, 31)))
def test_a_period_never_found_shorter_is_never_shorter(first, second, trigger):
    day_found = first_trigger_ending_before(
        *(Term(RetentionPeriod(*each), Clock(("ended_at",))) for each in (first, second))
    )
    if day_found is None:
        assert kept_until(first, trigger) >= kept_until(second, trigger)
    else:
        assert kept_until(first, day_found) < kept_until(second, day_found)


@pytest.mark.parametrize(
    ("matches", "written"),
    [
        ("Banking", "  bANKING\t"),
        (" Banking ", "Banking"),
        ("金融", " 金融　"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("İnşaat", "i̇nşaat"),
        ("ΤΡΑΠΕΖΑΣ", "τραπεζας"),
        ("ﬁnance", "FINANCE"),
        (4711, "4711"),
        ("Banking", "Finance"),
    ],
)
def test_an_industry_is_compared_trimmed_and_case_folded(matches, written):
    found = schedule(rule(), matches=matches)
    assert schedules(found).of(written) == found


@pytest.mark.parametrize(
    ("matches", "written"),
    [
        ("Banking", "Bank ing"),
        ("Banking", "Bankin"),
        ("Banking", ""),
        ("Banking", "  "),
        ("Banking", None),
        ("İnşaat", "inşaat"),
        ("Inşaat", "ınşaat"),
        ("Banking", "Вanking"),
    ],
)
def test_an_industry_that_is_not_written_so_has_no_schedule(matches, written):
    assert schedules(schedule(rule(), matches=matches)).of(written) is None


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("Banking", "BANKING ", "banking"),
        ("Straße", "strasse", "strasse"),
        ("retail", "x", "retail"),  # one matches what the other is named
        (["a", "b", "c"], ["c", "d", "b"], "b"),
    ],
)
def test_two_files_that_match_one_industry_are_both_broken(one, other, shared):
    finance, retail = schedule(rule(), matches=one), schedule(rule(), industry="retail", matches=other)
    telecom = schedule(rule(), industry="telecom", matches="Telecom")
    found = collect_schedules(
        {"finance.yaml": finance, "retail.yaml": retail, "telecom.yaml": telecom}, {"x.yaml": "x.yaml:1: no"}
    )
    assert found.by_industry == {"telecom": telecom}
    assert found.broken == {
        "x.yaml": "x.yaml:1: no",
        "finance.yaml": f"finance.yaml:1: the industry {shared!r} is also matched by retail.yaml:1",
        "retail.yaml": f"retail.yaml:1: the industry {shared!r} is also matched by finance.yaml:1",
    }


def test_one_file_may_name_an_industry_twice():
    found = collect_schedules({"finance.yaml": schedule(rule(), matches=["Banking", "BANKING", "finance"])}, {})
    assert (list(found.by_industry), found.broken) == (["finance"], {})


def test_the_digest_is_that_of_the_text():
    assert read(LAWFUL + "# a remark\n").sha256 == hashlib.sha256((LAWFUL + "# a remark\n").encode()).hexdigest()


def test_an_example_keeps_its_facts_and_its_dates():
    example = Example.model_validate({"ended_at": day("2021-03-16"), "purge_from": "never", "destroy_from": "never"})
    assert example == Example.model_construct(
        facts={"ended_at": day("2021-03-16")}, component=None, purge_from=None, destroy_from=None
    )
