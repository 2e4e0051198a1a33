"""Nights on facts that databases and people write in many ways: nothing goes early, and what is unknown keeps."""

from datetime import date, timedelta

import pytest

from lifecycle.audit.whole_audit import audit_archive_and_ledger
from lifecycle.deployment.initialisation import initialise
from lifecycle.errors import SourceError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.erasure_requests import malformed_requests, open_requests
from lifecycle.inquiry.hold_report import hold_reports
from lifecycle.inquiry.preview import preview_night
from lifecycle.night.survey import night_cutoffs
from lifecycle.policy.evaluation.disposition import dispose_calls
from tests.night.small import FACTS, NIGHT, RETAIL, SmallWorld

CALLS = "CREATE TABLE calls (id {key} PRIMARY KEY, industry VARCHAR(20), ended_at {ended} NULL, account_id {account})"


def calls(ended: str = "TIMESTAMP", account: str = "INT", key: str = "INT") -> str:
    return CALLS.format(key=key, ended=ended, account=account)


def row(key: object = 1, ended: str = "'2025-11-20 12:00:00'", account: str = "4711") -> str:
    return f"INSERT INTO calls VALUES ({key}, 'Retail', {ended}, {account})"


YOUNG = row(2, "'2026-11-01 12:00:00'")
BERLIN = "Europe/Berlin"


def test_a_mariadb_timestamp_is_in_utc_whatever_the_zone_of_the_source(small):
    """00:30 on 30 November in Berlin is 29 November in UTC: kept through 30 November, gone the night after."""
    world = small("mariadb", calls(), zone=BERLIN)
    world.execute("SET time_zone = '+01:00'")  # of another session; the next statement has its own
    world.execute(row(1, "CONVERT_TZ('2025-11-30 00:30:00', '+01:00', @@session.time_zone)"), **{})
    world.initialised()
    world.ran(NIGHT)
    assert world.ids() == [1]
    world.ran(date(2026, 12, 1))
    assert world.ids() == []


def test_a_mariadb_datetime_is_wall_clock_of_the_source(small):
    world = small("mariadb", calls("DATETIME"), row(1, "'2025-11-29 23:30:00'"), zone=BERLIN).initialised()
    world.ran(NIGHT)
    assert world.ids() == []


def test_timestamp_and_datetime_are_told_apart_in_one_query(small):
    made = "CREATE TABLE calls (id INT PRIMARY KEY, industry VARCHAR(20), ended_at TIMESTAMP NULL, began DATETIME NULL)"
    facts = FACTS.replace("c.ended_at AS started_at", "c.began AS started_at").replace(
        ",\nc.account_id AS account_id", ""
    )
    wrote = "INSERT INTO calls VALUES (1, 'Retail', '2025-11-29 23:30:00', '2025-11-29 23:30:00')"
    world = small("mariadb", "SET time_zone = '+00:00'", made, facts=facts, zone=BERLIN)
    with world.engine.begin() as connection:
        connection.exec_driver_sql("SET time_zone = '+00:00'")
        connection.exec_driver_sql(wrote)
    crm = world.lifecycle().crm
    with crm.database.reading() as connection:
        found = crm.facts.of(connection, [1]).to_pylist()[0]
    assert (found["ended_at"].isoformat(), found["started_at"].isoformat()) == (
        "2025-11-29T23:30:00+00:00",
        "2025-11-29T22:30:00+00:00",
    )


COMPUTED = {
    "mariadb": ["COALESCE(c.ended_at, c.other)", "FROM_UNIXTIME(0)", "DATE(c.ended_at)", "CONCAT(c.ended_at, '')"],
    "postgresql": ["CAST(c.ended_at AS timestamp)", "CAST(c.ended_at AS date)", "CAST(c.ended_at AS text)"],
}


@pytest.mark.parametrize("database", list(COMPUTED))
def test_a_computed_time_of_no_known_zone_is_refused_until_the_mapping_says_which(small, database):
    kind = {"mariadb": "TIMESTAMP", "postgresql": "timestamptz"}[database]
    naive = {"mariadb": "DATETIME", "postgresql": "timestamp"}[database]
    world = small(database, calls(kind).replace("account_id INT", f"other {naive} NULL"), zone=BERLIN)
    text = world.mapping.read_text().replace(",\n  c.account_id AS account_id", "")
    for computed in COMPUTED[database]:
        world.mapping.write_text(text.replace("c.ended_at AS ended_at", f"{computed} AS ended_at"))
        with pytest.raises(SourceError, match=r"the fact ended_at is computed.*times: \{ended_at: \{zone: UTC\}\}"):
            world.lifecycle().crm.facts.names  # noqa: B018
        world.mapping.write_text(f"{world.mapping.read_text()}times: {{ended_at: {{zone: UTC}}}}\n")
        assert "ended_at" in world.lifecycle().crm.facts.names


