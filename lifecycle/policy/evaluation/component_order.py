"""Which calls wait for a part of theirs to go first: a maximum of the law ends the part's copy before the call's.

A call that goes as a whole takes its parts along, and their copies live as long as its own. Values only.
"""

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.policy.evaluation.rule_evaluation import Disposition

_DUE, _RETAINED = pa.scalar(str(Disposition.DUE)), pa.scalar(str(Disposition.RETAINED))
_ONE_DAY = pa.scalar(1, pa.int32())


def retain_for_components(disposed: pa.Table, components: pa.Table) -> pa.Table:
    """The calls' answers, where those that are due wait for a due part whose maximum their own copies would outlive.

    `disposed`, `components`: as `dispose_with_bounds` and `bounded_components` give them, a row a call, and a row a
    call and part that is certainly there and can be reached. The parts go this night, the calls on a later one. (No
    call is due before its parts are: the rules of parts have a say in the whole.)
    """
    bounded = components.filter(pc.and_(pc.equal(components["disposition"], _DUE), pc.is_valid(components["ceiling"])))
    if not bounded.num_rows:
        return disposed
    place = pc.index_in(bounded["call_id"], value_set=disposed["call_id"].combine_chunks())
    calls = disposed.take(place)
    outlived = pc.or_(pc.is_null(calls["destroy_on"]), _lasts_beyond(calls["destroy_on"], bounded["ceiling"]))
    first = bounded.filter(pc.and_(outlived, pc.equal(calls["disposition"], _DUE)))
    if not first.num_rows:
        return disposed
    found = pc.index_in(disposed["call_id"], value_set=first["call_id"].combine_chunks())
    waits = pc.is_valid(found)
    why = pc.binary_join_element_wise("its", first["component"], "goes first, for a maximum of the law", " ")
    detail = pc.if_else(waits, why.take(found), disposed["detail"])
    retained = pc.if_else(waits, _RETAINED, disposed["disposition"])
    names = disposed.column_names
    return disposed.set_column(names.index("disposition"), "disposition", retained).set_column(
        names.index("detail"), "detail", detail
    )


def _lasts_beyond(goes: pa.ChunkedArray, ceiling: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether a copy that goes on a day is there still after a last day."""
    last = pc.subtract(goes.cast(pa.int32()), _ONE_DAY)
    return pc.fill_null(pc.greater(last, ceiling.cast(pa.int32())), True)
