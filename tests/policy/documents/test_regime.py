"""What a law asks for, and what a copy's life breaks of it: each said with the dates of a worked case."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import PolicyError
from lifecycle.policy.documents.regime import Regime, RegimeKind, RegimeLimit, read_regime
from lifecycle.policy.documents.regime_compliance import regime_breaches
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.period import RetentionPeriod
from tests.policy.build import kept_until, rule, schedule

LAW = """\
id: mifid
title: Records of telephone conversations
jurisdiction: EU
citation: 16(7)
evidence: as published
review_by: 2027-06-30
verified: text
kind: statute
trigger: ended_at
minimum: P5Y
maximum: P7Y
"""


def read(text: str) -> Regime:
    return read_regime(read_yaml_document("regimes/mifid.yaml", text))


def law(**bounds: str) -> Regime:
    lines = [line for line in LAW.splitlines() if not line.startswith(("minimum", "maximum"))]
    return read("\n".join([*lines, *(f"{name}: {period}" for name, period in bounds.items())]))


def broken(life: str, **bounds: str) -> list[str]:
    return said(law(**bounds), life)


def said(law: Regime, life: str) -> list[str]:
    told = schedule(rule("R", "P1D", life))
    return list(regime_breaches(law, told, told.rules[0]))


def test_a_regime_is_read_whole():
    assert read(LAW) == Regime.model_construct(
        id="mifid",
        title="Records of telephone conversations",
        jurisdiction="EU",
        citation="16(7)",
        evidence="as published",
        review_by=date(2027, 6, 30),
        verified="text",
        kind=RegimeKind.STATUTE,
        trigger=("ended_at",),
        minimum=(RegimeLimit(period="P5Y"),),
        maximum=(RegimeLimit(period="P7Y"),),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: mifid\n", "", "1: the key 'id' is missing"),
        ("title: Records of telephone conversations", "title: ''",
         "2: title: string should have at least 1 character, found ''"),
        ("citation: 16(7)\n", "", "1: the key 'citation' is missing"),
        ("evidence: as published\n", "", "1: the key 'evidence' is missing"),
        ("review_by: 2027-06-30\n", "", "1: the key 'review_by' is missing"),
        ("2027-06-30", "mid 2027", "6: review_by: input should be a valid date, found 'mid 2027'"),
        ("2027-06-30", "2027-06-31", "6: 2027-06-31 is no date of the calendar"),
        ("P5Y", "5y", "10: minimum: expected an ISO 8601 period such as P5Y, P6M or P90D, found '5y'"),
        ("P7Y", "never", "11: maximum: expected an ISO 8601 period such as P5Y, P6M or P90D, found 'never'"),
        ("maximum: P7Y", "minimum: P7Y", "11: the key 'minimum' is repeated; the first stands in line 10"),
        ("maximum: P7Y", "minimun: P7Y", "11: minimun: unknown key; did you mean minimum?"),
        ("minimum: P5Y\nmaximum: P7Y\n", "", "1: expected a minimum, a maximum or both, found neither"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_line(old, new, said):
    assert LAW.count(old) == 1
    with pytest.raises(PolicyError) as error:
        read(LAW.replace(old, new))
    assert str(error.value) == f"regimes/mifid.yaml:{said}"


@pytest.mark.parametrize("life", ["P5Y", "P60M", "P5Y1D", "P7Y", "P6Y364D"])
def test_a_life_between_minimum_and_maximum_breaks_nothing(life):
    assert broken(life, minimum="P5Y", maximum="P7Y") == []


def test_no_limit_is_broken_by_a_law_that_does_not_name_it():
    assert (broken("never", minimum="P5Y"), broken("P1D", maximum="P5Y")) == ([], [])


def test_a_minimum_is_undercut_with_both_dates():
    assert broken("P4Y11M", minimum="P5Y") == [
        "undercuts the minimum P5Y of mifid (16(7)): triggered on 2020-01-01, the last copy may go from 2024-12-02, "
        "the law asks for it until 2025-01-01"
    ]


def test_a_maximum_is_outlived_with_both_dates():
    assert broken("P1Y1M", maximum="P1Y") == [
        "outlives the maximum P1Y of mifid (16(7)): triggered on 2020-01-01, the last copy goes on 2021-02-02, "
        "the law allows it until 2021-01-01"
    ]


def test_for_ever_outlives_every_maximum():
    assert broken("never", minimum="P1Y", maximum="P10Y") == [
        "outlives the maximum P10Y of mifid (16(7)): triggered on 2020-01-01, the last copy goes never, "
        "the law allows it until 2030-01-01"
    ]


def test_a_breach_on_a_few_days_of_the_calendar_is_a_breach():
    assert broken("P365D", minimum="P1Y") == [
        "undercuts the minimum P1Y of mifid (16(7)): triggered on 2020-01-01, the last copy may go from 2021-01-01, "
        "the law asks for it until 2021-01-01"
    ]
    assert broken("P30D", maximum="P1M") == [
        "outlives the maximum P1M of mifid (16(7)): triggered on 2020-01-31, the last copy goes on 2020-03-02, "
        "the law allows it until 2020-02-29"
    ]
    assert broken("P36524D", minimum="P100Y") == [
        "undercuts the minimum P100Y of mifid (16(7)): triggered on 1970-01-01, the last copy may go from 2070-01-01, "
        "the law asks for it until 2070-01-01"
    ]


def test_nothing_satisfies_a_maximum_that_ends_before_the_minimum():
    said = broken("P2Y", minimum="P3Y", maximum="P1Y")
    assert [line.split(" of ")[0] for line in said] == ["undercuts the minimum P3Y", "outlives the maximum P1Y"]


PERIODS = st.tuples(st.integers(0, 26), st.integers(0, 65)).filter(any)
TRIGGERS = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@settings(max_examples=60)
@given(PERIODS, PERIODS, TRIGGERS)
def test_a_life_that_breaks_nothing_is_lawful_on_every_day(life, bound, trigger):
    text, period = str(RetentionPeriod(*bound)), str(RetentionPeriod(*life))
    if not said(law(minimum=text), period):
        assert kept_until(life, trigger) >= kept_until(bound, trigger)
    if not said(law(maximum=text), period):
        assert kept_until(life, trigger) <= kept_until(bound, trigger)
