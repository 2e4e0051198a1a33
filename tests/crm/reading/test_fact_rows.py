"""Calls are counted as rows only where the text and the database's keys say that no row comes twice; the count is the
same either way, and the oracle's is the database's own DISTINCT."""

import pytest

from lifecycle.crm.reading.fact_rows import rows_are_distinct

TABLES = (
    "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a_id INT, code VARCHAR(9), wide BIGINT)",
    "CREATE TABLE a (id INT NOT NULL PRIMARY KEY, x VARCHAR(9), code VARCHAR(20) NOT NULL, UNIQUE (code))",
    "CREATE TABLE ai (a_id INT NOT NULL, industry VARCHAR(20) NOT NULL, PRIMARY KEY (a_id, industry))",
    "CREATE TABLE loose (a_id INT, industry VARCHAR(20))",
    "CREATE TABLE maybe (a_id INT, b INT, UNIQUE (a_id, b))",
    "INSERT INTO a VALUES (1, 'x', 'one'), (2, 'y', 'two')",
    "INSERT INTO t VALUES (1, 1, 'one', 1), (2, 1, 'one', 1), (3, 2, 'two', 2), (4, NULL, NULL, NULL)",
    "INSERT INTO ai VALUES (1, 'Retail'), (1, 'Banking'), (2, 'Retail')",
    "INSERT INTO loose VALUES (1, 'Retail'), (1, 'Retail'), (2, NULL), (2, NULL)",
    "INSERT INTO maybe VALUES (1, NULL), (1, NULL), (2, 1)",
)
ONCE = (
    "SELECT t.id AS call_id, 'x' AS industry FROM t",
    "SELECT c.id AS call_id, a.x AS industry FROM t c LEFT JOIN a ON a.id = c.a_id WHERE c.id > 0",
    "select c.id call_id, a.x industry, EXISTS (SELECT 1 FROM ai JOIN loose l ON 1 = 1) AS open_deal\n"
    "from t as c -- the calls\ninner join a on c.a_id = a.id and a.x <> 'from'",
    "SELECT c.id AS call_id, i.industry FROM t c LEFT JOIN a ON a.id = c.a_id LEFT JOIN ai i ON i.a_id = c.a_id",
    "SELECT c.id AS call_id, i.industry AS industry FROM t c LEFT JOIN ai i ON i.a_id = c.a_id WHERE c.id < 9 OR 1 = 1",
    "SELECT c.id AS call_id, i.industry AS industry FROM t c JOIN a ON a.code = c.code JOIN ai i ON i.a_id = a.id",
)
_X, _A = "SELECT c.id AS call_id, 'x' AS industry FROM ", "SELECT c.id AS call_id, a.x AS industry FROM "
_I = "SELECT c.id AS call_id, i.industry AS industry FROM t c LEFT JOIN ai i ON i.a_id = c.a_id"
NOT_SURE = {
    "a call's rows by another table than the industry's": f"{_X}t c LEFT JOIN ai i ON i.a_id = c.a_id",
    "the industry through an expression": _I.replace("i.industry AS", "LOWER(i.industry) AS"),
    "two tables of several rows": f"{_I} LEFT JOIN ai j ON j.a_id = c.a_id",
    "no key": "SELECT c.id AS call_id, l.industry AS industry FROM t c LEFT JOIN loose l ON l.a_id = c.a_id",
    "a key with NULLs": f"{_X}t c LEFT JOIN maybe m ON m.a_id = c.a_id AND m.b = c.a_id",
    "an OR beside the key": f"{_A}t c LEFT JOIN a ON a.id = c.a_id OR a.x = 'y'",
    "an AND inside a CASE": f"{_A}t c LEFT JOIN a ON CASE WHEN 1 = 1 AND a.id = c.a_id AND 1 = 1 THEN 1 ELSE 1 END = 1",
    "a negation": f"{_A}t c LEFT JOIN a ON NOT a.id = c.a_id",
    "another comparison": f"{_A}t c LEFT JOIN a ON a.id <> c.a_id",
    "another type": f"{_A}t c LEFT JOIN a ON a.id = c.wide",
    "an expression": f"{_A}t c LEFT JOIN a ON a.id = c.a_id + 0",
    "a union": "SELECT t.id AS call_id, 'x' AS industry FROM t UNION ALL SELECT t.id, 'x' FROM t",
    "a comma": "SELECT c.id AS call_id, b.x AS industry FROM t c, a b",
    "tables in parentheses": f"{_X}t c LEFT JOIN (SELECT * FROM a) j ON j.id = c.a_id",
    "another beginning": f"{_A}a JOIN t c ON c.a_id = a.id",
    "a join that keeps the other side": f"{_A}t c RIGHT JOIN a ON a.id = c.a_id WHERE c.id > 0",
    "another key": "SELECT c.a_id AS call_id, 'x' AS industry FROM t c WHERE c.a_id IS NOT NULL",
}


