"""Facts beside the archived calls: every row of them comes back, typed as it was read; none is another call's."""

from datetime import UTC, date, datetime

import pyarrow as pa

from lifecycle.evidence.archived_facts import FACTS, facts_of, with_facts

CALLS = pa.table({"_call_id": ["b", "a", "none"], "subject": ["x", "y", "z"]})
WHEN = pa.timestamp("us", "UTC")
GIVEN = pa.table(
    {
        "call_id": ["a", "b", "a", "stranger"],
        "industry": ["Banking", "Retail", "Retail", "Retail"],
        "ended_at": pa.array([datetime(2021, 3, day, 1, tzinfo=UTC) for day in (1, 2, 3, 4)], WHEN),
        "open_deal": [True, None, False, True],
        "deal": pa.array([["7"], [], [None, "8"], []], pa.list_(pa.string())),
        "erasure_requested_on": pa.array([date(2026, 1, 1)] * 4),
    }
)


def test_each_call_has_its_own_rows_and_a_request_is_not_kept():
    calls = with_facts(CALLS, GIVEN)
    assert calls.drop_columns([FACTS]).equals(CALLS)
    kept = GIVEN.drop_columns(["erasure_requested_on"])
    assert facts_of(calls).to_pylist() == [kept.to_pylist()[n] for n in (1, 0, 2)]
    assert facts_of(calls).schema.equals(kept.schema)


def test_calls_without_any_facts_and_batches_of_before_have_none():
    assert facts_of(with_facts(CALLS, GIVEN.slice(0, 0))).num_rows == 0
    assert facts_of(CALLS).to_pylist() == []
