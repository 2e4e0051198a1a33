"""Terms by the column end where they end by the day: on every day of years of every kind, and against the reference."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.policy.clock import Clock, CountingRule, Term
from lifecycle.policy.evaluation.term_columns import last_days
from lifecycle.policy.period import AT_ONCE, RetentionPeriod
from tests.policy.reference import last_day

EVERY_DAY = [date(1999, 12, 1) + timedelta(n) for n in range(0, 2 * 366)]  # 2000 has a 29 February
CENTURY = [date(2099, 12, 1) + timedelta(n) for n in range(120)]  # and 2100 has none
TEXTS = ["P1D", "P1M", "P6M", "P1Y", "P5Y", "P11M3D", "P30Y1D", "P100Y", "P2W", "P1Y1D", "P200Y"]
PERIODS = [AT_ONCE, *map(RetentionPeriod.parse, TEXTS)]


@pytest.mark.parametrize("count", CountingRule)
@pytest.mark.parametrize("year_ends", [(12, 31), (2, 29), (6, 30)])
def test_a_column_ends_where_each_day_of_it_does(count, year_ends):
    days = pa.array(EVERY_DAY + CENTURY, pa.date32())
    for period in PERIODS:
        term = Term(period, Clock(("ended_at",), count), year_ends)
        assert last_days(term, days).to_pylist() == [term.last_day(day) for day in EVERY_DAY + CENTURY]


@given(
    st.lists(st.dates(date(1880, 1, 1), date(2999, 12, 31)), max_size=6),
    st.sampled_from(PERIODS),
    st.sampled_from(list(CountingRule)),
    st.sampled_from([(12, 31), (2, 29), (3, 31)]),
)
def test_a_column_ends_where_counting_by_hand_does(days, period, count, year_ends):
    found = last_days(Term(period, Clock(("a",), count), year_ends), pa.array(days, pa.date32()))
    assert found.to_pylist() == [last_day(period, count, day, year_ends) for day in days]
