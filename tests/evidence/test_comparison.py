"""Whether two copies of the same calls are the same: every difference is found, and laid to the right call."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lifecycle.evidence.comparison import CALL_ID, find_differences, rows_of_calls

NAN = float("nan")
KINDS = {
    "id": pa.int64(),
    "name": pa.string(),
    "size": pa.float64(),
    "price": pa.decimal128(12, 2),
    "at": pa.timestamp("us", "UTC"),
    "day": pa.date32(),
    "body": pa.binary(),
    "flag": pa.bool_(),
    "parent": pa.string(),
}
VALUES = {
    "id": [0, 1, -1, 2**62, None],
    "name": ["", " ", "a", "A", "a ", "None", "ä", "a\u0308", None],
    "size": [0.0, 1.0, 1.0000000000000002, NAN, float("inf"), None],
    "price": [Decimal("0.00"), Decimal("0.01"), Decimal("-0.01"), None],
    "at": [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC), None],
    "day": [date(2021, 3, 16), date(2021, 3, 17), None],
    "body": [b"", b"\x00", b"\xff", None],
    "flag": [True, False, None],
    "parent": ["1", "2", None],
}
USUAL = {name: values[1] for name, values in VALUES.items()}


def part(*rows: tuple, **kinds: pa.DataType) -> pa.Table:
    """A table of rows, each a call and what of it is unusual."""
    kinds = {CALL_ID: pa.string(), **KINDS, **kinds}
    full = [{CALL_ID: row[0], **USUAL, **(row[1] if len(row) > 1 else {})} for row in rows]
    return pa.table({name: pa.array([row.get(name) for row in full], kind) for name, kind in kinds.items()})


THREE = part(("a",), ("b",), ("c",))


def test_equal_parts_have_no_difference():
    parts = {"calls": THREE, "notes": part(("a",), ("a",), ("c",)), "none": part()}
    again = {name: pa.concat_tables([table.slice(0, 1), table.slice(1)]) for name, table in parts.items()}
    assert find_differences(parts, parts) == find_differences(parts, again) == find_differences(again, parts) == {}


@pytest.mark.parametrize("name", VALUES)
def test_a_changed_value_in_any_column_names_its_call(name):
    live = part(("a",), ("b", {name: VALUES[name][0]}), ("c",))
    assert find_differences({"calls": THREE}, {"calls": live}) == {"b": "calls: the rows changed"}
    live = part(("a",), ("b", {name: None}), ("c",))
    assert find_differences({"calls": live}, {"calls": THREE}) == {"b": "calls: the rows changed"}


def test_a_text_that_reads_as_nothing_is_not_nothing():
    said, nothing = part(("a", {"name": "None"})), part(("a", {"name": None}))
    assert find_differences({"calls": said}, {"calls": nothing}) == {"a": "calls: the rows changed"}


def test_a_value_that_moved_to_another_column_is_a_change():
    one, other = part(("a", {"name": "1", "parent": "2"})), part(("a", {"name": "2", "parent": "1"}))
    assert find_differences({"calls": one}, {"calls": other}) == {"a": "calls: the rows changed"}


def test_a_nan_equals_itself_and_nothing_else():
    nans = {"calls": part(("a", {"size": NAN}), ("b",))}
    assert find_differences(nans, nans) == {}
    assert find_differences(nans, {"calls": part(("a",), ("b",))}) == {"a": "calls: the rows changed"}
    assert find_differences(nans, {"calls": part(("a", {"size": NAN}), ("b", {"flag": True}))}) == {
        "b": "calls: the rows changed"
    }


def test_the_two_hours_of_one_clock_time_differ():
    kind = pa.timestamp("us", "Europe/Berlin")
    one, two = (part(("a", {"at": moment}), at=kind) for moment in VALUES["at"][:2])
    assert find_differences({"calls": one}, {"calls": two}) == {"a": "calls: the rows changed"}


@pytest.mark.parametrize("swap", [False, True])
def test_a_row_on_one_side_only_names_its_call(swap):
    more, fewer = {"notes": part(("a",), ("b",), ("b",), ("c",))}, {"notes": part(("a",), ("b",))}
    sides = (fewer, more) if swap else (more, fewer)
    assert find_differences(*sides) == {"b": "notes: the rows changed", "c": "notes: the rows changed"}


@pytest.mark.parametrize("swap", [False, True])
def test_a_part_on_one_side_only_names_its_calls(swap):
    more, fewer = {"calls": THREE, "notes": part(("a",), ("c",))}, {"calls": THREE}
    sides = (fewer, more) if swap else (more, fewer)
    assert find_differences(*sides) == dict.fromkeys("ac", "notes: rows on one side only")
    assert find_differences({"calls": THREE}, {"calls": THREE, "notes": part()}) == {}


@pytest.mark.parametrize(
    "other",
    [
        THREE.drop_columns(["flag"]),
        THREE.append_column("more", pa.nulls(3, pa.string())),
        THREE.rename_columns([f"{name}x" if name == "name" else name for name in THREE.column_names]),
        THREE.select([*reversed(THREE.column_names)]),
        part(("a",), ("b",), ("c",), id=pa.int32()),
        part(("a",), ("b",), ("c",), name=pa.large_string()),
    ],
)
def test_changed_columns_name_every_call(other):
    changed = dict.fromkeys("abc", "calls: the columns changed")
    assert find_differences({"calls": THREE}, {"calls": other}) == changed
    assert find_differences({"calls": other}, {"calls": THREE.slice(0, 1)}) == changed


def test_the_rows_of_other_calls_in_another_order_are_no_difference():
    """A call's own rows are compared as many as they are, not by their place."""
    live = part(("b",), ("a", {"id": 1}), ("a", {"id": 2**62}))
    archived = part(("a", {"id": 2**62}), ("a", {"id": 1}), ("b",))
    assert find_differences({"notes": archived}, {"notes": live}) == {}


