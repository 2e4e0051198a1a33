"""mapping new."""

import pytest

from lifecycle.crm.mapping.source import read_source
from tests.cli.conftest import Place, Run_


def test_a_proposal_is_a_file_that_check_and_plan_read(
    lifecycle: Run_, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = lifecycle("mapping", "new", "--url", "sqlite:///crm.db")
    assert said.code == 0
    (place.folder / "own.yaml").write_text(said.out)
    proposed, shipped = read_source(str(place.folder / "own.yaml")), read_source("demo")
    assert (proposed.call.table, proposed.call.key, proposed.call.modified) == ("calls", "id", "updated_at")
    found = {(part.table, *part.chain[-1].match, *part.chain[-1].where.columns) for part in proposed.parts()[1:]}
    known = {(part.table, *part.chain[-1].match, *part.chain[-1].where.columns) for part in shipped.parts()[1:]}
    assert found == known
    monkeypatch.setenv("LIFECYCLE_SOURCE", "own.yaml")
    # The facts that rules ask for, such as open deals, are for a person to write; the mapping itself is in order.
    checked = lifecycle("check", "--json").json["findings"]
    assert {one["subject"] for one in checked if one["severity"] == "error"} <= {"policies", "clock"}
    assert not [one for one in checked if one["subject"] == "mapping"]


def test_a_database_without_a_table_of_calls_asks_which_it_is(lifecycle: Run_, place: Place) -> None:
    place.sql("ALTER TABLE calls RENAME TO talks")
    said = lifecycle("mapping", "new", "--url", "sqlite:///crm.db")
    assert (said.code, "--table" in said.err) == (2, True)
    assert (
        "call: {table: talks, key: id"
        in lifecycle("mapping", "new", "--url", "sqlite:///crm.db", "--table", "talks").out
    )
    said = lifecycle("mapping", "new", "--url", "sqlite:///crm.db", "--table", "chats")
    assert (said.code, "chats" in said.err) == (2, True)
