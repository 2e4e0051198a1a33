"""init, check and import-calls."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.reading.query_joins import NotPlain
from lifecycle.deployment.first_settings import write_settings
from lifecycle.errors import SettingsError
from lifecycle.inquiry.facts_asked_for import stated_facts
from tests.builders import NIGHT
from tests.cli.conftest import Place, Run_
from tests.roles import as_administrator, product_url
from tests.servers import MariaDb, Postgres, free_port

SOURCES = Path(__file__).resolve().parents[2] / "lifecycle" / "crm" / "mapping" / "sources"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_init_makes_what_is_missing_and_changes_nothing_the_second_time(lifecycle: Run_, place: Place) -> None:
    first = lifecycle("init", "--json")
    key = place.folder / "lifecycle.key"
    before = key.read_bytes()
    second = lifecycle("init", "--json")
    assert (first.code, second.code) == (0, 0)
    made = ["the control tables in the CRM", "the signing key lifecycle.key", "an epoch key in lifecycle.epochs"]
    assert first.json["made"] == made
    assert second.json["made"] == []
    assert {*first.json["made"]} < {*second.json["found"]}
    assert key.read_bytes() == before
    assert place.sql("SELECT count(*) FROM lifecycle_purges") == [(0,)]


def test_grants_are_printed_for_a_mapping_and_nothing_is_done(lifecycle: Run_, place: Place) -> None:
    url = "mysql+pymysql://lifecycle:hunter2@127.0.0.1:1/suite"
    said = lifecycle("init", "--crm", "suitecrm", "--url", url, "--print-grants")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "CREATE USER 'lifecycle'@'%' IDENTIFIED BY '…';"
    assert "GRANT UPDATE, DELETE ON `suite`.`calls_contacts` TO 'lifecycle'@'%';" in lines
    assert "hunter2" not in said.out
    assert not (place.folder / ".env").exists()


def test_the_first_settings_are_written_once_for_their_owner_alone(tmp_path: Path) -> None:
    file = write_settings(tmp_path, "demo", "sqlite:///crm.db", NIGHT)
    said = "LIFECYCLE_SOURCE=demo\nLIFECYCLE_CRM_URL='sqlite:///crm.db'\n"
    assert file.read_text() == f"{said}LIFECYCLE_FIRST_NIGHT={NIGHT}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    for later in (NIGHT, NIGHT.replace(day=30)):
        assert write_settings(tmp_path, "demo", "sqlite:///crm.db", later) == file
    assert f"LIFECYCLE_FIRST_NIGHT={NIGHT}\n" in file.read_text()
    with pytest.raises(SettingsError, match="says another LIFECYCLE_CRM_URL"):
        write_settings(tmp_path, "demo", "sqlite:///other.db", NIGHT)
    assert "crm.db" in file.read_text()


def test_a_mapping_that_a_site_must_complete_is_begun_for_it_and_the_same_command_goes_on(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("init", "--crm", "asterisk", "--url", f"sqlite:///{place.folder / 'crm.db'}")
    for _ in range(2):
        said = lifecycle(*asked)
        wanted = "nobody but you knows timezone, industry. Fill it in, then run the same command again"
        assert (said.code, said.err.splitlines()[0]) == (2, f"error: {place.folder}/asterisk.yaml: {wanted}")
        assert not (place.folder / ".env").exists()
    mine = place.folder / "asterisk.yaml"
    assert 'such as Europe/Berlin: its times carry none\ntimezone: ""\n' in mine.read_text()
    mine.write_text("extends: asterisk\ntimezone: Europe/Berlin\nindustry: Retail\n")
    monkeypatch.delenv("LIFECYCLE_SOURCE", raising=False)
    monkeypatch.delenv("LIFECYCLE_CRM_URL", raising=False)
    said = lifecycle(*asked)
    assert "source asterisk is for mysql, postgresql; the CRM is sqlite" in said.err


def test_settings_that_did_not_work_are_not_kept_and_those_that_were_there_are(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIFECYCLE_SOURCE", raising=False)
    monkeypatch.delenv("LIFECYCLE_CRM_URL", raising=False)
    wrong = ("init", "--crm", "demo", "--url", "sqlite:///nowhere/crm.db")
    assert lifecycle(*wrong).code == 2
    assert not (place.folder / ".env").exists()
    write_settings(place.folder, "demo", "sqlite:///nowhere/crm.db", NIGHT)
    assert lifecycle(*wrong).code == 2
    assert (place.folder / ".env").exists()


def test_the_first_store_of_a_real_crm_is_no_demo(tmp_path: Path) -> None:
    file = write_settings(tmp_path, "suitecrm", "mysql+pymysql://u@h/d", NIGHT)
    assert f"LIFECYCLE_STORE={(tmp_path / 'archive').as_uri()}\n" in file.read_text()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_signing_key_is_an_ed25519_key_for_its_owner_only(lifecycle: Run_, place: Place, umask: int) -> None:
    before = os.umask(umask)
    try:
        lifecycle("init")
    finally:
        os.umask(before)
    key = place.folder / "lifecycle.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert isinstance(load_pem_private_key(key.read_bytes(), None), Ed25519PrivateKey)
    assert key.read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_a_file_that_is_no_key_is_reported_and_left(lifecycle: Run_, place: Place) -> None:
    key = place.folder / "lifecycle.key"
    key.write_text("my notes")
    said = lifecycle("init")
    assert said.code == 1
    assert "holds no Ed25519 private key" in said.out
    assert key.read_text() == "my notes"


def test_a_key_that_others_may_read_is_a_warning(lifecycle: Run_, place: Place) -> None:
    lifecycle("init")
    (place.folder / "lifecycle.key").chmod(0o644)
    said = lifecycle("init")
    assert said.code == 0
    assert "warning: the signing key lifecycle.key has mode 0644" in said.out


def test_a_dead_store_is_a_problem_of_init_and_no_control_is_lost(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_STORE", "s3://bucket/prefix")
    monkeypatch.setenv("LIFECYCLE_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    said = lifecycle("init")
    assert said.code == 1
    assert "problem: s3://bucket/prefix: could not write" in said.out
    assert "hunter2" not in said.out + said.err
    verified = lifecycle("verify")
    assert verified.code == 3
    assert "no answer from http://127.0.0.1" in verified.err


@pytest.mark.parametrize("command", ["init", "check", "plan", "verify"])
def test_a_database_that_is_not_there_is_not_made(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "sqlite:///nowhere.db")
    said = lifecycle(command)
    assert said.code == 2
    assert "expected a database, found no file nowhere.db" in said.out + said.err
    assert not (place.folder / "nowhere.db").exists()


def test_a_clean_place_has_no_findings(lifecycle: Run_, place: Place) -> None:
    lifecycle("init")
    said = lifecycle("check", "--json")
    assert (said.code, said.json) == (0, {"findings": [], "exit_code": 0})
    assert "Nothing found" in lifecycle("check").out


def test_without_an_anchor_check_says_what_nobody_can_notice_and_ends_with_0(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle("init")
    monkeypatch.delenv("LIFECYCLE_ANCHOR_COPY")
    said = lifecycle("check", "--json")
    ((severity, where, what),) = [tuple(finding.values()) for finding in said.json["findings"]]
    assert (said.code, severity, where) == (0, "warning", "anchors")
    assert "rolled back together with the archive and the CRM's tables looks like any other" in what


def test_before_init_check_says_so(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("check", "--json")
    assert said.code == 1
    assert {finding["severity"] for finding in said.json["findings"]} == {"warning"}
    assert [f["message"] for f in said.json["findings"] if "control tables" in f["message"]] != []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("finance.yaml", "P5Y", "5y", "finance.yaml:11: "),
        ("finance.yaml", "P7Y", "P6Y", "FIN-CALL gives 2027-03-17"),
        (
            "finance.yaml",
            "purge_from: 2026-03-17",
            "purge_from: 2026-03-16",
            "expected purge_from 2026-03-16, FIN-CALL",
        ),
        ("finance.yaml", "keep_while: [open_deal", "keep_while: [open_case", "keep_while asks for open_case"),
        ("finance.yaml", "trigger: ended_at", "trigger: closed_at", "trigger asks for closed_at"),
        ("telecom.yaml", "matches: [Telecommunications", "matches: [Retail", "'retail' is also matched by"),
    ],
)
def test_a_wrong_policy_is_exit_2_with_its_place(
    lifecycle: Run_, place: Place, file: str, old: str, new: str, expected: str
) -> None:
    lifecycle("init")
    edit(place.policies / file, old, new)
    said = lifecycle("check")
    assert said.code == 2
    assert expected in said.out


def test_facts_that_a_mapping_does_not_give_are_found_without_a_crm_where_it_is_set(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(place.policies / "finance.yaml", "keep_while: [open_deal", "keep_while: [open_case")
    assert lifecycle("check", "--no-crm").code == 0, "a repository of policies alone has no mapping"
    monkeypatch.setenv("LIFECYCLE_SOURCE", "demo")
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "sqlite:///nowhere.db")
    said = lifecycle("check", "--no-crm", "--json")
    (found,) = [found["message"] for found in said.json["findings"] if found["severity"] == "error"]
    assert said.code == 2
    assert found.startswith("finance: FIN-CALL: keep_while asks for open_case, which source demo does not give: its ")


@pytest.mark.parametrize("name", sorted({path.stem for path in SOURCES.glob("*.yaml")} - {"chatwoot"}))
def test_every_shipped_mapping_says_its_facts_plainly_enough_to_be_held_against_rules(name: str) -> None:
    assert {"call_id", "ended_at", "industry"} <= stated_facts(read_source(name))


def test_of_a_query_with_a_pattern_in_it_nothing_is_said_without_a_crm() -> None:
    with pytest.raises(NotPlain):
        stated_facts(read_source("chatwoot"))


def test_a_failing_example_names_its_line(lifecycle: Run_, place: Place) -> None:
    edit(place.policies / "finance.yaml", "purge_from: 2026-03-17", "purge_from: 2026-03-16")
    assert (
        "finance.yaml:16: example 1: expected purge_from 2026-03-16, FIN-CALL gives 2026-03-17"
        in lifecycle("check").out
    )


HOLD = """id: acme-v-bolt
matter: Acme v Bolt
placed_at: 2025-01-01
placed_by: counsel@example.com
scope: {scope}
"""


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("{account_ids: [24]}", True),
        ("{account_ids: [99999]}", False),
        ("{industries: [banking]}", True),
        ("{industries: [shipping]}", False),
        ("{industries: [banking], from: 2026-01-01}", True),
        ("{account_ids: [25], to: 2026-12-31}", True),
        ("{account_ids: [25], from: 2999-01-01, to: 9999-12-31}", False),
        ("{account_ids: [25], to: 1960-12-31}", False),
        ("{account_ids: [24], to: 1960-12-31}", True),  # one of its calls has 1970 for no date: it may be on any day
        ("{phones: ['+1 202 555 0180']}", True),
    ],
)
def test_a_hold_on_nothing_is_a_warning(lifecycle: Run_, place: Place, scope: str, found: bool) -> None:
    lifecycle("init")
    (place.policies / "holds").mkdir(exist_ok=True)
    (place.policies / "holds" / "acme-v-bolt.yaml").write_text(HOLD.format(scope=scope))
    said = lifecycle("check", "--json")
    messages = [finding["message"] for finding in said.json["findings"]]
    assert messages == ([] if found else ["holds/acme-v-bolt: its scope matches no call at present"])
    assert said.code == (0 if found else 1)


def test_a_broken_hold_stops_plans_and_is_found_by_check(lifecycle: Run_, place: Place) -> None:
    (place.policies / "holds").mkdir(exist_ok=True)
    (place.policies / "holds" / "acme-v-bolt.yaml").write_text(HOLD.format(scope="{}"))
    assert lifecycle("check").code == 2
    said = lifecycle("plan")
    assert said.code == 2
    assert said.err.startswith("error: holds/acme-v-bolt.yaml:5: ")


def test_a_regime_past_its_review_is_a_warning(lifecycle: Run_, place: Place) -> None:
    lifecycle("init")
    edit(place.policies / "regimes" / "eu-mifid2-16-7.yaml", "2999-12-31", "2020-01-31")
    edit(place.policies / "regimes" / "eu-mar-11-8.yaml", "2999-12-31", "2020-01-31")  # which no rule names
    said = lifecycle("check")
    assert said.code == 1
    assert "regimes/eu-mifid2-16-7: its review was due by 2020-01-31" in said.out
    assert "eu-mar-11-8" not in said.out


def test_what_names_a_call_and_is_not_mapped_is_found(lifecycle: Run_, place: Place) -> None:
    lifecycle("init")
    place.sql("CREATE TABLE surveys (id INTEGER PRIMARY KEY, call_id VARCHAR(36))")
    place.sql("CREATE TABLE bills (id INTEGER PRIMARY KEY, call_id VARCHAR(36) REFERENCES calls (id))")
    place.sql("DROP INDEX ix_recordings_call_id")
    said = lifecycle("check", "--json")
    assert said.code == 2
    assert [(f["severity"], f["message"].partition(":")[0]) for f in said.json["findings"]] == [
        ("error", "bills.call_id names a row of calls and is not mapped"),
        ("warning", "recordings"),
        ("warning", "surveys"),
    ]


def test_a_mapping_that_does_not_fit_is_exit_2(lifecycle: Run_, place: Place) -> None:
    place.sql("DROP TABLE recordings")
    said = lifecycle("check")
    assert said.code == 2
    assert "the database has no table recordings" in said.out
    assert lifecycle("plan").code == 2


def test_an_engine_without_transactions_is_exit_2(
    lifecycle: Run_, place: Place, mariadb_server: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_CRM_URL", new_demo(mariadb_server))
    lifecycle("init")
    assert lifecycle("check", "--json").json["findings"] == []
    execute("ALTER TABLE call_contacts DROP FOREIGN KEY call_contacts_ibfk_1, DROP FOREIGN KEY call_contacts_ibfk_2")
    execute("ALTER TABLE call_contacts ENGINE = Aria")
    said = lifecycle("check")
    assert said.code == 2
    assert "call_contacts: its engine Aria has no transactions" in said.out


def test_postgresql_warns_of_children_without_a_foreign_key(
    lifecycle: Run_, place: Place, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_key = "ALTER TABLE call_deals DROP CONSTRAINT call_deals_call_id_fkey"
    monkeypatch.setenv("LIFECYCLE_CRM_URL", new_demo(postgres_server, without_key))
    assert lifecycle("init").code == 0
    said = lifecycle("check", "--json")
    assert said.code == 1
    found = [(f["severity"], f["message"].partition(":")[0]) for f in said.json["findings"]]
    assert found == [("warning", "call_deals")]  # and not notes: no key can say which of its rows are of calls


def test_a_server_that_is_down_is_exit_3(lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql+psycopg://somebody:hunter2@127.0.0.1:{free_port()}/crm"
    monkeypatch.setenv("LIFECYCLE_CRM_URL", url)
    for command in ("plan", "check", "init", "verify"):
        said = lifecycle(command)
        assert said.code == 3
        assert "hunter2" not in said.out + said.err
        assert "the CRM database refused" in said.out + said.err


def test_a_database_the_server_does_not_have_is_exit_3(
    lifecycle: Run_, place: Place, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFECYCLE_CRM_URL", postgres_server.url("no_such_database"))
    said = lifecycle("plan")
    assert said.code == 3
    assert "no_such_database" in said.err


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("STORE", "ftp://somewhere/prefix", "expected s3://<bucket>/<prefix> or file:///<folder>"),
        ("STORE", "s3://key:hunter2@bucket/prefix", "a URL holding '@'"),
        ("CRM_URL", "oracle://scott:hunter2@host/db", "LIFECYCLE_CRM_URL: expected one of postgresql"),
        ("CRM_URL", "hunter2", "LIFECYCLE_CRM_URL: expected one of postgresql"),
        ("SOURCE", "salesforce", "LIFECYCLE_SOURCE: expected a path or one of asterisk, chatwoot, civicrm"),
        ("POLICIES", "nowhere", "nowhere:1: LIFECYCLE_POLICIES: expected a folder of schedules"),
        ("NIGHTLY_TIMEZONE", "Mars/Base", "LIFECYCLE_NIGHTLY_TIMEZONE: expected a time zone"),
    ],
)
def test_a_wrong_setting_is_exit_2_and_keeps_its_secret(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"LIFECYCLE_{name}", value)
    for command in ("init", "check"):
        said = lifecycle(command)
        assert (said.code, expected in said.out + said.err) == (2, True)
        assert "hunter2" not in said.out + said.err
    assert place.sql("SELECT count(*) FROM sqlite_master WHERE name = 'lifecycle_purges'") == [(0,)]


BANK = """age;job;marital;education;default;balance;housing;loan;contact;day;month;duration;campaign;pdays;previous;\
poutcome;y
58;management;married;tertiary;no;2143;yes;no;unknown;5;may;261;1;-1;0;unknown;no
44;technician;single;secondary;no;29;yes;no;cellular;6;may;151;1;-1;2;unknown;yes
"""


def test_import_calls_makes_the_demo_tables_and_loads_the_file(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.folder / "bank.csv").write_text(BANK)
    monkeypatch.setenv("LIFECYCLE_CRM_URL", "sqlite:///new/crm.db")
    assert lifecycle("import-calls", "bank.csv", "--json").json == {"calls": 2}
    again = lifecycle("import-calls", "bank.csv")
    assert (again.code, "has calls named bank-" in again.err) == (2, True)
    planned = lifecycle("plan", "--as-of", "2026-11-20", "--industry", "finance", "--json")
    assert (planned.json["industries"]["finance"]["due"], planned.code) == (2, 1)


def test_import_calls_names_the_line_of_a_malformed_row(lifecycle: Run_, place: Place) -> None:
    (place.folder / "bank.csv").write_text(BANK.replace("151", "a while"))
    said = lifecycle("import-calls", "bank.csv")
    assert said.code == 2
    assert said.err.startswith("error: bank.csv:3: ")
    assert lifecycle("import-calls", "nothing.csv").code == 2


def new_demo(server: Postgres | MariaDb, *statements: str) -> str:
    """A database with the demo's tables and no rows, for `execute`; changed by the administrator's statements."""
    import sqlalchemy as sa

    from lifecycle.crm.sample import demo_schema

    url = server.new_database()
    engine = sa.create_engine(url)
    demo_schema.create_schema(engine)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return product_url(url)


def execute(statement: str) -> None:
    """One statement of the administrator's in the database that the environment names."""
    import sqlalchemy as sa

    engine = sa.create_engine(as_administrator(os.environ["LIFECYCLE_CRM_URL"]))
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
