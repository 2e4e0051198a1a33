"""Whether an archived copy may be destroyed: its recorded date judged again, under the law of the day it is asked.

A record's `destroy_on` was worked out on the night of the purge. A law that came since, a longer schedule, an
authority's request or a hold may ask for more; nothing here lets a copy go before the recorded day.
"""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.documents.hold import Holds
from lifecycle.policy.documents.schedule import Schedules
from lifecycle.policy.evaluation.disposition import NEVER, Disposition, dispose_with_bounds

_NEVER = pa.scalar(NEVER)


def judge_copies(
    recorded: pa.Table,
    facts: pa.Table,
    schedules: Schedules,
    holds: Holds,
    as_of: date,
    component: str | None = None,
) -> pa.Table:
    """One row a copy, in the order of `facts`: call_id, destroy_from, may_go, detail.

    In: `recorded`, a row a copy: call_id and destroy_on (NULL: never); `facts` as `dispose_calls` takes them, of these
    calls as they were archived. Out: `destroy_from`, the later of the recorded day and today's, date.max for never;
    `detail`, why the copy stays, NULL where it may go. A call that would not be due today keeps its copy, whatever the
    day; so does one that is not recorded.
    """
    answers = dispose_with_bounds(facts, schedules, holds, as_of, component)
    place = pc.index_in(answers["call_id"], value_set=recorded["call_id"].combine_chunks())
    then = recorded["destroy_on"].combine_chunks().take(place.combine_chunks())
    days = pc.max_element_wise(pc.fill_null(then, _NEVER), pc.fill_null(answers["destroy_on"], _NEVER))
    due = pc.equal(answers["disposition"], pa.scalar(str(Disposition.DUE)))
    may_go = pc.and_(due, pc.less_equal(days, pa.scalar(as_of)))
    later = pc.binary_join_element_wise(pa.scalar("not before"), days.cast(pa.string()), pa.scalar(" "))
    later = pc.if_else(pc.equal(days, _NEVER), pa.scalar("kept for ever"), later)
    kept = pc.binary_join_element_wise(answers["disposition"], answers["detail"], pa.scalar(": "))
    why = pc.if_else(may_go, pa.scalar(None, pa.string()), pc.if_else(due, later, kept))
    return pa.table({"call_id": answers["call_id"], "destroy_from": days, "may_go": may_go, "detail": why})
