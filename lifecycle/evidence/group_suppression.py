"""How small a group of statistics may be. Groups are made larger until none is small; what is left over waits.

Every call is counted in one group only, and totals are sums of groups. So whoever subtracts what was published from
what was published is left with whole groups again: there is no second table whose difference is one small group. What
was published is never changed, for the difference of before and after could be one call.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.evidence.call_statistics import CALLS, INDUSTRY, PERIOD, WITHHELD, add_up, dimensions_of

_MONTH, _YEAR = 7, 4  # characters of a period


def large_groups(table: pa.Table, size: int) -> tuple[pa.Table, pa.Table]:
    """The groups of at least so many calls, and those of fewer."""
    keys = [PERIOD, INDUSTRY, *dimensions_of(table)]
    totals = table.group_by(keys).aggregate([(CALLS, "sum")]).filter(pc.field(f"{CALLS}_sum") >= size)
    large = set(_groups(totals.select(keys)))
    chosen = pa.array([group in large for group in _groups(table)], pa.bool_())
    return table.filter(chosen), table.filter(pc.invert(chosen))


def without_groups(table: pa.Table, others: pa.Table) -> pa.Table:
    """What is of none of the groups that others have."""
    known = set(_groups(others))
    return table.filter(pa.array([group not in known for group in _groups(table)], pa.bool_()))


def made_large(table: pa.Table, size: int) -> tuple[pa.Table, pa.Table]:
    """Groups made of smaller ones until each has so many calls, and what is too little even so, without any detail.

    Given up in turn: the last dimension, those before it, the day, the month, the year, the industry.
    """
    found, rest = large_groups(table, size)
    large = [found]
    given_up = [(name, 0) for name in reversed(dimensions_of(table))]
    for name, kept in (*given_up, (PERIOD, _MONTH), (PERIOD, _YEAR), (PERIOD, 0), (INDUSTRY, 0)):
        found, rest = large_groups(add_up([_coarser(rest, name, kept)]), size)
        large.append(found)
    return add_up(large), rest


def _coarser(table: pa.Table, name: str, kept: int) -> pa.Table:
    """Without the values of a column, or with but so many first characters of them."""
    values, withheld = table[name].combine_chunks(), pa.array([WITHHELD] * table.num_rows, pa.string())
    if kept:  # a day that nobody knows is in no month
        known = pc.and_(pc.is_valid(values), pc.not_equal(values, WITHHELD))
        withheld = pc.if_else(pc.fill_null(known, False), pc.utf8_slice_codeunits(values, 0, kept), withheld)
    return table.set_column(table.column_names.index(name), name, withheld)


def _groups(table: pa.Table) -> Iterator[frozenset[tuple[str, str]]]:
    """The group of each row; what is unknown in it, or no column of the table, tells no groups apart."""
    keys = [PERIOD, INDUSTRY, *dimensions_of(table)]
    for values in zip(*(table[name].to_pylist() for name in keys), strict=True):
        yield frozenset((name, value) for name, value in zip(keys, values, strict=True) if value is not None)