def both_counts(made, facts: str):
    """Whether it is sure, what the census counts, and what the database counts with DISTINCT."""
    crm = made.crm(facts=facts)
    with crm.database.reading() as connection:
        sure, found = rows_are_distinct(connection, crm.source), crm.facts.counts.by_industry(connection)
    counted = made.rows(f"SELECT industry, COUNT(DISTINCT call_id) FROM ({facts}\n) f GROUP BY industry")
    return sure, sorted(found, key=repr), sorted(counted, key=repr)


def test_rows_are_counted_where_none_can_come_twice(made):
    made.run(*TABLES)
    for facts in ONCE:
        sure, found, counted = both_counts(made, facts)
        assert (sure, found) == (True, counted), facts


@pytest.mark.parametrize(("join", "sure"), [("a ON a.id = c.a_id", True), ("ai a ON a.a_id = c.a_id", False)])
def test_an_industry_that_the_mapping_says_adds_no_row(made, join, sure):
    made.run(*TABLES)
    said = 'industry: {by: account_id, values: {1: "Retail", 2: " FROM (x) i"}}\nabsent: {open_deal: no}'
    crm = made.crm(facts=f"SELECT c.id AS call_id, c.a_id AS account_id FROM t c LEFT JOIN {join}", more=said)
    with crm.database.reading() as connection:
        assert rows_are_distinct(connection, crm.source) is sure
        assert sorted(crm.facts.counts.by_industry(connection), key=repr) == [
            ("FROM (x) i", 1),
            ("Retail", 2),
            (None, 1),
        ]


def test_distinct_calls_are_counted_where_that_is_not_sure(made):
    made.run(*TABLES)
    for why, facts in NOT_SURE.items():
        sure, found, counted = both_counts(made, facts)
        assert (sure, found) == (False, counted), why


@pytest.mark.parametrize(
    ("kind", "statements", "facts"),
    [
        (
            "postgresql",
            ("CREATE TABLE more () INHERITS (a)", "INSERT INTO more VALUES (1, 'z', 'one')"),
            "SELECT c.id AS call_id, 'x' AS industry FROM t c LEFT JOIN a ON a.id = c.a_id",
        ),
        ("postgresql", (), "SELECT c.id AS call_id, 'x' AS industry, unnest(ARRAY[1, 2]) AS n FROM t c"),
        (
            "sqlite",
            ("CREATE TABLE words (word TEXT COLLATE NOCASE PRIMARY KEY)",),
            "SELECT c.id AS call_id, a.x AS industry FROM t c LEFT JOIN a ON a.code = c.code",
        ),
        (
            "mariadb",
            (
                "CREATE TABLE w (code VARCHAR(9) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci PRIMARY KEY)",
                "INSERT INTO w VALUES ('s'), ('ss')",
                "ALTER TABLE t MODIFY code VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
            ),
            "SELECT c.id AS call_id, 'x' AS industry FROM t c LEFT JOIN w ON w.code = c.code",
        ),
    ],
)
def test_what_no_key_knows_is_not_sure(make, kind, statements, facts):
    made = make(kind).run(*TABLES, *statements)
    sure, found, counted = both_counts(made, facts)
    assert (sure, found) == (False, counted)
