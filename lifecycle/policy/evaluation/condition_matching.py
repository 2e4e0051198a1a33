"""Which rows of facts a condition or a hold speaks of, and on which day. Arrow columns in, Arrow columns out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial, reduce
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.errors import PolicyError
from lifecycle.policy.clock import EARLIEST_TRIGGER
from lifecycle.policy.documents.hold import Extension, Hold, HoldScope
from lifecycle.policy.documents.model_types import Conditions, fold_name
from lifecycle.policy.evaluation.phone_numbers import PHONE_FACT, same_numbers, tells_no_number
from lifecycle.policy.evaluation.spelling import may_be_inside, spellings, trimmed, without_zeros, without_zeros_before
from lifecycle.policy.zone_arithmetic import days_of

_COMMA = pa.scalar(", ")


def local_dates(facts: pa.Table, name: str, zone: ZoneInfo) -> pa.Array:
    """The calendar day of a fact in a time zone, as date32. NULL where the fact is missing.

    A date is a day already; a timestamp carries its zone (a naive one is a programming error).
    """
    if name not in facts.column_names:
        return pa.nulls(facts.num_rows, pa.date32())
    values = facts[name].combine_chunks()
    if pa.types.is_date32(values.type):
        return values
    if values.type.tz is None:
        raise TypeError(f"the fact {name} is a timestamp without a zone")
    return days_of(values, zone)


def shift_days(days: pa.Array, count: int) -> pa.Array:
    """The day so many days after each day, or before it."""
    return pc.add(days.cast(pa.int32()), pa.scalar(count, pa.int32())).cast(pa.date32())


def fact_words(facts: pa.Table, name: str) -> pa.DictionaryArray:
    """A fact as conditions compare it, trimmed and case-folded; NULL where it is missing or blank.

    As industries are: an `Order` that missed its rule could fall to a shorter one.
    """
    each = dictionary_encoded(_text(facts, name))
    # Not utf8_lower: it leaves ß, İ and others as case-folding does not.
    context = [value and fold_name(value) for value in trimmed(each.dictionary).to_pylist()]
    among = dictionary_encoded(pa.array(context, pa.string()))
    return pa.DictionaryArray.from_arrays(among.indices.take(each.indices), among.dictionary)


def dictionary_encoded(column: pa.Array) -> pa.DictionaryArray:
    """A column as its distinct values, NULL among them, and where they are."""
    return column.dictionary_encode(null_encoding="encode")


def match_conditions(facts: pa.Table, when: Conditions) -> tuple[pa.Array, pa.Array]:
    """Two masks: the rows a condition certainly matches, and those it may match because a fact is unknown."""
    return match_encoded_conditions({name: fact_words(facts, name) for name in when}, facts.num_rows, when)


def match_encoded_conditions(context: Mapping[str, pa.Array], rows: int, when: Conditions) -> tuple[pa.Array, pa.Array]:
    """`matches` on facts that are words already, plain or dictionary-encoded."""
    certain = possible = pa.repeat(pa.scalar(True), rows)
    for name, values in when.items():
        wanted = pa.array([fold_name(value) for value in values], pa.string())
        hit = map_distinct_values(context[name], partial(pc.is_in, value_set=wanted))
        certain = pc.and_(certain, hit)
        possible = pc.and_(possible, pc.or_(hit, map_distinct_values(context[name], pc.is_null)))
    return certain, possible


def map_distinct_values(column: pa.Array, question: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The answer for each value, asked once for each distinct one where the column is dictionary-encoded."""
    if isinstance(column, pa.DictionaryArray):
        return question(column.dictionary).take(column.indices)
    return question(column)


