"""The lens: what the database's own client program prints of a value is what the archive holds of it, type by type.

The client is asked before anything is read; the archive is read back from Parquet; then the row is purged. Sessions of
the product are under odd settings of the database's, the client's are not.
"""

import math
import shutil
import struct
import subprocess
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lifecycle.archive.folder_store import FolderStore
from lifecycle.archive.parquet import fetch_table, put_table
from lifecycle.crm.crm import Crm
from lifecycle.crm.database import open_database
from tests.crm.conftest import TIMES, Made, purge, read
from tests.crm.reading import test_rows
from tests.roles import as_role

MORE = {
    "postgresql": [
        ("text", "'Łódź 𠮷野 👍 e\u0301'"),
        ("text", r"E'tab\tline\nback\\slash'"),
        ("text", "U&'\\200B\\00A0'"),
        ("daterange", "'[2025-03-04,2025-04-05)'"),
        ("tstzrange", "'[2025-03-04 05:06+02,)'"),
        ("int4multirange", "'{[1,3),[5,9)}'"),
        ("numeric", "'-Infinity'"),
        ("numeric(40,2)", "12345678901234567890123456789012345678.90"),
        ("money", "-1234567.89"),
        ("interval", "'-1 year 2 mons -0.000001 sec'"),
        ("xml", "'<a>1.10</a>'"),
        ("tsvector", "'a fat cat'"),
        ("bit varying(9)", "B'0101'"),
        ("macaddr", "'08:00:2b:01:02:03'"),
        ("float8[]", "'{0.1,NaN,-0}'"),
        ("timestamptz[]", "'{2025-03-28 02:30+01}'"),
        ("double precision", "5e-324"),
        ("real", "16777216"),
        ("char(3)", "''"),
    ],
    "mariadb": [
        ("text character set utf8mb4", "'Łódź 𠮷野 👍 e\u0301'"),
        ("text", r"'tab\tline\nback\\slash'"),
        ("varchar(9)", "'trailing '"),
        ("decimal(38,10)", "-0.0000000001"),
        ("double", "1.7976931348623157e308"),
        ("double", "5e-324"),
        ("time(6)", "'-838:59:59'"),
        ("timestamp NULL", "'2038-01-19 03:14:07'"),
        ("datetime(6)", "'1000-01-01 00:00:00.000001'"),
        ("bigint unsigned", "9223372036854775808"),
        ("bit(1)", "b'1'"),
        ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
        ("inet6", "'2001:db8::1'"),
        ("inet6", "'::ffff:1.2.3.4'"),
        ("inet4", "'1.2.3.4'"),
        ("linestring", "ST_GeomFromText('LINESTRING(0 0,1 1)')"),
        ("bit(10)", "b'1000000001'"),
        ("set('a','b','d')", "'a,d'"),
        ("enum('x','Ł')", "'Ł'"),
        ("json", """'{"a": 1.10}'"""),
        ("time", "'-00:00:01'"),
        ("tinyint(1)", "2"),
        ("decimal(65,30)", "-12345678901234567890123456789012345.123456789012345678901234567890"),
        ("text compressed", "repeat('abc', 100)"),
        ("varchar(20) character set utf16", "'é😀'"),
        ("point", "PointFromText('POINT(1 2.5)')"),
        ("char(9)", "'a '"),
    ],
    "sqlite": [
        ("TEXT", "'Łódź 𠮷野 👍 it''s'"),
        ("INTEGER", "9223372036854775807"),
        ("REAL", "0.1"),
        ("NUMERIC(10, 4)", "1.1000"),
        ("BLOB", "zeroblob(3)"),
        ("DATETIME", "'2025-02-30 25:00:00'"),
    ],
}
GIVEN = {"postgresql": test_rows.POSTGRESQL, "mariadb": test_rows.MARIADB, "sqlite": test_rows.SQLITE}
REFUSED = {
    "postgresql": test_rows.POSTGRESQL_UNREADABLE,
    "mariadb": test_rows.MARIADB_UNREADABLE,
    "sqlite": test_rows.SQLITE_UNREADABLE,
}
ODD = {
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "'iso_8601'",
    "TimeZone": "'Asia/Kolkata'",
    "extra_float_digits": "-5",
    "bytea_output": "'escape'",
}
PLAIN = {"PGDATESTYLE": "ISO, MDY", "PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"}
SETTINGS = "-c extra_float_digits=1 -c bytea_output=hex -c IntervalStyle=postgres"


def printed(made: Made, columns: list[str]) -> list[str | None]:
    """A row as the database's own client prints it, a text a column; None for NULL."""
    url = sa.make_url(made.url)
    if made.dialect == "postgresql":
        where = ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), str(url.database)]
        form = ["-A", "-t", "-q", "-F", "\x1f", "-R", "\x1e", "-P", "null=\x1d"]
        out = run(["psql", "-X", *where, *form, "-c", f"SELECT {', '.join(columns)} FROM t WHERE id = 1"], PLAIN)
        return [None if text == "\x1d" else text for text in out.removesuffix("\n").split("\x1f")]
    if made.dialect == "mysql":
        where = ["-h", str(url.host), "-P", str(url.port), "-u", str(url.username), str(url.database)]
        form = ["--default-character-set=utf8mb4", "--batch", "--skip-column-names"]
        asked = f"SET time_zone = '+00:00'; SELECT {', '.join(columns)} FROM t WHERE id = 1"
        out = run(["mariadb", "--no-defaults", *where, *form, "-e", asked], {})
        return [None if text == "NULL" else unescaped(text) for text in out.removesuffix("\n").split("\t")]
    asked = f"SELECT {', '.join(f'quote({column})' for column in columns)} FROM t WHERE id = 1"
    out = run(["sqlite3", "-ascii", str(url.database), asked], {})
    return [None if text == "NULL" else text for text in out.removesuffix("\x1e").split("\x1f")]