NEW_YORK = "America/New_York"
MADE = [
    ("mariadb", "ts TIMESTAMP NULL, ended_at DATETIME AS (ts) VIRTUAL", "'2025-11-29 23:30:00'"),
    ("mariadb", "ts TIMESTAMP NULL, ended_at DATETIME AS (ts) STORED", "'2025-11-29 23:30:00'"),
    ("postgresql", "ts timestamptz, ended_at timestamp GENERATED ALWAYS AS (ts AT TIME ZONE 'UTC') STORED",
     "'2025-11-29 23:30:00+00'"),
    ("sqlite", "ts BIGINT, ended_at DATETIME AS (datetime(ts, 'unixepoch')) VIRTUAL", "1764459000"),
]  # fmt: skip
READ = {"column": ("c", "calls c"), "view": ("v", "v"), "view named as a table": ("other", "v AS other")}


@pytest.mark.parametrize("read", list(READ))
@pytest.mark.parametrize(("database", "columns", "value"), MADE)
def test_a_column_that_the_database_makes_of_utc_lets_no_call_go_a_day_early(small, database, columns, value, read):
    """00:30 on 30 November in Berlin is 23:30 on the 29th in UTC: kept through the 30th."""
    alias, table = READ[read]
    world = small(
        database,
        f"CREATE TABLE calls (id INT PRIMARY KEY, industry VARCHAR(20), {columns})",
        "CREATE VIEW v AS SELECT * FROM calls",
        f"CREATE TABLE other (ended_at {'timestamp' if database == 'postgresql' else 'DATETIME'})",
        f"INSERT INTO calls (id, industry, ts) VALUES (1, 'Retail', {value})",
        facts=f"SELECT {alias}.id AS call_id, {alias}.industry, {alias}.ended_at FROM {table}",
        zone=BERLIN,
    )
    with pytest.raises(SourceError, match=r"the fact ended_at is computed"):
        world.lifecycle().crm.facts.names  # noqa: B018
    world.mapping.write_text(f"{world.mapping.read_text()}times: {{ended_at: {{zone: UTC}}}}\n")
    assert dict(_judged(world)) == {}
    world.schedule(RETAIL.format(zone="UTC", when=""))
    assert dict(_judged(world)) == {1: "due"}


SAID = {
    "mariadb": [("DATE_FORMAT(c.ended_at, '%d.%m.%Y')", "format: '%d.%m.%Y'"),
                ("UNIX_TIMESTAMP(c.other)", "as: epoch_seconds")],
    "postgresql": [("to_char(c.ended_at, 'DD.MM.YYYY')", "format: '%d.%m.%Y'"),
                   ("extract(epoch FROM c.other)", "as: epoch_seconds")],
    "sqlite": [("strftime('%d.%m.%Y', c.other)", "format: '%d.%m.%Y'"),
               ("strftime('%s', c.other)", "as: epoch_seconds")],
}  # fmt: skip


@pytest.mark.parametrize("database", list(SAID))
def test_a_form_of_a_computed_value_does_not_say_of_which_zone_it_was_made(small, database):
    """UNIX_TIMESTAMP of a wall clock of New York is five hours early: this session takes it for UTC."""
    kind, naive = {"postgresql": ("timestamptz", "timestamp")}.get(database, ("TIMESTAMP", "DATETIME"))
    world = small(database, calls(kind).replace("account_id INT", f"other {naive} NULL"), zone=NEW_YORK)
    text = world.mapping.read_text().replace(",\n  c.account_id AS account_id", "")
    for computed, form in SAID[database]:
        changed = text.replace("c.ended_at AS ended_at", f"{computed} AS ended_at")
        world.mapping.write_text(f"{changed}times: {{ended_at: {{{form}}}}}\n")
        with pytest.raises(SourceError, match=rf"ended_at is computed.*times: \{{ended_at: \{{{form}, zone: UTC\}}\}}"):
            world.lifecycle().crm.facts.names  # noqa: B018
        world.mapping.write_text(f"{changed}times: {{ended_at: {{{form}, zone: UTC}}}}\n")
        assert "ended_at" in world.lifecycle().crm.facts.names


