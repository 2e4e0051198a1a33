"""A component in the mapping: what cannot go by itself is refused when the CRM is opened, and only its own rows go."""

import pytest

from lifecycle.crm.inspection import mapping_doubts
from lifecycle.crm.mapping.foreign_keys import unmapped_references
from lifecycle.crm.reading.fact_selection import Cutoffs
from lifecycle.errors import SourceError
from tests.builders import NIGHT
from tests.crm.conftest import purge_row

TABLES = (
    "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, number INTEGER, words VARCHAR(99), more VARCHAR(99), "
    "must VARCHAR(9) NOT NULL, at INTEGER)",
    "CREATE TABLE r (id INTEGER NOT NULL PRIMARY KEY, t_id INTEGER, path VARCHAR(99), bytes INTEGER)",
    "CREATE TABLE f (id INTEGER NOT NULL PRIMARY KEY, r_id INTEGER)",
    "CREATE TABLE l (id INTEGER NOT NULL PRIMARY KEY, t_number INTEGER)",
)
CHILDREN = (
    "[{table: r, match: {t_id: id}, children: [{table: f, match: {r_id: id}}]}, {table: l, match: {t_number: number}}, "
    "{table: t, match: {at: id}, detach: [at]}]"
)
FACTS = "SELECT id AS call_id, 'x' AS industry, 1 AS has_rec, NULL AS has_text FROM t"


def crm(made, components: str, facts: str = FACTS):
    return made.crm(facts=facts, children=f"{CHILDREN}\ncomponents: {components}")


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ("{metadata: {tables: [r]}}", "metadata is the call itself"),
        ("{rec: {}}", "components.rec: expected tables or columns, found neither"),
        ("{rec: {tables: [nowhere]}}", "components.rec: expected a table of the children, found nowhere"),
        ("{rec: {tables: [t]}}", "components.rec: expected a table of the children, found t"),
        ("{rec: {columns: [id]}}", "the call is found or read by its column id"),
        ("{rec: {columns: [number]}}", "the call is found or read by its column number"),
        ("{rec: {columns: [at]}}", "the call is found or read by its column at"),
        ("{rec: {tables: [r]}, text: {tables: [f]}}", "components.text: f is of rec already"),
        ("{rec: {columns: [words]}, text: {columns: [words]}}", "components.text: column words is of rec already"),
        (
            "{rec: {tables: [f], files: {table: r, path: path, patterns: ['{call_id}']}}}",
            "expected files of one of its tables, found r",
        ),
        ("{rec: {columns: [nothing]}}", "component rec: table t has no column nothing"),
        ("{rec: {columns: [must]}}", "component rec: t.must is NOT NULL or a key"),
        (
            "{rec: {tables: [r], files: {table: r, path: nothing, patterns: ['{call_id}']}}}",
            "component rec: table r has no column nothing",
        ),
        (
            "{rec: {tables: [r], files: {table: r, path: bytes, patterns: ['{call_id}']}}}",
            "component rec: r.bytes is no text",
        ),
        ("{other: {tables: [r]}}", "expected the fact has_other of a component"),
    ],
)
def test_a_component_that_cannot_go_by_itself_is_refused(make, components, said):
    with pytest.raises(SourceError, match=said):
        crm(make("sqlite").run(*TABLES), components)


@pytest.fixture
def filled(made):
    """Two calls on each database, with a child, a grandchild and a text each."""
    values = "(1, 1, 'one', 'x', 'm', NULL), (2, 2, 'two', NULL, 'm', 1)"
    return made.run(
        *TABLES,
        f"INSERT INTO t VALUES {values}",
        "INSERT INTO r VALUES (1, 1, 'a', 0), (2, 2, 'b', 0), (3, NULL, 'a', 0)",
        "INSERT INTO f VALUES (1, 1), (2, 2), (3, 3)",
        "INSERT INTO l VALUES (1, 1), (2, 2)",
    )


def everything(made) -> dict[str, list]:
    return {table: made.rows(f"SELECT * FROM {table} ORDER BY id") for table in "trfl"}


