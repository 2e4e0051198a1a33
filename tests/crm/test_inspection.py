"""What `check` says of a mapping and a live database beside what stops a night: each thing once, and what to write."""

import pytest

from lifecycle.crm.inspection import keyless_tables, mapping_doubts

CALLS = "CREATE TABLE t (id INTEGER PRIMARY KEY, other INTEGER)"
NOTES = "CREATE TABLE notes (id INTEGER PRIMARY KEY, t_id INTEGER, kind VARCHAR(9))"


def said(crm, *words):
    found = [f"{doubt.table}: {doubt.problem}" for doubt in mapping_doubts(crm.database, crm.source)]
    assert len(found) == len(set(found))
    return [line for line in found if any(word in line for word in words)]


@pytest.mark.parametrize(("one", "other", "twice"), [
    ("", "", True),
    (", where: {kind: [a, b]}", ", where: {kind: [B, c]}", True),
    (", where: {kind: a}", "", True),
    (", where: {kind: {not: a}}", ", where: {kind: b}", True),
    (", where: {kind: a}", ", where: {kind: [b, c]}", False),
    (", where: {kind: a, id: 1}", ", where: {kind: b}", False),
])  # fmt: skip
def test_two_parts_that_may_find_the_same_row_are_named(make, one, other, twice):
    made = make("sqlite").run(CALLS, NOTES)
    both = (f"{{table: notes, match: {{t_id: id}}{where}}}" for where in (one, other))
    crm = made.crm(children=f"[{', '.join(both)}]")
    assert [line.startswith("notes: it is mapped twice by t_id") for line in said(crm, "twice")] == [True] * twice


def test_a_stranger_is_named_with_the_line_to_write_and_a_partition_of_a_mapped_table_is_none(make):
    made = make("postgresql").run(
        CALLS,
        "CREATE TABLE events (id int, t_id int REFERENCES t, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (1000)",
        "CREATE TABLE surveys (id int PRIMARY KEY, t_id int)",
    )
    (line,) = said(made.crm(children="[{table: events, match: {t_id: id}}]"), "looks as if")
    assert line.startswith("surveys: surveys.t_id looks as if it named a call or a row of one, and is not mapped: it")
    assert "`children: [{table: surveys, match: {t_id: …}}]`" in line


def test_what_a_table_without_a_key_costs_is_said_of_it_alone(make):
    made = make("sqlite").run(CALLS, NOTES, "CREATE TABLE lines (t_id INTEGER, txt TEXT)")
    crm = made.crm(children="[{table: notes, match: {t_id: id}}, {table: lines, match: {t_id: id}}]")
    (said,) = keyless_tables(crm.source, crm.tables)
    assert said.startswith("lines: it has no key, so the rows of a call are compared as a multiset")


UPDATED = {
    "postgresql": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    ),
    "mariadb": ("CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW SET NEW.id = OLD.id",),
    "sqlite": ("CREATE TRIGGER touched AFTER UPDATE OF other ON t BEGIN SELECT 1; END",),
}


@pytest.mark.parametrize("kind", UPDATED)
def test_a_trigger_on_updates_is_named_where_a_purge_clears_columns_and_nowhere_else(make, kind):
    made = make(kind).run(CALLS, *UPDATED[kind])
    assert said(made.crm(), "touched") == []
    (line,) = said(made.crm(children="[{table: t, match: {other: id}, detach: [other]}]"), "touched")
    assert line.startswith("t: its trigger touched acts when a row is updated, which clearing a column")