@pytest.mark.parametrize("kind", ["DATETIME", "TIMESTAMP"])
@pytest.mark.parametrize("said", ["as: epoch_seconds, zone: UTC", "zone: America/New_York"])
def test_what_is_said_of_a_computed_time_is_not_said_of_the_column_it_is_found_by(small, kind, said):
    computed = "UNIX_TIMESTAMP(c.ended_at)" if "epoch" in said else "c.ended_at + INTERVAL 0 DAY"
    more = f"times: {{ended_at: {{{said}}}}}\nfound_by: {{ended_at: ended_at}}"
    world = small("mariadb", calls(kind), row(1), YOUNG, facts=FACTS.partition(", c.ended_at AS st")[0].replace(
        "c.ended_at AS", f"{computed} AS") + " FROM calls c", zone=BERLIN, more=more)  # fmt: skip
    assert dict(_judged(world)) == {1: "due"}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_what_is_said_of_a_time_must_be_what_its_type_can_be(small, database):
    """A format for a TIMESTAMP would read its UTC as wall clock, and a zone for it would do so too."""
    world = small(database, calls("TIMESTAMP" if database == "mariadb" else "timestamptz"), zone=BERLIN)
    text = world.mapping.read_text()
    wrong = {
        "format: '%Y-%m-%d %H:%M:%S'": "expected a text, found a time in UTC",
        "as: epoch_seconds": "expected a number",
    }
    if database == "mariadb":
        wrong["zone: Europe/Berlin"] = "a TIMESTAMP is in UTC"
    for said, why in wrong.items():
        world.mapping.write_text(f"{text}times: {{ended_at: {{{said}}}}}\n")
        with pytest.raises(SourceError, match=why):
            world.lifecycle().crm.facts.names  # noqa: B018


MIXED = {
    "coalesce": "COALESCE(c.ended_at, c.other)",
    "case": "CASE WHEN c.ended_at IS NULL THEN c.other ELSE c.ended_at END",
    "cast": "CAST(c.other AS timestamptz)",
    "text": "CAST(CAST(c.other AS text) AS timestamptz)",
    "view": "v.ended_at",
}


def mixed_world(small, mixed: str) -> SmallWorld:
    """20:30 of 29 November 2025 in New York is the 30th in UTC; 20:30 UTC, as PostgreSQL reads it, is the 29th."""
    selected = FACTS.replace("c.ended_at AS ended_at", f"{MIXED[mixed]} AS ended_at").partition(", c.ended_at AS st")[0]
    return small(
        "postgresql",
        calls("timestamptz").replace("account_id INT", "other timestamp"),
        "INSERT INTO calls VALUES (1, 'Retail', NULL, '2025-11-29 20:30:00')",
        "CREATE VIEW v AS SELECT id, COALESCE(ended_at, other) AS ended_at FROM calls",
        facts=f"{selected} FROM calls c JOIN v ON v.id = c.id",
        zone=NEW_YORK,
    )


@pytest.mark.parametrize("mixed", list(MIXED))
def test_a_wall_clock_that_postgresql_would_take_for_utc_is_refused_with_the_cast_to_write(small, mixed):
    world = mixed_world(small, mixed)
    text = world.mapping.read_text()
    for declared in ("", f"times: {{ended_at: {{zone: {NEW_YORK}}}}}\n"):
        world.mapping.write_text(text + declared)
        with pytest.raises(
            SourceError, match=r"ended_at is a computed timestamptz.*AT TIME ZONE 'America/New_York'\)`"
        ):
            world.lifecycle().crm.facts.names  # noqa: B018


def test_the_cast_that_is_asked_for_keeps_the_call_until_its_day(small):
    world = mixed_world(small, "coalesce")
    written = world.mapping.read_text().replace("c.other", f"(c.other AT TIME ZONE '{NEW_YORK}')")
    world.mapping.write_text(f"{written}times: {{ended_at: {{zone: UTC}}}}\n")
    world.schedule(RETAIL.format(zone="UTC", when=""))
    world.initialised().ran(NIGHT)
    assert world.ids() == [1]
    world.ran(NIGHT + timedelta(days=1))
    assert world.ids() == []


