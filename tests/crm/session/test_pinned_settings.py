"""A session is what we set it to, whatever URL, role, database or server say; a driver is one we know."""

import secrets
import subprocess

import pytest
import sqlalchemy as sa

from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from lifecycle.crm.session.pinned_settings import MYSQL, POSTGRESQL, SQLITE
from lifecycle.errors import DatabaseError, SettingsError
from tests.crm.conftest import TIMES, purge_row, read
from tests.roles import as_role


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("postgresql+psycopg2://u:hunter2@h/d", "postgresql+psycopg"),
        ("postgresql+asyncpg://u:hunter2@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg_async://u:hunter2@h/d", "postgresql+psycopg"),
        ("mysql+mysqlconnector://u:hunter2@h/d", "mysql+pymysql"),
        ("mysql://u:hunter2@h/d", "mysql+pymysql"),
        ("mariadb+mariadbconnector://u:hunter2@h/d", "mariadb+pymysql"),
        ("sqlite+pysqlcipher:///d", "sqlite+pysqlite"),
    ],
)
def test_a_driver_that_is_not_known_to_be_exact_is_refused_and_the_right_one_named(url, right):
    with pytest.raises(SettingsError, match="LIFECYCLE_CRM_URL") as caught:
        open_database(url)
    assert f"expected the driver {right}," in str(caught.value) or "no driver" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("charset", ["utf8", "latin1", "ascii&use_unicode=0"])
def test_a_charset_in_the_url_loses_no_letter(make, charset):
    made = make("mariadb").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(60) CHARACTER SET utf8mb4)",
        "INSERT INTO t VALUES (1, 'customer 𠮷野 said 👍 in Łódź')",
    )
    source = made.crm().source
    url = as_role(made.url).replace("charset=utf8mb4", f"charset={charset}")
    row = read(Crm(open_database(url), source, TIMES), [1])["calls"].to_pylist()[0]
    assert row["v"] == "customer 𠮷野 said 👍 in Łódź"


def test_settings_of_a_postgresql_database_and_role_are_overruled(make):
    made = make("postgresql")
    name = sa.make_url(made.url).database
    odd = {
        "DateStyle": "'SQL, DMY'",
        "IntervalStyle": "'iso_8601'",
        "TimeZone": "'Asia/Kolkata'",
        "extra_float_digits": "-5",
        "bytea_output": "'escape'",
        "row_security": "on",
        "search_path": "nowhere",
        "transform_null_equals": "on",
        "lc_monetary": "'C.UTF-8'",
    }
    columns = "r daterange, m money, i interval, f float8, b bytea, z timestamptz[]"
    made.run(
        f"CREATE TABLE public.t (id int PRIMARY KEY, {columns})",
        "INSERT INTO public.t VALUES (1, '[2025-03-04,2025-05-06)', '1.50', '1 mon 2 days', 0.1 + 0.2::float8, "
        "'\\x00ff', '{2025-03-04 05:06:07+00}')",
    )
    source = made.crm(facts="SELECT id AS call_id, 'x' AS industry FROM public.t").source
    made.run(*(f"ALTER DATABASE {name} SET {setting} = {value}" for setting, value in odd.items()))
    assert made.rows("SHOW DateStyle") == [("SQL, DMY",)]
    row = read(Crm(open_database(as_role(made.url)), source, TIMES), [1])["calls"].to_pylist()[0]
    assert row == {
        "_call_id": 1,
        "id": 1,
        "r": "[2025-03-04,2025-05-06)",
        "m": "$1.50",
        "i": "1 mon 2 days",
        "f": 0.1 + 0.2,
        "b": b"\x00\xff",
        "z": '{"2025-03-04 05:06:07+00"}',
    }


ODD_IN_MARIADB = {
    "sql_mode": "'ANSI,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL'",
    "sql_select_limit": "2",
    "foreign_key_checks": "0",
    "sql_auto_is_null": "1",
    "character_set_server": "'latin1'",
    "time_zone": "'+05:30'",
    "group_concat_max_len": "4",
}


