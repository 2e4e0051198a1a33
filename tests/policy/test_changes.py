"""An edit in words: what can only keep longer needs nobody, everything else needs a person."""

from typing import Any

import pytest

from lifecycle.policy.changes import PolicyChange, policy_changes
from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Schedule, Schedules
from tests.policy.build import NO_HOLDS, day, hold, holds, regime, rule, schedule, schedules


def edit(before: Schedules, after: Schedules, held: tuple[Holds, Holds] = (NO_HOLDS, NO_HOLDS)) -> list[PolicyChange]:
    return list(policy_changes(before, after, held))


def of(*rules: dict[str, Any], **more: Any) -> Schedules:
    return schedules(schedule(*rules, **more))


def looks(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, bool]]:
    """What of one rule differs, and whether a person must look."""
    return [(change.place, change.look) for change in edit(of({**rule(), **before}), of({**rule(), **after}))]


def test_nothing_differs_where_nothing_is_meant_otherwise():
    assert looks({}, {}) == looks({"title": "a"}, {"title": "b"}) == []
    assert edit(of(rule()), schedules(schedule(rule()).model_copy(update={"owner": "b", "sha256": "c"}))) == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"purge_after": "P5Y"}, {"purge_after": "P6Y"}, [("R: purge_after", False)]),
        ({"purge_after": "P5Y"}, {"purge_after": "P4Y"}, [("R: purge_after", True)]),
        ({"purge_after": "P1M"}, {"purge_after": "P30D"}, [("R: purge_after", True)]),  # after 31-day months
        ({"purge_after": "P31D"}, {"purge_after": "P1M"}, [("R: purge_after", True)]),  # after short ones
        ({"destroy_after": "never"}, {"destroy_after": "P9Y"}, [("R: destroy_after", True)]),
        ({"destroy_after": "P7Y"}, {"destroy_after": "never"}, [("R: destroy_after", False)]),
        ({"keep_while": []}, {"keep_while": ["open_deal"]}, [("R: keep_while", False)]),
        ({"keep_while": ["open_deal"]}, {"keep_while": []}, [("R: keep_while", True)]),
        ({"review": "none"}, {"review": "required"}, [("R: review", False)]),
        ({"review": "required"}, {"review": "none"}, [("R: review", True)]),
        ({"on_erasure": "wait"}, {"on_erasure": "floor"}, [("R: on_erasure", True)]),
        ({"regimes": ["a"]}, {"regimes": ["a", "b"]}, [("R: regimes", False)]),
        ({"regimes": ["a"]}, {"regimes": []}, [("R: regimes", True)]),
        ({"when": {"record_class": "order"}}, {"when": {}}, [("R: when", True)]),
        ({"when": {}}, {"when": {"record_class": "order"}}, [("R: when", True)]),
        ({"trigger": "ended_at"}, {"trigger": "started_at"}, [("R: trigger", True)]),
        ({"count": "after_event"}, {"count": "year_end"}, [("R: count", True)]),
        ({}, {"component": "recording"}, [("R: component", True)]),
        ({"trigger": {"later_of": ["a", "b"]}}, {"trigger": {"earlier_of": ["a", "b"]}}, [("R: trigger", True)]),
        ({}, {"at_the_latest": {"period": "P9Y", "trigger": "a"}}, [("R: at_the_latest", True)]),
        ({"at_the_latest": {"period": "P9Y", "trigger": "a"}}, {}, [("R: at_the_latest", False)]),
        ({}, {"only_if": "disputed"}, [("R: only_if", True)]),
        ({"purge_after": "P1D"}, {"purge_after": "at_once"}, [("R: purge_after", True)]),
        ({"purge_after": "at_once"}, {"purge_after": "P1D"}, [("R: purge_after", False)]),
    ],
)
def test_a_rule_that_can_only_keep_longer_needs_nobody(before, after, expected):
    assert looks(before, after) == expected


def test_a_year_end_is_never_earlier_than_the_event_itself():
    other = {"trigger": "started_at", "purge_after": "P6Y"}
    assert looks({}, other) == [("R: trigger", True), ("R: purge_after", True)]  # no day to hold one against the other
    assert looks({}, {"count": "year_end", "purge_after": "P6Y"}) == [("R: count", True), ("R: purge_after", False)]


def test_rules_and_schedules_that_come_or_go_need_a_person():
    both = of(rule("A", when={"record_class": "order"}), rule("B"))
    (gone,) = edit(both, of(rule("B")))
    assert gone == PolicyChange("finance", "A", "record_class: order; ended_at + P5Y", "absent", True)
    (new,) = edit(of(rule("B")), both)
    assert (new.place, new.before, new.look) == ("A", "absent", True)
    (closed,) = edit(both, Schedules({}, {}))
    assert closed == PolicyChange("finance", "schedule", "in use", "none in use", True)