def holds_on_rows(
    facts: pa.Table, holds: Iterable[Hold], zone: ZoneInfo, names: frozenset[str] = frozenset()
) -> pa.Array:
    """For each row the ids of the holds whose scope it is in, NULL where there are none.

    `names` are the folded names of the industry all rows are of: a hold may say what the CRM writes, or the schedule's.
    Days are those of the zone. What is unknown holds: a call may be in a scope if a fact that it asks for is missing or
    blank. A call without any time is inside every range of days. One of which only its beginning or end is known may
    have lasted a day.
    """
    found = [pa.nulls(facts.num_rows, pa.string())]
    for hold in holds:
        found.append(
            pc.if_else(rows_in_scope(facts, hold, zone, names), pa.scalar(hold.id), pa.scalar(None, pa.string()))
        )
    return join_texts(found)


def restores_on_rows(facts: pa.Table, as_of: date) -> pa.Array:
    """For each row of a call that was put back from the archive, until which day it stays for that; NULL after it."""
    if "restored_until" not in facts.column_names:
        return pa.nulls(facts.num_rows, pa.string())
    days = facts["restored_until"].combine_chunks()
    said = pc.binary_join_element_wise(pa.scalar("restored until"), days.cast(pa.string()), " ")
    binds = pc.fill_null(pc.greater_equal(days, pa.scalar(as_of)), False)
    return pc.if_else(binds, said, pa.scalar(None, pa.string()))


def rows_in_scope(
    facts: pa.Table, hold: Hold | Extension, zone: ZoneInfo, names: frozenset[str] = frozenset()
) -> pa.Array:
    """Which rows are, or may be, in any scope of a hold or an extension; see `holds_on_rows`."""
    return reduce(pc.or_, [in_scope(facts, hold, scope, zone, names)[1] for scope in hold.scope])


def in_scope(
    facts: pa.Table, hold: Hold | Extension, scope: HoldScope, zone: ZoneInfo, names: frozenset[str] = frozenset()
) -> tuple[pa.Array, pa.Array]:
    """Two masks: the rows that are certainly in a scope, and those that may be because a fact is unknown as well."""
    known = may_be = _all(facts)
    for name, values in scope.wanted().items():
        if name not in facts.column_names:
            raise PolicyError(f"{_named(hold)}: its scope asks for the fact {name!r}, which the source does not give")
        if pa.types.is_list(facts.schema.field(name).type):
            certain, possible = _any_element(facts[name].combine_chunks(), name, values)
        elif name == "industry":
            certain, possible = _industry(facts, values, names)
        else:
            certain, possible = _one_of(trimmed(_text(facts, name)), name, values)
        known, may_be = pc.and_(known, certain), pc.and_(may_be, possible)
    if scope.first_day is None and scope.last_day is None:
        return known, may_be
    certain, possible = _in_range(facts, hold, scope, zone)
    return pc.and_(known, certain), pc.and_(may_be, possible)


