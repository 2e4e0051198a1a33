"""Facts and links as the server writes them are what the driver gives, for each type and odd value; or refused."""

from collections.abc import Iterator

import pyarrow as pa
import pytest

from lifecycle.crm.crm import Crm
from lifecycle.crm.reading.fact_selection import FactKinds
from lifecycle.crm.reading.facts import Facts
from lifecycle.errors import SourceError
from tests.crm.reading.test_links import linked
from tests.crm.reading.test_readers import CASES, TEXTS, UNREADABLE
from tests.crm.reading.test_rows import prepared

ROLES = {
    "text": FactKinds(frozenset(), frozenset()),
    "time": FactKinds(frozenset({"fact"}), frozenset()),
    "flag": FactKinds(frozenset(), frozenset({"fact"})),
}
MORE = {
    "postgresql": [
        *(("TIMESTAMP", f"'{at}'") for at in ("infinity", "2021-03-28 02:30:00", "0044-03-15 00:00:00 BC")),
        *(("TIMESTAMPTZ", f"'{at}'") for at in ("2021-03-28 02:30:00+02", "2060-07-01 00:30:00.000001Z")),
        *(("BOOLEAN", said) for said in ("true", "false")),
        *(("NUMERIC", said) for said in ("1.50", "0.00000001", "1e20", "'NaN'", "1")),
        *(("DOUBLE PRECISION", said) for said in ("1", "1e20", "0.5", "'-0'")),
        *(("TEXT", f"'{said}'") for said in ("20210301", "2021-03-01", "2021-03-01 10:00:00", "yes", " F ", "0", "")),
        *(("CHAR(5)", f"'{said}'") for said in ("t", "2021")),
        *(("INTEGER", said) for said in ("20210301", "1", "0", "-7")),
        ("DATE", "'2021-03-01'"),
        ("DATE", "'infinity'"),
    ],
    "mariadb": [
        *(("DATETIME(6)", f"'{at}'") for at in ("2021-03-28 02:30:00", "0000-00-00", "2060-07-01 00:30:00.000001")),
        *(("TIMESTAMP(3) NULL", f"'{at}'") for at in ("2021-03-28 02:30:00.5", "0000-00-00")),
        *(("DECIMAL(20,8)", said) for said in ("1.50", "0.00000001", "1")),
        *(("DOUBLE", said) for said in ("1", "1e20", "0.5", "-0e0")),
        *(("TEXT", f"'{said}'") for said in ("20210301", "2021-03-01", "2021-03-01 10:00:00", "yes", " F ", "0", "")),
        *(("INT(8) ZEROFILL", said) for said in ("42", "1")),
        *(("INTEGER", said) for said in ("20210301", "1", "0", "-7")),
        ("YEAR", "'0000'"),
        ("DATE", "'2021-03-01'"),
        ("DATE", "'0000-00-00'"),
    ],
}  # fmt: skip
SERVED = {
    "postgresql": {"INTEGER", "TEXT", "CHAR(5)", "TIMESTAMP", "TIMESTAMPTZ", "DATE", "BOOLEAN", "uuid"},
    "mariadb": {"INTEGER", "TEXT", "DATETIME(6)", "DATE", "TIMESTAMP(3) NULL"},
}


def facts_of(crm: Crm, column: str, role: str) -> Facts:
    """The facts of a mapping that gives one column as one fact."""
    sql = f"SELECT id AS call_id, 'x' AS industry, {column} AS fact FROM t"
    source = crm.source.model_copy(update={"facts": sql, "times": {}})
    return Facts(crm.database, source, crm.rows.key, ROLES[role], crm.control.requests, crm.control.restored)


def read(facts: Facts, crm: Crm, keys: list[int], as_csv: bool) -> pa.Table | str:
    facts.reader.as_csv = as_csv
    with crm.database.reading() as connection:
        try:
            return facts.reader.read(connection, keys)
        except Exception as error:  # whatever it is, both ways must end alike
            return type(error).__name__


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_every_fact_of_every_type_is_what_the_driver_gives(make, kind):
    made, served = prepared(make(kind)), set[str]()
    if kind == "mariadb":
        made.run("SET GLOBAL sql_mode = ''")
    cases = [*((declared, literal) for declared, literal, _ in CASES[kind]), *MORE[kind], *UNREADABLE[kind]]
    columns = [f"c{number} {declared.removesuffix(' NULL')} NULL" for number, (declared, _) in enumerate(cases)]
    made.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)})")
    for number, (_, literal) in enumerate(cases):  # a row each, for the first odd value ends the fast way
        made.run(f"INSERT INTO t (id, c{number}) VALUES ({number}, {literal})".replace("%", "%%"))
    crm = made.crm(facts="SELECT id AS call_id, 'x' AS industry, NULL AS ended_at FROM t")
    for number, (declared, literal) in enumerate(cases):
        for role, facts in usable(crm, f"c{number}"):
            for keys in ([number], [number, number + 1], [number + 1]):
                by_driver, by_server = (
                    read(facts, crm, keys, as_csv) for as_csv in (False, facts.tables.served is not None)
                )
                assert same(by_driver, by_server), (declared, literal, role, by_driver, by_server)
                served |= {declared} if facts.reader.as_csv and keys == [number] else set()
    assert served >= SERVED[kind]


def usable(crm: Crm, column: str) -> Iterator[tuple[str, Facts]]:
    """A column in each role that it can have."""
    for role in ROLES:
        try:
            yield role, facts_of(crm, column, role)
        except SourceError:
            continue


def same(one: pa.Table | str, other: pa.Table | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.schema == other.schema and repr(one.to_pylist()) == repr(other.to_pylist())


@pytest.mark.parametrize("kind", CASES)
def test_every_link_is_what_the_driver_gives(make, kind):
    text = "LONGTEXT CHARACTER SET utf8mb4" if kind == "mariadb" else "TEXT"
    made = make(kind).run(
        "CREATE TABLE t (id VARCHAR(9) PRIMARY KEY, ended_at TIMESTAMP NULL, deal_id VARCHAR(9))",
        f"CREATE TABLE l (call_id VARCHAR(9), deal_id {text}, number INTEGER, exact DECIMAL(20,8))",
        "INSERT INTO t VALUES ('a', NULL, NULL), ('b', NULL, NULL)",
        "INSERT INTO l VALUES ('b', NULL, NULL, NULL), ('b', '7', -7, 1e-8)",
    )
    with made.engine.begin() as connection:
        for said in TEXTS:
            connection.exec_driver_sql("INSERT INTO l VALUES ('a', %s, 1, 1.5)", (said,))
    links = {"lead_id": "deal_id AS lead_id", "contact_id": "number AS contact_id", "case_id": "exact AS case_id"}
    said = (f"{name}: 'SELECT call_id, {column} FROM l'" for name, column in links.items())
    crm = linked(made, f"{{{', '.join(said)}}}")
    with crm.database.reading() as connection:
        quick = crm.facts.of(connection, ["a", "b"])
        assert crm.facts.links._served == {"lead_id", "contact_id"}
        crm.facts.links._served.clear()
        slow = crm.facts.of(connection, ["a", "b"])
    found = {name: by_call(quick, name) for name in links}
    assert found == {name: by_call(slow, name) for name in links}
    assert found["lead_id"] == {"a": sorted(TEXTS, key=repr), "b": ["7", None]}
    assert found["contact_id"]["b"] == ["-7", None]


def by_call(facts: pa.Table, name: str) -> dict[str, list[str | None]]:
    return {row["call_id"]: sorted(row[name], key=repr) for row in facts.to_pylist()}
