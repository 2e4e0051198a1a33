"""What the law finds in the scope of a hold, the database finds too: however a value is kept, and a number written."""

import random
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
import pytest

from lifecycle.crm.reading.fact_selection import Narrowing
from lifecycle.policy.documents.hold import Hold
from lifecycle.policy.evaluation.condition_matching import in_scope
from tests.crm.conftest import Made

SEED = 20
FACT = {"account_ids": "account_id", "phones": "phone"}
DIGITS = "30123456789"
AROUND = ["", " ", "\t", "\u00a0", "\u200b", "'", '"']
PHONES = [
    *("+49{}", "0049{}", "0{}", "{}", "tel:+49{}", "sip:+49{}@10.0.0.1", "+49 (0){}", "+49-{}", "0{} ext 12", "['{}']"),
    *("0{},0171555", "anonymous", "", "0", "-", "1-800-FLOWERS", "agent 12", "SIP/1001", "null", "0049 {};ext=1"),
]
ACCOUNTS = [
    *(
        "{}",
        "{}.0",
        "{}.50",
        "{}00.10",
        "000{}",
        "{}.00",
        "'{}'",
        "[{}]",
        "{},7",
        "x|{}",
        "true",
        "t",
        "1",
        "0",
        "False",
    ),
    *("+{}", "-{}", "A-{}", "", "null", "[]", "{{}}", "{}e2"),
]


def written(rng: random.Random, forms: list[str]) -> str:
    """A number of some length somehow written, with separators of some kind in it."""
    digits = DIGITS[rng.randrange(6) : rng.randrange(6, 12)] or "7"
    sign = rng.choice(["", "", " ", "-", ".", "/"])
    parted = "".join(digit + (sign if rng.random() < 0.3 else "") for digit in digits)
    return rng.choice(AROUND) + rng.choice(forms).format(parted) + rng.choice(AROUND)


def scopes(rng: random.Random, count: int) -> list[dict[str, list[str]]]:
    found = []
    for _ in range(count):
        key, forms = rng.choice([("phones", PHONES), ("account_ids", ACCOUNTS)])
        values = {text for text in (written(rng, forms).strip() for _ in range(rng.choice([1, 1, 2]))) if text}
        found.append({key: sorted(values) or ["7"]})
    return found


def held(scope: dict[str, list[str]]) -> Hold:
    words = {"id": "h", "matter": "m", "placed_at": "2026-01-01", "placed_by": "p"}
    return Hold.model_validate({**words, "scope": scope}, strict=False)


FACTS = "SELECT id AS call_id, 'x' AS industry, account AS account_id, phone FROM t"
TYPES = {
    "sqlite": {"account": ["TEXT", "FLOAT", "BLOB"], "phone": ["TEXT", "BLOB"]},
    "postgresql": {"account": ["text", "varchar(60)"], "phone": ["text", "bytea"]},
    "mariadb": {"account": ["VARCHAR(60)"], "phone": ["VARCHAR(60)", "VARBINARY(60)"]},
}


def filled(made: Made, rng: random.Random, account: str, phone: str) -> None:
    charset = " CHARACTER SET utf8mb4" if made.dialect == "mysql" else ""
    kinds = [kind + (charset if "CHAR" in kind else "") for kind in (account, phone)]
    made.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (id INTEGER PRIMARY KEY, account {kinds[0]}, phone {kinds[1]})")
    mark = {"sqlite": "?"}.get(made.dialect, "%s")
    rows = [(number, written(rng, ACCOUNTS), written(rng, PHONES)) for number in range(400)]
    if phone in ("BLOB", "bytea", "VARBINARY(60)"):
        rows = [(n, a, b"\xff" if n % 50 == 0 else said.encode()) for n, a, said in rows]
    with made.engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO t VALUES ({mark}, {mark}, {mark})", rows)


def by_the_law(every, scope) -> list[set[int]]:
    """The calls certainly in a scope, and those that may be."""
    hold = held(scope)
    return [
        set(every["call_id"].filter(mask).to_pylist()) for mask in in_scope(every, hold, hold.scope[0], ZoneInfo("UTC"))
    ]


@pytest.mark.parametrize("kind", list(TYPES))
def test_the_database_finds_every_call_that_the_law_holds(make, kind):
    rng, met = random.Random(SEED), 0
    made = make(kind)
    for account in TYPES[kind]["account"]:
        for phone in TYPES[kind]["phone"]:
            filled(made, rng, account, phone)
            crm = made.crm(facts=FACTS)
            with crm.database.reading() as connection:
                every = crm.facts.of(connection, list(range(400)))
                for scope in scopes(rng, 60):
                    wanted = Narrowing({FACT[key]: values for key, values in scope.items()})
                    certain, possible = by_the_law(every, scope)
                    found = {k for t in crm.facts.in_scopes(connection, [wanted]) for k in t["call_id"].to_pylist()}
                    assert possible <= found, (scope, account, phone, every.filter(pc.is_in(every["call_id"], pc.cast(
                        sorted(possible - found), every["call_id"].type))).to_pylist()[:3])  # fmt: skip
                    met += len(certain)
    assert met > 100