@pytest.mark.parametrize(
    ("field", "before", "after", "look"),
    [
        ("max_share", "2%", "1%", False), ("max_share", "1%", "2%", True),
        ("max_calls", None, 10, False), ("max_calls", 10, None, True), ("max_calls", 10, 5, False),
        ("matches", ["a"], ["a", "b"], True), ("matches", ["a", "b"], ["a"], True),
        ("timezone", "UTC", "Asia/Tokyo", True),
    ],
)  # fmt: skip
def test_a_brake_may_tighten_and_a_selector_may_not_move(field, before, after, look):
    plain = {"industry": "finance", "matches": "Banking", "owner": "o", "timezone": "UTC", "max_share": "2%"}
    old, new = (Schedule.model_validate({**plain, "rules": [rule()], field: value}) for value in (before, after))
    assert [(c.place, c.look) for c in edit(schedules(old), schedules(new))] == [(field, look)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"minimum": "P5Y"}, {"minimum": "P6Y"}, [("minimum", False)]),
        ({"minimum": "P5Y"}, {"minimum": "P4Y"}, [("minimum", True)]),
        ({"minimum": ["P5Y", "P6M"]}, {"minimum": "P5Y"}, [("minimum", False)]),
        ({"minimum": ["P5Y", {"period": "P6M", "trigger": "started_at"}]}, {"minimum": "P5Y"}, [("minimum", True)]),
        ({"minimum": "P5Y"}, {"minimum": "P5Y", "maximum": "P7Y"}, [("maximum", True)]),
        ({"minimum": "P5Y"}, {"minimum": "P5Y", "kind": "guidance"}, [("kind", True)]),
        ({"minimum": "P5Y"}, {"minimum": "P5Y", "applies": {"channel": ["phone"]}}, [("applies", True)]),
        ({"minimum": "P5Y"}, {"minimum": "P5Y", "review_by": day("2031-01-01")}, []),
        ({"minimum": "P5Y"}, {"minimum": {"period": "P5Y", "only_if": "disputed"}}, [("minimum", True)]),
        ({"minimum": "P5Y"}, {"minimum": ["P5Y", {"period": "P9Y", "only_if": "disputed"}]}, [("minimum", False)]),
        ({"minimum": "P5Y"}, {"minimum": "P5Y", "without": ["card_data"]}, [("without", True)]),
        ({"minimum": "P5Y", "without": ["card_data"]}, {"minimum": "P5Y"}, [("without", False)]),
    ],
)
def test_a_law_may_only_ask_for_more(before, after, expected):
    old, new = (Schedules({}, {}, {"law": regime("law", **bounds)}) for bounds in (before, after))
    assert [(c.place, c.look) for c in edit(old, new)] == expected
    assert [c.look for c in edit(old, Schedules({}, {}))] == [True]
    assert [c.look for c in edit(Schedules({}, {}), old)] == [False]


WIDE, NARROW = hold("h", account_ids=[1, 2]), hold("h", account_ids=[1])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NO_HOLDS, holds(WIDE), [("hold", False)]),
        (holds(WIDE), NO_HOLDS, [("hold", True)]),
        (holds(NARROW), holds(WIDE), [("scope", False)]),
        (holds(WIDE), holds(NARROW), [("scope", True)]),
        (holds(WIDE), holds(hold("h", {"account_ids": [1, 2]}, {"phones": [3]})), [("scope", False)]),
        (holds(WIDE), holds(hold("h", account_ids=[1, 2], phones=[3])), [("scope", True)]),
        (holds(hold("h", account_ids=[1], **{"from": day("2020-01-01")})), holds(NARROW), [("scope", False)]),
        (holds(NARROW), holds(hold("h", account_ids=[1], to=day("2020-01-01"))), [("scope", True)]),
        (holds(WIDE), holds(hold("h", account_ids=[1, 2], released="2026-01-01")), [("released_at", True)]),
        (holds(hold("h", account_ids=[1, 2], released="2026-01-01")), holds(WIDE), [("released_at", False)]),
    ],
)
def test_a_hold_may_only_grow(before, after, expected):
    nothing = Schedules({}, {})
    assert [(c.place, c.look) for c in edit(nothing, nothing, (before, after))] == expected


def test_a_rule_is_said_with_its_cap_and_its_condition():
    capped = rule("B", trigger={"earlier_of": ["a", "b"]}, only_if="disputed",
                  at_the_latest={"period": "P9Y", "trigger": "ended_at"})  # fmt: skip
    (new,) = edit(of(rule("A")), of(rule("A"), capped))
    assert new.after == "every call only if disputed; the earlier of a and b + P5Y, at the latest ended_at + P9Y"