def test_a_purge_of_a_component_takes_its_own_rows_and_values_and_nothing_else(filled):
    opened = crm(filled, "{rec: {tables: [r], columns: [words, more]}}")
    opened.control.create()
    before = everything(filled)
    done = opened.purger("rec").purge([1], lambda *_: {}, purge_row)
    assert (done.deleted, done.rows) == ((1,), {"r": 1, "f": 1, "calls-cleared": 1})
    call = before["t"][0]
    assert everything(filled) == {
        "t": [(*call[:2], None, None, *call[4:]), before["t"][1]],
        "r": before["r"][1:],
        "f": before["f"][1:],
        "l": before["l"],
    }


def test_it_is_read_with_the_keys_that_name_it_and_is_there_while_any_of_it_is(filled):
    opened = crm(filled, "{rec: {tables: [f]}, text: {columns: [words, more]}}")
    with opened.database.reading() as connection:
        texts = opened.rows_of("text").read(connection, [1, 2])
        files = opened.rows_of("rec").read(connection, [2])
    assert texts["calls"].to_pydict() == {
        "_call_id": [1, 2],
        "id": [1, 2],
        "words": ["one", "two"],
        "more": ["x", None],
    }
    assert {name: table.num_rows for name, table in files.items()} == {"calls": 1, "f": 1}
    filled.run("UPDATE t SET words = NULL, more = NULL WHERE id = 1", "DELETE FROM f WHERE id = 2")
    with opened.database.reading() as connection:
        assert opened.rows_of("text").live(connection, [1, 2]) == [2]
        assert opened.rows_of("rec").live(connection, [1, 2]) == [1]
        assert sorted(opened.rows.live(connection, [1, 2])) == [1, 2]


def test_whoever_names_a_file_is_found_letter_by_letter(filled):
    opened = crm(filled, "{rec: {tables: [r], files: {table: r, path: path, patterns: ['{call_id}']}}}")
    filled.run("INSERT INTO r VALUES (4, NULL, 'A ', 0)")
    assert opened.still_named(["a", "b", "A", "c"]) == {"a", "b"}
    assert opened.still_named([]) == set()
    assert [
        f"{doubt.table}: {doubt.problem}"
        for doubt in mapping_doubts(opened.database, opened.source)
        if "file" in doubt.problem
    ] == [
        "r: no index begins with path: each file to go reads the whole table. CREATE INDEX lifecycle_path ON r (path)"
    ]


def test_a_foreign_key_from_outside_the_component_stops_its_purge_and_no_other(make):
    made = make("sqlite").run(
        *TABLES, "CREATE TABLE x (id INTEGER PRIMARY KEY, t_id INTEGER, r_id INTEGER REFERENCES r)"
    )
    children = CHILDREN[:-1] + ", {table: x, match: {t_id: id}}, {table: x, match: {r_id: number}}]"
    opened = made.crm(
        facts=FACTS, children=f"{children}\ncomponents: {{rec: {{tables: [r]}}, text: {{columns: [words]}}}}"
    )
    opened.control.create()
    assert unmapped_references(opened.database, opened.source) == []
    opened.purger()
    opened.purger("text")
    with pytest.raises(SourceError, match=r"x.r_id names a row of r and is not mapped"):
        opened.purger("rec")


def test_candidates_of_a_component_are_calls_that_may_have_it(make):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, ended_at TEXT, has_rec TEXT)")
    days = ["2020-01-01", "2026-01-01", None]
    flags = ["t", "TRUE ", "1", "f", "No", "0", None, "perhaps"]
    rows = [(f"'{day}'" if day else "NULL", f"'{flag}'" if flag else "NULL") for day in days for flag in flags]
    made.run(*(f"INSERT INTO t VALUES ({n}, {day}, {flag})" for n, (day, flag) in enumerate(rows)))
    opened = made.crm(facts="SELECT id AS call_id, 'x' AS industry, ended_at, has_rec FROM t")
    limits = Cutoffs(NIGHT, {}, {"rec": {"ended_at": NIGHT.replace(year=2021)}, "other": {"ended_at": None}})
    with opened.database.reading() as connection:
        found = {key for table in opened.facts.candidates(connection, limits) for key in table["call_id"].to_pylist()}
    old, unknown = range(0, 8), range(16, 24)
    assert found == {n for n in (*old, *unknown) if flags[n % 8] not in ("f", "No", "0")}
