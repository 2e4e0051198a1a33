"""The facts of calls: what is no time is no clock, no call is split, and the narrowing never loses a due call."""

import random
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.crm.reading import facts as module
from lifecycle.crm.reading.fact_selection import Cutoffs, FactKinds
from lifecycle.crm.reading.fact_values import parse_texts, parse_times
from lifecycle.errors import SourceError
from lifecycle.night.survey import night_cutoffs
from lifecycle.policy.documents.hold import Holds, read_hold
from lifecycle.policy.documents.lawfulness import read_schedule
from lifecycle.policy.documents.schedule import collect_schedules
from lifecycle.policy.documents.yaml_document import read_yaml_document
from lifecycle.policy.evaluation.condition_matching import local_dates
from lifecycle.policy.evaluation.disposition import dispose_calls

NIGHT = date(2026, 11, 20)
ENDS = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "UTC")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def moments(*values, zone="UTC"):
    return [
        None if v is None else v.astimezone(UTC)
        for v in parse_times(values, zone).cast(pa.timestamp("us", "UTC")).to_pylist()
    ]


def test_naive_times_are_of_the_zone_of_the_source():
    assert moments(naive(2021, 7, 1, 12), zone="Europe/Berlin") == [utc(2021, 7, 1, 10)]
    assert moments("2021-07-01 12:00:00", zone="Europe/Berlin") == [utc(2021, 7, 1, 10)]


def test_a_naive_time_that_a_clock_change_doubled_is_the_later_one():
    assert moments(naive(2021, 10, 31, 2, 30), zone="Europe/Berlin") == [utc(2021, 10, 31, 1, 30)]


def test_aware_times_keep_their_moment():
    west = timezone(timedelta(hours=-8))
    assert moments(datetime(2021, 7, 1, 12, tzinfo=west), zone="Asia/Tokyo") == [utc(2021, 7, 1, 20)]
    assert moments("2021-07-01T12:00:00-08:00", "2021-07-01T12:00:00Z") == [utc(2021, 7, 1, 20), utc(2021, 7, 1, 12)]


def test_dates_stay_dates():
    assert parse_times([date(2021, 7, 1), None], "UTC").to_pylist() == [date(2021, 7, 1), None]
    assert parse_times(["2021-07-01", None, "2021-02-30"], "UTC").to_pylist() == [date(2021, 7, 1), None, None]


NO_TIMES = ["", "garbage", "0000-00-00 00:00:00", "2021-13-01 00:00:00", "infinity", "1637020800", 0, 1637020800,
            1637020800000, 1637020800000000, 1.5, Decimal("20210701"), True, b"2021-07-01 00:00:00",
            "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"]  # fmt: skip


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
@pytest.mark.parametrize("beside", [[], [None], ["2021-07-01 12:00:00"], [naive(2021, 7, 1, 12)]], ids=repr)
def test_what_is_no_time_is_no_clock_whatever_stands_beside_it(value, beside):
    assert parse_times([*beside, value], "Pacific/Kiritimati").to_pylist()[-1] is None


def test_a_date_among_times_ends_its_day():
    late = utc(2021, 7, 1, 23, 59, 59, 999999)
    for day in (date(2021, 7, 1), "2021-07-01", " 2021-07-01 "):
        assert moments(day, "2021-07-01 12:00:00" if isinstance(day, str) else naive(2021, 7, 1, 12))[0] == late


instants = st.datetimes(naive(1, 1, 3), naive(9999, 12, 29))
WRITTEN = [
    lambda t: t,
    lambda t: t.isoformat(" "),
    lambda t: t.isoformat("T"),
    lambda t: t.replace(microsecond=0).isoformat(" "),
    lambda t: t.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))),
    lambda t: t.replace(tzinfo=UTC).isoformat(),
    lambda t: t.date(),
    lambda t: t.date().isoformat(),
    lambda t: None,
    lambda t: "garbage",
    lambda t: 7,
]


@given(st.lists(st.builds(lambda t, how: how(t), instants, st.sampled_from(WRITTEN)), min_size=1, max_size=4),
       st.sampled_from(ENDS), st.sampled_from(ENDS))  # fmt: skip