def test_settings_of_a_mariadb_server_are_overruled(make, mariadb_server):
    made = make("mariadb").run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, c CHAR(9), at TIMESTAMP NULL)",
        "INSERT INTO t VALUES (1, 'ab', '2025-03-04 05:06:07'), (2, '', NULL), (3, 'c', NULL)",
    )
    facts = "SELECT id AS call_id, CAST(GROUP_CONCAT('x', 'yz', 'w', 'v') AS CHAR) AS industry FROM t GROUP BY id"
    opened = made.crm(facts=facts)
    opened.control.create()
    before = {name: made.rows(f"SELECT @@global.{name}")[0][0] for name in ODD_IN_MARIADB}
    try:
        made.run(*(f"SET GLOBAL {name} = {value}" for name, value in ODD_IN_MARIADB.items()))
        crm = Crm(open_database(as_role(made.url)), opened.source, TIMES)
        rows = read(crm, [1, 2, 3])["calls"].to_pylist()
        with crm.database.reading() as connection:
            facts = crm.facts.of(connection, [1, 2, 3])["industry"].to_pylist()
        done = crm.purger().purge([1, 2, 3], lambda *_: {}, purge_row)
    finally:
        made.run(
            *(
                f"SET GLOBAL {name} = '{value}'" if isinstance(value, str) else f"SET GLOBAL {name} = {value}"
                for name, value in before.items()
            )
        )
    assert [(row["c"], str(row["at"])) for row in rows] == [
        ("ab", "2025-03-04 05:06:07+00:00"),
        ("", "None"),
        ("c", "None"),
    ]
    assert facts == ["xyzwv"] * 3
    assert done.deleted == (1, 2, 3)


def test_a_mariadb_that_reads_its_tables_as_they_once_were_is_refused(make, mariadb_server):
    made = make("mariadb").run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    made.run("SET GLOBAL system_versioning_asof = '2020-01-01 00:00:00'")
    try:
        with pytest.raises(DatabaseError, match="system_versioning_asof: expected DEFAULT, found 2020-01-01"):
            made.crm()
    finally:
        made.run("SET GLOBAL system_versioning_asof = DEFAULT")


def test_a_postgresql_session_in_which_no_trigger_or_key_acts_is_refused(make, postgres_server):
    made = make("postgresql").run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    made.crm()
    postgres_server.execute("ALTER ROLE lifecycle SET session_replication_role = replica")
    try:
        with pytest.raises(DatabaseError, match="session_replication_role: expected origin, found replica"):
            made.crm()
    finally:
        postgres_server.execute("ALTER ROLE lifecycle RESET ALL")


def test_a_postgresql_database_whose_texts_are_in_no_known_encoding_is_refused(postgres_server):
    """One text that is no UTF-8 would end the facts query, and with it every industry's night."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.execute(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    database = open_database(postgres_server.url(name))
    with pytest.raises(DatabaseError, match="server_encoding: expected any but SQL_ASCII, found SQL_ASCII"):
        database.unpinned_settings()


def test_a_postgresql_database_in_latin1_gives_every_letter(postgres_server):
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with open_database(postgres_server.url(name)).reading() as connection:
        assert connection.exec_driver_sql("SELECT chr(233)").scalar() == "\u00e9"


def test_what_a_url_asks_of_sqlite_changes_no_value(make):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE, s TIMESTAMP)")
    made.run("INSERT INTO t VALUES (1, '2025-03-04', '2025-03-04 05:06:07.1')")
    made.url += "?detect_types=3"
    row = read(made.crm(), [1])["calls"].to_pylist()[0]
    assert (row["d"], row["s"]) == ("2025-03-04", "2025-03-04 05:06:07.1")


@pytest.mark.parametrize(("kind", "names"), [("postgresql", POSTGRESQL), ("mariadb", MYSQL), ("sqlite", SQLITE)])
def test_a_setting_that_changes_after_connecting_is_found(make, kind, names):
    database = make(kind).run("CREATE TABLE t (id INTEGER PRIMARY KEY)").crm().database
    assert database.unpinned_settings() == []
    other = {
        "postgresql": "SET DateStyle = 'German'",
        "mariadb": "SET SESSION sql_select_limit = 5",
        "sqlite": "PRAGMA foreign_keys = OFF",
    }[kind]
    database.engine.dispose()
    connection = database.engine.raw_connection()
    connection.cursor().execute(other)
    connection.commit()
    connection.close()
    assert len(database.unpinned_settings()) == 1


def test_the_readme_names_no_other_driver():
    found = subprocess.run(["grep", "-o", "[a-z]*+[a-z0-9]*://", "README.md"], capture_output=True, text=True).stdout
    assert set(found.split()) == {"postgresql+psycopg://", "mysql+pymysql://"}
