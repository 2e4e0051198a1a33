"""What five years means, by worked cases and by laws that hold for every date."""

from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifecycle.policy.period import RetentionPeriod
from tests.policy.build import day, kept_until

PERIODS = st.builds(RetentionPeriod, st.integers(0, 2400), st.integers(0, 3000)).filter(lambda p: p.months or p.days)
SHORT = st.builds(RetentionPeriod, st.integers(0, 30), st.integers(0, 40)).filter(lambda p: p.months or p.days)
DAYS = st.dates(date(1970, 1, 2), date(2400, 12, 31))
# where months are short, and where 29 February is, is not (2100) and is again (2400)
EDGES = st.builds(
    lambda year, month, shift: date(year, month, 1) + timedelta(shift),
    st.sampled_from([1971, 1972, 1999, 2000, 2023, 2024, 2096, 2100, 2104]),
    st.integers(1, 12),
    st.integers(-3, 2),
)
ANY_DAY = DAYS | EDGES


@pytest.mark.parametrize(
    ("period", "trigger", "last_day"),
    [
        ("P5Y", "2021-03-16", "2026-03-16"),
        ("P1Y", "2024-02-29", "2025-02-28"),
        ("P4Y", "2024-02-29", "2028-02-29"),
        ("P4Y", "2096-02-29", "2100-02-28"),
        ("P5Y", "2024-02-29", "2029-02-28"),
        ("P1Y", "2023-02-28", "2024-02-28"),
        ("P1Y", "2023-03-01", "2024-03-01"),
        ("P1M", "2026-01-31", "2026-02-28"),
        ("P1M", "2024-01-31", "2024-02-29"),
        ("P1M", "2026-01-28", "2026-02-28"),
        ("P1M", "2026-03-31", "2026-04-30"),
        ("P1M", "2026-04-30", "2026-05-30"),
        ("P1M", "2026-12-31", "2027-01-31"),
        ("P6M", "2025-08-31", "2026-02-28"),
        ("P13M", "2025-01-31", "2026-02-28"),
        ("P2M", "2026-12-31", "2027-02-28"),
        ("P2W", "2026-02-20", "2026-03-06"),
        ("P1D", "2026-12-31", "2027-01-01"),
        ("P30D", "2024-01-31", "2024-03-01"),
        ("P1M1D", "2026-01-31", "2026-03-01"),
        ("P1Y2M1W3D", "2025-01-31", "2026-04-10"),
        ("P200Y", "2024-02-29", "2224-02-29"),
    ],
)
def test_a_period_ends_on_the_same_day_of_a_later_month_or_its_last_one(period, trigger, last_day):
    assert RetentionPeriod.parse(period).last_day(day(trigger)) == day(last_day)


def test_months_are_added_once_as_a_whole():
    assert RetentionPeriod.parse("P2M").last_day(day("2026-01-31")) == day("2026-03-31")
    assert RetentionPeriod.parse("P1Y1M").last_day(day("2024-01-31")) == day("2025-02-28")


def test_a_call_of_16_march_2021_may_go_from_17_march_2026():
    assert RetentionPeriod.parse("P5Y").first_free_day(day("2021-03-16")) == day("2026-03-17")


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("P5Y", RetentionPeriod(60, 0)),
        ("P60M", RetentionPeriod(60, 0)),
        ("P1Y6M", RetentionPeriod(18, 0)),
        ("P2W", RetentionPeriod(0, 14)),
        ("P1Y2M3W4D", RetentionPeriod(14, 25)),
        ("P0Y1D", RetentionPeriod(0, 1)),
        ("P007D", RetentionPeriod(0, 7)),
        ("P200Y", RetentionPeriod(2400, 0)),
        ("P73200D", RetentionPeriod(0, 73200)),
    ],
)
def test_a_period_is_whole_years_months_weeks_and_days(text, period):
    assert RetentionPeriod.parse(text) == period