def test_what_stands_beside_a_time_never_makes_its_day_earlier(values, source, schedule):
    """A time alone and among others is the same one, and a date may only become later."""
    together = local_dates(pa.table({"t": parse_times(values, source)}), "t", ZoneInfo(schedule)).to_pylist()
    for value, found in zip(values, together, strict=True):
        alone = local_dates(pa.table({"t": parse_times([value], source)}), "t", ZoneInfo(schedule)).to_pylist()[0]
        is_time = isinstance(value, datetime) or (isinstance(value, str) and len(value) > len("2021-03-16"))
        if is_time or alone is None or source == schedule:
            assert found == alone


def test_facts_that_are_compared_as_text_take_numbers_and_text_alike():
    assert parse_texts([1, "a", None, Decimal("1.50")]).to_pylist() == ["1", "a", None, "1.50"]
    assert parse_texts([7, None]).to_pylist() == ["7", None]


FACTS = """SELECT t.id AS call_id, i.industry AS industry, t.ended_at AS ended_at, t.open_deal AS open_deal
FROM t LEFT JOIN i ON i.t_id = t.id"""
BATCHES = "CREATE TABLE i (t_id VARCHAR(40), industry VARCHAR(20))"


def stored(made, declared: str, **values: str):
    made.run(f"CREATE TABLE t (id VARCHAR(40) PRIMARY KEY, ended_at {declared}, open_deal INTEGER)", BATCHES)
    for key, literal in values.items():
        made.run(f"INSERT INTO t VALUES ('{key}', {literal}, 0)")
    return made.crm(facts=FACTS)


def of_all(crm, keys):
    with crm.database.reading() as connection:
        table = crm.facts.of(connection, list(keys))
    return dict(zip(table["call_id"].to_pylist(), table["ended_at"].to_pylist(), strict=True))


def test_postgresql_infinities_and_years_before_christ_are_no_clock(make):
    for declared in ("timestamp", "timestamptz", "date"):
        made = make("postgresql")
        crm = stored(made, declared, a="'infinity'", b="'-infinity'", c="'0044-03-15 BC'", d="'2021-07-01'", e="NULL")
        found = of_all(crm, "abcde")
        assert {key for key, value in found.items() if value is not None} == {"d"}
        with crm.database.reading() as connection:
            listed = [k for t in crm.facts.candidates(connection, Cutoffs(NIGHT, {"ended_at": date(2020, 1, 1)}))
                      for k in t["call_id"].to_pylist()]  # fmt: skip
        assert listed == ["a", "b", "c", "e"]


def test_mariadb_zero_dates_are_no_clock(make):
    for declared in ("datetime NULL", "date NULL"):
        made = make("mariadb")
        made.run("SET GLOBAL sql_mode = ''")
        crm = stored(made, declared, a="'0000-00-00'", b="'2021-00-00'", c="'2021-07-01'")
        assert {key for key, value in of_all(crm, "abc").items() if value is not None} == {"c"}


def test_sqlite_garbage_is_no_clock(make):
    crm = stored(
        make("sqlite"), "DATETIME", a="'garbage'", b="20210701", c="1625097600000", d="x'00'", e="'2021-07-01'"
    )
    assert {key for key, value in of_all(crm, "abcde").items() if value is not None} == {"e"}


def test_a_fact_that_is_no_utf_8_keeps_its_call_and_no_other(make):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY, phone TEXT)", "INSERT INTO t VALUES (1, '+49')")
    made.run("INSERT INTO t VALUES (2, CAST(x'ff41' AS TEXT))")
    crm = made.crm(facts="SELECT id AS call_id, 'x' AS industry, phone AS phone FROM t")
    with crm.database.reading() as connection:
        assert crm.facts.of(connection, [1, 2]).select(["call_id", "phone"]).to_pylist() == [
            {"call_id": 1, "phone": "+49"},
            {"call_id": 2, "phone": None},
        ]


