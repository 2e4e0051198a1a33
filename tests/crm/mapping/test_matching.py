"""A text is matched to a number only where it is written alike: a database would find 7 in '7 rue de la Paix'."""

import pytest

from lifecycle.errors import SourceError
from tests.crm.conftest import purge, read

POLYMORPHIC = (
    "CREATE TABLE t (id BIGINT PRIMARY KEY)",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, object_id VARCHAR(40), kind INTEGER)",
    "INSERT INTO t VALUES (7), (100), (9007199254740993)",
    "INSERT INTO notes VALUES (1, '7 rue de la Paix', 0), (2, '1e2', 0), (3, '7', 0), (4, '07', 0), (5, '7.0', 0), "
    "(6, '9007199254740992', 0), (7, NULL, 0), (8, '', 0), (9, ' 7', 0)",
)
CAST = "[{table: notes, match: {object_id: id}, cast: text}]"


def test_a_text_matched_to_a_number_is_pointed_out_until_the_mapping_says_that_it_is_meant(made):
    made.run(*POLYMORPHIC)
    for children, found in ((CAST.replace(", cast: text", ""), [("object_id", "id")]), (CAST, [])):
        crm = made.crm(children=children)
        assert crm.rows.matched_across_types(crm.rows.parts[1]) == found


def test_with_a_cast_only_the_same_text_is_the_same_number(made):
    crm = made.run(*POLYMORPHIC).crm(children=CAST)
    assert read(crm, [7, 100, 9007199254740993])["notes"]["id"].to_pylist() == [3]
    done = purge(crm, [7, 100, 9007199254740993])
    assert (done.rows, done.set_aside) == ({"calls": 3, "notes": 1}, {})
    assert [row[0] for row in made.rows("SELECT id FROM notes ORDER BY id")] == [1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("collation", ["utf8mb4_unicode_ci", "utf8mb4_bin", "latin1_swedish_ci"])
def test_a_cast_fits_every_collation_of_the_child(make, collation):
    made = make("mariadb").run(
        "CREATE TABLE t (id BIGINT PRIMARY KEY)",
        f"CREATE TABLE notes (id INT PRIMARY KEY, object_id VARCHAR(40) COLLATE {collation}, KEY (object_id))"
        f" CHARACTER SET {collation.partition('_')[0]}",
        "INSERT INTO t VALUES (7)",
        "INSERT INTO notes VALUES (1, '7'), (2, '7 rue')",
    )
    assert read(made.crm(children=CAST), [7])["notes"]["id"].to_pylist() == [1]


def test_a_number_in_a_child_is_matched_to_a_text_above_it_as_that_text(made):
    made.run("CREATE TABLE t (id VARCHAR(20) PRIMARY KEY)", "CREATE TABLE c (id INTEGER PRIMARY KEY, t_id INTEGER)")
    made.run("INSERT INTO t VALUES ('7'), ('7a'), ('007')", "INSERT INTO c VALUES (1, 7), (2, 8)")
    crm = made.crm(children="[{table: c, match: {t_id: id}, cast: text}]")
    assert read(crm, ["7", "7a", "007"])["c"].select(["_call_id", "id"]).to_pylist() == [{"_call_id": "7", "id": 1}]


def test_a_uuid_is_matched_to_a_text_with_a_cast(make):
    key = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    made = make("postgresql").run(
        "CREATE TABLE t (id uuid PRIMARY KEY)",
        "CREATE TABLE notes (id int PRIMARY KEY, object_id text)",
        f"INSERT INTO t VALUES ('{key}')",
        f"INSERT INTO notes VALUES (1, '{key}'), (2, 'no uuid at all')",
    )
    assert read(made.crm(children=CAST), [key])["notes"]["id"].to_pylist() == [1]


@pytest.mark.parametrize(("column", "value"), [("kind", "Calls"), ("object_id", "7")])
def test_a_fixed_value_of_another_kind_than_its_column_is_refused(made, column, value):
    made.run(*POLYMORPHIC)  # MySQL finds 0 in every word
    where = f"where: {{{column}: {value}}}"
    with pytest.raises(SourceError, match=rf"notes\.{column} is .*; its `where` compares it with"):
        made.crm(children=f"[{{table: notes, match: {{object_id: id}}, cast: text, {where}}}]")
