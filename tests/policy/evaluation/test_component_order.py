"""A part whose maximum ends before its call's copy would goes first, and its call waits for it."""

from typing import Any

import pytest

from lifecycle.policy.evaluation.component_order import retain_for_components
from lifecycle.policy.evaluation.disposition import bounded_components, dispose_with_bounds
from tests.policy.build import NO_HOLDS, call, day, facts, hold, holds, regime, rule, schedule, schedules

NIGHT = day("2026-11-20")
VOICE = regime("voice", maximum="P6M", components=["recording"])


def answer(told: dict[str, Any], life: str = "P5Y", part: str = "P1M", whole: str = "P1M", held: Any = NO_HOLDS):
    rules = rule("R", whole, life, regimes=["voice"]), rule("REC", part, "P6M", component="recording")
    under = schedules(schedule(*rules), under=[VOICE])
    table = facts(told)
    disposed = dispose_with_bounds(table, under, held, NIGHT)
    (found,) = retain_for_components(disposed, bounded_components(table, under, held, NIGHT)).to_pylist()
    return found["disposition"], found["detail"]


WAITS = ("retained", "its recording goes first, for a maximum of the law")


@pytest.mark.parametrize(
    ("told", "more", "said"),
    [
        (call(ended="2021-03-16", has_recording=True), {}, WAITS),  # both were due for years: the first night of all
        (call(ended="2026-08-16", has_recording=True), {"part": "P5M"}, ("retained", "REC from 2027-01-17")),
        (call(ended="2021-03-16", has_recording=False), {}, ("due", "R from 2021-04-17")),
        (call(ended="2021-03-16", has_recording=None), {}, ("due", "R from 2021-04-17")),  # nobody knows of one
        (call(ended="2021-03-16", has_recording=True), {"life": "P6M"}, ("due", "R from 2021-04-17")),
        (call(ended="2021-03-16", has_recording=True), {"life": "never"}, WAITS),
        (call(ended="2026-11-16", has_recording=True), {}, ("retained", "R from 2026-12-17")),
    ],
)
def test_a_call_waits_where_its_copy_would_outlive_the_maximum_of_a_part_that_goes(told, more, said):
    assert answer(told, **more) == said


def test_a_hold_keeps_both_and_says_so():
    told = call(ended="2021-03-16", has_recording=True)
    assert answer(told, held=holds(hold("h", call_ids=["c"])))[0] == "on_hold"
