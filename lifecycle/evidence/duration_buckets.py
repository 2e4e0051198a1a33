"""How long calls lasted, as a histogram whose edges never change: counts add up, whoever made them and when.

A bucket is named by its first second. Up to twenty seconds it holds one second; beyond, a tenth of its first second. So
a percentile read from it is exact up to twenty seconds, and beyond within five percent.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

LONGEST = 31 * 86_400  # seconds; what lasted longer is in the last bucket


def _edges() -> tuple[int, ...]:
    found = [0]
    while found[-1] < LONGEST:
        found.append(found[-1] + max(1, found[-1] // 10))
    return tuple(found)


EDGES = _edges()


def bucket_of(seconds: int) -> int:
    """The first second of the bucket that a duration falls into."""
    return EDGES[bisect_right(EDGES, seconds) - 1]


def percentile(counts: Iterable[tuple[int, int]], share: float) -> float | None:
    """The duration in seconds that a share of the calls did not exceed (nearest rank); the middle of its bucket.

    `counts`: buckets and how many calls each has. None: there are none.
    """
    ordered = sorted(counts)
    sums = list(accumulate(calls for _, calls in ordered))
    if not sums or not sums[-1]:
        return None
    rank = max(1, -(-round(share * 1000) * sums[-1] // 1000))
    first = ordered[next(place for place, total in enumerate(sums) if total >= rank)][0]
    after = EDGES[min(bisect_right(EDGES, first), len(EDGES) - 1)]
    return (first + max(first, after - 1)) / 2
