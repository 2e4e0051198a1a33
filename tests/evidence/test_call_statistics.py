"""Statistics of calls: what is counted, how exactly, and that no published group is small, nor can be worked out."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import FixityError
from lifecycle.evidence.call_statistics import (
    add_up,
    count_calls,
    empty_statistics,
    read_statistics_bytes,
    statistics_bytes,
)
from lifecycle.evidence.duration_buckets import EDGES, bucket_of, percentile
from lifecycle.evidence.group_suppression import large_groups, made_large, without_groups

BERLIN, MOMENT = ZoneInfo("Europe/Berlin"), datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
TIMES = pa.timestamp("us", "UTC")


def facts(*rows: dict) -> pa.Table:
    kinds = {"started_at": TIMES, "ended_at": TIMES}
    names = ("call_id", "started_at", "ended_at", "agent_id")
    return pa.table({n: pa.array([row.get(n) for row in rows], kinds.get(n, pa.string())) for n in names})


def counted(*rows: dict, by: tuple[str, ...] = ("agent_id",)) -> list[tuple]:
    found = count_calls(facts(*rows), pa.array(["bank"] * len(rows), pa.string()), by, BERLIN)
    return [tuple(row.values()) for row in found.to_pylist()]


def call(name: str, seconds: float | None = 0, agent: str | None = "7", at: datetime | None = MOMENT) -> dict:
    ended = None if seconds is None or at is None else at + timedelta(seconds=seconds)
    return {"call_id": name, "started_at": at, "ended_at": ended, "agent_id": agent}


def test_a_call_counts_on_the_day_on_which_it_began_where_the_crm_is():
    assert counted(call("c-1", 61.9)) == [("2026-05-02", "bank", "7", 60, 1, 61)]


def test_a_call_of_several_rows_counts_once():
    assert counted(call("c-1", 5, "8"), call("c-1", 5, "7")) == [("2026-05-02", "bank", "7", 5, 1, 5)]


@pytest.mark.parametrize("odd", [call("c-1", None), call("c-1", -1)])
def test_a_call_of_which_nobody_knows_how_long_it_was_counts_without_duration(odd):
    assert counted(odd) == [("2026-05-02", "bank", "7", None, 1, 0)]


def test_a_value_cannot_pass_for_what_is_withheld_and_a_fact_that_is_not_given_is_unknown():
    assert counted(call("c-1", 0, "*"), by=("agent_id", "outcome")) == [("2026-05-02", "bank", "(*)", None, 0, 1, 0)]


def test_other_bytes_are_no_statistics():
    assert read_statistics_bytes("s", statistics_bytes(empty_statistics())).equals(empty_statistics())
    with pytest.raises(FixityError, match="statistics s: expected an Arrow stream"):
        read_statistics_bytes("s", b"x")


@given(st.lists(st.integers(0, EDGES[-1] - 1), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.95]))
def test_a_percentile_is_exact_up_to_twenty_seconds_and_within_five_percent_beyond(durations, share):
    true = sorted(durations)[max(0, -(-round(share * 1000) * len(durations) // 1000) - 1)]
    found = percentile([(bucket_of(each), 1) for each in durations], share)
    assert found is not None
    assert found == true if true < 20 else abs(found - true) <= 0.05 * true


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["2026-05-01", "2026-05-02", "2026-06-01", "2027-01-01", None]),
        st.sampled_from(["bank", "shop"]),
        st.sampled_from(["1", "2", "3", None]),
        st.sampled_from(["in", "out"]),
        st.sampled_from([0, 5, 100, None]),
        st.integers(1, 4),
    ),
    max_size=40,
)


def table(rows: list[tuple]) -> pa.Table:
    names = ("period", "industry", "agent_id", "direction", "from_seconds", "calls")
    kinds = [pa.string()] * 4 + [pa.int32(), pa.int64()]
    columns = {n: pa.array([r[i] for r in rows], kinds[i]) for i, n in enumerate(names)}
    seconds = [(row[4] or 0) * row[5] for row in rows]
    return add_up([pa.table({**columns, "seconds": pa.array(seconds, pa.int64())})])


def totals(found: pa.Table) -> dict[tuple, int]:
    sums: dict[tuple, int] = {}
    for row in found.to_pylist():
        key = tuple(row[name] for name in ("period", "industry", "agent_id", "direction"))
        sums[key] = sums.get(key, 0) + row["calls"]
    return sums


@given(ROWS, st.integers(1, 12))
def test_no_group_is_small_and_no_call_is_lost_or_counted_twice(rows, size):
    whole = table(rows)
    large, rest = made_large(whole, size)
    assert all(calls >= size for calls in totals(large).values())
    assert sum(totals(rest).values()) < size
    for name in ("calls", "seconds"):
        assert sum(large[name].to_pylist()) + sum(rest[name].to_pylist()) == sum(whole[name].to_pylist())
    assert set(totals(rest)) <= {("*", "*", "*", "*")}  # what waits on says nothing but how many, and how long


@given(ROWS, ROWS, st.integers(2, 12))
def test_what_two_publications_differ_by_is_no_small_group(first, second, size):
    """Each is a set of whole groups, so is their difference: nobody can subtract his way to a few calls."""
    earlier, rest = large_groups(table(first), size)
    later, _ = large_groups(add_up([rest, table(second)]), size)
    assert all(calls >= size for calls in totals(later).values())
    groups = list(totals(add_up([earlier, later])).values())[:6]
    chosen = [sum(some) for n in range(1, len(groups) + 1) for some in combinations(groups, n)]
    assert all(calls >= size for calls in chosen)


@given(ROWS, st.integers(1, 12))
def test_the_large_and_the_small_are_all_there_is(rows, size):
    whole = table(rows)
    large, small = large_groups(whole, size)
    assert add_up([large, small]).equals(whole)
    assert without_groups(whole, large).equals(small)