def test_binary_keys_can_be_held_by_the_name_records_give_them(make):
    made = make("mariadb").run("CREATE TABLE t (id BINARY(2) PRIMARY KEY, ended_at DATETIME)")
    made.run("INSERT INTO t VALUES (x'ff27', '2019-01-01'), (x'ff28', '2019-01-01')")
    facts = "SELECT id AS call_id, 'one' AS industry, ended_at AS ended_at, 0 AS open_deal FROM t"
    words = "id: h\nmatter: m\nplaced_at: 2020-01-01\nplaced_by: p\nscope: {call_ids: [ff27]}\n"
    holds = Holds({"h": read_hold(read_yaml_document("h.yaml", words))})
    crm, law = made.crm(facts=facts), schedules("UTC", "UTC")
    with crm.database.reading() as connection:
        every = crm.facts.of(connection, [b"\xff\x27", b"\xff\x28"])
    found = {row["call_id"]: row["disposition"] for row in dispose_calls(every, law, holds, NIGHT).to_pylist()}
    assert found == {b"\xff\x27": "on_hold", b"\xff\x28": "due"}


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_rows_of_a_call_are_never_split_between_tables(make, monkeypatch, size, few):
    monkeypatch.setattr(module, "BATCH_ROWS", size)
    monkeypatch.setattr(module, "FEW_CALLS", few)
    made = make("sqlite").run(
        "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, ended_at DATETIME, open_deal INTEGER)", BATCHES
    )
    rows = {f"c{n}": n % 5 for n in range(12)}
    for key in rows:
        made.run(f"INSERT INTO t VALUES ('{key}', NULL, 0)")
    crm = made.crm(facts=FACTS)
    for key, industries in rows.items():
        for n in range(industries):
            made.run(f"INSERT INTO i VALUES ('{key}', 'i{n}')")
    with crm.database.reading() as connection:
        tables = list(crm.facts.candidates(connection, Cutoffs(NIGHT, {"ended_at": date(2020, 1, 1)})))
    seen = [set(table["call_id"].to_pylist()) for table in tables]
    assert sum(map(len, seen)) == len(set.union(*seen)) == len(rows)
    assert sum(table.num_rows for table in tables) == sum(max(1, n) for n in rows.values())


def schedules(first: str, second: str):
    words = """industry: {0}
owner: o@example.com
matches: []
timezone: {1}
max_share: 100%
rules:
  - {{id: A, title: t, trigger: ended_at, purge_after: {2}, destroy_after: never, keep_while: [open_deal]}}
"""
    texts = {"one.yaml": words.format("one", first, "P1Y"), "two.yaml": words.format("two", second, "P5Y")}
    texts = {name: text.replace("matches: []\n", f"matches: [{name[:3].upper()}]\n") for name, text in texts.items()}
    return collect_schedules({name: read_schedule(name, text, {}) for name, text in texts.items()}, {})


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_the_narrowing_never_loses_a_due_call_nor_one_without_a_clock(make, kind):
    rng, made = random.Random(7), make(kind)
    declared = {"sqlite": "DATETIME", "postgresql": "TIMESTAMP", "mariadb": "DATETIME(6)"}[kind]
    made.run(f"CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, ended_at {declared}, open_deal INTEGER)", BATCHES)
    calls, industries = [], []
    for n in range(600):
        edge = rng.choice([naive(2025, 11, 20), naive(2021, 11, 20), NIGHT, naive(1970, 1, 2)])
        moment = naive(edge.year, edge.month, edge.day) + timedelta(minutes=rng.randint(-6000, 6000))
        ended = "NULL" if rng.random() < 0.05 else f"'{moment}'"
        calls.append(f"('{n}', {ended}, {int(rng.random() < 0.1)})")
        industries += [f"('{n}', '{i}')" for i in ("one", "two", "other") if rng.random() < 0.5]
    made.run(f"INSERT INTO t VALUES {', '.join(calls)}", f"INSERT INTO i VALUES {', '.join(industries)}")
    crm = made.crm(facts=FACTS)
    for first, second in ((ENDS[0], ENDS[1]), (ENDS[1], ENDS[0]), (ENDS[2], ENDS[3])):
        law = schedules(first, second)
        with crm.database.reading() as connection:
            every = crm.facts.of(connection, [str(n) for n in range(600)])
            some = pa.concat_tables(crm.facts.candidates(connection, night_cutoffs(law, NIGHT)))
        disposed = [dispose_calls(table, law, Holds({}), NIGHT).to_pylist() for table in (every, some)]
        whole, narrowed = ({row["call_id"]: row for row in rows} for rows in disposed)
        must = {key for key, row in whole.items() if row["disposition"] in ("due", "kept", "awaiting_trigger")}
        assert len(must) > 50
        assert must <= narrowed.keys()
        assert all(whole[key] == row for key, row in narrowed.items())
        assert len(narrowed) < 600


