"""The demo CRM on all three databases: its tables, its facts, its sample rows and the bank's real calls."""

from collections import Counter
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from lifecycle.crm.sample import demo_schema
from lifecycle.crm.sample.bank_calls import import_calls
from lifecycle.crm.sample.sample_calls import populate_sample
from lifecycle.crm.sample.sample_industries import SAMPLE_INDUSTRIES, fictional_phone
from lifecycle.errors import InputError

AS_OF = date(2026, 11, 20)
FACTS = {
    "call_id",
    "direction",
    "industry",
    "started_at",
    "ended_at",
    "record_class",
    "account_id",
    "phone",
    "agent_id",
    "relationship_ended_at",
    "open_deal",
    "open_task",
    "has_recording",
    "has_transcript",
    "has_notes",
}
HEADER = (
    '"age";"job";"marital";"education";"default";"balance";"housing";"loan";"contact";"day";"month";"duration";'
    '"campaign";"pdays";"previous";"poutcome";"y"'
)


SERVERS = ("postgres_server", "mariadb_server")


@pytest.fixture(params=["sqlite", *SERVERS])
def engine(request, tmp_path):
    """An empty demo schema on each database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'crm.db'}"
    else:
        url = request.getfixturevalue(request.param).new_database()
    made = sa.create_engine(url)
    demo_schema.create_schema(made)
    yield made
    made.dispose()


@pytest.fixture
def sqlite(tmp_path):
    made = sa.create_engine(f"sqlite:///{tmp_path / 'crm.db'}")
    demo_schema.create_schema(made)
    yield made
    made.dispose()


def mapping() -> dict[str, Any]:
    return yaml.safe_load(files("lifecycle.crm.mapping").joinpath("sources/demo.yaml").read_text(encoding="utf-8"))


def facts(engine, where="1 = 1", **values) -> list[Any]:
    with engine.connect() as connection:
        return connection.execute(sa.text(f"SELECT * FROM ({mapping()['facts']}) f WHERE {where}"), values).all()


def rows(engine, table) -> list[Any]:
    with engine.connect() as connection:
        return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def size(engine, table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def bank_row(day=5, month="may", duration=60, job="management", y="no") -> str:
    client = f'58;"{job}";"single";"primary";"no";7;"yes";"no"'
    return f'{client};"unknown";{day};"{month}";{duration};1;-1;0;"unknown";"{y}"'


def bank_file(folder, *lines) -> Path:
    path = folder / "bank.csv"
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")
    return path


def test_the_schema_is_made_once_and_left_alone_after(engine):
    demo_schema.create_schema(engine)
    assert set(sa.inspect(engine).get_table_names()) == set(demo_schema.metadata.tables)


def test_every_child_key_of_the_mapping_is_indexed(engine):
    inspector = sa.inspect(engine)
    pairs = [(child["table"], column) for child in mapping()["children"] for column in child["match"]]
    for table, column in [*pairs, ("note_files", "note_id")]:
        leading = {index["column_names"][0] for index in inspector.get_indexes(table)}
        assert column in leading | {inspector.get_pk_constraint(table)["constrained_columns"][0]}, table


def test_times_keep_their_microseconds_and_money_its_decimals(engine):
    started = datetime.combine(date(2020, 2, 29), datetime.min.time()) + timedelta(microseconds=1)
    call = {"id": "c-1", "direction": "in", "started_at": started, "cost": 1}
    with engine.begin() as connection:
        demo_schema.insert_rows(connection, {demo_schema.calls: [call]})
        found = connection.execute(sa.select(demo_schema.calls.c.started_at, demo_schema.calls.c.deleted)).one()
    assert tuple(found) == (started, 0)


def test_the_facts_are_one_row_a_call_and_industry(engine):
    populate_sample(engine, AS_OF, calls=400)
    found = facts(engine)
    assert set(found[0]._fields) == FACTS
    counts = Counter(fact.call_id for fact in found)
    twice = {fact.call_id for fact in found if fact.account_id == 1}
    assert {call for call, times in counts.items() if times == 2} == twice
    assert len(counts) == 400
    assert {fact.industry for fact in found if fact.account_id == 1} == {"Banking", "Insurance"}


def test_a_fact_says_whether_a_deal_or_task_is_open(engine):
    populate_sample(engine, AS_OF, calls=400)
    with engine.connect() as connection:
        both = (
            (demo_schema.call_deals, demo_schema.deals, "open_deal"),
            (demo_schema.call_tasks, demo_schema.tasks, "open_task"),
        )
        for link, thing, fact in both:
            linked = sa.select(link.c.call_id).join(thing).where(thing.c.status == "open")
            assert {row.call_id for row in facts(engine, fact)} == set(connection.scalars(linked)) != set()


def test_the_sample_is_the_same_on_each_database_and_each_time(engine, tmp_path):
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    demo_schema.create_schema(other)
    for each in (engine, other):
        populate_sample(each, AS_OF, calls=300)
    for table in demo_schema.metadata.sorted_tables:
        assert rows(engine, table) == rows(other, table), table
    other.dispose()


@pytest.mark.parametrize("as_of", [AS_OF, date(2028, 2, 29), date(2029, 3, 1), date(2027, 1, 2)])
def test_about_a_hundredth_of_an_industry_is_due_in_at_most_two_months(sqlite, as_of):
    populate_sample(sqlite, as_of)
    with sqlite.connect() as connection:
        assert connection.execute(sa.text("PRAGMA foreign_key_check")).all() == []
    found = [fact for fact in facts(sqlite) if fact.account_id != 1]
    for trade in SAMPLE_INDUSTRIES[:-1]:
        mine = [fact for fact in found if fact.industry in trade.spellings]
        ends = [(datetime.fromisoformat(fact.ended_at).date(), fact) for fact in mine if fact.ended_at]
        past = [(day, fact) for day, fact in ends if day.year > 1970 and anniversary(day, trade.years) < as_of]
        due = [day for day, fact in past if not fact.open_deal and not fact.open_task]
        assert 0.01 < len(due) / len(mine) < 0.02
        assert len(past) == len(due) + 1, "one is past its retention and kept by its open deal"
        assert len({(day.year, day.month) for day in due}) <= 2
        assert all(anniversary(day, trade.years) >= as_of - timedelta(days=6) for day, _ in past)


def anniversary(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def test_the_sample_has_the_dirt_of_a_real_crm(sqlite):
    populate_sample(sqlite, AS_OF)
    found = rows(sqlite, demo_schema.calls)
    assert len(found) == 2000
    assert 3 <= sum(call.ended_at is None for call in found) <= 5
    assert 3 <= sum(call.ended_at is not None and call.ended_at.year == 1970 for call in found) <= 5
    assert 3 <= sum(call.ended_at is not None and call.ended_at.date() > AS_OF for call in found) <= 5
    assert 3 <= sum(call.account_id is None for call in found) <= 5
    assert {note.parent_type for note in rows(sqlite, demo_schema.notes)} == {"Calls", "Accounts"}


@pytest.mark.parametrize("calls", [0, 1, 40, 333])
def test_a_sample_of_any_size_has_that_many_calls(sqlite, calls):
    populate_sample(sqlite, AS_OF, calls)
    assert size(sqlite, demo_schema.calls) == calls


def test_a_crm_that_has_accounts_is_not_filled_again(sqlite):
    populate_sample(sqlite, AS_OF, calls=40)
    with pytest.raises(InputError, match="empty CRM"):
        populate_sample(sqlite, AS_OF, calls=40)


def test_every_number_is_reserved_for_fiction():
    shapes = ("+44 20 7946 0", "+44 7700 900", "+49 30 23125 ", "+1 202 555 01")
    assert all(fictional_phone(number).startswith(shapes) for number in range(5000))
    assert len({fictional_phone(number) for number in range(5000)}) == 3100


@pytest.mark.parametrize(
    "engine", ["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in SERVERS)], indirect=True
)
def test_the_bank_has_45211_calls_from_may_2008_to_november_2010(engine, shared):
    told: list[int] = []
    assert import_calls(engine, shared / "data" / "bank-full.csv", told.append) == 45_211
    calls = demo_schema.calls.c
    with engine.connect() as connection:
        first, last = connection.execute(sa.select(sa.func.min(calls.ended_at), sa.func.max(calls.ended_at))).one()
        before = calls.ended_at < datetime.fromisoformat("2009-06-30")
        early = connection.scalar(sa.select(sa.func.count()).where(before))
    assert (first.date(), last.date(), early) == (date(2008, 5, 5), date(2010, 11, 17), 40_383)
    assert told[-1] == 45_211 == size(engine, demo_schema.call_contacts)
    sizes = [
        size(engine, table)
        for table in (demo_schema.notes, demo_schema.deals, demo_schema.call_deals, demo_schema.recordings)
    ]
    assert sizes == [8_257, 5_289, 5_289, 29_285]
    assert len(facts(engine, "call_id = :call", call="bank-45211")) == 1


@pytest.mark.slow
def test_a_bank_call_begins_and_ends_on_one_day_after_the_call_it_repeats(sqlite, shared):
    import_calls(sqlite, shared / "data" / "bank-full.csv")
    found = {call.id: call for call in rows(sqlite, demo_schema.calls)}
    assert all(call.started_at.date() == call.ended_at.date() for call in found.values())
    repeats = [(call, found[call.repeat_parent_id]) for call in found.values() if call.repeat_parent_id]
    assert len(repeats) > 100
    assert all(parent.ended_at < call.started_at and parent.account_id == call.account_id for call, parent in repeats)


def test_the_bank_joins_a_crm_that_has_rows(engine, tmp_path):
    populate_sample(engine, AS_OF, calls=40)
    assert import_calls(engine, bank_file(tmp_path, bank_row(), bank_row(month="nov", y="yes"))) == 2
    assert size(engine, demo_schema.calls) == 42


def test_the_year_moves_on_when_the_month_falls_back_by_five(sqlite, tmp_path):
    months = ("may", "nov", "jan", "jun", "jan")
    import_calls(sqlite, bank_file(tmp_path, *(bank_row(month=month) for month in months)))
    days = [call.ended_at.strftime("%Y-%m") for call in rows(sqlite, demo_schema.calls)]
    assert days == ["2008-05", "2008-11", "2009-01", "2009-06", "2010-01"]


def test_the_bank_is_not_loaded_twice(engine, tmp_path):
    path = bank_file(tmp_path, bank_row())
    import_calls(engine, path)
    with pytest.raises(InputError, match="already"):
        import_calls(engine, path)
    assert size(engine, demo_schema.calls) == 1


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("58;2", "expected 17 fields, found 2"),
        ("", "expected 17 fields, found 0"),
        (bank_row(day=31, month="jun"), "day is out of range for month"),
        (bank_row(day=4), "expected the rows in the order of time, found 2008-05-04 after 2008-05-05"),
        (bank_row(month="mai"), "expected `month` to be one of"),
        (bank_row(duration="long"), "expected `duration` to be a whole number, found 'long'"),
        (bank_row(duration=86400), "expected `duration` between 0 and 36000, found 86400"),
        (bank_row(job="pilot"), "expected `job` to be one of"),
        (bank_row(y="maybe"), "expected `y` to be one of"),
        ('58;"man', "unexpected end of data"),
    ],
)
def test_a_malformed_row_is_named_and_nothing_is_loaded(sqlite, tmp_path, row, found):
    path = bank_file(tmp_path, *[bank_row()] * 2500, row)
    with pytest.raises(InputError) as error:
        import_calls(sqlite, path)
    assert str(error.value).startswith(f"{path}:2502: {found}")
    assert [size(sqlite, table) for table in (demo_schema.calls, demo_schema.accounts)] == [0, 0]


def test_a_transaction_that_fails_leaves_no_call_on_any_database(engine, tmp_path):
    with pytest.raises(InputError):
        import_calls(engine, bank_file(tmp_path, *[bank_row()] * 2500, "58"))
    assert [size(engine, table) for table in (demo_schema.calls, demo_schema.accounts)] == [0, 0]


def test_another_file_is_refused(sqlite, tmp_path):
    path = tmp_path / "bank.csv"
    path.write_text("user,other\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bank\.csv:1: expected the header age;job"):
        import_calls(sqlite, path)
    with pytest.raises(InputError, match="cannot be read"):
        import_calls(sqlite, tmp_path / "absent.csv")
