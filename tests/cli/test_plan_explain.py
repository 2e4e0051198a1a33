"""plan and explain: what they show, and that they touch nothing."""

import json
from datetime import date, timedelta
from pathlib import Path
from secrets import token_hex

import pytest
import sqlalchemy as sa
import yaml

from lifecycle.crm.mapping import source as module
from lifecycle.crm.mapping.source import read_source
from lifecycle.crm.sample import demo_schema, sample_calls
from tests.cli.conftest import NIGHT, Place, Run_
from tests.deployment.test_policy_folder import git
from tests.policy.build import months_later
from tests.roles import product_url
from tests.servers import Postgres

AS_OF = ("--as-of", NIGHT.isoformat())
EXPLANATION_KEYS = [
    "call_id",
    "as_of",
    "policies",
    "facts",
    "rules",
    "laws",
    "regimes",
    "holds",
    "extensions",
    "erasure_requested_on",
    "disposition",
    "absent",
    "outcomes",
    "records",
    "archived",
]
INDUSTRY_KEYS = [
    "live",
    "due",
    "dispositions",
    "components",
    "rules",
    "oldest_trigger",
    "overdue",
    "max_share",
    "brake",
    "waits_for",
    "about_bytes",
    "samples",
]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def some_call(place: Place, where: str) -> str:
    known = "SELECT account_id FROM account_industries WHERE industry IN ('Banking', 'Insurance', 'Retail')"
    wanted = f"({where}) AND (c.account_id IS NULL OR c.account_id IN ({known}))"
    return str(place.sql(f"SELECT c.id FROM calls c WHERE {wanted} ORDER BY c.id LIMIT 1")[0][0])


def a_due_call(lifecycle: Run_, industry: str = "finance") -> str:
    return str(lifecycle("plan", *AS_OF, "--json").json["industries"][industry]["samples"][0])


