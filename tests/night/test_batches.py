"""Which calls share a batch: those of one destroy month under its latest day, bounded by calls and bytes."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.crm.crm import Crm
from lifecycle.crm.reading import row_tables
from lifecycle.errors import DatabaseError
from lifecycle.night import destroy_batches
from lifecycle.night.destroy_batches import group_by_destroy_month
from lifecycle.night.verify import verify_batch
from tests.builders import CLOCK, committed, run_night
from tests.night.cases import DUE, NIGHT, TIME, Case

DAYS = st.dates(date(2024, 1, 1), date(2030, 12, 31))
CALL = st.tuples(st.sampled_from([None, "recording"]), st.none() | DAYS, st.none() | st.integers(0, 60))


def planned(*calls: tuple[str | None, date | None, date | None]) -> pa.Table:
    components, days, ceilings = zip(*calls, strict=True) if calls else ((), (), ())
    return pa.table(
        {
            "call_id": pa.array(range(len(calls)), pa.int64()),
            "component": pa.array(components, pa.string()),
            "destroy_on": pa.array(days, pa.date32()),
            "ceiling": pa.array(ceilings, pa.date32()),
        }
    )


def grouped(*calls: tuple[str | None, date | None, date | None]) -> dict[tuple[str | None, date | None], list[int]]:
    groups = group_by_destroy_month(planned(*calls), NIGHT)
    return {(group.component, group.destroy_on): group.planned["call_id"].to_pylist() for group in groups}


def test_calls_of_one_destroy_month_share_a_group_under_its_latest_day():
    first, last, next_ = date(2028, 3, 1), date(2028, 3, 31), date(2028, 4, 1)
    assert grouped((None, first, None), (None, last, None), (None, next_, None), (None, None, None)) == {
        (None, last): [0, 1],
        (None, next_): [2],
        (None, None): [3],
    }


def test_a_component_never_shares_a_group_with_whole_calls():
    day = date(2028, 3, 1)
    assert grouped((None, day, None), ("recording", day, None)) == {(None, day): [0], ("recording", day): [1]}


def test_copies_whose_day_had_come_by_the_night_are_one_group_and_those_of_tomorrow_are_not():
    old, today, tomorrow = date(2019, 1, 1), NIGHT, date(2026, 12, 1)
    assert grouped((None, old, None), (None, today, None), (None, tomorrow, None)) == {
        (None, today): [0, 1],
        (None, tomorrow): [2],
    }


def test_a_call_whose_maximum_ends_before_the_latest_day_lies_in_a_batch_of_its_own_day():
    first, second, last = date(2028, 3, 1), date(2028, 3, 2), date(2028, 3, 31)
    assert grouped((None, first, first), (None, first, last), (None, second, second), (None, last, last)) == {
        (None, last): [1, 3],
        (None, first): [0],
        (None, second): [2],
    }


def test_a_plan_that_says_no_maximum_puts_no_two_days_together():
    first, last = date(2028, 3, 1), date(2028, 3, 31)
    table = planned((None, first, None), (None, last, None)).drop_columns(["ceiling"])
    found = {group.destroy_on: group.planned["call_id"].to_pylist() for group in group_by_destroy_month(table, NIGHT)}
    assert found == {first: [0], last: [1]}


def later(day: date | None, days: int | None) -> date | None:
    return None if day is None or days is None else day + timedelta(days=days)


@given(st.lists(CALL, max_size=30))
def test_every_call_is_in_one_group_never_early_never_past_its_maximum_and_within_its_month(calls):
    told = [
        (part, day, day and wait is not None and date.fromordinal(day.toordinal() + wait)) for part, day, wait in calls
    ]
    told = [(part, day, ceiling or None) for part, day, ceiling in told]
    found = grouped(*told)
    assert sorted(n for numbers in found.values() for n in numbers) == list(range(len(told)))
    for (component, copy_goes), numbers in found.items():
        for part, day, ceiling in (told[n] for n in numbers):
            assert part == component
            assert (day is None) == (copy_goes is None)
            if day is not None and copy_goes is not None:
                assert copy_goes >= day
                assert ceiling is None or copy_goes <= ceiling
                assert (copy_goes.year, copy_goes.month) == (day.year, day.month) or copy_goes <= NIGHT


def ten_years(case: Case) -> Case:
    case.run(f"CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at {TIME[case.dialect]})")
    days = [f"({n}, 'Retail', '2025-{1 + n % 10:02}-{1 + n % 25:02} 10:00:00')" for n in range(1, 401)]
    return case.run(f"INSERT INTO calls VALUES {', '.join(days)}").mapped()


def test_a_backlog_is_a_batch_a_destroy_month_and_every_record_keeps_its_own_day(new_case):
    case = ten_years(new_case("sqlite"))
    night = case.night()
    manifests = [manifest for manifest, _ in committed(case.lifecycle().store)]
    assert (night.calls, len(manifests), sum(m.calls for m in manifests)) == (400, 10, 400)
    for manifest, tables in committed(case.lifecycle().store):
        days = tables["calls"]["_destroy_on"].to_pylist()
        assert (manifest.destroy_on, {(day.year, day.month) for day in days}) == (
            max(days),
            {(manifest.destroy_on.year, manifest.destroy_on.month)},
        )
        assert f"/destroy={manifest.destroy_on:%Y-%m}/" in manifest.objects[0].key


def test_a_maximum_of_the_law_keeps_a_call_out_of_a_batch_that_lasts_longer(new_case):
    case = new_case("sqlite")
    (case.folder / "policies" / "regimes").mkdir()
    (case.folder / "policies" / "regimes" / "max.yaml").write_text(
        "{id: max, title: t, jurisdiction: EU, citation: c, evidence: e, verified: text, kind: statute, "
        "review_by: 2030-01-01, trigger: ended_at, maximum: P2Y1D}"
    )
    policy = (case.folder / "policies" / "Retail.yaml").read_text()
    case.schedule(policy.replace("destroy_after: P2Y", "destroy_after: P2Y, regimes: [max]"))
    case.calls(c1="2025-10-01 10:00:00", c2="2025-10-02 10:00:00", c3="2025-10-20 10:00:00").mapped().night()
    found = {manifest.destroy_on: manifest.calls for manifest, _ in committed(case.lifecycle().store)}
    assert sum(found.values()) == 3
    assert len(found) > 1


def test_batches_are_bounded_by_calls(new_case, monkeypatch):
    monkeypatch.setattr(destroy_batches, "BATCH_CALLS", 30)
    monkeypatch.setattr("lifecycle.night.planned_rows.FIRST_READ", 10)
    monkeypatch.setattr("lifecycle.night.planned_rows.LARGEST_READ", 10)
    case = new_case("sqlite").calls(**{f"c{n}": DUE for n in range(100)}).mapped()
    assert case.night().calls == 100
    assert sorted(manifest.calls for manifest, _ in committed(case.lifecycle().store)) == [10, 30, 30, 30]


BIG = 100_000


def with_text(case: Case, calls: int, size: int = BIG) -> Case:
    """Calls of which each has a note of so many letters."""
    kind = "LONGTEXT" if case.dialect == "mysql" else "TEXT"
    case.calls(**{f"c{n}": DUE for n in range(1, calls + 1)}).mapped("[{table: notes, match: {call_id: id}}]")
    case.run(f"CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER, body {kind})")
    if case.dialect == "mysql":
        case.run("CREATE INDEX by_call ON notes (call_id)")
    text = (
        f"replace(hex(zeroblob({size // 2})), '00', 'ab')" if case.dialect == "sqlite" else f"repeat('ab', {size // 2})"
    )
    return case.run(f"INSERT INTO notes SELECT id, id, {text} FROM calls")


def test_batches_are_bounded_by_bytes(case, monkeypatch):
    monkeypatch.setattr(destroy_batches, "BATCH_BYTES", 10 * BIG)
    monkeypatch.setattr("lifecycle.night.planned_rows.READ_BYTES", 2 * BIG)
    monkeypatch.setattr("lifecycle.night.planned_rows.MOST_READ", 5 * BIG)
    with_text(case, 60)
    night = case.night()
    assert (night.calls, night.set_aside, case.ids(), case.ids("notes")) == (60, {}, [], [])
    batches = list(committed(case.lifecycle().store))
    assert max(tables["notes"].nbytes for _, tables in batches) <= 10 * BIG
    assert 6 <= len(batches) <= 20
    assert sorted(len(body) for _, tables in batches for body in tables["notes"]["body"].to_pylist()) == [BIG] * 60


def test_batches_are_bounded_by_the_memory_that_is_set(new_case):
    case, size = with_text(new_case("sqlite"), 24, 2**20), 24 * 2**20
    lifecycle = case.lifecycle(memory=64)
    assert run_night(lifecycle, night=NIGHT).calls == 24
    batches = list(committed(lifecycle.store))
    assert max(sum(table.nbytes for table in tables.values()) for _, tables in batches) <= 64 * 2**20 // 4
    assert sum(tables["notes"].nbytes for _, tables in batches) >= size
    assert len(batches) >= 2


def test_an_error_of_the_reader_ends_the_archive_and_a_rerun_goes_on(new_case, monkeypatch):
    monkeypatch.setattr(destroy_batches, "BATCH_CALLS", 10)
    monkeypatch.setattr("lifecycle.night.planned_rows.FIRST_READ", 10)
    monkeypatch.setattr("lifecycle.night.planned_rows.LARGEST_READ", 10)
    case = new_case("sqlite").calls(**{f"c{n}": DUE for n in range(40)}).mapped()
    read, asked = Crm.read_whole, list[int]()

    def failing(crm, keys, *others):
        asked.append(len(keys))
        if len(asked) == 3:
            raise DatabaseError("gone away")
        return read(crm, keys, *others)

    monkeypatch.setattr(Crm, "read_whole", failing)
    with pytest.raises(DatabaseError, match="gone away"):
        case.night()
    assert len(case.ids()) == 40
    assert [manifest.calls for manifest, _ in committed(case.lifecycle().store)] in ([10], [10, 10])
    monkeypatch.setattr(Crm, "read_whole", read)
    assert case.night().calls == 40
    assert sorted(manifest.calls for manifest, _ in committed(case.lifecycle().store)) == [10, 10, 10, 10]


def test_one_call_larger_than_any_batch_is_a_batch_of_its_own(new_case, monkeypatch):
    monkeypatch.setattr(destroy_batches, "BATCH_BYTES", BIG)
    monkeypatch.setattr("lifecycle.night.planned_rows.MOST_READ", BIG)
    case = with_text(new_case("postgresql"), 3, 3 * BIG)
    night = case.night()
    assert (night.calls, night.set_aside, len(night.purged)) == (3, {}, 1)
    assert [manifest.calls for manifest, _ in committed(case.lifecycle().store)] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_texts_that_32_bits_cannot_count_have_a_large_type_in_the_archive_and_equal_the_live_ones(
    new_case, monkeypatch, kind
):
    monkeypatch.setattr(row_tables, "LARGE_BYTES", 2 * BIG)
    case = with_text(new_case(kind), 5)
    lifecycle = case.lifecycle()
    case.night(purge=False)
    ((_, tables),) = committed(lifecycle.store)
    assert tables["notes"].schema.field("body").type == pa.large_string()
    monkeypatch.setattr(row_tables, "LARGE_BYTES", 2**30)  # the live rows are read with fewer bytes at once
    night = case.night()
    assert (night.calls, night.set_aside, case.ids("notes")) == (5, {}, [])
    (key,) = [key for purged in night.purged.values() for key in purged.manifests]
    assert verify_batch(lifecycle.store, key, CLOCK).tables["notes"]["body"].to_pylist() == ["ab" * (BIG // 2)] * 5


@pytest.mark.slow
def test_2300_calls_of_a_megabyte_each_go_in_as_many_batches_as_it_takes(new_case):
    case = with_text(new_case("postgresql"), 2_300, 2**20)
    night = case.night()
    assert (night.calls, night.set_aside, case.ids("notes")) == (2_300, {}, [])
