"""`lifecycle check` on real rows: what a night would only show as calls that never go, or holds that match nothing."""

import pytest

from lifecycle.errors import SourceError
from lifecycle.inquiry.check import check_everything
from lifecycle.inquiry.fact_findings import fact_findings
from lifecycle.inquiry.preview import preview_night
from tests.night.small import FACTS, NIGHT, RETAIL

CALLS = "CREATE TABLE calls (id INTEGER PRIMARY KEY, industry VARCHAR(20), ended_at {}, account_id {})"
ROWS = "INSERT INTO calls VALUES (1, 'Retail', {}, 4711)"


def found(world) -> list[str]:
    return [message for _, message in fact_findings(world.lifecycle())]


@pytest.mark.parametrize(
    ("value", "declared", "line"),
    [
        ("1763640000123", "BIGINT", "milliseconds since 1970: `times: {ended_at: {as: epoch_milliseconds}}`"),
        ("1763640000", "BIGINT", "seconds since 1970: `times: {ended_at: {as: epoch_seconds}}`"),
        ("'20.11.2025 12:00'", "TEXT", "`times: {ended_at: {format: '%d.%m.%Y %H:%M'}}`, with the format it has"),
    ],
)
def test_times_that_come_out_as_none_are_named_with_a_row_and_the_line_to_write(small, value, declared, line):
    world = small("sqlite", CALLS.format(declared, "INT"), ROWS.format(value))
    said = found(world)
    assert len(said) == 2  # ended_at, and started_at which is the same column
    assert said[0].startswith(f"1 of 1 values of ended_at are no time, such as {value} of call 1: their calls wait")
    assert said[0].endswith(line)
    world.mapping.write_text(
        f"{world.mapping.read_text()}{line.split('`')[1].replace('}}', '}, started_at: {zone: UTC}}')}"
    )
    assert [message for message in found(world) if "ended_at" in message] == []


def test_a_clean_sample_has_no_finding(small):
    assert found(small("sqlite", CALLS.format("TEXT", "INT"), ROWS.format("'2025-11-20'"))) == []


def test_flags_that_say_neither_yes_nor_no_are_named(small):
    facts = FACTS.replace("FROM calls", ", 'perhaps' AS open_deal FROM calls")
    world = small("sqlite", CALLS.format("TEXT", "INT"), ROWS.format("'2025-11-20'"), facts=facts)
    world.schedule(RETAIL.format(zone="UTC", when=", keep_while: [open_deal]"))
    assert found(world) == [
        "1 values of open_deal are neither yes nor no, such as 'perhaps' of call 1: they keep their calls"
    ]


def test_a_blank_industry_beside_others_is_named(small):
    facts = f"{FACTS} UNION ALL SELECT id, ' ', ended_at, ended_at, account_id FROM calls"
    world = small("sqlite", CALLS.format("TEXT", "INT"), ROWS.format("'2025-11-20'"), facts=facts)
    (said,) = found(world)
    assert said.startswith("1 calls have a row without an industry beside others, such as call 1: that row is judged")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_key_of_several_rows_is_named(small, kind):
    made = "CREATE TABLE calls (id VARCHAR(9), industry VARCHAR(20), ended_at {}, account_id INT, n INT PRIMARY KEY)"
    world = small(
        kind,
        made.format("TIMESTAMP NULL"),
        *(f"INSERT INTO calls VALUES ('l', 'Retail', NULL, 1, {n})" for n in (1, 2)),
    )
    assert found(world) == ["calls.id names several rows, such as l: it must name one call"]


def test_a_call_id_that_is_no_key_of_the_call_table_is_named(small):
    facts = FACTS.replace("c.id AS call_id", "c.account_id AS call_id")
    world = small("sqlite", CALLS.format("TEXT", "INT"), ROWS.format("'2025-11-20'"), facts=facts)
    assert found(world) == ["the facts query gives call_id 4711, which no row of the call table has as its key"]


def test_what_a_rule_or_a_hold_asks_for_and_a_type_cannot_be_is_named(small):
    world = small("mariadb", CALLS.format("DATETIME", "INT"), ROWS.format("'2025-11-20'"))
    world.schedule(RETAIL.format(zone="UTC", when=", when: {account_id: [order]}"))
    world.hold("{account_ids: [ACME-1, 4711]}")
    assert found(world) == [
        "Retail: RET asks for account_id 'order', and every value met is a number: it never matches",
        "holds/hold-1 asks for account_id 'ACME-1', and every value met is a number: it never matches",
    ]


TEXT_NOTES = "CREATE TABLE notes (id INT PRIMARY KEY, object_id VARCHAR(40), body VARCHAR(40))"
CHILD = "children: [{table: notes, match: {object_id: id}}]"
OBJECTS = ["7 rue de la Paix", "1e2", "7", "100", " 7", "07", "7.0"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_a_text_is_matched_with_a_number_only_where_the_mapping_says_so_and_it_is_written_so(small, kind):
    calls = CALLS.format("TIMESTAMP NULL", "INT").replace("INTEGER", "BIGINT")
    world = small(kind, calls, TEXT_NOTES, more=CHILD)
    for key in (7, 100):
        world.execute(f"INSERT INTO calls VALUES ({key}, 'Retail', '2025-11-20 12:00:00', 1)")
    for key, text in enumerate(OBJECTS):
        world.execute(f"INSERT INTO notes VALUES ({key}, '{text}', 'b')")
    refused = r"notes\.object_id is text and calls\.id, by which it is found, is number"
    for step in (world.initialised, world.ran, lambda: preview_night(world.lifecycle(), NIGHT)):
        with pytest.raises(SourceError, match=refused):
            step()
    said = [one.message for one in check_everything(world.lifecycle()) if one.severity == "error"]
    assert any("say `cast: text`" in message for message in said)
    world.mapping.write_text(world.mapping.read_text().replace("id: id}", "id: id}, cast: text"))
    world.initialised().ran()
    assert (world.ids(), [OBJECTS[key] for key in world.ids("notes")]) == (
        [],
        ["7 rue de la Paix", "1e2", " 7", "07", "7.0"],
    )


def test_check_shows_them_as_warnings(small):
    world = small("sqlite", CALLS.format("BIGINT", "INT"), ROWS.format("1763640000123")).initialised()
    warned = [one for one in check_everything(world.lifecycle()) if "epoch_milliseconds" in one.message]
    assert {(one.severity, one.subject, one.exit_code) for one in warned} == {("warning", "CRM", 1)}