@pytest.mark.parametrize(
    "text",
    [
        "5y",
        "5Y",
        "-P1Y",
        "P-1Y",
        "+P1Y",
        "P",
        "P5",
        "PT5H",
        "P1DT1H",
        "P1.5Y",
        "P1,5Y",
        "p5y",
        "P5y",
        "P1D1Y",
        "P1M1Y",
        "P1Y1Y",
        "PY",
        "P1_0Y",
        "P５Y",
        "P5Y2021",
        "1/P1Y",
        "",
        " ",
        " P5Y",
        "P5Y ",
        "P 5Y",
        "P5Y\n",
        "five years",
        "never",
    ],
)
def test_what_is_no_period_is_refused_and_named(text):
    with pytest.raises(ValueError, match="expected an ISO 8601 period such as P5Y, P6M or P90D, found ") as error:
        RetentionPeriod.parse(text)
    assert str(error.value).endswith(repr(text))


@pytest.mark.parametrize("text", ["P0D", "P0Y", "P0Y0M0W0D"])
def test_a_period_is_longer_than_nothing(text):
    with pytest.raises(ValueError, match="expected a period longer than nothing") as error:
        RetentionPeriod.parse(text)
    assert str(error.value) == f"expected a period longer than nothing, found {text!r}"


@pytest.mark.parametrize("text", ["P201Y", "P2401M", "P200Y1M", "P73201D", "P99999999999999999999Y"])
def test_a_period_is_at_most_200_years(text):
    with pytest.raises(ValueError, match="expected at most 200 years") as error:
        RetentionPeriod.parse(text)
    assert str(error.value) == f"expected at most 200 years, found {text!r}; what is kept for ever says never"


@given(PERIODS)
def test_what_a_period_prints_is_read_back(period):
    assert RetentionPeriod.parse(str(period)) == period


@given(PERIODS, ANY_DAY)
def test_a_period_is_the_one_counted_month_by_month(period, trigger):
    assert period.last_day(trigger) == kept_until((period.months, period.days), trigger)


@given(st.integers(1, 200), DAYS)
def test_whole_years_replace_the_year_except_on_29_february(years, trigger):
    try:
        expected = trigger.replace(year=trigger.year + years)
    except ValueError:
        expected = date(trigger.year + years, 2, 28)
    assert RetentionPeriod(12 * years, 0).last_day(trigger) == expected


@given(PERIODS, ANY_DAY)
def test_the_first_free_day_follows_the_last_day(period, trigger):
    assert period.first_free_day(trigger) - period.last_day(trigger) == timedelta(days=1)


@given(PERIODS | SHORT, ANY_DAY, st.integers(1, 40))
def test_a_later_trigger_never_ends_earlier(period, trigger, later):
    assert period.last_day(trigger) <= period.last_day(trigger + timedelta(later))


@given(PERIODS, ANY_DAY)
def test_a_period_ends_after_its_trigger(period, trigger):
    assert period.last_day(trigger) > trigger


@example(RetentionPeriod(1, 0), date(2026, 3, 1))  # 28, 29, 30 and 31 January all end on 28 February
@example(RetentionPeriod(13, 2), date(2026, 3, 3))
@given(PERIODS | SHORT, EDGES | st.dates(date(1990, 1, 1), date(2200, 12, 31)))
def test_the_latest_trigger_is_the_last_that_is_free(period, as_of):
    cutoff = period.latest_trigger(as_of)
    around = [cutoff + timedelta(shift) for shift in range(-35, 36)]
    assert [t for t in around if kept_until((period.months, period.days), t) < as_of] == around[:36]


@given(PERIODS, ANY_DAY)
def test_the_calendar_repeats_every_400_years(period, trigger):
    end = period.last_day(trigger)
    again = period.last_day(trigger.replace(year=trigger.year + 400))
    assert again == end.replace(year=end.year + 400)
