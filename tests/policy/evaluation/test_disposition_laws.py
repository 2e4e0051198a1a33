"""The laws of `dispose_calls`, for all schedules, regimes, facts, holds and nights; and its reference."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Rule, Schedules
from lifecycle.policy.evaluation.disposition import dispose_calls, dispose_components, evaluate_rules
from tests.policy.build import NO_HOLDS, extension, facts, hold, holds, regime, rule, schedule, schedules
from tests.policy.reference import ORDER, Row, binds, in_hold, reference

AS_OF = date(2026, 3, 1)
FEWER = settings(max_examples=50)
PERIODS = ["P1D", "P2W", "P28D", "P30D", "P1M", "P3M", "P1Y", "P1Y1D"]
LENGTHS = {
    "at_once": 0,
    "P1D": 1,
    "P2W": 14,
    "P28D": 28,
    "P30D": 30,
    "P1M": 31,
    "P3M": 92,
    "P1Y": 366,
    "P1Y1D": 367,
    "never": 10**6,
}
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"]
INDUSTRIES = {"finance": ["Banking", "金融"], "retail": ["Retail", "Straße"], "telecom": ["Telecom"]}
WRITTEN = ["Banking", " banking", "金融", "RETAIL", "STRASSE", "telecom", "Nowhere", " ", None]
AGES = [0, 1, 2, 13, 14, 15, 16, 27, 28, 29, 30, 31, 32, 33, 90, 91, 92, 365, 366, 367, 368]
NIGHTS = st.integers(0, 40).map(lambda days: AS_OF + timedelta(days))
NO_CONDITION: Row = {}
CONDITIONS = [{"record_class": ["order"]}, {"record_class": ["order", "chat"]}, {"channel": "phone"}]
CONDITIONS += [{"record_class": "complaint", "channel": "phone"}, *[NO_CONDITION] * 8]


def chosen(**options: Sequence[Any]) -> st.SearchStrategy[Row]:
    """A value of each, by one byte each: Hypothesis draws one text of bytes much faster than ten values."""
    size = len(options)
    return st.binary(min_size=size, max_size=size).map(
        lambda code: {name: of[byte % len(of)] for (name, of), byte in zip(options.items(), code, strict=True)}
    )


LATER, EARLIER = ({which: ["ended_at", "relationship_ended_at"]} for which in ("later_of", "earlier_of"))
CAPS: list[Row] = [
    {"period": "P3M", "trigger": "ended_at"},
    {"period": "P1M", "trigger": EARLIER, "count": "from_event"},
]
OF_AGE = {"period": "P1M", "trigger": "born_on", "count": "age"}
TAIL = {"period": "P14D", "trigger": "dispute_ended_at", "only_if": "disputed"}
CAPPED = {
    "period": "P90D",
    "trigger": "relationship_ended_at",
    "at_the_latest": {"period": "P1M", "trigger": "ended_at"},
}

RULES = chosen(
    purge=[*PERIODS, *PERIODS, "at_once", "never"],
    longer=range(10),
    when=CONDITIONS,
    trigger=[*["ended_at"] * 6, "relationship_ended_at", "relationship_ended_at", LATER, EARLIER],
    count=[*["after_event"] * 8, "from_event", "year_end", "fiscal_year_end", "age"],
    keep_while=[[], [], ["open_deal"], ["open_deal", "open_task"]],
    component=[*[None] * 6, "recording"],
    on_erasure=["wait", "floor"],
    at_the_latest=[*[None] * 6, *CAPS],
    only_if=[*[None] * 8, "disputed"],
    regimes=[*[[]] * 6, ["a"], ["b"], ["a", "b"], ["c"], ["b", "c"], ["a", "b", "c"], ["b", "nowhere"]],
)
IN_FORCE = [{}, {}, {}, {"from": date(2026, 1, 1)}, {"until": date(2025, 12, 31)}]
IN_FORCE += [{"from": date(2026, 2, 1), "until": date(2026, 3, 20), "records": "unexpired"}]
IN_FORCE += [{"from": date(2026, 2, 1), "records": "unexpired", "before": ["P28D", {**OF_AGE, "only_if": "disputed"}]}]
REGIMES = chosen(
    kind=["statute", "statute", "statute", "statute", "guidance"],
    trigger=[*["ended_at"] * 4, "relationship_ended_at", LATER, EARLIER],
    count=["after_event", "after_event", "from_event", "year_end", "age"],
    minimum=["P1D", "P30D", "P1M", "P1Y", (), ["P30D", OF_AGE], ["P30D", TAIL], CAPPED, [{**CAPPED, **TAIL}, TAIL]],
    maximum=[
        (),
        (),
        (),
        "P1M",
        "P1Y",
        ["P90D", {"period": "P30D", "trigger": "relationship_ended_at"}],
        "at_once",
        ["P1Y", {"period": "P1M", "only_if": "disputed"}],
    ],
    applies=[{}, {}, {"record_class": ["order"]}, {"channel": ["phone"]}],
    components=[(), (), (), ["recording"], ["metadata"]],
    without=[(), (), (), ["recording"]],
    in_force=IN_FORCE,
    yields_to=[(), (), ["statute"], ["guidance"]],
    implements=[(), (), ["a"], ["b"]],
    extension=[None, None, {"to": "P3M"}, {"by": "P30D"}, {"by": "P30D", "before_expiry": True}],
)


def _said(one: Row) -> Row:
    """What a file would say: some bound, and no key without a value."""
    bounds = one if one["minimum"] or one["maximum"] else {**one, "minimum": "P3M"}
    bounds |= {"extension": None} if "at_the_latest" in repr(one["minimum"]) else {}  # refused when the file is read
    return {name: value for name, value in bounds.items() if value not in ((), {}, None)}


LAWS = st.lists(REGIMES, min_size=3, max_size=3).map(
    lambda drawn: [regime(id, **_said(one)) for id, one in zip("abc", drawn, strict=True)]
)


def a_rule(id: str, purge: str, longer: int, **more: Any) -> Row:
    lawful = [period for period, length in LENGTHS.items() if length >= LENGTHS[purge] + 3] or ["never"]
    return rule(id, purge, lawful[longer % len(lawful)], **more)


@st.composite
def laws(draw: st.DrawFn) -> Schedules:
    found = []
    for name in [*INDUSTRIES][: draw(st.integers(1, 3))]:
        each = [a_rule(f"{name}-{n}", **drawn) for n, drawn in enumerate(draw(st.lists(RULES, min_size=1, max_size=3)))]
        zone, year_ends = draw(st.sampled_from(ZONES)), draw(st.sampled_from(["12-31", "02-29", "06-30"]))
        found.append(schedule(*each, industry=name, matches=INDUSTRIES[name], zone=zone, fiscal_year_ends=year_ends))
    return schedules(*found, under=draw(LAWS))


DAYS = [AS_OF - timedelta(age) for age in AGES]
MOMENTS = [datetime.combine(day, time(hour, 30), UTC) for day in DAYS for hour in (0, 4, 12, 22, 23)]
ODD = [None, None, None, datetime(1970, 1, 1, 12, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)]
OFTEN_NO = [*[False] * 12, True, None]
ROWS = chosen(
    call_id=[f"c{number}" for number in range(6)],
    industry=[*WRITTEN[:3] * 5, *WRITTEN],
    started_at=[*MOMENTS, *ODD],
    ended_at=[*MOMENTS, *ODD],
    relationship_ended_at=[*DAYS, None],
    record_class=["order", "complaint", "chat", " order ", "chat", "complaint", "", None],
    channel=["phone", "phone", "chat", "chat", None],
    account_id=["1", "2", " 3 ", None],
    open_deal=OFTEN_NO,
    open_task=OFTEN_NO,
    born_on=[date(1969, 3, 1), *DAYS[5:8], None],
    has_recording=[True, True, False, None],
    disputed=[*[False] * 6, True, True, None],
    dispute_ended_at=[*DAYS, None],
    erasure_requested_on=[*[None] * 4, AS_OF - timedelta(10), AS_OF, AS_OF + timedelta(20)],
)
FACTS = st.lists(ROWS, max_size=10)
SCOPES = chosen(
    account_ids=[[], ["1", 2], ["2"], ["3"]],
    call_ids=[[], [], [], [], [], ["c0", "c1", "c9"]],
    industries=[[], [], [], [], [], ["BANKING"], ["straße", "retail"]],
    **{"from": [*[None] * 20, *DAYS], "to": [*[None] * 20, *DAYS]},
).filter(lambda s: any(s.values()) and (s["from"] or date.min) <= (s["to"] or date.max))
RELEASES = st.sampled_from([None, None, "2026-03-05", "2026-12-31"])
EXTENSIONS = st.lists(
    st.tuples(SCOPES, st.sampled_from("abc"), st.sampled_from(["2025-12-01", "2026-02-10"])), max_size=2
).map(lambda given: [extension(f"x{n}", law, dated, **scope) for n, (scope, law, dated) in enumerate(given)])
HELD = st.lists(st.tuples(st.lists(SCOPES, min_size=1, max_size=2), RELEASES), min_size=1, max_size=2).map(
    lambda given: [hold(f"h{n}", *scopes, released=end) for n, (scopes, end) in enumerate(given)]
)
HOLDS = st.builds(lambda held, extended: holds(*held, extended=extended), HELD, EXTENSIONS)


def table(rows: Sequence[Row]) -> pa.Table:
    """Every fact, also where there is no call."""
    names = (
        "call_id industry started_at ended_at relationship_ended_at record_class channel account_id open_deal "
        "open_task born_on has_recording erasure_requested_on disputed dispute_ended_at"
    )
    return facts(*rows, dict.fromkeys(names.split())).slice(0, len(rows))


def night(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> list[Row]:
    return dispose_calls(table(rows), of, held, as_of).to_pylist()


def due(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> set[str]:
    return {row["call_id"] for row in night(rows, of, held, as_of) if row["disposition"] == "due"}


def due_recordings(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> set[str]:
    found = dispose_components(table(rows), of, held, as_of).to_pylist()
    return {row["call_id"] for row in found if row["disposition"] == "due"}


@settings(max_examples=200)
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_columns_answer_as_one_call_at_a_time_does(rows, of, held, as_of):
    assert night(rows, of, held, as_of) == reference(rows, of, held, as_of)
    found = dispose_components(table(rows), of, held, as_of).drop_columns("component").to_pylist()
    expected = reference(rows, of, held, as_of, "recording")
    assert found == (expected if any(each.components for each in of.by_industry.values()) else [])


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_a_held_call_is_never_due(rows, of, held, as_of):
    active = [h for h in held.by_id.values() if binds(h, as_of)]
    laws = of.by_industry.values()
    everywhere = {row["call_id"] for h in active for row in rows if all(in_hold(h.scope, row, each) for each in laws)}
    assert not (due(rows, of, held, as_of) | due_recordings(rows, of, held, as_of)) & everywhere


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.integers(1, 500))
def test_once_due_a_call_is_due_on_every_later_day(rows, of, held, as_of, later):
    then = as_of + timedelta(later)
    assert due(rows, of, held, as_of) <= due(rows, of, held, then)
    assert due_recordings(rows, of, held, as_of) <= due_recordings(rows, of, held, then)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_a_hold_keeps_and_changes_nothing_else(rows, of, held, as_of):
    free, bound = (night(rows, of, each, as_of) for each in (Holds({}, extensions=held.extensions), held))
    for before, after in zip(free, bound, strict=True):
        if after["disposition"] == "on_hold":
            assert before["disposition"] in ("due", "kept")
            after |= {name: before[name] for name in ("disposition", "detail")}
        assert after == before


@FEWER
@given(FACTS, laws(), NIGHTS, st.data())
def test_a_rule_added_never_lets_a_scheduled_call_go_earlier(rows, of, as_of, data):
    name = data.draw(st.sampled_from(sorted(of.by_industry)))
    each = of.by_industry[name]
    added = Rule.model_validate(a_rule("added", **data.draw(RULES)))
    more = Schedules({**of.by_industry, name: each.model_copy(update={"rules": (*each.rules, added)})}, {}, of.regimes)
    for before, after in zip(night(rows, of, NO_HOLDS, as_of), night(rows, more, NO_HOLDS, as_of), strict=True):
        if before["disposition"] == "unscheduled":
            continue  # a rule may well be what a call was waiting for
        assert ORDER.index(after["disposition"]) <= ORDER.index(before["disposition"])
        decided = after["disposition"] == before["disposition"] != "conflict"  # which goes nowhere on any day
        if decided and before["purge_from"] and after["purge_from"]:
            assert after["purge_from"] >= before["purge_from"]
        assert (after["destroy_on"] or date.max) >= (before["destroy_on"] or date.min)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.data())
def test_a_row_added_to_a_call_never_lets_it_go_earlier(rows, of, held, as_of, data):
    more = [*rows, data.draw(ROWS)]
    known = {row["call_id"] for row in rows}
    assert due(more, of, held, as_of) & known <= due(rows, of, held, as_of)


def _lasts_a_day(row: Row) -> bool:
    started, ended = row["started_at"], row["ended_at"]
    return started is None or ended is None or timedelta(0) <= ended - started < timedelta(days=1)


FORGOTTEN = ["industry", "ended_at", "record_class", "channel", "open_deal", "disputed", "dispute_ended_at", "born_on"]
FORGOTTEN += ["relationship_ended_at", "has_recording"]


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.sampled_from(FORGOTTEN))
def test_a_fact_forgotten_never_lets_a_scheduled_call_go_earlier(rows, of, held, as_of, name):
    # Of a call whose end nobody knows, a day is assumed.
    rows = [row for row in rows if name != "ended_at" or _lasts_a_day(row)]
    forgotten = [{**row, name: None} for row in rows]
    lasting = {id: law.model_copy(update={"maximum": ()}) for id, law in of.regimes.items() if law.minimum}
    # Without maxima: what is unknown of one keeps nothing, for no deletion is too early for it.
    of = Schedules(of.by_industry, {}, lasting)
    assert due(forgotten, of, held, as_of) <= due(rows, of, held, as_of)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, REGIMES.map(_said), st.data())
def test_a_regime_added_never_lets_a_call_or_its_copy_go_earlier(rows, of, held, as_of, drawn, data):
    drawn.pop("implements", None)  # one that implements another stands in its place
    more = {**of.regimes, "more": regime("more", **drawn)}
    name = data.draw(st.sampled_from(sorted(of.by_industry)))
    each = of.by_industry[name]
    rules = tuple(rule.model_copy(update={"regimes": (*rule.regimes, "more")}) for rule in each.rules)
    under = Schedules({**of.by_industry, name: each.model_copy(update={"rules": rules})}, {}, more)
    for before, after in zip(night(rows, of, held, as_of), night(rows, under, held, as_of), strict=True):
        # A law whose clock nobody knows hides that another law is broken until it is known: either keeps the call.
        unknown = (before["disposition"], after["disposition"]) == ("conflict", "awaiting_trigger")
        assert unknown or ORDER.index(after["disposition"]) <= ORDER.index(before["disposition"])
        if after["purge_from"] and before["purge_from"]:
            assert after["purge_from"] >= before["purge_from"]
        if after["disposition"] == "due":
            assert (after["destroy_on"] or date.max) >= (before["destroy_on"] or date.max)
    assert due_recordings(rows, under, held, as_of) <= due_recordings(rows, of, held, as_of)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_who_is_due_is_past_its_date_and_its_copy_outlives_it(rows, of, held, as_of):
    for row in night(rows, of, held, as_of):
        if row["disposition"] == "due":
            assert row["purge_from"] <= as_of
            assert row["trigger_date"] < row["purge_from"] <= (row["destroy_on"] or date.max)
        elif row["disposition"] == "retained":
            assert row["purge_from"] > as_of


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.lists(st.integers(0, 10), max_size=4))
def test_chunks_make_no_difference(rows, of, held, as_of, cuts):
    whole = table(rows)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [whole.slice(start, end - start) for start, end in pairwise(ends)]
    chunked = pa.concat_tables(parts)
    assert chunked["call_id"].num_chunks == len(parts)
    assert dispose_calls(chunked, of, held, as_of).equals(dispose_calls(whole, of, held, as_of))
    assert evaluate_rules(chunked, of, held, as_of).equals(evaluate_rules(whole, of, held, as_of))


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_the_order_of_calls_only(rows, of, held, as_of, random):
    shuffled = random.sample(rows, len(rows))
    found = {row["call_id"]: row for row in night(shuffled, of, held, as_of)}
    assert found == {row["call_id"]: row for row in night(rows, of, held, as_of)}
    assert list(found) == list(dict.fromkeys(row["call_id"] for row in shuffled))


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_a_call_is_answered_alone_as_among_others(rows, of, held, as_of):
    alone = [night([row for row in rows if row["call_id"] == name], of, held, as_of)
             for name in dict.fromkeys(row["call_id"] for row in rows)]  # fmt: skip
    assert [answer for (answer,) in alone] == night(rows, of, held, as_of)
