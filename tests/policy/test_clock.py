"""How a period is counted: worked cases of each counting, the calendar written once more, and the cutoff of a night."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.policy.clock import Clock, CountingRule, Term
from lifecycle.policy.period import RetentionPeriod
from tests.policy.build import day
from tests.policy.reference import last_day

ENDED = ("ended_at",)


def term(period: str, count: str = "after_event", year_ends: tuple[int, int] = (12, 31)) -> Term:
    return Term(RetentionPeriod.parse(period), Clock(ENDED, CountingRule(count)), year_ends)


@pytest.mark.parametrize(
    ("period", "count", "trigger", "last"),
    [
        ("P5Y", "after_event", "2021-03-16", "2026-03-16"),
        ("P5Y", "after_event", "2024-02-29", "2029-02-28"),
        ("P5Y", "from_event", "2020-07-31", "2025-07-30"),  # MLR 2017 reg. 40: beginning on the date
        ("P5Y", "from_event", "2024-02-29", "2029-02-28"),  # no double clamp
        ("P1M", "from_event", "2024-01-31", "2024-02-29"),
        ("P1M10D", "from_event", "2024-01-31", "2024-03-10"),
        ("P30D", "from_event", "2024-01-31", "2024-02-29"),
        ("P6Y", "year_end", "2021-01-01", "2027-12-31"),  # HGB section 257(5)
        ("P6Y", "year_end", "2020-12-31", "2026-12-31"),
        ("P6M", "year_end", "2020-12-31", "2021-06-30"),
        ("P2M", "year_end", "2022-05-05", "2023-02-28"),
        ("P23Y", "age", "1950-06-15", "1973-06-14"),
        ("P30Y", "age", "2004-02-29", "2034-02-28"),
    ],
)
def test_a_worked_case_of_each_counting(period, count, trigger, last):
    assert term(period, count).last_day(day(trigger)) == day(last)
    assert term(period, count).first_free_day(day(trigger)) == day(last) + timedelta(1)


@pytest.mark.parametrize(
    ("year_ends", "trigger", "last"),
    [
        ((3, 31), "2021-03-31", "2026-03-31"),
        ((3, 31), "2021-04-01", "2027-03-31"),
        ((2, 29), "2023-03-01", "2029-02-28"),  # ends on 2024-02-29; five years on there is none
        ((2, 29), "2022-12-01", "2028-02-28"),  # ends on 2023-02-28
        ((12, 31), "2021-12-31", "2026-12-31"),
        ((6, 15), "2021-06-16", "2027-06-15"),
    ],
)
def test_a_fiscal_year_ends_where_the_company_says(year_ends, trigger, last):
    assert term("P5Y", "fiscal_year_end", year_ends).last_day(day(trigger)) == day(last)
    assert term("P5Y", "year_end", year_ends).last_day(day(trigger)) == day(f"{int(trigger[:4]) + 5}-12-31")


COUNTS = st.sampled_from(list(CountingRule))
PERIODS = st.tuples(st.integers(0, 40), st.integers(0, 65)).filter(any)
ENDS = st.sampled_from([(12, 31), (2, 29), (2, 28), (4, 30), (3, 31), (6, 15)])
DAYS = st.dates(date(1990, 1, 1), date(2040, 12, 31))


@settings(max_examples=300)
@given(PERIODS, COUNTS, ENDS, DAYS)
def test_the_calendar_counted_day_by_day_agrees(bound, count, year_ends, trigger):
    period = RetentionPeriod(*bound)
    assert Term(period, Clock(ENDED, count), year_ends).last_day(trigger) == last_day(period, count, trigger, year_ends)


@settings(max_examples=300)
@given(PERIODS, COUNTS, ENDS, DAYS)
def test_the_cutoff_is_the_latest_trigger_that_is_free(bound, count, year_ends, as_of):
    counted = Term(RetentionPeriod(*bound), Clock(ENDED, count), year_ends)
    latest = counted.latest_trigger(as_of)
    assert counted.first_free_day(latest) <= as_of < counted.first_free_day(latest + timedelta(1))


@given(PERIODS, COUNTS, ENDS, DAYS)
def test_a_later_event_never_ends_earlier(bound, count, year_ends, trigger):
    counted = Term(RetentionPeriod(*bound), Clock(ENDED, count), year_ends)
    assert counted.last_day(trigger) <= counted.last_day(trigger + timedelta(1))


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        (Clock(ENDED), "ended_at"),
        (Clock(("a", "b")), "the later of a and b"),
        (Clock(ENDED, CountingRule.YEAR_END), "ended_at (year_end)"),
    ],
)
def test_a_clock_is_read_aloud(clock, text):
    assert clock.text == text


def test_only_a_birth_may_lie_before_1970():
    assert (Clock(ENDED).earliest, Clock(ENDED, CountingRule.AGE).earliest) == (date(1970, 1, 2), date(1880, 1, 1))
