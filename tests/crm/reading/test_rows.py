"""Whole rows: each value exactly as the database has it, or its call is unreadable; and which rows a purge takes."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.parquet import fetch_table, put_table
from lifecycle.crm.purging.row_deletion import RowDeletion
from lifecycle.crm.reading.part_reader import UnreadableCalls
from lifecycle.errors import DatabaseError
from lifecycle.evidence.comparison import find_differences
from tests.crm.conftest import Made, purge, purge_row, read


def at(*parts: int, zone: Any = None) -> datetime:
    return datetime(*parts, tzinfo=zone)  # type: ignore[arg-type]


POSTGRESQL = [
    ("smallint", "-32768", -32768),
    ("integer", "2147483647", 2147483647),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("numeric(38,10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("numeric(5,2)", "1.10", Decimal("1.10")),
    ("numeric", "'1.1000'", "1.1000"),
    ("numeric", "'NaN'", "NaN"),
    ("real", "0.1", 0.1),
    ("double precision", "'NaN'", math.nan),
    ("double precision", "'-0'", -0.0),
    ("double precision", "'-Infinity'", -math.inf),
    ("double precision", "0.1 + 0.2::float8", 0.1 + 0.2),
    ("timestamp", "'2021-03-28 02:30:00.000001'", at(2021, 3, 28, 2, 30, 0, 1)),
    ("timestamptz", "'2021-03-28 02:30:00.123456+05'", at(2021, 3, 27, 21, 30, 0, 123456, zone=UTC)),
    ("timestamptz", "'0001-01-02 00:00:00+00'", at(1, 1, 2, zone=UTC)),
    ("date", "'0001-01-01'", date(1, 1, 1)),
    ("date", "'9999-12-31'", date(9999, 12, 31)),
    ("time", "'23:59:59.999999'", time(23, 59, 59, 999999)),
    ("timetz", "'23:59:59.5+05:30'", "23:59:59.5+05:30"),
    ("interval", "'1 mon -3 days 04:05:06.7'", "1 mon -3 days +04:05:06.7"),
    ("bytea", r"'\x00ff80'", b"\x00\xff\x80"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", """'{"b": 1.10,  "a": 1e2, "a": null}'""", '{"b": 1.10,  "a": 1e2, "a": null}'),
    ("jsonb", """'{"b": 1.10, "a": 12345678901234567890}'""", '{"a": 12345678901234567890, "b": 1.10}'),
    ("integer[]", "'{1,NULL,3}'", "{1,NULL,3}"),
    ("text[][]", """'{{a,"b,c"},{"",NULL}}'""", '{{a,"b,c"},{"",NULL}}'),
    ("mood", "'so so'", "so so"),
    ("mood[]", "'{\"so so\"}'", '{"so so"}'),
    ("char(5)", "'ab'", "ab   "),
    ("varchar(9)", "' 山😀 '", " 山😀 "),
    ("text", "''", ""),
    ("inet", "'10.1.2.3/8'", "10.1.2.3/8"),
    ("cidr", "'10.0.0.0/8'", "10.0.0.0/8"),
    ("boolean", "true", True),
    ("bit(3)", "B'101'", "101"),
    ("int4range", "'[1,5)'", "[1,5)"),
    ("point", "'(1,2.5)'", "(1,2.5)"),
    ("money", "'12.34'", "$12.34"),
]
POSTGRESQL_UNREADABLE = [
    ("timestamp", "'infinity'"),
    ("timestamp", "'10000-01-01'"),
    ("timestamp", "'0044-03-15 BC'"),
    ("timestamptz", "'-infinity'"),
    ("date", "'infinity'"),
    ("date", "'0044-03-15 BC'"),
    ("time", "'24:00'"),
    ("numeric(38,10)", "'NaN'"),
]
MARIADB = [
    ("tinyint(1)", "2", 2),
    ("tinyint unsigned", "255", 255),
    ("smallint unsigned", "65535", 65535),
    ("mediumint", "-8388608", -8388608),
    ("int unsigned", "4294967295", 4294967295),
    ("bigint unsigned", "18446744073709551615", 2**64 - 1),
    ("bigint", "-9223372036854775808", -(2**63)),
    ("decimal(65,30)", "1." + "2" * 30, Decimal("1." + "2" * 30)),
    ("decimal(38,10)", "1.5", Decimal("1.5000000000")),
    ("float", "16777215", 16777215.0),
    ("float", "0.1", 0.10000000149011612),
    ("double", "0.1", 0.1),
    ("datetime(6)", "'2021-03-28 02:30:00.000001'", at(2021, 3, 28, 2, 30, 0, 1)),
    ("datetime", "'9999-12-31 23:59:59'", at(9999, 12, 31, 23, 59, 59)),
    ("timestamp(6)", "'2021-03-28 02:30:00.000001'", at(2021, 3, 28, 2, 30, 0, 1, zone=UTC)),
    ("date", "'1000-01-01'", date(1000, 1, 1)),
    ("time", "'838:59:59'", timedelta(hours=838, minutes=59, seconds=59)),
    ("time(6)", "'-25:00:00.5'", -timedelta(hours=25, microseconds=500000)),
    ("year", "2021", 2021),
    ("bit(10)", "b'1000000001'", b"\x02\x01"),
    ("enum('a','b c')", "'b c'", "b c"),
    ("set('a','b')", "'a,b'", "a,b"),
    ("json", """'{"b": 1.10,  "a": 1}'""", '{"b": 1.10,  "a": 1}'),
    ("blob", "x'00ff80'", b"\x00\xff\x80"),
    ("longblob", "x'27'", b"'"),
    ("binary(4)", "x'01'", b"\x01\x00\x00\x00"),
    ("varbinary(4)", "x'2000'", b" \x00"),
    ("varchar(9) character set utf8mb4", "' 山😀 '", " 山😀 "),
    ("varchar(9) character set latin1", "'Müller'", "Müller"),
    ("char(9) collate utf8mb4_bin", "'ab'", "ab"),
    ("longtext", "''", ""),
]
MARIADB_UNREADABLE = [
    ("datetime", "'0000-00-00 00:00:00'"),
    ("datetime", "'2021-00-00 00:00:00'"),
    ("date", "'0000-00-00'"),
    ("date", "'2021-02-00'"),
    ("timestamp NULL", "'0000-00-00 00:00:00'"),
]
SQLITE = [
    ("INTEGER", "-9223372036854775808", -(2**63)),
    ("BOOLEAN", "2", 2),
    ("VARCHAR(9)", "' 山😀 '", " 山😀 "),
    ("TEXT", "'a' || char(0) || 'b'", "a\0b"),
    ("DATETIME", "'2021-03-28 02:30:00.000001'", "2021-03-28 02:30:00.000001"),
    ("DATE", "'no date'", "no date"),
    ("NUMERIC(10, 4)", "1.25", 1.25),
    ("REAL", "1e-300", 1e-300),
    ("REAL", "9e999", math.inf),
    ("BLOB", "x'00ff80'", b"\x00\xff\x80"),
    ("JSON", "'{\"a\": 1}'", '{"a": 1}'),
    ("", "x'00'", b"\x00"),
]
SQLITE_UNREADABLE = [
    ("INTEGER", "'abc'"),
    ("INTEGER", "1.5"),
    ("INTEGER", "x'00'"),
    ("TEXT", "x'616263'"),
    ("TEXT", "CAST(x'ff41' AS TEXT)"),
    ("BLOB", "'abc'"),
    ("BLOB", "7"),
    ("", "'abc'"),
    ("DATETIME", "20210328"),
    ("DATE", "x'616263'"),
    ("NUMERIC(10, 4)", "'abc'"),
    ("NUMERIC", "9007199254740993"),
    ("REAL", "x'00'"),
]
EXACT = [(k, c) for k, cs in (("postgresql", POSTGRESQL), ("mariadb", MARIADB), ("sqlite", SQLITE)) for c in [cs]]
UNREADABLE = [("postgresql", POSTGRESQL_UNREADABLE), ("mariadb", MARIADB_UNREADABLE), ("sqlite", SQLITE_UNREADABLE)]


def prepared(made: Made) -> Made:
    if made.dialect == "postgresql":
        made.run("CREATE TYPE mood AS ENUM ('so so', 'well')")
    return made


def same(one: Any, other: Any) -> bool:
    """Equal, of one type, and a NaN and a -0.0 are themselves."""
    if isinstance(one, datetime) and one.tzinfo is not None:
        one = one.astimezone(UTC)
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize(("kind", "cases"), EXACT, ids=[kind for kind, _ in EXACT])
def test_every_type_of_column_comes_back_from_parquet_exactly_as_it_is_in_the_database(make, tmp_path, kind, cases):
    made = prepared(make(kind))
    columns = [
        f"c{number} {declared} NULL" if declared else f"c{number}" for number, (declared, _, _) in enumerate(cases)
    ]
    made.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)})")
    made.run(f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal, _ in cases)})".replace("%", "%%"))
    made.run("INSERT INTO t (id) VALUES (2)")
    tables = read(made.crm(), [1, 2])
    store = FolderStore(Path(tmp_path / "store"))
    back = fetch_table(store, put_table(store, "t.parquet", tables["calls"]))
    assert back.schema.equals(tables["calls"].schema)
    assert find_differences({"calls": back}, {"calls": read(made.crm(), [1, 2])["calls"]}) == {}
    first, empty = back.to_pylist()
    wrong = {case: first[f"c{n}"] for n, case in enumerate(cases) if not same(first[f"c{n}"], case[2])}
    assert wrong == {}
    assert {empty[f"c{n}"] for n in range(len(cases))} == {None}


@pytest.mark.parametrize(
    ("kind", "declared", "literal"), [(kind, *case) for kind, cases in UNREADABLE for case in cases]
)
def test_a_value_that_cannot_be_kept_exactly_makes_its_call_unreadable_and_no_other(make, kind, declared, literal):
    made = make(kind).run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
    if made.dialect == "mysql":
        made.run("SET GLOBAL sql_mode = ''")  # a CRM of the days when zero dates were taken
    made.run("INSERT INTO t (id, c) VALUES (1, NULL)", f"INSERT INTO t (id, c) VALUES (2, {literal})")
    made.run("INSERT INTO t (id, c) VALUES (3, NULL)")
    crm = made.crm()
    with pytest.raises(UnreadableCalls):
        read(crm, [1, 2, 3])
    assert list(crm.unreadable([1, 2, 3])) == [2]
    assert read(crm, [1, 3])["calls"].num_rows == 2
    done = purge(crm, [1, 2, 3])
    assert (done.deleted, list(done.set_aside)) == ((1, 3), [2])
    assert done.set_aside[2].startswith("unreadable: t")
    assert made.rows("SELECT id FROM t") == [(2,)]


def test_a_message_about_an_unreadable_value_does_not_show_it(make):
    made = make("sqlite").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, c INTEGER)", "INSERT INTO t VALUES (1, 'secret')"
    )
    assert "secret" not in made.crm().unreadable([1])[1]


KEYS = [
    ("postgresql", "integer", ["1", "-2", "30"]),
    ("postgresql", "bigint", ["9007199254740993", "2", "3"]),
    ("postgresql", "uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-00000000000a'"]),
    ("postgresql", "char(6)", ["'ab'", "'abc'"]),
    ("postgresql", "varchar(9)", ["'Ä'", "'a''b'"]),
    ("postgresql", "numeric(20,0)", ["12345678901234567890", "1"]),
    ("postgresql", "bytea", [r"'\x00ff'", r"'\x01'"]),
    ("mariadb", "bigint unsigned", ["18446744073709551615", "1"]),
    ("mariadb", "binary(16)", ["x'000102030405060708090a0b0c0d0eff'", "x'ff00000000000000000000000000ff27'"]),
    ("mariadb", "char(36) collate utf8mb4_general_ci", ["'ABC'", "'abd'"]),
    ("mariadb", "varbinary(9)", ["x'2720'", "x'27'"]),
    ("mariadb", "decimal(20,0)", ["12345678901234567890", "1"]),
    ("sqlite", "INTEGER", ["9223372036854775807", "1"]),
    ("sqlite", "CHAR(36)", ["'ab'", "'AB'"]),
    ("sqlite", "BLOB", ["x'00ff'", "x'01'"]),
]


@pytest.mark.parametrize(("kind", "declared", "keys"), KEYS, ids=[f"{k}-{d}" for k, d, _ in KEYS])
def test_keys_of_any_type_find_exactly_their_rows_and_children(make, kind, declared, keys):
    made = make(kind).run(
        f"CREATE TABLE t (id {declared} NOT NULL PRIMARY KEY, v INTEGER)",
        f"CREATE TABLE c (cid INTEGER NOT NULL PRIMARY KEY, t_id {declared})",
    )
    for number, key in enumerate(keys):
        made.run(f"INSERT INTO t VALUES ({key}, {number})".replace("%", "%%"))
        made.run(f"INSERT INTO c VALUES ({10 + number}, {key})", f"INSERT INTO c VALUES ({20 + number}, {key})")
    crm = made.crm(children="[{table: c, match: {t_id: id}}]")
    with crm.database.reading() as connection:
        found = crm.facts.of(connection, [])["call_id"].to_pylist()
        assert found == []
        rows = connection.execute(crm.facts.tables.select(crm.facts.query)).fetchall()
        table = pa.Table.from_batches(crm.facts.tables.table(rows).to_batches())
        every = table["call_id"].to_pylist()
        assert len(every) == len(keys)
        one = every[0]
        assert crm.facts.of(connection, [one])["call_id"].to_pylist() == [one]
        assert set(crm.rows.live(connection, every)) == set(every)
    rows = read(crm, [one])
    assert {name: t["_call_id"].to_pylist() for name, t in rows.items()} == {"calls": [one], "c": [one, one]}
    done = purge(crm, [one])
    assert (done.deleted, done.rows, done.set_aside) == ((one,), {"calls": 1, "c": 2}, {})
    left = made.rows("SELECT v FROM t"), made.rows("SELECT cid FROM c")
    assert (len(left[0]), len(left[1])) == (len(keys) - 1, 2 * len(keys) - 2)


def test_children_are_matched_by_the_collation_of_the_database(make):
    made = make("mariadb").run(
        "CREATE TABLE t (id varchar(9) collate utf8mb4_general_ci primary key)",
        "CREATE TABLE c (id int primary key, t_id varchar(9) collate utf8mb4_general_ci, key (t_id))",
        "INSERT INTO t VALUES ('AbC'), ('x')",
        "INSERT INTO c VALUES (1, 'aBc'), (2, 'ABC '), (3, 'x')",
    )
    crm = made.crm(children="[{table: c, match: {t_id: id}}]")
    assert read(crm, ["AbC"])["c"]["_call_id"].to_pylist() == ["AbC", "AbC"]
    purge(crm, ["AbC"])
    assert made.rows("SELECT id FROM c") == [(3,)]


QUOTED = {"sqlite": '"{}"', "postgresql": '"{}"', "mysql": "`{}`"}


def test_names_that_are_reserved_words_or_hold_blanks_quotes_colons_and_percents_are_quoted(made):
    q = QUOTED[made.dialect].format
    odd = ["select", "two words", "it's", "a:b", "Größe", "UPPER", "50%", "semi;colon"]
    percent = "%" if made.dialect == "sqlite" else "%%"  # the other drivers take it for a parameter
    columns = ", ".join(f"{q(name).replace('%', percent)} INTEGER" for name in odd)
    made.run(f"CREATE TABLE {q('order')} (id INTEGER PRIMARY KEY, {columns})")
    made.run(f"CREATE TABLE {q('group')} ({q('where')} INTEGER PRIMARY KEY, {q('from')} INTEGER)")
    made.run(f"INSERT INTO {q('order')} VALUES (1, {', '.join(map(str, range(len(odd))))})")
    made.run(f"INSERT INTO {q('group')} VALUES (7, 1)")
    facts = f"SELECT id AS call_id, {q('two words')} AS industry FROM {q('order')}"
    crm = made.crm(facts=facts, table="order", children="[{table: group, match: {from: id}, where: {where: 7}}]")
    row = read(crm, [1])["calls"].to_pylist()[0]
    assert [row[name] for name in odd] == list(range(len(odd)))
    assert purge(crm, [1]).rows == {"calls": 1, "group": 1}
    assert made.rows(f"SELECT * FROM {q('group')}") == []


def test_composite_keys_name_their_rows_however_many(made):
    made.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (a INTEGER NOT NULL, b INTEGER NOT NULL, n INTEGER, PRIMARY KEY (a, b))",
        "INSERT INTO t VALUES (1), (2)",
    )
    for start in range(0, 2500, 500):
        made.run(f"INSERT INTO c VALUES {', '.join(f'({1 + n % 2}, {n}, {n})' for n in range(start, start + 500))}")
    crm = made.crm(children="[{table: c, match: {a: id}}]")
    done = purge(crm, [1])
    assert done.rows == {"calls": 1, "c": 1250}
    assert made.rows("SELECT MIN(a), MAX(a), COUNT(*) FROM c") == [(2, 2, 1250)]
    assert purge(crm, [2]).rows == {"calls": 1, "c": 1250}


def test_a_row_another_table_still_names_keeps_its_call_alone(made):
    made.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER, kind INTEGER, FOREIGN KEY (t_id) REFERENCES t (id))",
        "INSERT INTO t VALUES (1), (2), (3)",
        "INSERT INTO c VALUES (1, 1, 7), (2, 2, 8)",
    )
    done = purge(made.crm(children="[{table: c, match: {t_id: id}, where: {kind: 7}}]"), [1, 2, 3])
    assert (done.deleted, list(done.set_aside)) == ((1, 3), [2])
    assert done.set_aside[2].startswith("still referenced:")
    assert made.rows("SELECT id FROM t") == [(2,)]


def test_records_too_large_for_one_purge_row_are_put_into_several(made, monkeypatch):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    made.run(f"INSERT INTO t VALUES {', '.join(f'({n})' for n in range(1, 9))}")
    monkeypatch.setattr("lifecycle.crm.purging.purge_transaction.MOST_RECORD_BYTES", len("1,2,3"))
    done = purge(made.crm(), [1, 2, 3, 4, 5, 6, 7, 8])
    assert (sorted(done.deleted), done.set_aside) == ([1, 2, 3, 4, 5, 6, 7, 8], {})
    monkeypatch.setattr("lifecycle.crm.purging.purge_transaction.MOST_RECORD_BYTES", 0)
    made.run("INSERT INTO t VALUES (9)")
    assert list(purge(made.crm(), [9]).set_aside) == [9]
    assert made.rows("SELECT id FROM t") == [(9,)]


def test_a_reason_to_keep_keeps_the_call_and_its_children(made):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER)")
    made.run("INSERT INTO t VALUES (1), (2)", "INSERT INTO c VALUES (1, 1), (2, 2)")
    done = purge(made.crm(children="[{table: c, match: {t_id: id}}]"), [1, 2], lambda *_: {2: "because"})
    assert (done.deleted, done.set_aside) == ((1,), {2: "because"})
    assert made.rows("SELECT t_id FROM c") == [(2,)]


def test_a_purge_row_that_cannot_be_written_undoes_the_deletions(made):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    crm = made.crm()
    crm.control.create()
    purger = crm.purger()

    def failing(_):
        raise RuntimeError("no row")

    with pytest.raises(RuntimeError):
        purger.purge([1], lambda *_: {}, failing)
    assert made.rows("SELECT id FROM t") == [(1,)]
    made.run("DROP TABLE " + ("lifecycle.purges" if made.dialect == "postgresql" else "lifecycle_purges"))
    with pytest.raises(DatabaseError):
        purger.purge([1], lambda *_: {}, purge_row)
    assert made.rows("SELECT id FROM t") == [(1,)]


NESTED = "[{table: n, match: {t_id: id}, children: [{table: f, match: {n_id: id}}]}]"


@pytest.mark.parametrize(
    "late", ["INSERT INTO n VALUES (9, 1)", "INSERT INTO f VALUES (9, 5)"], ids=["child", "grandchild"]
)
def test_a_child_added_during_the_delete_without_a_foreign_key_keeps_its_call(make, monkeypatch, late):
    made = make("postgresql").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, t_id INTEGER)",
        "CREATE TABLE f (id INTEGER PRIMARY KEY, n_id INTEGER)",
        "INSERT INTO t VALUES (1), (2)",
        "INSERT INTO n VALUES (5, 1), (6, 2)",
        "INSERT INTO f VALUES (7, 5), (8, 6)",
    )
    crm, added = made.crm(children=NESTED), []

    def keep(*_):
        if not added:
            added.append(made.run(late))
        return {}

    done = purge(crm, [1, 2], keep)
    assert made.rows("SELECT count(*) FROM f WHERE n_id NOT IN (SELECT id FROM n)") == [(0,)]
    assert made.rows("SELECT count(*) FROM n WHERE t_id NOT IN (SELECT id FROM t)") == [(0,)]
    # The slice was rolled back and halved; on its own the call was read anew, and was what it was then.
    assert set(done.deleted) | set(done.set_aside) == {1, 2}


def test_a_purge_never_deletes_more_than_it_read(made, monkeypatch):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY)", "CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER)")
    made.run("INSERT INTO t VALUES (1)", "INSERT INTO c VALUES (1, 1)")
    crm = made.crm(children="[{table: c, match: {t_id: id}}]")
    monkeypatch.setattr(RowDeletion, "_remove", lambda *_: 0)
    done = purge(crm, [1])
    assert done.set_aside == {1: "interfered: c: a row was added while the call was being deleted"}
    assert made.rows("SELECT id FROM t") == [(1,)]


def test_a_detached_link_is_cleared_and_its_row_stays(made):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, up INTEGER, v INTEGER)")
    made.run("INSERT INTO t VALUES (1, NULL, 10), (2, 1, 20), (3, 3, 30), (4, 5, 40), (5, 4, 50)")
    crm = made.crm(children="[{table: t, match: {up: id}, detach: [up]}]")
    assert purge(crm, [1, 3]).deleted == (1, 3)
    assert made.rows("SELECT id, up, v FROM t ORDER BY id") == [(2, None, 20), (4, 5, 40), (5, 4, 50)]
    assert purge(crm, [4, 5]).deleted == (4, 5)  # each repeats the other
    assert made.rows("SELECT id, up, v FROM t") == [(2, None, 20)]


def test_more_keys_than_a_statement_takes_are_read_in_several(make, monkeypatch):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    made.run(f"INSERT INTO t VALUES {', '.join(f'({n})' for n in range(2500))}")
    crm = made.crm()
    assert read(crm, list(range(2500)))["calls"]["id"].to_pylist() == list(range(2500))
    with crm.database.reading() as connection:
        assert len(crm.rows.live(connection, list(range(3000)))) == 2500


def test_nothing_is_written_by_a_reading_transaction(make):
    crm = make("postgresql").run("CREATE TABLE t (id INTEGER PRIMARY KEY)").crm()
    with pytest.raises(DatabaseError, match="read-only"), crm.database.reading() as connection:
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