def test_a_row_twice_is_not_a_row_once():
    assert find_differences({"notes": part(("a",), ("a",))}, {"notes": part(("a",))}) == {
        "a": "notes: the rows changed"
    }


def test_a_row_that_went_to_another_call_names_both():
    archived, live = part(("a",), ("b",), ("b",)), part(("a",), ("a",), ("b",))
    assert find_differences({"notes": archived}, {"notes": live}) == dict.fromkeys("ab", "notes: the rows changed")


def test_the_first_part_that_differs_is_said():
    archived = {"calls": THREE, "notes": part(("a",)), "links": part(("a",))}
    live = {"calls": THREE, "notes": part(("a", {"id": 0})), "links": part(("a", {"id": 0}), ("b",))}
    assert find_differences(archived, live) == {"a": "notes: the rows changed", "b": "links: the rows changed"}


LINKS = ("links",)


@pytest.mark.parametrize(
    ("live", "found"),
    [
        ([("a",), ("a", {"id": 0}), ("b",)], {}),
        ([("a",), ("b",)], {}),  # another call of the batch went first, and its link with it
        ([("b",)], {}),
        ([], {}),
        ([("a",), ("a",), ("b",)], {"a": "links: the rows changed"}),
        ([("a", {"name": "z"}), ("b",)], {"a": "links: the rows changed"}),
        ([("a",), ("b",), ("c",)], {"c": "links: the rows changed"}),
    ],
)
def test_an_archived_link_may_be_gone_but_a_live_one_must_be_archived(live, found):
    archived = {"links": part(("a",), ("a", {"id": 0}), ("b",))}
    assert find_differences(archived, {"links": part(*live)}, may_vanish=LINKS) == found
    if not live:
        assert find_differences(archived, {}, may_vanish=LINKS) == {}


def test_a_link_nobody_archived_is_a_difference():
    found = dict.fromkeys("ab", "links: rows on one side only")
    assert find_differences({}, {"links": part(("a",), ("b",))}, may_vanish=LINKS) == found


def test_only_the_named_parts_may_vanish():
    archived = {"notes": part(("a",)), "links": part(("a",))}
    assert find_differences(archived, {}, may_vanish=LINKS) == {"a": "notes: rows on one side only"}
    assert find_differences(archived, {"notes": part()}, may_vanish=LINKS) == {"a": "notes: the rows changed"}


PARENT = {"calls": ["parent"]}
PARENTED = part(("a", {"parent": "1"}), ("b", {"parent": "2"}), ("c", {"parent": None}))


