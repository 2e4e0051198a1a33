"""The laws of `dispose` for all schedules, facts, holds and nights; and the same verb once more, a call at a time.

The reference below is plain Python over rows, with its own calendar, conditions and holds: nothing of it is shared
with the columns it is compared to but the parsed models.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.policy.disposition import dispose, judge
from lifecycle.policy.hold import Hold, Holds, Scope
from lifecycle.policy.schedule import Rule, Schedule, Schedules
from tests.policy.build import NO_HOLDS, facts, hold, holds, kept_until, rule, schedule, schedules

ORDER = ["conflict", "unscheduled", "awaiting_trigger", "permanent", "retained", "on_hold", "kept", "due"]
HELD = {"account_ids": "account_id", "call_ids": "call_id", "industries": "industry"}
Row = dict[str, Any]

# ---- the reference: one call at a time


def reference(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> list[Row]:
    calls: dict[str, list[Row]] = {}
    for row in rows:
        calls.setdefault(row["call_id"], []).append(row)
    return [{"call_id": call_id, **_one_call(mine, of, held, as_of)} for call_id, mine in calls.items()]


def _one_call(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> Row:
    said = [answer for row in rows for answer in _one_row(row, of, held, as_of)]
    strictest = dict(min(said, key=_strictness))
    ends = [answer["destroy_on"] for answer in said if answer["destroy_on"]]
    strictest["destroy_on"] = None if not ends or max(ends) == date.max else max(ends)
    held_by = [answer["hold"] for answer in said if answer["hold"]]
    if held_by and strictest["disposition"] in ("kept", "due"):
        strictest |= {"disposition": "on_hold", "detail": max(held_by)}
    del strictest["hold"]
    return strictest


def _strictness(answer: Row) -> tuple[Any, ...]:
    latest_first = [
        (day is None, -day.toordinal() if day else 0) for day in (answer["purge_from"], answer["trigger_date"])
    ]
    names = [(name is None, name or "") for name in (answer["industry"], answer["rule_id"])]
    return (ORDER.index(answer["disposition"]), latest_first[0], *names, latest_first[1], answer["detail"])


def _answer(disposition: str, detail: str, industry: str | None = None, rule_id: str | None = None, **more: Any) -> Row:
    given = {"disposition": disposition, "detail": detail, "industry": industry, "rule_id": rule_id}
    return {**given, "trigger_date": None, "purge_from": None, "destroy_on": None, "hold": None, **more}


def _one_row(row: Row, of: Schedules, held: Holds, as_of: date) -> list[Row]:
    written = row["industry"]
    if written is None or not written.strip():
        return [_answer("unscheduled", "no industry")]
    for found in of.by_industry.values():
        if written.strip().casefold() in {name.strip().casefold() for name in (found.industry, *found.matches)}:
            break
    else:
        return [_answer("unscheduled", f"no schedule matches industry {written!r}")]
    ids = ", ".join(h.id for h in held.by_id.values() if _binds(h, as_of) and _in_hold(h, row, found))
    said = [
        _one_rule(row, each, found, as_of) | {"hold": ids or None}
        for each in found.rules
        if all(_word(row, name) in (None, *map(str.casefold, values)) for name, values in each.when.items())
    ]
    if not any(
        all(_word(row, n) in map(str.casefold, values) for n, values in each.when.items()) for each in found.rules
    ):
        said.append(_answer("unscheduled", f"no rule of {found.industry} matches", found.industry))
    return said


def _text(row: Row, name: str) -> str | None:
    return str(row[name]).strip() or None if row.get(name) is not None else None


def _word(row: Row, name: str) -> str | None:
    text = _text(row, name)
    return None if text is None else text.casefold()


def _one_rule(row: Row, by: Rule, of: Schedule, as_of: date) -> Row:
    (trigger,) = by.trigger
    moment = row.get(trigger)
    day = moment.astimezone(of.timezone).date() if isinstance(moment, datetime) else moment
    names = {"industry": of.industry, "rule_id": by.id, "trigger_date": day}
    if day is None:
        return _answer("awaiting_trigger", f"{trigger} is missing or no date", **names)
    if day > as_of:
        return _answer("awaiting_trigger", f"{trigger} {day} is in the future", **names)
    if day < date(1970, 1, 2):
        return _answer("awaiting_trigger", f"{trigger} {day} is before 1970-01-02", **names)
    free, gone = (
        date.max if period is None else kept_until((period.months, period.days), day) + timedelta(days=1)
        for period in (by.purge_after, by.destroy_after)
    )
    names |= {"purge_from": free, "destroy_on": gone}
    if by.purge_after is None:
        return _answer("permanent", f"{by.id} keeps for ever", **names)
    keeping = [f"{name}?" if row.get(name) is None else name for name in by.keep_while if row.get(name) is not False]
    if free > as_of:
        return _answer("retained", f"{by.id} from {free}", **names)
    return _answer("kept", ", ".join(keeping), **names) if keeping else _answer("due", f"{by.id} from {free}", **names)


def _binds(of: Hold, as_of: date) -> bool:
    return of.released_at is None or of.released_at > as_of


def _in_hold(of: Hold, row: Row, its: Schedule) -> bool:
    return any(_in_scope(scope, row, its) for scope in of.scope)


def _in_scope(scope: Scope, row: Row, its: Schedule) -> bool:
    for key, fact in HELD.items():
        wanted, value = getattr(scope, key), _text(row, fact)
        if fact == "industry":
            wanted, value = {name.casefold() for name in wanted}, value and value.casefold()
            if wanted & {name.strip().casefold() for name in (its.industry, *its.matches)}:
                continue
        if wanted and value not in wanted:
            return False
    days = [row[name].astimezone(its.timezone).date() for name in ("started_at", "ended_at") if row[name] is not None]
    if not days:
        return True
    return (scope.first_day or date.min) <= days[-1] and days[0] <= (scope.last_day or date.max)


# ---- what is asked of it

AS_OF = date(2026, 3, 1)
FEWER = settings(max_examples=50)
PERIODS = ["P1D", "P2W", "P28D", "P30D", "P1M", "P3M", "P1Y", "P1Y1D"]
LENGTHS = {"P1D": 1, "P2W": 14, "P28D": 28, "P30D": 30, "P1M": 31, "P3M": 92, "P1Y": 366, "P1Y1D": 367, "never": 10**6}
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


RULES = chosen(
    purge=[*PERIODS, *PERIODS, "never"],
    longer=range(10),
    when=CONDITIONS,
    trigger=["ended_at", "ended_at", "ended_at", "relationship_ended_at"],
    keep_while=[[], [], ["open_deal"], ["open_deal", "open_task"]],
)


def a_rule(id: str, purge: str, longer: int, **more: Any) -> Row:
    lawful = [period for period, length in LENGTHS.items() if length >= LENGTHS[purge] + 3] or ["never"]
    return rule(id, purge, lawful[longer % len(lawful)], **more)


@st.composite
def laws(draw: st.DrawFn) -> Schedules:
    found = []
    for name in [*INDUSTRIES][: draw(st.integers(1, 3))]:
        each = [a_rule(f"{name}-{n}", **drawn) for n, drawn in enumerate(draw(st.lists(RULES, min_size=1, max_size=3)))]
        found.append(schedule(*each, industry=name, matches=INDUSTRIES[name], zone=draw(st.sampled_from(ZONES))))
    return schedules(*found)


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
)
FACTS = st.lists(ROWS, max_size=10)
SCOPES = chosen(
    account_ids=[[], ["1", 2], ["2"], ["3"]],
    call_ids=[[], [], [], [], [], ["c0", "c1", "c9"]],
    industries=[[], [], [], [], [], ["BANKING"], ["straße", "retail"]],
    **{"from": [*[None] * 20, *DAYS], "to": [*[None] * 20, *DAYS]},
).filter(lambda s: any(s.values()) and (s["from"] or date.min) <= (s["to"] or date.max))
RELEASES = st.sampled_from([None, None, "2026-03-05", "2026-12-31"])
HOLDS = st.lists(st.tuples(st.lists(SCOPES, min_size=1, max_size=2), RELEASES), min_size=1, max_size=2).map(
    lambda given: holds(*[hold(f"h{n}", *scopes, released=end) for n, (scopes, end) in enumerate(given)])
)


def table(rows: Sequence[Row]) -> pa.Table:
    """Every fact, also where there is no call."""
    names = (
        "call_id industry started_at ended_at relationship_ended_at record_class channel account_id open_deal open_task"
    )
    return facts(*rows, dict.fromkeys(names.split())).slice(0, len(rows))


def night(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> list[Row]:
    return dispose(table(rows), of, held, as_of).to_pylist()


def due(rows: Sequence[Row], of: Schedules, held: Holds, as_of: date) -> set[str]:
    return {row["call_id"] for row in night(rows, of, held, as_of) if row["disposition"] == "due"}


@settings(max_examples=200)
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_columns_answer_as_one_call_at_a_time_does(rows, of, held, as_of):
    assert night(rows, of, held, as_of) == reference(rows, of, held, as_of)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_a_held_call_is_never_due(rows, of, held, as_of):
    active = [h for h in held.by_id.values() if _binds(h, as_of)]
    laws = of.by_industry.values()
    everywhere = {row["call_id"] for h in active for row in rows if all(_in_hold(h, row, each) for each in laws)}
    assert not due(rows, of, held, as_of) & everywhere


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.integers(1, 500))
def test_once_due_a_call_is_due_on_every_later_day(rows, of, held, as_of, later):
    assert due(rows, of, held, as_of) <= due(rows, of, held, as_of + timedelta(later))


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS)
def test_a_hold_keeps_and_changes_nothing_else(rows, of, held, as_of):
    free, bound = night(rows, of, NO_HOLDS, as_of), night(rows, of, held, as_of)
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
    more = Schedules({**of.by_industry, name: each.model_copy(update={"rules": (*each.rules, added)})}, {})
    for before, after in zip(night(rows, of, NO_HOLDS, as_of), night(rows, more, NO_HOLDS, as_of), strict=True):
        if before["disposition"] == "unscheduled":
            continue  # a rule may well be what a call was waiting for
        assert ORDER.index(after["disposition"]) <= ORDER.index(before["disposition"])
        if after["disposition"] == before["disposition"] and before["purge_from"]:
            assert after["purge_from"] >= before["purge_from"]
        assert (after["destroy_on"] or date.max) >= (before["destroy_on"] or date.min)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.data())
def test_a_row_added_to_a_call_never_lets_it_go_earlier(rows, of, held, as_of, data):
    more = [*rows, data.draw(ROWS)]
    known = {row["call_id"] for row in rows}
    assert due(more, of, held, as_of) & known <= due(rows, of, held, as_of)


@FEWER
@given(FACTS, laws(), HOLDS, NIGHTS, st.sampled_from(["industry", "ended_at", "record_class", "channel", "open_deal"]))
def test_a_fact_forgotten_never_lets_a_scheduled_call_go_earlier(rows, of, held, as_of, name):
    forgotten = [{**row, name: None} for row in rows]
    assert due(forgotten, of, held, as_of) <= due(rows, of, held, as_of)


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
    assert dispose(chunked, of, held, as_of).equals(dispose(whole, of, held, as_of))
    assert judge(chunked, of, held, as_of).equals(judge(whole, of, held, as_of))


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
