"""request, requests and holds: what they say to a person, to a program, and by their exit codes."""

from datetime import UTC, date, datetime

import pytest

from tests.cli.conftest import Place, Run_

SCHEDULE = """industry: finance
matches: [Banking, Financial Services, 金融]
owner: o
timezone: UTC
max_share: 100%
rules:
  - {id: R, title: t, trigger: ended_at, purge_after: P60Y, destroy_after: P60Y, regimes: [law], on_erasure: floor}
"""
LAW = """id: law
title: t
jurisdiction: {0}
citation: Article 7
evidence: e
verified: text
review_by: 2999-01-01
kind: statute
trigger: ended_at
minimum: P50Y
"""
TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def bank(place: Place, lifecycle: Run_) -> str:
    """A call of finance, under a law of fifty years."""
    assert lifecycle("init").code == 0
    for path in [*place.policies.glob("*.yaml"), *(place.policies / "regimes").glob("*.yaml")]:
        path.unlink()
    law(place)
    found = place.sql(
        "SELECT c.id FROM calls c JOIN account_industries i ON i.account_id = c.account_id "
        "WHERE c.account_id NOT IN (SELECT account_id FROM account_industries WHERE industry <> 'Banking') "
        "AND c.ended_at BETWEEN '2020-01-01' AND '2025-01-01' ORDER BY c.id LIMIT 1"
    )
    return str(found[0][0])


def law(place: Place, jurisdiction: str = "DE", schedule: str = SCHEDULE) -> None:
    (place.policies / "finance.yaml").write_text(schedule)
    (place.policies / "regimes" / "law.yaml").write_text(LAW.format(jurisdiction))


def free(place: Place) -> None:
    law(place, schedule=SCHEDULE.replace("regimes: [law], ", ""))


def test_a_refused_request_says_the_ground_until_when_and_by_when_to_answer(lifecycle: Run_, bank: str) -> None:
    said = lifecycle("request", "erase", bank, "--received", "2026-01-31", "--by", "dpo", "--reference", "R-7")
    assert (said.code, said.err) == (0, "")
    assert f"Call {bank}: refused for now: its processing is restricted, and it goes by itself on 20" in said.out
    assert "GDPR Article 17(3)(b): law (DE, Article 7) asks for it until 20" in said.out
    assert ", registered. Answer the person by 2026-02-28." in said.out
    again = lifecycle("request", "erase", bank)
    assert ", on file already. Answer the person by 2026-02-28." in again.out


def test_programs_are_told_the_same(lifecycle: Run_, bank: str) -> None:
    (one,) = lifecycle("request", "erase", bank, "--received", "2026-01-31", "--by", "dpo", "--json").json["requests"]
    assert {name: one[name] for name in ("call_id", "received_on", "registered_by", "reference", "registered")} == {
        "call_id": bank,
        "received_on": "2026-01-31",
        "registered_by": "dpo",
        "reference": "",
        "registered": True,
    }
    assert (one["outcome"], one["restricted"], one["answer_by"], one["needs_person"]) == (
        "refused",
        True,
        "2026-02-28",
        False,
    )
    assert date.fromisoformat(one["goes_on"]).year >= 2070
    said = lifecycle("requests", "--json")
    assert (said.code, said.json["requests"]) == (0, [{**one, "registered": False}])


def test_a_law_of_a_third_country_needs_a_person(lifecycle: Run_, place: Place, bank: str) -> None:
    law(place, "US")
    said = lifecycle("request", "erase", bank)
    assert (said.code, "undecided for now" in said.out, "A person must decide." in said.out) == (1, True, True)
    assert "that is no Union or member state law" in said.out
    listed = lifecycle("requests")
    assert (listed.code, "undecided!" in listed.out) == (1, True)


def test_a_granted_request_goes_with_the_next_night(lifecycle: Run_, place: Place, bank: str) -> None:
    free(place)
    said = lifecycle("request", "erase", bank)
    assert (said.code, f"Call {bank}: granted: it goes with the next night." in said.out) == (0, True)
    assert place.sql("SELECT COUNT(*) FROM calls WHERE id = ?", [bank]) == [(1,)]


def test_a_request_can_be_withdrawn(lifecycle: Run_, bank: str) -> None:
    (one,) = lifecycle("request", "erase", bank, "--json").json["requests"]
    said = lifecycle("request", "withdraw", one["id"], "--by", "dpo")
    assert (said.code, said.out) == (0, f"Request {one['id']} for call {bank} is withdrawn.\n")
    assert lifecycle("requests").out == "No erasure request is open.\n"
    assert lifecycle("request", "withdraw", one["id"], "--json").json["by"] == "dpo"


def test_explain_says_that_a_call_is_restricted(lifecycle: Run_, bank: str) -> None:
    (one,) = lifecycle("request", "erase", bank, "--received", TODAY, "--json").json["requests"]
    assert f"Erasure was asked for on {TODAY} ({one['id']}): its processing is restricted." in lifecycle(
        "explain", bank
    ).out.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["erase", "nowhere"], "call 'nowhere': expected a call of the CRM or of the record"),
        (["erase", "nowhere", "--received", "2999-01-01"], "--received 2999-01-01: expected a day up to"),
        (["erase", "x", "--reference", "r" * 201], "--reference: expected up to 200 characters, found 201"),
        (["withdraw", "erase-0"], "request 'erase-0': expected the id of a request (`lifecycle requests`), found none"),
        (["erase"], "Missing argument 'CALL"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(
    lifecycle: Run_, place: Place, bank: str, words: list[str], said: str
) -> None:
    found = lifecycle("request", *words)
    assert (found.code, said in found.err) == (2, True), found.err
    assert place.sql("SELECT COUNT(*) FROM lifecycle_requests") == [(0,)]


def test_before_init_there_is_no_request_and_none_can_be_made(lifecycle: Run_, place: Place) -> None:
    assert lifecycle("requests").out == "No erasure request is open.\n"
    said = lifecycle("request", "erase", "x")
    assert (said.code, "Run `lifecycle init` once" in said.err) == (2, True)


HOLD = """id: acme
matter: Acme v Bolt
placed_at: 2025-01-01
placed_by: counsel@example.com
release: two_people
scope: [{call_ids: [CALL]}, {phones: ['0'], from: 2020-01-01}]
"""


def test_holds_are_listed_with_their_calls_and_what_a_person_must_look_at(
    lifecycle: Run_, place: Place, bank: str
) -> None:
    assert lifecycle("holds").out == "No legal hold is on file.\n"
    (place.policies / "holds").mkdir(exist_ok=True)
    path = place.policies / "holds" / "acme.yaml"
    path.write_text(HOLD.replace("CALL", bank))
    said = lifecycle("holds")
    assert said.code == 1
    for text in (
        "Acme v Bolt",
        "active, two people release it",
        "counsel@example.com",
        bank,
        "phone 0; from 2020-01-01",
    ):
        assert text in said.out
    assert "acme: its scope 2 of 2 matches no call at present" in said.out
    (one,) = lifecycle("holds", "--json").json["holds"]
    assert (one["id"], one["active"], one["release"], one["calls"]) == ("acme", True, "two_people", 1)
    assert [scope["calls"] for scope in one["scopes"]] == [1, 0]
    assert (one["needs_person"], one["needs_legal_review"]) == (True, 0)
    path.write_text(f"{path.read_text()}released_at: 2025-02-01\nreleased_by: a\nrelease_confirmed_by: b\n")
    said = lifecycle("holds")
    assert (said.code, "released 2025-02-01 by a and b" in said.out) == (0, True)