def test_check_says_that_a_wall_clock_would_be_taken_for_utc(small):
    said = [one for one in check_everything(mixed_world(small, "case").lifecycle()) if "timestamptz" in one.message]
    assert {(one.severity, one.exit_code) for one in said} == {("error", SourceError.exit_code)}
    assert "CRM" in [one.subject for one in said]


def test_a_date_declared_to_be_of_utc_ends_with_the_day_in_utc(small):
    """PostgreSQL makes a date of a timestamptz in the session's zone: 29 November, for a call of the 30th in Berlin."""
    facts = FACTS.replace("c.ended_at AS ended_at", "CAST(c.ended_at AS date) AS ended_at")
    world = small("postgresql", calls("timestamptz"), row(1, "'2025-11-30 00:30:00+01'"), facts=facts, zone=BERLIN,
                  more="times: {ended_at: {zone: UTC}}").initialised()  # fmt: skip
    world.ran(NIGHT)
    assert world.ids() == [1]


FORMS = {
    "{as: epoch_seconds}": ("BIGINT", "1763640000", "1793620800"),
    "{as: epoch_milliseconds}": ("BIGINT", "1763640000123", "1793620800123"),
    "{format: '%d.%m.%Y %H:%M'}": ("VARCHAR(40)", "'20.11.2025 12:00'", "'02.11.2026 12:00'"),
    "{format: '%Y%m%d%H%M%S', zone: Europe/Berlin}": ("VARCHAR(40)", "'20251120120000'", "'20261102120000'"),
    "{format: '%Y-%m-%dT%H:%M:%S%z'}": ("VARCHAR(40)", "'2025-11-20T12:00:00+0900'", "'2026-11-02T12:00:00+0000'"),
    "{format: '%d/%m/%Y'}": ("VARCHAR(40)", "'20/11/2025'", "'02/11/2026'"),
}


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_a_declared_form_of_times_lets_the_due_call_go_and_no_other(small, database):
    world = small(database)
    for form, (kind, due, young) in FORMS.items():
        world.execute("DROP TABLE IF EXISTS calls")
        world.execute(calls(kind))
        for key, ended in enumerate((due, young, "NULL"), 1):
            world.execute(row(key, ended))
        text = world.mapping.read_text().split("times:")[0]
        world.mapping.write_text(f"{text}times: {{ended_at: {form}, started_at: {form}}}\n")
        lifecycle = world.lifecycle()
        lifecycle.crm.control.create()
        assert dict(_judged(world)) == {1: "due", 3: "awaiting_trigger"}, form


