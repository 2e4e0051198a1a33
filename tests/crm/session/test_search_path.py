"""Nobody else's operator or function runs with the product's rights: the path holds trusted schemas only."""

import pytest
import sqlalchemy as sa

from lifecycle.errors import SourceError
from tests.crm.conftest import Made, purge

CALLS = (
    "CREATE TABLE public.t (id varchar(9) PRIMARY KEY, kind varchar(9))",
    "INSERT INTO public.t VALUES ('1', 'x'), ('live', 'x')",
)
DELETES = """CREATE FUNCTION {schema}.{name} RETURNS {returns} LANGUAGE plpgsql AS $$
BEGIN DELETE FROM public.t WHERE id OPERATOR(pg_catalog.=) 'live'; RETURN {value}; END $$"""
OPERATOR = "CREATE OPERATOR {schema}.= (FUNCTION = {schema}.planted, LEFTARG = varchar, RIGHTARG = varchar)"
FACTS = "SELECT id AS call_id, kind AS industry FROM public.t WHERE lower(kind) = kind"


@pytest.fixture
def planter(make, postgres_server):
    """A database in whose schema public a role may create."""
    made = make("postgresql")
    made.run(*CALLS)
    made.run(
        "DO $$ BEGIN CREATE ROLE planter LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT CREATE ON SCHEMA public TO planter",
    )
    return made


def plant(made: Made, *statements: str) -> None:
    engine = sa.create_engine(sa.make_url(made.url).set(username="planter"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_schema_in_which_another_role_may_create_is_refused_by_name(planter):
    with pytest.raises(SourceError, match=r"schema public: planter may create objects there.*REVOKE CREATE ON SCHEMA"):
        planter.crm(facts=FACTS)


def test_one_in_which_everybody_may_create_is_too(make):
    made = make("postgresql").run(*CALLS, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    with pytest.raises(SourceError, match=r"schema public: everybody may create.*FROM PUBLIC"):
        made.crm(facts=FACTS)


def test_an_operator_planted_before_the_right_was_taken_away_never_runs(planter):
    plant(
        planter,
        DELETES.format(schema="public", name="planted(varchar, varchar)", returns="bool", value="true"),
        OPERATOR.format(schema="public"),
    )
    planter.run("REVOKE CREATE ON SCHEMA public FROM planter")
    with pytest.raises(SourceError) as caught:
        planter.crm(facts=FACTS)
    assert [line.partition(",")[0] for line in str(caught.value).splitlines()] == [
        "schema public: planter owns the function planted there",
        "schema public: planter owns the operator = there",
    ]
    assert planter.rows("SELECT id FROM t") == [("1",), ("live",)]


def test_a_planted_function_that_hides_one_of_postgresqls_is_refused_too(planter):
    plant(planter, DELETES.format(schema="public", name="lower(varchar)", returns="text", value="$1"))
    planter.run("REVOKE CREATE ON SCHEMA public FROM planter")
    with pytest.raises(SourceError, match="planter owns the function lower"):
        planter.crm(facts=FACTS)


def test_what_is_planted_outside_the_mappings_schemas_never_runs(planter):
    """The role's own settings may name any schema; the session does not look there."""
    planter.run("REVOKE CREATE ON SCHEMA public FROM planter", "CREATE SCHEMA AUTHORIZATION planter")
    plant(
        planter,
        DELETES.format(schema="planter", name="planted(varchar, varchar)", returns="bool", value="true"),
        OPERATOR.format(schema="planter"),
        "GRANT USAGE ON SCHEMA planter TO PUBLIC",
    )
    planter.run(f"ALTER DATABASE {sa.make_url(planter.url).database} SET search_path = planter, public")
    crm = planter.crm(facts=FACTS)
    assert purge(crm, ["1"]).deleted == ("1",)
    assert planter.rows("SELECT id FROM public.t") == [("live",)]


def test_the_owner_of_the_mapped_tables_may_create_beside_them(planter):
    planter.run("ALTER TABLE public.t OWNER TO planter")
    assert purge(planter.crm(facts=FACTS), ["1"]).deleted == ("1",)


def test_a_mapping_may_name_schemas_of_its_own(planter, tmp_path):
    planter.run("CREATE SCHEMA crm", "CREATE TABLE crm.c (id int PRIMARY KEY, t_id varchar(9))")
    planter.run("INSERT INTO crm.c VALUES (7, '1')", "ALTER TABLE public.t SET SCHEMA crm")
    facts = "SELECT id AS call_id, kind AS industry FROM t"
    crm = planter.crm(facts=facts, table="t", children="[{table: c, match: {t_id: id}}]", schemas="[crm]")
    assert purge(crm, ["1"]).rows == {"calls": 1, "c": 1}


TABLE = """CREATE TABLE lifecycle.purges (id varchar(80) PRIMARY KEY, batch varchar(80), industry varchar(80),
  night varchar(10), run_id varchar(80), manifest_key text, manifest_sha256 varchar(64), purged_at varchar(40),
  calls int, entries_sha256 varchar(64), entries bytea, sealed_at varchar(40), sealed_key text, files text,
  files_removed_at varchar(40))"""
TRIGGER = "CREATE TRIGGER planted AFTER INSERT ON lifecycle.purges FOR EACH ROW EXECUTE FUNCTION lifecycle.planted()"


@pytest.mark.parametrize("looked_for", [True, False])
def test_control_tables_that_somebody_made_before_us_with_a_trigger_are_refused(planter, monkeypatch, looked_for):
    """It acts with our rights while the record is written. Where nobody looks for it, the count of deletions tells."""
    planter.run(f'GRANT CREATE ON DATABASE "{sa.make_url(planter.url).database}" TO planter')
    returns = DELETES.format(schema="lifecycle", name="planted()", returns="trigger", value="NULL")
    plant(planter, "CREATE SCHEMA lifecycle", TABLE, returns, TRIGGER)
    planter.run("REVOKE CREATE ON SCHEMA public FROM planter")
    crm = planter.crm(facts=FACTS)
    planter.run("GRANT ALL ON SCHEMA lifecycle TO lifecycle", "GRANT ALL ON lifecycle.purges TO lifecycle")
    if looked_for:
        with pytest.raises(SourceError, match=r"lifecycle\.purges has the trigger planted.*nothing was done"):
            purge(crm, ["1"])
        assert planter.rows("SELECT id FROM public.t ORDER BY 1") == [("1",), ("live",)]
        return
    monkeypatch.setattr("lifecycle.crm.crm.require_no_planted_code", lambda *_: None)
    assert "interfered" in purge(crm, ["1"]).set_aside["1"]
    assert planter.rows("SELECT id FROM public.t ORDER BY 1") == [("1",), ("live",)]