def run(command: list[str], environment: dict[str, str]) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed, so no value can be held against what it prints")
    given = {**environment, "PGOPTIONS": SETTINGS, "PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, env=given, check=True)
    return done.stdout.decode(errors="surrogateescape")


def unescaped(text: str) -> str:
    for escape, letter in (("\\t", "\t"), ("\\n", "\n"), ("\\0", "\0"), ("\\\\", "\\")):
        text = text.replace(escape, letter)
    return text


def as_postgresql(value: Any, text: str, declared: str) -> bool:
    if isinstance(value, bool):
        return text == ("t" if value else "f")
    if isinstance(value, bytes):
        return text == "\\x" + value.hex()
    if isinstance(value, float):
        return same_float(value, text, declared == "real")
    if isinstance(value, datetime):
        return datetime.fromisoformat(text) == value
    return text == (value.isoformat() if isinstance(value, date | time) else str(value))


def as_mariadb(value: Any, text: str, declared: str) -> bool:
    if isinstance(value, bytes):
        return int.from_bytes(value) == int(text, 16) if declared.startswith("bit") else text == value.hex().upper()
    if isinstance(value, float):
        return same_float(value, text, declared == "float")
    if isinstance(value, Decimal):
        return text == f"{value:f}"
    if isinstance(value, datetime):
        return datetime.fromisoformat(text).replace(tzinfo=value.tzinfo) == value
    if isinstance(value, timedelta):
        sign, parts = (-1, text[1:].split(":")) if text.startswith("-") else (1, text.split(":"))
        seconds = Decimal(parts[0]) * 3600 + Decimal(parts[1]) * 60 + Decimal(parts[2])
        return Decimal(value / timedelta(microseconds=1)) == sign * seconds * 1_000_000
    return text == (value.isoformat() if isinstance(value, date) else str(value))


def as_sqlite(value: Any, text: str, _declared: str) -> bool:
    if isinstance(value, bytes):
        return text == f"X'{value.hex().upper()}'"
    if isinstance(value, float):
        return same_float(value, "Infinity" if float(text) == math.inf else text, False)
    if "\0" in str(value):  # the function quote ends there
        return text == "'" + str(value).partition("\0")[0] + "'"
    return text == (str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'")


def same_float(value: float, text: str, single: bool) -> bool:
    """Equal to the last bit; a single one is printed with as many digits as it has."""
    if math.isnan(value):
        return text == "NaN"
    found = float(text.replace("Infinity", "inf"))
    if single:
        value, found = (struct.unpack("f", struct.pack("f", one))[0] for one in (value, found))
    return (found, math.copysign(1, found)) == (value, math.copysign(1, value))


SAME: dict[str, Callable[[Any, str, str], bool]] = {
    "postgresql": as_postgresql,
    "mariadb": as_mariadb,
    "sqlite": as_sqlite,
}


def asked_of_the_client(kind: str, name: str, declared: str) -> str:
    """A column as the client can print it: MariaDB's prints bytes as they are, and of a FLOAT six digits only."""
    if kind == "mariadb" and declared == "float":
        return f"CAST({name} AS DOUBLE)"
    binary = declared.startswith(("bit", "blob", "longblob", "binary", "varbinary", "point", "linestring"))
    return f"HEX({name})" if kind == "mariadb" and binary else name


@pytest.mark.parametrize("kind", list(GIVEN))
def test_what_the_databases_own_client_prints_is_what_the_archive_holds(make, tmp_path, kind):
    cases = [(declared, literal) for declared, literal, *_ in GIVEN[kind]] + MORE[kind]
    made = test_rows.prepared(make(kind))
    columns = [
        f"c{n} {declared.removesuffix(' NULL')}{' NULL' if declared else ''}" for n, (declared, _) in enumerate(cases)
    ]
    made.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)})")
    made.run(f"INSERT INTO t VALUES (1, {', '.join(literal for _, literal in cases)})".replace("%", "%%"))
    before = printed(made, [asked_of_the_client(kind, f"c{n}", declared) for n, (declared, _) in enumerate(cases)])
    assert len(before) == len(cases)
    source = made.crm().source
    if kind == "postgresql":
        name = sa.make_url(made.url).database
        made.run(*(f"ALTER DATABASE {name} SET {setting} = {value}" for setting, value in ODD.items()))
    crm = Crm(open_database(as_role(made.url)), source, TIMES)
    store = FolderStore(Path(tmp_path / "store"))
    archived = fetch_table(store, put_table(store, "t.parquet", read(crm, [1])["calls"])).to_pylist()[0]
    wrong = {
        case: (archived[f"c{n}"], text)
        for n, (case, text) in enumerate(zip(cases, before, strict=True))
        if text is None or not SAME[kind](archived[f"c{n}"], text, case[0])
    }
    assert wrong == {}
    assert purge(crm, [1]).deleted == (1,)
    assert made.rows("SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_no_archive_can_hold_exactly_is_still_there_as_it_was_after_the_purge(make, kind):
    for declared, literal in REFUSED[kind]:
        made = make(kind)
        if made.dialect == "mysql":
            made.run("SET GLOBAL sql_mode = ''")
        made.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
        made.run(f"INSERT INTO t (id, c) VALUES (1, {literal})")
        before = printed(made, ["c"])
        assert list(purge(made.crm(), [1]).set_aside) == [1]
        assert printed(made, ["c"]) == before != [None]