def _industry(facts: pa.Table, values: frozenset[str], names: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """A row without an industry is in no scope by industry: nothing ever lets it go."""
    wanted = frozenset(fold_name(value) for value in values)
    if wanted & names:
        return _all(facts), _all(facts)
    found = fact_words(facts, "industry")
    hit = map_distinct_values(found, partial(pc.is_in, value_set=pa.array(sorted(wanted), pa.string())))
    return hit, hit


def _one_of(written: pa.Array, name: str, values: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    fact = without_zeros(written)
    if name != "call_id":  # a key of text is another one with zeros in front
        fact = without_zeros_before(fact)
    hit, wanted = pc.is_in(fact, spelled := _spelled(values)), spelled.to_pylist()
    possible = pc.or_(pc.or_(hit, pc.is_null(fact)), may_be_inside(fact, wanted))
    if name != PHONE_FACT:
        return hit, possible
    certain, may_be = same_numbers(written, values)
    return pc.or_(hit, certain), pc.or_(possible, may_be)


def _spelled(values: frozenset[str]) -> pa.Array:
    return pa.array(sorted(frozenset[str]().union(*map(spellings, values))), pa.string())


def _any_element(lists: pa.Array, name: str, values: frozenset[str]) -> tuple[pa.Array, pa.Array]:
    """The rows with a link that is one of the values, and those with one that may be: to nobody knows what."""
    texts = trimmed(pc.list_flatten(lists).cast(pa.string()))
    parents, places = pc.list_parent_indices(lists), pa.array(range(len(lists)), pa.int64())
    certain, possible = (pc.is_in(places, parents.filter(hit).cast(pa.int64())) for hit in _one_of(texts, name, values))
    return certain, pc.or_(pc.is_null(lists), possible)


def unknown_rows(facts: pa.Table, name: str) -> pa.Array:
    """The rows of which nobody knows a fact, or one of whose links names nobody knows what."""
    if not pa.types.is_list(facts.schema.field(name).type):
        texts = trimmed(_text(facts, name))
        return tells_no_number(texts) if name == PHONE_FACT else pc.is_null(texts)
    return _any_element(facts[name].combine_chunks(), name, frozenset())[1]


def _in_range(facts: pa.Table, hold: Hold | Extension, scope: HoldScope, zone: ZoneInfo) -> tuple[pa.Array, pa.Array]:
    if not {"started_at", "ended_at"} & set(facts.column_names):
        raise PolicyError(f"{_named(hold)}: its days ask for started_at or ended_at, which the source does not give")
    started, ended = (_dated(local_dates(facts, name, zone)) for name in ("started_at", "ended_at"))
    ends = pc.coalesce(started, shift_days(ended, -1)), pc.coalesce(ended, shift_days(started, 1))
    inside = _all(facts)
    if scope.first_day is not None:
        inside = pc.and_(inside, pc.greater_equal(pc.max_element_wise(*ends), pa.scalar(scope.first_day)))
    if scope.last_day is not None:
        inside = pc.and_(inside, pc.less_equal(pc.min_element_wise(*ends), pa.scalar(scope.last_day)))
    both = pc.and_(pc.is_valid(started), pc.is_valid(ended))
    touches = reduce(pc.or_, [_is_between(end, scope) for end in (started, ended)])
    return pc.or_(touches, pc.and_(both, pc.fill_null(inside, False))), pc.fill_null(inside, True)


def _is_between(days: pa.Array, scope: HoldScope) -> pa.Array:
    first, last = scope.first_day or date.min, scope.last_day or date.max
    inside = pc.and_(pc.greater_equal(days, pa.scalar(first)), pc.less_equal(days, pa.scalar(last)))
    return pc.fill_null(inside, False)


def _dated(days: pa.Array) -> pa.Array:
    return pc.if_else(pc.less(days, pa.scalar(EARLIEST_TRIGGER)), pa.scalar(None, pa.date32()), days)


def _named(hold: Hold | Extension) -> str:
    return f"{type(hold).__name__.lower()} {hold.id}"


def join_texts(columns: Sequence[pa.Array]) -> pa.Array:
    """Text columns joined by commas row by row; NULL where all of them are."""
    return reduce(_joined, columns)


def _joined(left: pa.Array, right: pa.Array) -> pa.Array:
    # Not binary_join_element_wise(..., null_handling="skip"): pyarrow 26 drops the rows in which all values are NULL.
    return pc.coalesce(pc.binary_join_element_wise(left, right, _COMMA), left, right)


def _text(facts: pa.Table, name: str) -> pa.Array:
    if name not in facts.column_names or pa.types.is_list(facts.schema.field(name).type):  # links are for holds
        return pa.nulls(facts.num_rows, pa.string())
    fact = facts[name].combine_chunks()
    if pa.types.is_binary(fact.type) or pa.types.is_fixed_size_binary(fact.type):  # records name such a key in hex
        return pa.array([None if value is None else value.hex() for value in fact.to_pylist()], pa.string())
    return fact.cast(pa.string())


def _all(facts: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(True), facts.num_rows)