def test_plan_counts_what_the_night_would_do(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("plan", *AS_OF, "--json")
    assert (said.code, said.err) == (0, "")
    keys = ["as_of", "industries", "unscheduled", "left_out", "returned", "broken", "unfit"]
    assert list(said.json) == [*keys, "blank_beside", "missing", "elsewhere", "needs_person"]
    finance = said.json["industries"]["finance"]
    assert list(finance) == INDUSTRY_KEYS
    assert (finance["live"], finance["due"], finance["rules"]) == (599, 9, {"FIN-CALL": 9})
    assert sum(finance["dispositions"].values()) == 599
    assert 9 * 200 < finance["about_bytes"] < 9 * 20_000
    assert said.json["unscheduled"] == {"(no industry)": 31, "Bankng": 50}


def test_plan_tells_a_person_the_same(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("plan", *AS_OF)
    assert said.code == 0
    for text in ("The night of 2026-11-20: nothing was done", "finance", "1.50%", "FIN-CALL", "Bankng", "kB"):
        assert text in said.out
    assert a_due_call(lifecycle) in said.out


def test_plan_writes_nothing(lifecycle: Run_, place: Place) -> None:
    before = everything(place.folder)
    assert lifecycle("plan", *AS_OF).code == 0
    assert lifecycle("plan", "--json").code in (0, 1)
    assert everything(place.folder) == before
    assert not place.store.exists()


def test_plan_takes_a_night_to_come_and_marks_a_brake_that_would_trip(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("plan", "--as-of", "2031-06-30")
    assert said.code == 1
    assert "TRIPS!" in said.out
    assert "finance would wait for a person: brake: " in said.out


def test_plan_can_look_at_one_industry(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("plan", *AS_OF, "--industry", "telecom", "--json")
    assert list(said.json["industries"]) == ["telecom"]


def test_an_unknown_industry_is_exit_2(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("plan", "--industry", "banking")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --industry banking: expected one of company-default, finance")


def test_a_broken_schedule_keeps_its_industry_and_needs_a_person(lifecycle: Run_, place: Place) -> None:
    (place.policies / "finance.yaml").write_text("industry: finance\nindustry: again\n")
    said = lifecycle("plan", *AS_OF, "--json")
    assert said.code == 1
    assert said.json["broken"]["finance.yaml"].startswith("finance.yaml:2: the key 'industry' is repeated")
    assert "finance" not in said.json["industries"]
    assert "finance.yaml:2: " in lifecycle("plan", *AS_OF).out
    asked = lifecycle("plan", "--industry", "finance")
    assert (asked.code, "finance.yaml:2: " in asked.err) == (2, True)


@pytest.mark.parametrize("command", ["plan", "verify", "check"])
def test_no_output_but_explain_names_people(lifecycle: Run_, purged: Place, command: str) -> None:
    said = lifecycle(command) if command != "plan" else lifecycle(command, "--as-of", "2031-06-30")
    private = [text for row in purged.sql("SELECT DISTINCT phone FROM calls") for text in row if text]
    private += ["Exampla", "Nobody", "Made-up note"]
    assert [text for text in private if text in said.out + said.err] == []


def test_plan_works_with_a_role_that_can_only_select(
    lifecycle: Run_, place: Place, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sa.make_url(postgres_server.new_database())
    engine = sa.create_engine(url)
    demo_schema.create_schema(engine)
    sample_calls.populate_sample(engine, NIGHT, 2000)
    role = f"reader_{token_hex(4)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    engine.dispose()
    reader = url.set(username=role, password="hunter2").render_as_string(hide_password=False)
    monkeypatch.setenv("LIFECYCLE_CRM_URL", reader)
    said = lifecycle("plan", *AS_OF, "--json")
    assert (said.code, said.json["industries"]["finance"]["due"]) == (0, 9)
    assert lifecycle("explain", a_due_call(lifecycle), *AS_OF).code == 0
    refused = lifecycle("init")
    assert (refused.code, "hunter2" in refused.out + refused.err) == (3, False)
    assert "permission denied" in refused.err


def test_explain_shows_every_fact_rule_law_and_day(lifecycle: Run_, place: Place) -> None:
    call = a_due_call(lifecycle)
    said = lifecycle("explain", call, *AS_OF)
    assert said.code == 0
    phone = place.sql("SELECT phone FROM calls WHERE id = ?", [call])[0][0]
    for text in (call, phone, "open_deal", "FIN-CALL", "Directive 2014/65/EU, article 16(7)", "due: ", "May go: from"):
        assert text in said.out
    found = lifecycle("explain", call, *AS_OF, "--json").json
    assert list(found) == EXPLANATION_KEYS
    assert (found["disposition"]["disposition"], found["disposition"]["rule_id"]) == ("due", "FIN-CALL")
    assert date.fromisoformat(found["disposition"]["purge_from"]) <= NIGHT
    assert found["records"] == []


def test_explain_names_the_hold_and_what_keeps(lifecycle: Run_, place: Place) -> None:
    call = a_due_call(lifecycle)
    (place.policies / "holds").mkdir(exist_ok=True)
    (place.policies / "holds" / "acme.yaml").write_text(
        f"id: acme\nmatter: Acme v Bolt\nplaced_at: 2025-01-01\nplaced_by: counsel\nscope: {{call_ids: ['{call}']}}\n"
    )
    said = lifecycle("explain", call, *AS_OF)
    assert "on_hold: acme" in said.out
    assert "Acme v Bolt" in said.out
    assert "once every hold is released" in said.out


def test_explain_says_what_each_rule_says_of_a_recording_and_nothing_of_one_that_is_gone(
    lifecycle: Run_, place: Place
) -> None:
    schedule = place.policies / "finance.yaml"
    rule = "  - {id: REC, title: t, component: recording, trigger: ended_at, purge_after: P1Y, destroy_after: P7Y}\n"
    schedule.write_text(schedule.read_text().replace("examples:", rule + "examples:"))
    banks = "SELECT c.id FROM calls c JOIN account_industries i USING (account_id) WHERE i.industry = 'Banking' "
    banks += "AND c.ended_at > '2022-01-01' AND c.ended_at < '2025-01-01' AND account_id IN (SELECT account_id FROM "
    banks += "account_industries GROUP BY account_id HAVING count(*) = 1) AND id {} IN (SELECT call_id FROM recordings)"
    there, gone = (place.sql(banks.format(word))[0][0] for word in ("", "NOT"))
    said = lifecycle("explain", there, *AS_OF, "--json").json
    assert [(rule["component"], rule["rule_id"], rule["verdict"], rule["wins"]) for rule in said["rules"]] == [
        (None, "FIN-CALL", "retained", True),
        (None, "REC", "due", False),
        ("recording", "FIN-CALL", "its laws only", False),
        ("recording", "REC", "due", True),
    ]
    assert said["absent"] == []
    said = lifecycle("explain", gone, *AS_OF, "--json").json
    assert [(rule["component"], rule["rule_id"], rule["verdict"]) for rule in said["rules"]] == [
        (None, "FIN-CALL", "retained"),
        ("recording", "REC", "does not match"),
    ]
    assert said["absent"] == ["recording"]
    assert f"`lifecycle record {gone}`" in lifecycle("explain", gone, *AS_OF).out.replace("\n", " ")


def test_explain_says_what_a_guidance_asks_for_on_a_fact_that_decides_nothing(lifecycle: Run_, place: Place) -> None:
    law = "id: advice, title: t, jurisdiction: EU, citation: c, evidence: e, verified: text, review_by: 2030-01-01, "
    law += "kind: guidance, trigger: relationship_ended_at, minimum: P1Y"
    (place.policies / "regimes" / "advice.yaml").write_text(f"{{{law}}}")
    schedule = place.policies / "finance.yaml"
    schedule.write_text(schedule.read_text().replace("[eu-mifid2-16-7]", "[eu-mifid2-16-7, advice]"))
    call = a_due_call(lifecycle)
    place.sql("UPDATE accounts SET relationship_ended_at = '2022-03-01 12:00:00'")
    law = next(law for law in lifecycle("explain", call, *AS_OF, "--json").json["laws"] if law["regime"] == "advice")
    assert (law["trigger_date"], law["soft_floor"], law["floor"]) == ("2022-03-01", "2023-03-01", None)


def test_explain_says_why_a_rule_does_not_match(lifecycle: Run_, place: Place) -> None:
    schedule = place.policies / "telecom.yaml"
    rule = "  - {id: TEL-ORDER, title: Orders, when: {record_class: order}, trigger: ended_at, "
    rule += "purge_after: never, destroy_after: never}\n"
    schedule.write_text(schedule.read_text().replace("examples:", rule + "examples:"))
    said = lifecycle("explain", a_due_call(lifecycle, "telecom"), *AS_OF, "--json")
    verdicts = {rule["rule_id"]: (rule["verdict"], rule["detail"]) for rule in said.json["rules"]}
    assert verdicts["TEL-CALL"][0] == "due"
    assert verdicts["TEL-ORDER"][0] == "does not match"
    assert verdicts["TEL-ORDER"][1].endswith("the rule asks for order")


@pytest.mark.parametrize(
    ("where", "disposition", "says"),
    [
        ("c.account_id IS NULL", "unscheduled", "no industry"),
        ("c.ended_at IS NULL", "awaiting_trigger", "ended_at is missing"),
        ("c.ended_at > '2027-01-01'", "awaiting_trigger", "in the future"),
    ],
)
def test_explain_of_what_cannot_be_judged(
    lifecycle: Run_, place: Place, where: str, disposition: str, says: str
) -> None:
    said = lifecycle("explain", some_call(place, where), *AS_OF)
    assert said.code == 0
    assert f"{disposition}: " in said.out
    assert says in said.out
    assert "Its copy goes: unknown" in said.out


def test_explain_of_a_purged_call_is_its_record(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    said = lifecycle("explain", call)
    assert said.code == 0
    assert said.out.startswith(f"Call {call} (demo) was deleted from the CRM at ")
    found = lifecycle("explain", call, "--json").json
    assert (found["facts"], found["disposition"], len(found["records"])) == ([], None, 1)


def test_explain_of_a_purged_call_shows_what_its_archived_row_says(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    (record,) = [one["record"] for one in lifecycle("record", call, "--json").json["records"]]
    found = lifecycle("explain", call, "--json").json
    decided = {f"_{name}": record[name] for name in ("rule_id", "trigger_date", "purge_from", "destroy_on")}
    assert found["archived"] == [{"key": record["object"]["key"], "deciding": decided, "problem": None}]
    assert f"read back now and proved, says: _rule_id {record['rule_id']}, " in lifecycle("explain", call).out


def test_explain_says_plainly_that_an_archived_copy_is_damaged_or_gone(lifecycle: Run_, purged: Place) -> None:
    call = purged.purged()[0]
    (record,) = [one["record"] for one in lifecycle("record", call, "--json").json["records"]]
    copy, manifest = (purged.store / key for key in (record["object"]["key"], record["manifest_key"]))
    body, sealed = copy.read_bytes(), manifest.read_bytes()
    copy.write_bytes(body[:-1])
    assert "What was decided cannot be read: the archived copy is damaged: " in lifecycle("explain", call).out
    copy.write_bytes(body)
    manifest.write_bytes(sealed.replace(b'"calls":', b'"calls": '))
    assert "other bytes than when the call was purged" in lifecycle("explain", call).out
    manifest.write_bytes(sealed)
    copy.unlink()
    said = lifecycle("explain", call)
    assert "What was decided cannot be read: the archived copy is gone: " in said.out
    assert (said.code, said.out.startswith(f"Call {call} (demo) was deleted from the CRM at ")) == (0, True)


def test_explain_under_the_policies_of_a_revision(lifecycle: Run_, place: Place) -> None:
    call = a_due_call(lifecycle)
    git(place.folder, "init", "-q")
    git(place.folder, "add", "policies")
    git(place.folder, "commit", "-qm", "five years")
    schedule = place.policies / "finance.yaml"
    schedule.write_text(schedule.read_text().replace("purge_after: P5Y", "purge_after: P6Y"))
    now = lifecycle("explain", call, *AS_OF, "--json").json
    then = lifecycle("explain", call, *AS_OF, "--policies-at", "HEAD", "--json").json
    assert [each["disposition"]["disposition"] for each in (now, then)] == ["retained", "due"]
    assert [each["policies"]["git_dirty"] for each in (now, then)] == [True, False]
    commit = git(place.folder, "rev-parse", "HEAD")
    assert f"policies of commit {commit[:12]}" in lifecycle("explain", call, "--policies-at", "HEAD").out
    wrong = lifecycle("explain", call, "--policies-at", "nope")
    assert (wrong.code, wrong.out) == (2, "")


def test_explain_gives_the_earliest_and_the_latest_day_and_who_won(lifecycle: Run_, place: Place) -> None:
    call = a_due_call(lifecycle)
    found = lifecycle("explain", call, *AS_OF, "--json").json
    (rule,), (law,), (whole,) = found["rules"], found["laws"], found["outcomes"]
    started = date.fromisoformat(rule["trigger_date"])
    last = started.replace(year=started.year + 5)
    assert (law["regime"], law["applies"], law["floor"], law["ceiling"]) == ("eu-mifid2-16-7", True, str(last), None)
    assert (rule["wins"], whole["component"], whole["rule_id"]) == (True, None, "FIN-CALL")
    assert (whole["earliest"], whole["latest"]) == (str(last + timedelta(days=1)), str(last + timedelta(days=30)))


def test_explain_gives_each_component_with_rules_of_its_own_its_days(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = a_due_call(lifecycle, "telecom")
    source = yaml.safe_load((Path(module.__file__).parent / "sources" / "demo.yaml").read_text())
    facts = source["facts"].replace("AS open_task", "AS open_task, 1 AS has_recording")
    (place.folder / "own.yaml").write_text(yaml.safe_dump(source | {"facts": facts}))
    monkeypatch.setenv("LIFECYCLE_SOURCE", "own.yaml")
    own = "  - {id: TEL-REC, title: The recording, component: recording, trigger: ended_at, purge_after: P3M, "
    own += "destroy_after: P6M}\n"
    schedule = place.policies / "telecom.yaml"
    schedule.write_text(schedule.read_text().replace("examples:", own + "examples:"))
    found = lifecycle("explain", call, *AS_OF, "--json").json
    ended = date.fromisoformat(found["rules"][0]["trigger_date"])
    assert [(one["component"], one["rule_id"]) for one in found["outcomes"]] == [
        (None, "TEL-CALL"),
        ("recording", "TEL-REC"),
    ]
    assert found["outcomes"][0]["earliest"] == str(months_later(ended, 12) + timedelta(days=1))
    assert found["outcomes"][1]["earliest"] == str(months_later(ended, 3) + timedelta(days=1))
    assert "The recording" in lifecycle("explain", call, *AS_OF).out


def test_a_call_that_is_nowhere_is_exit_2(lifecycle: Run_, place: Place) -> None:
    said = lifecycle("explain", "nobody")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: call 'nobody': expected a call of the CRM or of the record, found it in neither\n"


@pytest.mark.parametrize(
    ("kind", "key", "typed", "wrong"),
    [("INTEGER", "4711", "4711", "abc"), ("UUID", "'0979d283-b39b-4bb1-874b-98b7b28cda7d'", None, "abc")],
)
def test_a_key_is_typed_as_text_whatever_its_type(
    lifecycle: Run_,
    place: Place,
    postgres_server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    key: str,
    typed: str | None,
    wrong: str,
) -> None:
    url = postgres_server.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE calls (id {kind} PRIMARY KEY, ended_at TIMESTAMP)")
        connection.exec_driver_sql(f"INSERT INTO calls VALUES ({key}, '2020-01-01')")
    engine.dispose()
    facts = "SELECT id AS call_id, 'Banking' AS industry, ended_at FROM calls"
    mapping = {"source": "own", "dialects": ["postgresql"], "facts": facts, "timezone": "UTC"}
    (place.folder / "own.yaml").write_text(json.dumps(mapping | {"call": {"table": "calls", "key": "id"}}))
    source = read_source(str(place.folder / "own.yaml"))
    monkeypatch.setenv("LIFECYCLE_CRM_URL", product_url(url, source))
    monkeypatch.setenv("LIFECYCLE_SOURCE", "own.yaml")
    found = lifecycle("explain", typed or key.strip("'"), "--json").json
    assert found["call_id"] == key.strip("'")
    for command in ("explain", "record"):
        said = lifecycle(command, wrong)
        assert said.code == 2
        assert "call 'abc': expected a key of the CRM's calls" in said.err


def test_explain_of_a_live_call_needs_no_store(lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    call = a_due_call(lifecycle)
    monkeypatch.setenv("LIFECYCLE_STORE", "file:///proc/nowhere/store")
    assert lifecycle("explain", call).code == 0
    assert lifecycle("plan").code in (0, 1)


def test_discover_lists_what_names_a_call(lifecycle: Run_, place: Place) -> None:
    call = place.sql("SELECT call_id FROM notes JOIN call_deals ON call_id = parent_id LIMIT 1")[0][0]
    place.sql("CREATE TABLE trackers (id INTEGER PRIMARY KEY, item VARCHAR(40))")
    place.sql("INSERT INTO trackers (item) VALUES (?)", [call])
    said = lifecycle("discover", call, "--json")
    unmapped = [(one["table"], one["column"]) for one in said.json["columns"] if one["sure"] and not one["mapped"]]
    assert (said.code, unmapped, said.json["not_searched"]) == (1, [("trackers", "item")], {})
    shown = lifecycle("discover", call).out
    assert "trackers" in shown
    assert "NO" in shown
    assert lifecycle("discover", "no-such-call").code == 2


def test_plan_names_the_calls_that_were_purged_and_are_back(
    lifecycle: Run_, place: Place, purged_again: list[str]
) -> None:
    said = lifecycle("plan", *AS_OF, "--json")
    assert said.code == 1
    assert set(said.json["returned"]) == set(map(str, purged_again))
    assert all(words.startswith("returned: purged on ") for words in said.json["returned"].values())
