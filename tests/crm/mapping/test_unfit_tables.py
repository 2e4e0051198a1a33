"""A table from which a purge could not delete whole rows, every row, and for good is refused, each by name."""

import pytest

from lifecycle.crm.mapping.delete_triggers import delete_triggers
from lifecycle.crm.mapping.table_rights import missing_rights
from lifecycle.errors import DatabaseError, SourceError
from tests.crm.conftest import Made, purge
from tests.roles import ROLE

CALLS = "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY)"
NOTES = "CREATE TABLE notes (id INTEGER NOT NULL PRIMARY KEY, call_id INTEGER, tenant VARCHAR(9))"
MAPPED = "[{table: notes, match: {call_id: id}}]"
ROWS = ("INSERT INTO t VALUES (1)", "INSERT INTO notes VALUES (1, 1, 'a'), (2, 1, 'b')")
POLICY = (
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
    f"CREATE POLICY tenants ON notes TO {ROLE} USING (tenant = 'a')",
)


def unfit(made: Made, **mapping: str) -> list[str]:
    return made.crm(**{"children": MAPPED, **mapping}).unfit()


def refused(made: Made, match: str) -> None:
    with pytest.raises(SourceError, match=match):
        purge(made.crm(children=MAPPED), [1])
    assert made.rows("SELECT count(*) FROM notes") == [(2,)]


def test_row_level_security_that_hides_rows_of_a_child_is_refused_and_its_rows_stay(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS)
    made.crm()
    made.run(*POLICY)
    refused(made, "notes: row-level security hides rows of it from this role.*BYPASSRLS")


def test_a_filtered_query_of_the_facts_is_an_error_that_names_the_table(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS)
    made.crm()
    made.run(*POLICY)
    facts = "SELECT t.id AS call_id, (SELECT max(tenant) FROM notes WHERE call_id = t.id) AS industry FROM t"
    with pytest.raises(DatabaseError, match='affected by row-level security policy for table "notes"') as caught:
        made.crm(facts=facts)
    assert "A rerun is safe" not in str(caught.value)


def test_row_security_that_binds_even_the_owner_is_refused(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS, *POLICY[:1], "ALTER TABLE notes FORCE ROW LEVEL SECURITY")
    made.run(f"ALTER TABLE notes OWNER TO {ROLE}")
    assert [line.partition(" hides")[0] for line in unfit(made)] == ["notes: row-level security"]


def test_a_role_that_policies_do_not_bind_may_purge(make, postgres_server):
    made = make("postgresql").run(CALLS, NOTES, *ROWS)
    made.crm()
    made.run(*POLICY)
    postgres_server.execute(f"ALTER ROLE {ROLE} BYPASSRLS")
    try:
        assert purge(made.crm(children=MAPPED), [1]).rows == {"calls": 1, "notes": 2}
    finally:
        postgres_server.execute(f"ALTER ROLE {ROLE} NOBYPASSRLS")


def test_a_wider_table_that_inherits_from_a_mapped_one_is_refused_and_its_columns_stay(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS, "CREATE TABLE voip (sip_headers text) INHERITS (t)")
    made.run("INSERT INTO voip VALUES (5, 'Via: SIP')")
    refused(made, "t: voip inherits from it")
    assert made.rows("SELECT * FROM voip") == [(5, "Via: SIP")]


def test_so_is_the_heir_of_an_heir_of_a_child_however_wide(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS)
    made.run("CREATE TABLE n2 () INHERITS (notes)", "CREATE TABLE n3 () INHERITS (n2)")
    refused(made, "notes: n3 inherits from it")


@pytest.mark.parametrize("column", ["body oid", "body lo"])
def test_large_objects_that_would_stay_as_orphans_are_refused(make, column):
    made = make("postgresql").run("CREATE DOMAIN lo AS oid", f"CREATE TABLE t (id integer PRIMARY KEY, {column})")
    made.run("INSERT INTO t VALUES (1, lo_from_bytea(0, 'content'))")
    assert [line.partition(",")[0] for line in unfit(made, children="[]")] == ["t: its column body names large objects"]
    with pytest.raises(SourceError, match="bytea"):
        purge(made.crm(), [1])


def test_a_rule_that_makes_something_else_of_a_delete_is_refused(make):
    made = make("postgresql").run(CALLS, NOTES, *ROWS)
    made.run("CREATE RULE keep AS ON DELETE TO notes DO INSTEAD UPDATE notes SET tenant = 'gone' WHERE id = OLD.id")
    refused(made, "notes: its rule keep does something else")


@pytest.mark.parametrize("versioned", ["t", "notes"])
def test_a_system_versioned_table_is_refused_for_it_would_keep_every_row(make, versioned):
    made = make("mariadb").run(CALLS, NOTES, *ROWS, f"ALTER TABLE {versioned} ADD SYSTEM VERSIONING")
    refused(made, f"{versioned}: it is system-versioned.*DROP SYSTEM VERSIONING")


# --- What check says beside ---


TRIGGERS = {
    "postgresql": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER keeps BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION f()",
    ),
    "sqlite": ("CREATE TRIGGER keeps BEFORE DELETE ON Notes BEGIN SELECT RAISE(IGNORE); END",),
}


@pytest.mark.parametrize("kind", TRIGGERS)
def test_a_trigger_that_lets_a_delete_do_nothing_keeps_the_call_and_is_named_before(make, kind):
    made = make(kind).run(CALLS, NOTES, *ROWS, *TRIGGERS[kind])
    crm = made.crm(children=MAPPED)
    named = [
        doubt.problem.partition(" acts")[0].partition(" runs")[0] for doubt in delete_triggers(crm.database, crm.source)
    ]
    assert named == ["its trigger keeps"]
    done = purge(crm, [1])
    assert (done.deleted, done.set_aside) == (
        (),
        {1: "interfered: notes: expected to delete 2 rows, the database deleted 0"},
    )
    assert made.rows("SELECT count(*) FROM notes") == [(2,)]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_right_that_a_night_will_need_is_asked_for_before_it(make, kind):
    made = make(kind).run(CALLS, NOTES)
    crm = made.crm(children=MAPPED)
    assert missing_rights(crm.database, crm.source) == []
    where = f"{made.url.rpartition('/')[2].partition('?')[0]}.notes" if kind == "mariadb" else "notes"
    made.run(f"REVOKE DELETE ON {where} FROM {ROLE}")
    assert missing_rights(crm.database, crm.source) == ["notes: the role may not DELETE, which a night does. GRANT it"]
    made.run(f"REVOKE UPDATE ON {where} FROM {ROLE}")
    assert len(missing_rights(crm.database, crm.source)) == 2