def test_a_call_in_two_industries_is_judged_by_both_though_only_one_row_is_a_candidate(made):
    facts = """SELECT t.id AS call_id, i.industry AS industry, i.ended_at AS ended_at, 0 AS open_deal
FROM t LEFT JOIN i ON i.t_id = t.id"""
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    made.run("CREATE TABLE i (t_id INTEGER, industry VARCHAR(9), ended_at TIMESTAMP NULL)")
    made.run("INSERT INTO i VALUES (1, 'one', '2020-01-01 00:00:00'), (1, 'two', '2026-01-01 00:00:00')")
    crm, law = made.crm(facts=facts), schedules("UTC", "UTC")
    with crm.database.reading() as connection:
        (table,) = crm.facts.candidates(connection, night_cutoffs(law, NIGHT))
    assert table.num_rows == 2
    assert [row["disposition"] for row in dispose_calls(table, law, Holds({}), NIGHT).to_pylist()] == ["retained"]


def test_a_facts_query_may_hold_percents_colons_and_a_semicolon(made):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, s VARCHAR(9))", "INSERT INTO t VALUES (1, 'a:b')")
    facts = "SELECT id AS call_id, CASE WHEN s LIKE 'a%' THEN 'x:y' END AS industry FROM t WHERE s = 'a:b' ;"
    crm = made.crm(facts=facts)
    with crm.database.reading() as connection:
        assert crm.facts.of(connection, [1]).to_pylist() == [{"call_id": 1, "industry": "x:y"}]
        assert crm.facts.counts.by_industry(connection) == [("x:y", 1)]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_industries_that_a_collation_puts_together_are_counted_apart(make, kind):
    made = make(kind).run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, industry VARCHAR(20))",
        "INSERT INTO t VALUES (1, 'Banking'), (2, 'Bànking'), (3, 'BANKING'), (4, NULL), (5, 'Banking')",
    )
    crm = made.crm(facts="SELECT id AS call_id, industry FROM t")
    with crm.database.reading() as connection:
        found = dict(crm.facts.counts.by_industry(connection))
    assert found == {"Banking": 2, "Bànking": 1, "BANKING": 1, None: 1}


@pytest.mark.parametrize("missing", ["call_id", "industry"])
def test_a_facts_query_without_a_needed_column_is_refused(make, missing):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    facts = "SELECT id AS call_id, 'x' AS industry FROM t".replace(f"AS {missing}", "AS other")
    with pytest.raises(SourceError, match=f"no column {missing}"):
        made.crm(facts=facts)


@pytest.mark.parametrize(
    ("value", "means"), [("1", True), ("0", False), ("'yes'", True), ("'F'", False), ("'maybe'", None), ("NULL", None)]
)
def test_a_flag_is_yes_no_or_unknown(make, value, means):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    crm = made.crm(facts=f"SELECT id AS call_id, 'x' AS industry, {value} AS open_deal FROM t")
    with crm.database.reading() as connection:
        assert crm.facts.of(connection, [1])["open_deal"].to_pylist() == [means]


def test_a_trigger_without_a_column_narrows_nothing_and_finds_nothing(make):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    crm = made.crm(kinds=FactKinds(frozenset({"ended_at"}), frozenset()))
    with crm.database.reading() as connection:
        assert list(crm.facts.candidates(connection, Cutoffs(NIGHT, {"ended_at": NIGHT}))) == []