@pytest.mark.parametrize(
    ("parents", "found"),
    [
        (["1", "2", None], {}),
        ([None, "2", None], {}),
        ([None, None, None], {}),
        (["2", None, None], {"a": "calls: the rows changed"}),
        ([None, None, "1"], {"c": "calls: the rows changed"}),
    ],
)
def test_a_link_column_of_a_call_may_be_cleared_but_not_changed(parents, found):
    live = part(*[(name, {"parent": parent}) for name, parent in zip("abc", parents, strict=True)])
    assert find_differences({"calls": PARENTED}, {"calls": live}, may_clear=PARENT) == found
    chunked = pa.concat_tables([live.slice(0, 2), live.slice(2)])
    assert find_differences({"calls": PARENTED}, {"calls": chunked}, may_clear=PARENT) == found


def test_a_cleared_column_hides_no_other_change():
    live = part(("a", {"parent": None, "name": "z"}), ("b", {"parent": None}), ("c", {"parent": None}))
    assert find_differences({"calls": PARENTED}, {"calls": live}, may_clear=PARENT) == {"a": "calls: the rows changed"}


def test_only_the_named_columns_of_calls_may_be_cleared():
    live = part(("a", {"parent": None}), ("b", {"parent": "2"}), ("c", {"parent": None}))
    assert find_differences({"calls": PARENTED}, {"calls": live}) == {"a": "calls: the rows changed"}
    assert find_differences({"calls": PARENTED}, {"calls": live}, may_clear={"calls": ["name"]}) == {
        "a": "calls: the rows changed"
    }
    assert find_differences({"notes": PARENTED}, {"notes": live}, may_clear=PARENT) == {"a": "notes: the rows changed"}


def test_where_a_call_is_gone_it_is_named():
    found = find_differences({"calls": PARENTED}, {"calls": PARENTED.slice(1)}, may_clear=PARENT)
    assert found == {"a": "calls: the rows changed"}


def test_a_key_may_be_of_any_type():
    for kind, one, two in [(pa.int64(), 1, 2), (pa.binary(), b"\xff", b"\x00")]:
        archived, live = (pa.table({CALL_ID: pa.array([one, two], kind), "n": [1, n]}) for n in (1, 2))
        assert find_differences({"calls": archived}, {"calls": live}) == {two: "calls: the rows changed"}


def test_the_rows_of_some_calls_are_theirs_only():
    parts = {"calls": THREE, "notes": part(("b",), ("a",), ("b", {"id": 0}))}
    found = rows_of_calls(parts, pa.array(["b", "x"]))
    assert {name: table.to_pylist() for name, table in found.items()} == {
        "calls": part(("b",)).to_pylist(),
        "notes": part(("b",), ("b", {"id": 0})).to_pylist(),
    }


CELLS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})
TABLES = st.lists(st.tuples(st.sampled_from("abcd"), CELLS), min_size=1, max_size=6)


def same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)


@settings(max_examples=80)
@given(TABLES, st.data())
def test_a_single_changed_cell_is_found_and_names_exactly_its_call(rows, data):
    place, name = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(sorted(VALUES)))
    call_id, cells = rows[place]
    value = data.draw(st.sampled_from(VALUES[name]))
    assume(not same(cells[name], value))
    live = [*rows[:place], (call_id, {**cells, name: value}), *rows[place + 1 :]]
    for part_name in ("calls", "notes"):
        archived = {part_name: part(*rows), "same": part(*rows)}
        found = find_differences(archived, {part_name: part(*live), "same": part(*rows)})
        assert found == {call_id: f"{part_name}: the rows changed"}


@settings(max_examples=40)
@given(TABLES, st.data())
def test_a_single_row_taken_away_is_found_and_names_exactly_its_call(rows, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    fewer = {"calls": part(*rows[:place], *rows[place + 1 :])}
    expected = {rows[place][0]: "calls: the rows changed"}
    assert (
        find_differences({"calls": part(*rows)}, fewer) == find_differences(fewer, {"calls": part(*rows)}) == expected
    )


@settings(max_examples=40)
@given(TABLES)
def test_a_copy_equals_itself(rows):
    table = part(*rows)
    assert find_differences({"calls": table}, {"calls": part(*rows)}, may_vanish=["calls"], may_clear=PARENT) == {}
    assert pc.all(pc.is_in(table[CALL_ID], pa.array(list("abcd")))).as_py()
