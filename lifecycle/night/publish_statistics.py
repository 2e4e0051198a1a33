"""Publish statistics: groups that are large enough go to the store for good; small ones wait in the CRM.

What waits is published in detail as soon as its group is large enough. Once the month is over in which its calls went,
small groups are made larger by giving up detail; what is too little even then waits on, without any.
"""

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from lifecycle.archive.statistics import put_statistics
from lifecycle.crm.control.statistics_table import StatisticsPart
from lifecycle.deployment.lifecycle import Lifecycle
from lifecycle.evidence.call_statistics import CALLS, add_up, read_statistics_bytes, statistics_bytes
from lifecycle.evidence.group_suppression import large_groups, made_large, without_groups

_MONTH = 7  # characters of a time in ISO 8601


def publish_statistics(lifecycle: Lifecycle) -> int:
    """Publish what may be published; gives how many calls that were. Safe to run again.

    What counts is decided by one transaction of the CRM. The object follows it, as often as it takes.
    """
    control = lifecycle.crm.control
    with control.lease("statistics"):
        waiting, now = control.statistics.waiting(), lifecycle.now()
        large, kept = _sorted_out(waiting, now, lifecycle.settings.statistics_group)
        calls = int(sum(large[CALLS].to_pylist()))
        bodies = {added_at: statistics_bytes(table) for added_at, table in kept.items() if table.num_rows}
        if calls or len(bodies) < len(waiting):
            control.statistics.publish(waiting, statistics_bytes(large) if calls else None, bodies, now)
        for part in control.statistics.published():
            if part.sha256 is None:
                sha256 = put_statistics(lifecycle.store, part.id, statistics_of(part))
                control.statistics.mark_put(part, sha256)
    return calls


def _sorted_out(waiting: Sequence[StatisticsPart], now: datetime, size: int) -> tuple[pa.Table, dict[str, pa.Table]]:
    """What may be published, and what waits on, by when the oldest of it was added."""
    months: dict[bool, list[StatisticsPart]] = {True: [], False: []}
    for part in waiting:
        months[part.added_at[:_MONTH] < now.isoformat()[:_MONTH]].append(part)
    over, fresh = (add_up(map(statistics_of, months[past])) for past in (True, False))
    large, _ = large_groups(add_up([over, fresh]), size)
    merged, rest = made_large(without_groups(over, large), size)
    left = ((rest, months[True]), (without_groups(fresh, large), months[False]))
    return add_up([large, merged]), {parts[0].added_at: table for table, parts in left if parts}


def statistics_of(part: StatisticsPart) -> pa.Table:
    """A part that is in the CRM."""
    return read_statistics_bytes(part.id, part.body)
