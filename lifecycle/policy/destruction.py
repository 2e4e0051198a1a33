"""Whether an archived copy may be destroyed: its recorded date judged again, under the law of the day it is asked.

A record's `destroy_on` was worked out on the night of the purge. A law that came since, a longer schedule, an
authority's request or a hold may ask for more. Earlier than recorded a copy goes for two reasons only: a maximum of the
law ends sooner, or the person asked for erasure; and then too every minimum and every hold comes first.
"""

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.condition_matching import shift_days
from lifecycle.policy.evaluation.disposition import NEVER, Disposition, dispose_with_bounds
from lifecycle.policy.evaluation.distinct_cases import ERASURE_FACT

_NEVER = pa.scalar(NEVER)


def judge_copies(
    recorded: pa.Table,
    facts: pa.Table,
    schedules: Schedules,
    holds: Holds,
    as_of: date,
    component: str | None = None,
) -> pa.Table:
    """One row a copy, in the order of `facts`: call_id, rule_id, destroy_from, may_go, hurried, detail.

    In: `recorded`, a row a copy: call_id and destroy_on (NULL: never); `facts` as `dispose_calls` takes them, of these
    calls as they were archived, with the request to erase of those of whom there is one. Out: `destroy_from`, the later
    of the recorded day and today's, date.max for never; a request and a maximum end it sooner. `hurried`: they did, so
    it cannot wait for the day of its batch. `detail`, why the copy stays, NULL where it may go. A call that would not
    be due today keeps its copy, whatever the day; so does one that is not recorded.
    """
    answers = dispose_with_bounds(facts, schedules, holds, as_of, component)
    place = pc.index_in(answers["call_id"], value_set=recorded["call_id"].combine_chunks())
    then = recorded["destroy_on"].combine_chunks().take(place.combine_chunks())
    now = pc.fill_null(answers["destroy_on"], _NEVER)
    usual = pc.max_element_wise(pc.fill_null(then, _NEVER), now)
    sooner = pc.if_else(_requested(answers, facts, schedules, as_of), pc.min_element_wise(now, usual), usual)
    days = pc.min_element_wise(sooner, shift_days(answers["ceiling"], 1))  # a maximum that is NULL ends nothing
    days = pc.if_else(pc.is_valid(place), days, _NEVER)
    due = pc.equal(answers["disposition"], pa.scalar(str(Disposition.DUE)))
    may_go = pc.and_(due, pc.less_equal(days, pa.scalar(as_of)))
    later = pc.binary_join_element_wise(pa.scalar("not before"), days.cast(pa.string()), pa.scalar(" "))
    later = pc.if_else(pc.equal(days, _NEVER), pa.scalar("kept for ever"), later)
    kept = pc.binary_join_element_wise(answers["disposition"], answers["detail"], pa.scalar(": "))
    why = pc.if_else(may_go, pa.scalar(None, pa.string()), pc.if_else(due, later, kept))
    named = {"call_id": answers["call_id"], "rule_id": answers["rule_id"], "destroy_from": days}
    return pa.table({**named, "may_go": may_go, "hurried": pc.less(days, usual), "detail": why})


def latest_lawful_day(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None, recorded: date | None
) -> date | None:
    """The day until which nobody may remove copies that lie together; None: nothing fixes one.

    Of each call the day on which its copy may go; where a request ends the company's wish, the end of law's minimum.
    The latest of them, at most `recorded`, and never beyond a maximum of the law that any of the calls has.
    """
    if recorded is None:
        return None
    answers = dispose_with_bounds(facts, schedules, holds, as_of, component)
    floors = shift_days(answers["floor"], 1)
    days = pc.if_else(_yields_to_requests(answers, schedules), floors, answers["destroy_on"])
    last, most = pc.max(days).as_py(), pc.min(answers["ceiling"]).as_py()
    found = min(last, recorded) if last is not None else None
    return min(found, most + timedelta(days=1)) if found is not None and most is not None else found


def earliest_maximum(
    facts: pa.Table, schedules: Schedules, holds: Holds, as_of: date, component: str | None
) -> date | None:
    """The first day on which a maximum of the law lets no copy of some call live any more; None: none has one."""
    most = pc.min(dispose_with_bounds(facts, schedules, holds, as_of, component)["ceiling"]).as_py()
    return most + timedelta(days=1) if most is not None else None


def _yields_to_requests(answers: pa.Table, schedules: Schedules) -> pa.Array:
    """The calls whose rule lets a request end the company's wish."""
    found: pa.Array = pa.repeat(pa.scalar(False), answers.num_rows)
    for name, schedule in schedules.by_industry.items():
        rules = pa.array([rule.id for rule in schedule.rules if rule.on_erasure == "floor"], pa.string())
        its = pc.equal(answers["industry"], pa.scalar(name, pa.string()))
        found = pc.or_(found, pc.fill_null(pc.and_(its, pc.is_in(answers["rule_id"], rules)), False))
    return found


def _requested(answers: pa.Table, facts: pa.Table, schedules: Schedules, as_of: date) -> pa.ChunkedArray:
    """The calls that somebody asked to erase by this night, and whose rule lets a request end the company's wish."""
    if ERASURE_FACT not in facts.column_names:
        return pa.chunked_array([pa.repeat(pa.scalar(False), answers.num_rows)])
    asked = pc.fill_null(pc.less_equal(facts[ERASURE_FACT], pa.scalar(as_of)), False)
    of_whom = pc.is_in(answers["call_id"], facts.filter(asked)["call_id"].combine_chunks())
    return pc.and_(of_whom, _yields_to_requests(answers, schedules))
