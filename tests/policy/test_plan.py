"""The brake to the last call, the reasons a plan waits for, and the bytes that name it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.policy.canonical import canonical_json, sha256_hex
from lifecycle.policy.documents.schedule import Schedule
from lifecycle.policy.plan import (
    WHOLE_CALLS,
    Plan,
    PlannedCalls,
    ScheduleVersion,
    format_percent,
    reasons_to_wait,
    usual_night,
)
from tests.policy.build import rule, schedule


def waits(due: int, live: int, share: str = "2%") -> list[str]:
    return reasons(schedule(rule("R"), share=share), {"R": due}, live)


def reasons(law: Schedule, rules: dict[str, int], live: int) -> list[str]:
    """Of whole calls only."""
    return list(reasons_to_wait(law, {WHOLE_CALLS: sum(rules.values())}, rules, live))


def limited(usual: dict[str, float] | None = None, **limits: int) -> Callable[..., tuple[str, ...]]:
    """The reasons of a night under absolute limits: `limited(max_calls=5)(6)`."""
    law = schedule(rule("R"), share="100%").model_copy(update=limits)
    return lambda calls, **parts: reasons_to_wait(law, {WHOLE_CALLS: calls, **parts}, {}, 10**9, usual)


@pytest.mark.parametrize(
    ("share", "due", "live"),
    [("2%", 2, 100), ("2%", 0, 0), ("2%", 0, 100), ("2%", 1, 50), ("0.1%", 1, 1000), ("100%", 7, 7), ("7%", 7, 100),
     ("29%", 29, 100), ("0.07%", 7, 10000), ("33.3%", 333, 1000), ("2%", 20000000, 1000000000)],
)  # fmt: skip
def test_the_share_itself_may_go(share, due, live):
    assert waits(due, live, share) == []


@pytest.mark.parametrize(
    ("share", "due", "live", "said"),
    [
        ("2%", 3, 100, "3 of 100 live calls are due, 3.00%; max_share is 2%"),
        ("2%", 2, 99, "2 of 99 live calls are due, 2.02%; max_share is 2%"),
        ("2%", 1, 49, "1 of 49 live calls are due, 2.04%; max_share is 2%"),
        ("2%", 20000001, 1000000000, "20000001 of 1000000000 live calls are due, 2.00%; max_share is 2%"),
        ("0.5%", 6, 1000, "6 of 1000 live calls are due, 0.60%; max_share is 0.5%"),
        ("29%", 30, 100, "30 of 100 live calls are due, 30.00%; max_share is 29%"),
        ("2%", 1, 0, "1 of 0 live calls are due, 100.00%; max_share is 2%"),
        ("100%", 8, 7, "8 of 7 live calls are due, 114.29%; max_share is 100%"),
    ],
)
def test_one_call_more_trips_the_brake(share, due, live, said):
    assert waits(due, live, share) == [f"brake: {said}"]


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10_000))
def test_the_brake_is_exact_in_whole_numbers(due, live, basis_points):
    """due / live > share, without a fraction: 10 000 due > basis points × live."""
    share = f"{Decimal(basis_points) / 100}%"
    assert bool(waits(due, live, share)) == (10_000 * due > basis_points * live)


def test_the_brake_counts_the_calls_of_all_rules():
    both = schedule(rule("A"), rule("B"))
    assert reasons(both, {"A": 1, "B": 1}, 100) == []
    assert reasons(both, {"A": 2, "B": 1}, 100) == [
        "brake: 3 of 100 live calls are due, 3.00%; max_share is 2%",
    ]


def test_an_absolute_number_trips_the_brake_with_one_call_more():
    tonight = limited(max_calls=5)
    assert tonight(5) == ()
    assert tonight(6) == ("brake: 6 calls are due; max_calls is 5",)


def test_more_than_so_many_times_the_usual_night_trips_the_brake():
    tonight = limited({WHOLE_CALLS: 2.5}, max_usual=4)
    assert tonight(10) == ()
    assert tonight(11) == (
        "brake: 11 calls are due, the usual night has 2.5 and no approved change of the schedule explains it; "
        "max_usual is 4 times",
    )


def test_where_nothing_is_usual_yet_that_limit_says_nothing():
    assert limited({}, max_usual=2)(10**6) == limited(None, max_usual=2)(10**6) == ()
    assert limited({WHOLE_CALLS: 1})(10**6) == ()


def test_components_are_held_against_the_same_limits():
    tonight = limited({WHOLE_CALLS: 100, "recording": 2}, max_calls=50, max_usual=2)
    assert tonight(50, recording=4) == ()
    assert tonight(0, recording=51) == (
        "brake: 51 calls are due to lose their recording; max_calls is 50",
        "brake: 51 calls are due to lose their recording, the usual night has 2 and no approved change of the schedule "
        "explains it; max_usual is 2 times",
    )
    law = schedule(rule("R", review="required"))
    assert reasons_to_wait(law, {WHOLE_CALLS: 0, "recording": 3}, {"R": 3}, 100) == (
        "brake: 3 of 100 live calls are due to lose their recording, 3.00%; max_share is 2%",
        "review: R asks for one (3 calls)",
    )


def test_the_usual_number_of_a_component_is_its_own():
    nights = [night(7).model_copy(update={"components": {"recording": number}}) for number in (1, 2, 3, 4)]
    assert usual_night([*nights, night(7)]) == {WHOLE_CALLS: 7, "recording": 2}
    assert limited({WHOLE_CALLS: 7}, max_usual=2)(7, recording=2) == ()
    assert len(limited({WHOLE_CALLS: 7}, max_usual=2)(7, recording=3)) == 1  # no night took any of them


def night(due: int) -> Plan:
    return PLAN.model_copy(update={"due": due, "components": {}})


@pytest.mark.parametrize(
    ("due", "usual"),
    [
        ([], {}),
        ([9] * 4, {}),
        ([0] * 5, {WHOLE_CALLS: 1}),
        ([1, 2, 3, 4, 1000], {WHOLE_CALLS: 3}),
        ([1, 2, 3, 4, 5, 1000], {WHOLE_CALLS: 3.5}),
    ],
)
def test_the_usual_night_is_the_median_of_five_or_more_and_at_least_one_call(due, usual):
    assert usual_night([night(number) for number in due]) == usual


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=30), st.integers(0, 10**7), st.integers(2, 100))
def test_the_usual_limit_is_exact(before, due, times):
    usual = usual_night([night(number) for number in before])
    middle = sorted(before)[(len(before) - 1) // 2] + sorted(before)[len(before) // 2]
    assert bool(limited(usual, max_usual=times)(due)) == (2 * due > times * max(2, middle))


REVIEWED = schedule(rule("A", review="required"), rule("B", review="none"), rule("C", review="required"))


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ({}, ()),
        ({"B": 1}, ()),
        ({"A": 0, "B": 1}, ()),
        ({"A": 1}, ("review: A asks for one (1 calls)",)),
        ({"C": 1, "A": 1}, ("review: A asks for one (1 calls)", "review: C asks for one (1 calls)")),
        (
            {"A": 2, "B": 1},
            ("brake: 3 of 100 live calls are due, 3.00%; max_share is 2%", "review: A asks for one (2 calls)"),
        ),
    ],
)
def test_a_rule_that_asks_for_a_review_waits_when_its_calls_are_due(due, said):
    assert reasons(REVIEWED, due, 100) == list(said)


@pytest.mark.parametrize(
    ("share", "text"),
    [("0.02", "2%"), ("1", "100%"), ("0.1", "10%"), ("0.005", "0.5%"), ("0.0250", "2.5%"), ("0.333", "33.3%")],
)
def test_a_share_is_said_as_people_write_it(share, text):
    assert format_percent(Decimal(share)) == text


PLAN = Plan(
    night=date(2026, 11, 20),
    industry="finance",
    revision=1,
    source="demo",
    schedule=ScheduleVersion(id="finance", sha256="aa", git_commit="bf2d744", git_dirty=False, regimes_sha256="rr"),
    holds_sha256="bb",
    run_id="r-1",
    created_at=datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC),
    live=100,
    due=2,
    max_share="2%",
    dispositions={"retained": 98, "due": 2},
    rules={"FIN-CALL": 2},
    oldest_trigger=date(2021, 10, 31),
    overdue=1,
    waits_for=("review: FIN-CALL asks for one (2 calls)",),
    calls=PlannedCalls(key="plans/金.parquet", version_id=None, bytes=512, rows=2, sha256="cc"),
    components={"recording": 1},
    actor="schedule nightly",
    schedule_authors=("bob@example.com",),
    change_approved=False,
)
GOLDEN = (
    '{"actor":"schedule nightly","calls":{"bytes":512,"key":"plans/金.parquet","rows":2,"sha256":"cc",'
    '"version_id":null},"change_approved":false,'
    '"components":{"recording":1},'
    '"created_at":"2026-11-20T01:02:03Z","dispositions":{"due":2,"retained":98},"due":2,"holds_sha256":"bb",'
    '"industry":"finance","live":100,"max_share":"2%","night":"2026-11-20","oldest_trigger":"2021-10-31",'
    '"overdue":1,"revision":1,"rules":{"FIN-CALL":2},"run_id":"r-1",'
    '"schedule":{"git_commit":"bf2d744","git_dirty":false,"id":"finance","regimes_sha256":"rr","sha256":"aa"},'
    '"schedule_authors":["bob@example.com"],"source":"demo",'
    '"waits_for":["review: FIN-CALL asks for one (2 calls)"]}'
).encode()


def test_a_plan_has_these_bytes_and_this_name():
    assert PLAN.to_bytes() == GOLDEN
    assert PLAN.sha256 == "0e9b8a0641d022ed09a7b9b5759e6ca7ee665145426d6d6a715cd42366d8779e"


def test_a_plan_is_read_back():
    assert Plan.model_validate_json(GOLDEN) == PLAN


def test_a_plan_of_before_requesters_were_named_keeps_its_name():
    older = GOLDEN.replace(b'"actor":"schedule nightly",', b"").replace(b'"change_approved":false,', b"")
    older = older.replace(b'"components":{"recording":1},', b"")
    older = older.replace(b'"schedule_authors":["bob@example.com"],', b"")
    read = Plan.model_validate_json(older)
    assert (read.to_bytes(), read.actor) == (older, None)


def test_another_plan_has_another_name():
    others = [{"due": 3}, {"revision": 2}, {"calls": None}, {"waits_for": ()}, {"rules": {"FIN-CALL": 3}}]
    names = {PLAN.model_copy(update=other).sha256 for other in others}
    assert len(names - {PLAN.sha256}) == len(others)


def test_the_order_of_counts_does_not_change_the_name():
    assert PLAN.model_copy(update={"dispositions": {"due": 2, "retained": 98}}).sha256 == PLAN.sha256


def test_a_record_is_json_with_sorted_keys_no_blanks_and_no_escapes():
    record = {"b": [1, True, None, "é\n"], "a": {"z": "金", "y": {}}}
    assert canonical_json(record) == '{"a":{"y":{},"z":"金"},"b":[1,true,null,"é\\n"]}'.encode()
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match="Out of range float values"):
        canonical_json({"a": value})