def _judged(world):
    lifecycle = world.lifecycle()
    law = lifecycle.policies
    with lifecycle.crm.database.reading() as connection:
        for table in lifecycle.crm.facts.candidates(connection, night_cutoffs(law.schedules, NIGHT)):
            for found in dispose_calls(table, law.schedules, law.holds, NIGHT).to_pylist():
                if found["disposition"] != "retained":
                    yield found["call_id"], found["disposition"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_an_epoch_number_kept_as_text_is_read_and_no_timestamp_passes_for_one(small, database):
    world = small(database, calls("VARCHAR(20)"), row(1, "'1763640000'"), row(2, "' 1793620800 '"), row(3, "'soon'"),
                  more="times: {ended_at: {as: epoch_seconds}}")  # fmt: skip
    assert dict(_judged(world)) == {1: "due", 3: "awaiting_trigger"}
    for statement in ("DROP TABLE calls", calls("TIMESTAMP")) if database != "sqlite" else ():
        world.execute(statement)
        if "CREATE" in statement:
            with pytest.raises(SourceError, match="expected a number, found a time"):
                world.lifecycle().crm.facts.names  # noqa: B018


def test_seconds_declared_as_milliseconds_are_no_time(small):
    """They would be days of January 1970, long past every period."""
    world = small("sqlite", calls("BIGINT"), row(1, "1763640000"), more="times: {ended_at: {as: epoch_milliseconds}}")
    assert dict(_judged(world)) == {1: "awaiting_trigger"}


HELD = "{account_ids: [4711]}"
UUID = "6ccd780c-baba-1026-9564-040080000000"
TYPED = {
    "sqlite": [("TEXT", "'0004711'", "4711"), ("INTEGER", "4711", "0004711"),
               ("FLOAT", "4711", "4711"), ("TEXT", "'4711.0'", "4711"), ("TEXT", "' 4711'", "4711"),
               ("BLOB", "X'FF27'", "ff27"), ("BLOB", "X'2B3439'", "+49"), ("TEXT", "'4711' || char(847)", "4711")],
    "mariadb": [("BIT(1)", "1", "1"), ("BIT(4)", "b'0101'", "5"), ("BOOLEAN", "TRUE", "true"), ("YEAR", "2021", "2021"),
                ("INT(7) ZEROFILL", "4711", "0004711"), ("SET('4711')", "'4711'", "4711"),
                ("FLOAT", "4711", "4711"), ("DECIMAL(12,2)", "4711", "4711"), ("BINARY(2)", "x'ff27'", "FF27"),
                ("FLOAT", "4711123", "4711123"), ("FLOAT", "4711.1", "4711.1"), ("VARBINARY(9)", "'4711'", "4711"),
                ("JSON", "'\"a-4711\"'", "a-4711"), ("BINARY(2)", "x'4142'", "4142"),
                ("BINARY(16)", f"x'{UUID.replace('-', '')}'", UUID.upper())],
    "postgresql": [("boolean", "true", "true"), ("boolean", "false", "0"), ("money", "4711", "4711"),
                   ("money", "'1234567.50'", "1234567.5"), ("bit(3)", "B'101'", "101"), ("oid", "4711", "4711"),
                   ("double precision", "4711", "4711"), ("numeric(12,2)", "4711", "4711"),
                   ("real", "4711123", "4711123"), ("real", "4711.1", "4711.1"), ("bytea", "'4711'", "4711"),
                   ("jsonb", "'\"4711\"'", "4711"), ("jsonb", "'4711'", "4711"), ("bytea", "'\\xff27'", "ff27"),
                   ("uuid", f"'{UUID}'", UUID.replace("-", "").upper())],
}  # fmt: skip


@pytest.mark.parametrize("database", list(TYPED))
def test_a_hold_matches_a_value_whatever_type_it_is_kept_in(small, database):
    world = small(database)
    for kind, value, held in TYPED[database]:
        world.execute("DROP TABLE IF EXISTS calls")
        for statement in (calls("TIMESTAMP", kind), row(1, account=value)):
            world.execute(statement)
        world.hold(f"{{account_ids: ['{held}']}}")
        assert dict(_judged(world)) == {1: "on_hold"}, kind
        (report,) = hold_reports(world.lifecycle(), NIGHT)
        assert (report.calls, report.by_scope, report.unknown, report.needs_person) == (1, [1], 0, False), kind


LISTS = {
    "postgresql": [("text[]", "'{4711,1}'"), ("int[]", "'{1,4711}'"), ("jsonb", "'[\"4711\"]'"), ("jsonb", "'null'"),
                   ("text[]", "'{}'"), ("real", "16777217"), ("double precision", "1e16")],
    "mariadb": [("SET('a','4711')", "'a,4711'"),
                ("JSON", "'[4711]'"), ("JSON", "'{\"id\": 4711}'"), ("JSON", "'null'"), ("FLOAT", "16777217")],
    "sqlite": [("TEXT", "'1; 4711'"), ("TEXT", "'[\"4711\"]'"), ("REAL", "1e16"), ("TEXT", "'[]'")],
}  # fmt: skip


@pytest.mark.parametrize("database", list(LISTS))
def test_a_value_of_which_nobody_can_say_that_it_is_another_holds(small, database):
    """A list that the account stands in, one that is empty, a number that the database has rounded."""
    world = small(database)
    for kind, value in LISTS[database]:
        world.execute("DROP TABLE IF EXISTS calls")
        for statement in (calls("TIMESTAMP", kind), row(1, account=value)):
            world.execute(statement)
        world.hold(HELD)
        assert dict(_judged(world)) == {1: "on_hold"}, (kind, value)
        (report,) = hold_reports(world.lifecycle(), NIGHT)
        assert report.calls == 1, (kind, value)


def test_a_list_in_which_the_account_does_not_stand_is_held_by_nothing(small):
    world = small("postgresql", calls("TIMESTAMP", "jsonb"), row(1, account="'[5, 6]'"))
    world.hold(HELD)
    assert dict(_judged(world)) == {1: "due"}


PHONE = FACTS.replace("c.account_id AS account_id", "c.account_id AS phone")
HELD_PHONE = "+49 30 1234567"
SAME = ["030/1234567", "0049-30-1234567", "1234567", "tel:+49301234567", "+49 (0)30 123 45 67", "030.1234567 ext 12"]
TELLS_NOTHING = ["anonymous", "-", "0", "Unknown Caller 1"]
ANOTHER = ["030/1234568", "+1 212 555 0100", "4712"]


@pytest.mark.parametrize(("database", "kind"), [("sqlite", "TEXT"), ("postgresql", "text"), ("postgresql", "bytea"),
                                                ("mariadb", "VARCHAR(40)"), ("mariadb", "VARBINARY(40)")])  # fmt: skip
def test_a_phone_is_held_however_it_is_written_and_one_that_nobody_knows_too(small, database, kind):
    world = small(database, calls("TIMESTAMP", kind), facts=PHONE).initialised()
    numbers = dict(enumerate([*SAME, *TELLS_NOTHING, *ANOTHER], 1))
    for key, number in numbers.items():
        world.execute(row(key, account=f"'{number}'"))
    world.hold(f"{{phones: ['{HELD_PHONE}']}}")
    world.ran()
    assert [numbers[key] for key in world.ids()] == [*SAME, *TELLS_NOTHING]
    (report,) = hold_reports(world.lifecycle(), NIGHT)
    assert (report.calls, report.known_by_scope) == (
        len(SAME) + len(TELLS_NOTHING),
        [len(SAME) - 2],
    )  # not `(0)30` nor `ext 12`
    assert report.unknown_facts == {"phone": len(TELLS_NOTHING)}
    assert [one.message for one in check_everything(world.lifecycle()) if one.subject == "holds"] == []


def test_a_call_held_by_a_number_kept_as_a_fraction_outlives_the_night(small):
    world = small("sqlite", calls("TIMESTAMP", "FLOAT"), row(1), row(3, account="4712")).initialised()
    world.hold(HELD)
    assert world.ran().plans["Retail"].dispositions == {"on_hold": 1, "due": 1}
    assert world.ids() == [1]


UNKNOWN = ["NULL", "''", "'  '", "'\u00a0'", "'\u200b'", "'\ufeff\u00a0 '", "'\t'", "'\u2060'", "'\u3164'"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_a_call_of_an_unknown_account_is_held_by_every_hold_on_accounts_and_counted(small, database):
    charset = " CHARACTER SET utf8mb4" if database == "mariadb" else ""
    world = small(database, calls("TIMESTAMP", f"VARCHAR(20){charset}"), row(90, account="'other'"))
    for key, value in enumerate(UNKNOWN, 1):
        world.execute(row(key, account=value))
    world.initialised().hold(HELD)
    world.ran()
    assert world.ids() == list(range(1, len(UNKNOWN) + 1))
    (matter,) = hold_reports(world.lifecycle(), NIGHT)
    assert (matter.calls, matter.known_by_scope, matter.unknown) == (len(UNKNOWN), [0], len(UNKNOWN))
    assert matter.unknown_facts == {"account_id": len(UNKNOWN)}


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_an_unknown_link_holds_and_no_link_does_not(small, database):
    charset = " CHARACTER SET utf8mb4" if database == "mariadb" else ""
    world = small(database, calls(), f"CREATE TABLE l (call_id INT, deal_id VARCHAR(20){charset})",
                  row(90), row(91), "INSERT INTO l VALUES (91, 'other')",
                  more="links: {deal_id: 'SELECT call_id, deal_id FROM l'}")  # fmt: skip
    for key, value in enumerate(UNKNOWN, 1):
        world.execute(row(key))
        world.execute(f"INSERT INTO l VALUES ({key}, {value})")
    world.initialised().hold("{deal_ids: [88]}")
    world.ran()
    assert world.ids() == list(range(1, len(UNKNOWN) + 1))
    (matter,) = hold_reports(world.lifecycle(), NIGHT)
    assert (matter.calls, matter.unknown, matter.unknown_facts) == (
        len(UNKNOWN),
        len(UNKNOWN),
        {"deal_id": len(UNKNOWN)},
    )


def test_a_fact_that_no_rule_uses_stops_no_night_whatever_is_in_it(small):
    kinds = {"a": "timestamp", "b": "timestamptz", "c": "date", "d": "tstzrange", "e": "interval", "f": "jsonb"}
    facts = (
        FACTS.replace("FROM", "".join(f", a.{n} AS fact_{n}" for n in kinds) + " FROM") + " LEFT JOIN a ON a.id = c.id"
    )
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    world = small("postgresql", calls(), f"CREATE TABLE a (id int, {columns})", YOUNG, facts=facts).initialised()
    for key, value in enumerate(["infinity", "-infinity", "0044-03-15 BC"], 10):
        world.execute(row(key))
        one = f"('{value}'), ('{value}'), ('{value}'), ('[{value},)'), ('-178000000 years'), ('1.10')".replace(
            "), (", ", "
        )
        world.execute(f"INSERT INTO a SELECT {key}, {one[1:-1]}")
    world.ran()
    assert world.ids() == [2]


@pytest.mark.parametrize("odd", ["X'00FF'", "CAST(X'FF41' AS TEXT)"])
def test_a_call_that_nobody_can_name_stays_and_the_others_go_on(small, odd):
    made = "CREATE TABLE calls (id TEXT UNIQUE, industry TEXT, ended_at TEXT, account_id INT, n INTEGER PRIMARY KEY)"
    wrote = "INSERT INTO calls VALUES ({}, 'Retail', '2025-11-20', 1, NULL)"
    world = small("sqlite", made, wrote.format(odd), wrote.format("'due'")).initialised()
    world.ran()
    assert world.rows("SELECT count(*), count(id = 'due' OR NULL) FROM calls") == [(1, 0)]
    left = preview_night(world.lifecycle(), NIGHT).left_out
    assert list(left) == ["call X'FF41'" if "CAST" in odd else "call X'00FF'"]


def test_a_malformed_request_is_named_and_the_night_goes_on(small):
    world = small("sqlite", calls(), row(1), YOUNG).initialised()
    asked = "INSERT INTO lifecycle_requests VALUES ('{0}', '{1}', '{2}', '2026-11-01', 'x', '', NULL, NULL)"
    world.execute(asked.format("erase-a", 2, "soon"))
    world.execute(asked.format("erase-b", 2, "2026-11-02"))
    world.ran()
    assert world.ids() == [2]
    assert [one.request.id for one in open_requests(world.lifecycle(), NIGHT)] == ["erase-b"]
    assert malformed_requests(world.lifecycle()) == {
        "request erase-a for call 2": "received_on: expected a date, found 'soon'; correct it in the control table"
    }


def test_a_computed_date_of_utc_ends_with_the_day_in_utc_where_the_law_counts_elsewhere(small):
    facts = FACTS.replace("c.ended_at AS ended_at", "DATE(c.ended_at) AS ended_at").partition(", c.ended_at AS st")[0]
    world = small("mariadb", calls(), facts=f"{facts} FROM calls c").initialised()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("SET time_zone = '+01:00'")
        connection.exec_driver_sql(row(1, "'2025-11-30 00:30:00'"))
    world.schedule(RETAIL.format(zone=BERLIN, when=""))
    world.ran(NIGHT)
    assert world.ids() == [1]


def test_two_sources_with_control_tables_of_their_own_each_have_a_whole_record(small, tmp_path):
    """Two CRMs on one server, a set of tables each in one database."""
    copy = ("CREATE TABLE calls_b AS SELECT * FROM calls", "ALTER TABLE calls_b ADD PRIMARY KEY (id)")
    first = small("mariadb", calls(), row(), *copy)
    (tmp_path / "b").mkdir()
    facts = FACTS.replace("FROM calls c", "FROM calls_b c")
    second = SmallWorld(first.url, tmp_path / "b", facts, "control: lifecycle_b", source="b")
    second.mapping.write_text(second.mapping.read_text().replace("table: calls,", "table: calls_b,"))
    for world, table in ((first.initialised(), "calls"), (second.initialised(), "calls_b")):
        assert (world.ran().sealed, world.ids(table)) == (1, [])
    for world in (first, second):
        assert [leaf["kind"] for leaf in world.leaves()].count("purged") == 1
        assert audit_archive_and_ledger(world.lifecycle()).sound


def test_init_refuses_the_control_tables_of_another_source(small, tmp_path):
    first = small("sqlite", calls()).initialised()
    (tmp_path / "b").mkdir()
    second = SmallWorld(first.url, tmp_path / "b", source="b")
    for refused in (lambda: initialise(second.lifecycle()), second.ran):
        with pytest.raises(SourceError, match="are those of source small"):
            refused()
