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


def test_a_text_matched_to_a_number_is_refused_until_the_mapping_says_that_it_is_meant(made):
    made.run(*POLYMORPHIC)
    with pytest.raises(SourceError, match=r"notes\.object_id is text and t\.id, .* is number: .* say `cast: text`"):
        made.crm(children=CAST.replace(", cast: text", ""))
    assert made.crm(children=CAST).rows.parts[1].name == "notes"


UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
UNLIKE = {  # by server: type above, type of the child's column, what is said of the child's and of that above
    "mariadb": [
        ("VARCHAR(20)", "BIGINT", "number", "text"),
        ("UUID", "CHAR(36)", "text", "uuid"),
        ("CHAR(36)", "BINARY(16)", "bytes", "text"),
        ("UUID", "BINARY(16)", "bytes", "uuid"),
        ("BIGINT", "DOUBLE", "floating number", "number"),
        ("BIGINT", "DATETIME", "time without a zone", "number"),
        ("DATETIME", "TIMESTAMP NULL", "time with a zone", "time without a zone"),
    ],
    "postgresql": [
        ("uuid", "text", "text", "uuid"),
        ("bigint", "varchar(40)", "text", "number"),
        ("uuid", "bigint", "number", "uuid"),
        ("text", "bytea", "bytes", "text"),
        ("numeric", "double precision", "floating number", "number"),
        ("text", "inet", "inet", "text"),
    ],
    "sqlite": [("TEXT", "INTEGER", "number", "text"), ("INTEGER", "BLOB", "bytes", "number")],
}
ALIKE = {  # declared otherwise, and the same to the database
    "mariadb": [
        ("CHAR(36)", "VARCHAR(255) CHARACTER SET utf8mb3"),
        ("INT UNSIGNED", "BIGINT"),
        ("VARCHAR(9)", "ENUM('a', 'b')"),
        ("VARCHAR(9) COLLATE utf8mb4_bin", "VARCHAR(9) COLLATE utf8mb4_general_ci"),
    ],
    "postgresql": [("varchar(36)", "char(36)"), ("integer", "bigint"), ("numeric(10, 0)", "integer")],
    "sqlite": [("INTEGER", "NUMERIC")],
}
SPELLED = {frozenset({"text", "number"}), frozenset({"text", "uuid"})}


def matched(made, pairs, cast=""):
    """A child for each pair of types: the columns of one table, matched with those of the calls."""
    above = "".join(f", a{n} {kinds[0]}" for n, kinds in enumerate(pairs))
    below = "".join(f", b{n} {kinds[1]}" for n, kinds in enumerate(pairs))
    made.run(f"CREATE TABLE t (id INT PRIMARY KEY{above})", f"CREATE TABLE c (id INT PRIMARY KEY{below})")
    children = [f"{{table: c, match: {{b{n}: a{n}}}}}" for n in range(len(pairs))]
    return [f"[{', '.join(children)}]", f"[{', '.join(one.replace('}}', '}, cast: text}') for one in children)}]"]


@pytest.mark.parametrize("server", list(UNLIKE))
def test_columns_of_two_types_are_refused_where_the_mapping_does_not_say_that_they_are_texts(make, server):
    made, pairs = make(server), UNLIKE[server]
    plain, cast = matched(made, pairs)
    with pytest.raises(SourceError) as refused:
        made.crm(children=plain)
    found = [line.removeprefix("source mapped: ").partition(": ") for line in str(refused.value).splitlines()]
    wanted = [f"c.b{n} is {own} and t.a{n}, by which it is found, is {up}" for n, (_, _, own, up) in enumerate(pairs)]
    assert [said for said, _, _ in found] == wanted
    assert ["cast: text" in help_ for _, _, help_ in found] == [frozenset(pair[2:]) in SPELLED for pair in pairs]
    with pytest.raises(SourceError) as refused:
        made.crm(children=cast)
    still = [said for said, pair in zip(wanted, pairs, strict=True) if frozenset(pair[2:]) not in SPELLED]
    assert [line.split(": ")[1] for line in str(refused.value).splitlines()] == still


@pytest.mark.parametrize("server", list(ALIKE))
def test_columns_that_a_database_compares_value_by_value_need_no_word(make, server):
    made = make(server)
    plain, _ = matched(made, ALIKE[server])
    assert len(made.crm(children=plain).rows.parts) == 1 + len(ALIKE[server])


def test_collations_that_mariadb_does_not_mix_and_operators_that_postgresql_lacks_are_refused_by_name(make):
    made = make("mariadb").run(
        "CREATE TABLE t (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY)",
        "CREATE TABLE c (id INT PRIMARY KEY, t_id VARCHAR(9) COLLATE utf8mb4_unicode_ci)",
    )
    with pytest.raises(SourceError, match=r"c: the database does not compare t_id with id: .*Illegal mix"):
        made.crm(children="[{table: c, match: {t_id: id}}]")
    made = make("postgresql").run(
        "CREATE TABLE t (id int PRIMARY KEY, at json)", "CREATE TABLE c (id int PRIMARY KEY, at json)"
    )
    with pytest.raises(SourceError, match=r"c: the database does not compare at with at: .*operator"):
        made.crm(children="[{table: c, match: {at: at}}]")


def test_a_row_that_others_may_own_is_never_judged_by_columns_of_another_type(make):
    made = make("mariadb").run(
        "CREATE TABLE t (id INT PRIMARY KEY, blob_id CHAR(36))",
        "CREATE TABLE blobs (id CHAR(36) PRIMARY KEY)",
        "CREATE TABLE others (id INT PRIMARY KEY, blob_id BINARY(16))",
    )
    namers = "[{table: t, column: blob_id}, {table: others, column: blob_id}]"
    with pytest.raises(
        SourceError, match=r"unless_named_by: others\.blob_id is of the type bytes and blobs\.id is text"
    ):
        made.crm(children=f"[{{table: blobs, match: {{id: blob_id}}, unless_named_by: {namers}}}]")


@pytest.mark.parametrize(("key", "given", "said"), [
    ("INT", "CONCAT(id, '')", "its call_id is text and t.id is number"),
    ("CHAR(36)", "UNHEX(REPLACE(id, '-', ''))", "its call_id is bytes and t.id is text"),
    ("VARCHAR(20)", "id + 0", "its call_id is number and t.id is text"),
])  # fmt: skip
def test_a_link_that_names_its_call_in_another_type_is_refused(make, key, given, said):
    made = make("mariadb").run(f"CREATE TABLE t (id {key} PRIMARY KEY)")
    with pytest.raises(SourceError, match=f"links.deal_id: {said}: no hold would find its calls"):
        made.crm(more=f'links: {{deal_id: "SELECT {given} AS call_id, 1 AS deal_id FROM t"}}')


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
    key = UUID
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
